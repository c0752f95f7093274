/** What is refused before anything is undone: a second owner, a pmap after its end, frees of what is in use. */
import { Errno, hex, MiB, PAGE_SIZE } from "@physio/kern";
import { CpuPort } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Enter, Kmem, Pmaps, Prot, RadixTable } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";
import {
  bench,
  expectErrno,
  expectPanic,
  fill,
  kmemBench,
  RW,
  random,
  userBench,
} from "./fixture.ts";

const CACHE = { line: 64, sets: 16, ways: 4, random: random(1) } as const;
const memory = () => new PhysMem({ banks: [{ base: 2 ** 33, size: MiB }] });

describe("one memory", () => {
  test("has one owner of its pv lists: other pmaps are EBUSY", () => {
    const mem = memory();
    const kmem = new Kmem(mem);
    expectErrno(() => new Kmem(mem), Errno.EBUSY, "second pmaps");
    expectErrno(() => new Pmaps(mem, kmem.cpu), Errno.EBUSY);
    kmem.free(kmem.alloc(PAGE_SIZE), PAGE_SIZE); // the first one works on
    kmem.check();
  });

  test("with a cache is reached through it when no port is named", () => {
    const mem = memory();
    const cpu = new CpuPort(mem, CACHE);
    mem.cachedBy = cpu; // as a bus does it
    const kmem = new Kmem(mem);
    expect(kmem.cpu).toBe(cpu);
    const va = kmem.alloc(PAGE_SIZE);
    const seen = fill(1, 0);
    kmem.write(va, fill(1, 7));
    cpu.read(kmem.pmap.extract(va), seen);
    expect([seen[0], cpu.cache?.isDirty(kmem.pmap.extract(va))]).toEqual([7, true]);
    expect(new Kmem(memory()).cpu.coherent).toBe(true);
    const own = new CpuPort(mem, null);
    expect(new Pmaps(memory(), own).cpu).toBe(own);
  });
});

describe("a pmap that was destroyed", () => {
  test("takes no mappings: EINVAL", () => {
    const { b, pmaps, pmap } = userBench();
    const frame = b.frame();
    pmap.enter(0x1000, frame, RW);
    pmap.remove(0x1000, PAGE_SIZE);
    pmaps.destroy(pmap);
    expectErrno(() => pmap.enter(0x1000, frame, RW), Errno.EINVAL, "user (destroyed)");
    expectErrno(() => pmap.kenter(0x1000, frame, RW), Errno.EINVAL, "user (destroyed)");
    expectErrno(() => pmap.remove(0x1000, PAGE_SIZE), Errno.EINVAL);
    expect([pmap.residentCount, pmaps.pv.count, pmap.extract(0x1000)]).toEqual([0, 0, -1]);
  });

  test("leaves its table to another one; until then it is EBUSY", () => {
    const { pmaps } = bench();
    const table = new RadixTable();
    const first = pmaps.create("first", table);
    expectErrno(() => pmaps.create("second", table), Errno.EBUSY, "pmap first");
    expect(pmaps.all().map(({ name }) => name)).toEqual(["kernel", "first"]);
    pmaps.destroy(first);
    pmaps.destroy(pmaps.create("second", table));
  });
});

describe("free", () => {
  test("of addresses that are mapped panics and keeps them", () => {
    const { kmem, mem } = kmemBench(MiB);
    const va = kmem.kvaAlloc(3 * PAGE_SIZE);
    const frame = mem.allocFrame();
    kmem.pmap.enter(va + 2 * PAGE_SIZE, frame, RW);
    expectPanic(() => kmem.kvaFree(va, 3 * PAGE_SIZE), hex(va), "mapped");
    expect(kmem.arena.allocated).toBe(3 * PAGE_SIZE);
    kmem.pmap.remove(va, 3 * PAGE_SIZE);
    kmem.kvaFree(va, 3 * PAGE_SIZE);
    const held = kmem.alloc(2 * PAGE_SIZE);
    expectPanic(() => kmem.kvaFree(held, 2 * PAGE_SIZE), "mapped");
    kmem.free(held, 2 * PAGE_SIZE);
    mem.freeFrame(frame);
  });

  test("of memory with a wired page panics and keeps all of it", () => {
    const { kmem, mem } = kmemBench(MiB);
    const va = kmem.alloc(3 * PAGE_SIZE);
    const page = va + 2 * PAGE_SIZE;
    kmem.write(va, fill(3 * PAGE_SIZE, 9));
    expect(new Scheduler().runSync(kmem.space.wire(page, 1, Prot.READ))).toBe(Errno.OK);
    expectPanic(() => kmem.free(va, 3 * PAGE_SIZE), `${hex(page)} is wired`);
    const seen = fill(3 * PAGE_SIZE, 0);
    kmem.read(va, seen);
    expect([seen.every((byte) => byte === 9), kmem.arena.allocated]).toEqual([true, 3 * PAGE_SIZE]);
    kmem.space.unwire(page, 1);
    kmem.free(va, 3 * PAGE_SIZE);
    expect(mem.freeFrames).toBe(mem.totalFrames);
  });

  test("of memory that another pmap has mapped panics and keeps all of it", () => {
    const { kmem } = kmemBench(MiB);
    const user = kmem.pmaps.create("user");
    const va = kmem.alloc(2 * PAGE_SIZE);
    user.enter(0x1000, kmem.pmap.frameAt(va + PAGE_SIZE), Prot.READ);
    expectPanic(() => kmem.free(va, 2 * PAGE_SIZE), "mapped elsewhere");
    expect([kmem.pmap.residentCount, kmem.arena.allocated]).toEqual([2, 2 * PAGE_SIZE]);
    user.remove(0x1000, PAGE_SIZE);
    kmem.free(va, 2 * PAGE_SIZE);
  });

  test("of addresses without memory panics and keeps them", () => {
    const { kmem } = kmemBench(MiB);
    const va = kmem.kvaAlloc(2 * PAGE_SIZE);
    expectPanic(() => kmem.free(va, 2 * PAGE_SIZE), `no memory at ${hex(va)}`);
    expect(kmem.arena.allocated).toBe(2 * PAGE_SIZE);
    kmem.kvaFree(va, 2 * PAGE_SIZE);
  });
});

describe("a range with one bad page", () => {
  test("is not unwired in part", () => {
    const { b, pmap } = userBench();
    pmap.enter(0x1000, b.frame(), RW, Enter.WIRED);
    pmap.enter(0x2000, b.frame(), RW);
    expectPanic(() => pmap.unwire(0x1000, 2 * PAGE_SIZE), "0x2000", "not wired");
    expect(pmap.wiredCount).toBe(1);
    pmap.unwire(0x1000, PAGE_SIZE);
    expect(pmap.wiredCount).toBe(0);
  });

  test("keeps its attributes", () => {
    const { b, pmap } = userBench();
    pmap.enter(0x1000, b.frame(), RW);
    const was = pmap.pteAt(0x1000);
    expectPanic(() => pmap.changeAttr(0x1000, 2 * PAGE_SIZE, Enter.UNCACHED), "0x2000");
    expect(pmap.pteAt(0x1000)).toBe(was);
  });
});

describe("another cache attribute for a frame at its place", () => {
  for (const kind of ["enter", "kenter"] as const) {
    test(`by ${kind} loses no store of the CPU`, () => {
      const { b, mem, pmap, space } = userBench({ cache: CACHE });
      const frame = b.frame();
      const seen = fill(2, 0);
      pmap[kind](0x1000, frame, RW);
      space.copyout(0x1000, fill(1, 7), 0, 1); //           waits in the cache
      pmap[kind](0x1000, frame, RW, Enter.WRITE_COMBINING);
      mem.read(mem.addrOf(frame), seen);
      expect([seen[0], b.cpu.cache?.contains(mem.addrOf(frame))]).toEqual([7, false]);
      space.copyout(0x1001, fill(1, 8), 0, 1); //           waits in a combining buffer
      pmap[kind](0x1000, frame, RW);
      space.copyin(0x1000, seen, 0, 2);
      expect([...seen]).toEqual([7, 8]);
    });
  }
});

test("who waits for kernel memory is told what is wanted and what is free", () => {
  const sched = new Scheduler();
  const { kmem } = kmemBench(8 * PAGE_SIZE, { sched });
  const va = kmem.alloc(6 * PAGE_SIZE);
  const large = sched.start(kmem.allocWait(4 * PAGE_SIZE), "large");
  const less = sched.start(kmem.allocWait(3 * PAGE_SIZE), "less");
  sched.pump();
  const { freeSize } = kmem.arena;
  expect(kmem.describeWait()).toBe(
    `${7 * PAGE_SIZE} bytes of kernel memory, wanted by 2; 2 of 8 frames and ${freeSize} bytes of addresses are free`,
  );
  expect(sched.report()).toContain(kmem.describeWait());
  kmem.free(va, 6 * PAGE_SIZE);
  sched.pump();
  expect(kmem.describeWait()).toContain("0 bytes of kernel memory, wanted by 0; 1 of 8 frames");
  kmem.free(sched.resultOf(large), 4 * PAGE_SIZE);
  kmem.free(sched.resultOf(less), 3 * PAGE_SIZE);
});
