/** Threads that wait for kernel memory: who is woken, by what, and who is told that it cannot be. */
import { Errno, GiB, PAGE_SIZE } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler, ThreadState } from "@physio/sched";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dice, expectErrno, expectPanic, kmemBench, random, SEED } from "./fixture.ts";

function waiting(pages: number) {
  const sched = new Scheduler();
  const b = kmemBench(pages * PAGE_SIZE, { sched });
  return { b, sched, mem: b.mem, kmem: b.kmem };
}

function* pauseAndFree(
  sched: Scheduler,
  kmem: Kmem,
  allocations: readonly (readonly [number, number])[],
): Sleeps<void> {
  for (const [va, size] of allocations) {
    yield* sched.pause("hold", 100);
    kmem.free(va, size);
  }
}

describe("allocWait", () => {
  for (const size of [1, 100, 2048, 3000, 4 * PAGE_SIZE]) {
    test(`gives ${size} bytes at once when they are there`, () => {
      const { sched, kmem } = waiting(8);
      const va = sched.runSync(kmem.allocWait(size));
      expect([kmem.waits, kmem.pmap.frameAt(va) >= 0]).toEqual([0, true]);
      kmem.free(va, size);
    });
  }

  test("sleeps until another thread frees enough, and then has it", () => {
    const { sched, kmem } = waiting(8);
    const held = kmem.alloc(6 * PAGE_SIZE);
    sched.spawn("other", pauseAndFree(sched, kmem, [[held, 6 * PAGE_SIZE]]));
    const va = sched.runSync(kmem.allocWait(4 * PAGE_SIZE));
    expect([kmem.waits, sched.now, kmem.pmap.residentCount]).toEqual([1, 100, 4]);
    kmem.free(va, 4 * PAGE_SIZE);
  });

  test("goes on sleeping while what is freed is not enough, and leaves that to others", () => {
    const { sched, mem, kmem } = waiting(8);
    const held = [0, 1, 2, 3].map(() => [kmem.alloc(2 * PAGE_SIZE), 2 * PAGE_SIZE] as const);
    sched.spawn("other", pauseAndFree(sched, kmem, held));
    const thread = sched.start(kmem.allocWait(6 * PAGE_SIZE));
    while (sched.now < 250 && sched.step()) {
      if (sched.now === 200 && mem.freeFrames === 4 && thread.state === ThreadState.ASLEEP) break;
    }
    expect([mem.freeFrames, thread.state]).toEqual([4, ThreadState.ASLEEP]);
    const other = kmem.alloc(4 * PAGE_SIZE);
    kmem.free(other, 4 * PAGE_SIZE);
    sched.advance(thread, 1000);
    expect(kmem.waits).toBeGreaterThanOrEqual(3);
    kmem.free(sched.resultOf(thread), 6 * PAGE_SIZE);
    sched.pump();
  });

  test("is woken by a free of a small size in the same zone", () => {
    const { sched, kmem } = waiting(1);
    const items = Array.from({ length: 4 }, () => [kmem.alloc(1000), 1000] as const);
    sched.spawn("other", pauseAndFree(sched, kmem, items.slice(0, 1)));
    const va = sched.runSync(kmem.allocWait(1001));
    expect([va, kmem.waits, sched.now]).toEqual([items[0][0], 1, 100]);
    for (const [item] of [[va], ...items.slice(1)]) kmem.free(item, 1000);
  });

  test("is woken when a zone's page becomes empty, though the zone keeps it", () => {
    const { sched, mem, kmem } = waiting(1);
    const zone = kmem.zone("z", 24);
    const item = zone.alloc();
    const thread = sched.start(kmem.allocWait(PAGE_SIZE));
    sched.pump();
    expect([thread.state, mem.freeFrames]).toEqual([ThreadState.ASLEEP, 0]);
    zone.free(item);
    expect(sched.advance(thread, 100)).toBe(true);
    expect(zone.slabs).toBe(0);
    kmem.free(sched.resultOf(thread), PAGE_SIZE);
  });

  test("is woken when addresses come back that somebody held", () => {
    const { sched, mem, kmem } = waiting(8);
    const { arena } = kmem;
    const all = arena.alloc(arena.total);
    for (const size of [100, 2 * PAGE_SIZE]) {
      const thread = sched.start(kmem.allocWait(size));
      sched.pump();
      expect([thread.state, mem.freeFrames]).toEqual([ThreadState.ASLEEP, 8]);
      arena.free(all, arena.total);
      expect(sched.advance(thread, 100)).toBe(true);
      kmem.free(sched.resultOf(thread), size);
      kmem.reclaim();
      expect(arena.alloc(arena.total)).toBe(all);
    }
    arena.free(all, arena.total);
  });

  test("of more than the machine has is ENOMEM at once", () => {
    const { sched, kmem } = waiting(8);
    const held = kmem.alloc(PAGE_SIZE);
    for (const size of [9 * PAGE_SIZE, 8 * PAGE_SIZE + 1, 512 * GiB + 1, 2 ** 52]) {
      expectErrno(() => sched.runSync(kmem.allocWait(size)), Errno.ENOMEM, `${size} bytes`);
    }
    expect(kmem.waits).toBe(0);
    kmem.free(held, PAGE_SIZE);
  });

  test("of a size that is none is EINVAL", () => {
    const { sched, kmem } = waiting(8);
    for (const size of [0, -1, 0.5, Number.NaN]) {
      expectErrno(() => sched.runSync(kmem.allocWait(size)), Errno.EINVAL);
    }
  });

  test("without a scheduler panics only when it has to sleep", () => {
    const { kmem } = kmemBench(2 * PAGE_SIZE);
    const sched = new Scheduler();
    const va = sched.runSync(kmem.allocWait(2 * PAGE_SIZE));
    expectPanic(() => sched.runSync(kmem.allocWait(PAGE_SIZE)), "no scheduler");
    kmem.free(va, 2 * PAGE_SIZE);
  });
});

describe("addresses without memory", () => {
  test("are pages in a row that nothing is mapped at", () => {
    const { mem, kmem } = waiting(8);
    const va = kmem.kvaAlloc(2 * PAGE_SIZE + 1);
    expect([va % PAGE_SIZE, kmem.arena.allocated]).toEqual([0, 3 * PAGE_SIZE]);
    expect([kmem.pmap.frameAt(va), mem.freeFrames]).toEqual([-1, 8]);
    kmem.kvaFree(va, 2 * PAGE_SIZE + 1);
    expectPanic(() => kmem.kvaFree(va, 2 * PAGE_SIZE + 1));
  });

  test("are waited for until somebody gives some back", () => {
    const { sched, kmem } = waiting(8);
    const all = kmem.kvaAlloc(512 * GiB);
    expect(kmem.kvaAlloc(1)).toBe(-1);
    const thread = sched.start(kmem.kvaWait(4 * PAGE_SIZE));
    sched.pump();
    expect([thread.state, kmem.waits]).toEqual([ThreadState.ASLEEP, 1]);
    kmem.kvaFree(all, 512 * GiB);
    expect(sched.advance(thread, 100)).toBe(true);
    kmem.kvaFree(sched.resultOf(thread), 4 * PAGE_SIZE);
  });

  test("of more than there ever are is ENOMEM at once, and of a size that is none EINVAL", () => {
    const { sched, kmem } = waiting(8);
    for (const size of [512 * GiB + 1, 2 ** 51]) {
      expectErrno(() => sched.runSync(kmem.kvaWait(size)), Errno.ENOMEM, `${size} bytes`);
    }
    for (const size of [0, Number.NaN]) {
      expectErrno(() => kmem.kvaAlloc(size), Errno.EINVAL);
      expectErrno(() => sched.runSync(kmem.kvaWait(size)), Errno.EINVAL);
    }
    expect(kmem.waits).toBe(0);
  });
});

test("a wait that nobody can end is reported with its name", () => {
  const { sched, kmem } = waiting(8);
  const held = kmem.alloc(6 * PAGE_SIZE);
  expectPanic(
    () => sched.runSync(kmem.allocWait(4 * PAGE_SIZE), "needy"),
    "deadlock",
    "needy",
    "kmem",
  );
  kmem.free(held, 6 * PAGE_SIZE);
});

test("two that wait for more than there is do not wake each other without end", () => {
  const { sched, mem, kmem } = waiting(8);
  const held = kmem.alloc(6 * PAGE_SIZE);
  const threads = [1, 2].map((i) => sched.start(kmem.allocWait(4 * PAGE_SIZE), `thread ${i}`));
  let steps = 0;
  while (sched.step()) if (++steps > 100) expect.fail("they never sleep");
  expect(threads.map((t) => t.state)).toEqual([ThreadState.ASLEEP, ThreadState.ASLEEP]);
  expect([mem.freeFrames, kmem.waits]).toEqual([2, 2]);
  // A free that is not enough wakes both, and both sleep again; one that is enough serves both.
  const page = mem.allocFrame();
  mem.freeFrame(page);
  steps = 0;
  while (sched.step()) if (++steps > 100) expect.fail("they never sleep");
  expect(threads.map((t) => t.state)).toEqual([ThreadState.ASLEEP, ThreadState.ASLEEP]);
  kmem.free(held, 6 * PAGE_SIZE);
  for (const thread of threads) {
    expect(sched.advance(thread, 100)).toBe(true);
    kmem.free(sched.resultOf(thread), 4 * PAGE_SIZE);
  }
});

test("a frame that somebody else gives back ends a wait", () => {
  const { b, sched, kmem } = waiting(2);
  const frames = [b.frame(), b.frame()];
  for (const [size, frame] of [
    [PAGE_SIZE, frames[0]],
    [100, frames[1]],
  ]) {
    const thread = sched.start(kmem.allocWait(size));
    sched.pump();
    expect(thread.state).toBe(ThreadState.ASLEEP);
    b.free(frame);
    expect(sched.advance(thread, 100)).toBe(true);
    kmem.free(sched.resultOf(thread), size);
    kmem.reclaim();
    b.frame();
  }
  expect(kmem.waits).toBe(2);
});

test("an allocation that fails on the way does not take the news from those who wait", () => {
  const { b, sched, mem, kmem } = waiting(8);
  const frames = [1, 2, 3, 4, 5, 6].map(() => b.frame());
  const thread = sched.start(kmem.allocWait(4 * PAGE_SIZE));
  sched.pump();
  expect(kmem.tryAlloc(5 * PAGE_SIZE)).toBe(-1);
  sched.pump();
  expect([thread.state, mem.freeFrames, kmem.waits]).toEqual([ThreadState.ASLEEP, 2, 1]);
  for (const frame of frames) b.free(frame);
  expect(sched.advance(thread, 100)).toBe(true);
  kmem.free(sched.resultOf(thread), 4 * PAGE_SIZE);
});

test("threads that allocate, hold and free all come to an end, in every order", () => {
  fc.assert(
    fc.property(fc.nat(), (number) => {
      const sched = new Scheduler({ random: random(number) });
      const b = kmemBench(6 * PAGE_SIZE, { sched });
      const { kmem } = b;
      const zone = kmem.zone("items", 700);
      function* worker(roll: (n: number) => number): Sleeps<void> {
        for (let i = 0; i < 12; i++) {
          const kind = roll(4);
          const size = kind === 0 ? 1 + roll(6 * PAGE_SIZE) : 1 + roll(2048);
          const va = yield* kmem.allocWait(size);
          const item = kind === 1 ? zone.alloc() : -1;
          if (roll(3) > 0) yield* sched.pause("hold", 1 + roll(50));
          if (item >= 0) zone.free(item);
          kmem.free(va, size);
        }
      }
      const threads = [1, 2, 3, 4].map((i) => sched.start(worker(dice(number + i)), `worker ${i}`));
      for (const thread of threads) {
        if (!sched.advance(thread, 20_000)) expect.fail(`${thread.name} does not end`);
        sched.resultOf(thread);
      }
      expect(sched.threads()).toEqual([]);
      b.end();
    }),
    { numRuns: 30, ...SEED },
  );
});
