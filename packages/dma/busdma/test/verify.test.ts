/**
 * The locking rules of bus_dma(9) under verify, and what waits for DMA memory.
 */
import type { DmaContext, DmaMap, DmaMem } from "@physio/busdma";
import { busdmaLockMutex, createTag, Sync } from "@physio/busdma";
import { Bio, Ccb, Uio, UioRw } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, ErrnoError, PAGE_SIZE } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Mutex, Scheduler } from "@physio/sched";
import { expect, test } from "vitest";
import { PlainMachine } from "./machine.ts";

function setUp(verify = true) {
  const machine = new PlainMachine();
  const sched = new Scheduler();
  const mutex = new Mutex(sched, "toy0");
  const context: DmaContext = { ...machine.context, sched, verify };
  const tag = createTag(context, null, { maxSize: 4 * PAGE_SIZE, lock: busdmaLockMutex(mutex) });
  const va = machine.kmem.allocContig(PAGE_SIZE, {});
  /** What `body` threw in a thread, or "". */
  const inThread = (body: () => void): string => {
    let threw = "";
    // biome-ignore lint/correctness/useYield: a thread that never sleeps
    function* driver(): Sleeps<void> {
      try {
        body();
      } catch (error) {
        threw = (error as Error).message;
      }
    }
    sched.spawn("driver", driver());
    sched.pump();
    return threw;
  };
  return { machine, sched, mutex, context, tag, va, inThread };
}

const nothing = () => {};
const packet = (va: number) =>
  Object.assign(new Mbuf(), { data: va, len: 8, flags: MbufFlag.PKTHDR, packetLength: 8 });

type Call = (map: DmaMap, va: number, s: ReturnType<typeof setUp>) => unknown;
const calls: Record<string, Call> = {
  load: (map, va) => map.load(va, 8, nothing, null),
  loadMbuf: (map, va) => map.loadMbuf(packet(va), nothing, null),
  loadMbufSg: (map, va) => map.loadMbufSg(packet(va), map.tag.segList()),
  loadUio: (map, va, { machine }) => {
    const uio = new Uio(UioRw.READ, machine.kmem.space, [{ base: va, length: 8 }], 0);
    return map.loadUio(uio, nothing, null);
  },
  loadBio: (map, va) =>
    map.loadBio(Object.assign(new Bio(), { data: va, bcount: 8 }), nothing, null),
  loadCcb: (map) => map.loadCcb(new Ccb(), nothing, null),
  loadMem: (map, va) => map.loadMem({ kind: "vaddr", va, length: 8 }, nothing, null),
  loadPages: (map, va, { machine }) =>
    map.loadPages([machine.kmem.pmap.frameAt(va)], 0, 8, nothing, null),
  loadPagesSg: (map, va, { machine }) =>
    map.loadPagesSg([machine.kmem.pmap.frameAt(va)], 0, 8, map.tag.segList()),
  sync: (map) => map.sync(Sync.PREREAD),
  unload: (map) => map.unload(),
};

for (const [name, call] of Object.entries(calls)) {
  test(`verify: ${name} wants the lock of its tag, but not at start-up`, () => {
    const s = setUp();
    const map = s.tag.createMap();
    call(map, s.va, s);
    expect(s.inThread(() => call(map, s.va, s))).toContain(`${name} without the tag's lock "toy0"`);
    const locked = s.inThread(() => {
      s.mutex.enter();
      call(map, s.va, s);
      s.mutex.exit();
    });
    expect(locked).toBe("");
  });

  test(`without verify, ${name} does not look at locks`, () => {
    const s = setUp(false);
    const map = s.tag.createMap();
    expect(s.inThread(() => call(map, s.va, s))).toBe("");
  });
}

test("verify: tags, maps and memory are not made with a mutex held", () => {
  const s = setUp();
  const making: Record<string, () => unknown> = {
    "a tag is made": () => s.tag.child({}),
    "a map is made": () => s.tag.createMap(),
    "memory is made": () => s.tag.allocMem(),
  };
  for (const [says, make] of Object.entries(making)) {
    expect(s.inThread(make)).toBe("");
    const held = s.inThread(() => {
      s.mutex.enter();
      try {
        make();
      } finally {
        s.mutex.exit();
      }
    });
    expect(held).toContain(`${says} with mutex "toy0" held`);
  }
});

test("verify: a tag whose lock is no known mutex is not looked at", () => {
  const s = setUp();
  const map = createTag(s.context, null, { lock: nothing }).createMap();
  expect(s.inThread(() => map.sync(Sync.PREREAD))).toBe("");
});

test("a destroyed tag makes nothing, and is not destroyed twice", () => {
  const { tag } = setUp();
  expect(tag.destroy()).toBe(Errno.OK);
  for (const use of [() => tag.createMap(), () => tag.allocMem(), () => tag.destroy()]) {
    expect(use).toThrow("destroyed");
  }
});

test("allocMemWait sleeps until enough memory is free", () => {
  const s = setUp();
  const tag = createTag(s.context, null, { maxSize: 64 * PAGE_SIZE });
  const hoard: number[] = [];
  while (s.machine.mem.freeFrames > 10) hoard.push(s.machine.mem.allocFrame());
  let got: DmaMem | null = null;
  function* driver(): Sleeps<void> {
    got = yield* tag.allocMemWait();
  }
  s.sched.spawn("driver", driver());
  s.sched.pump();
  expect(got).toBe(null);
  // What others take and give back meanwhile is no news.
  const { switches } = s.sched;
  const others = [0, 1, 2].map(() => s.machine.mem.allocFrame());
  for (const frame of others) s.machine.mem.freeFrame(frame);
  s.sched.pump();
  expect(s.sched.switches).toBe(switches);
  for (const frame of hoard) {
    s.machine.mem.freeFrame(frame);
    s.sched.pump();
  }
  expect(got).not.toBe(null);
  (got as unknown as DmaMem).free();
});

test("allocMemWait: more than the machine has is ENOMEM at once", () => {
  const s = setUp();
  const tag = createTag(s.context, null, { maxSize: 2 ** 40 });
  let threw: unknown = null;
  function* driver(): Sleeps<void> {
    try {
      yield* tag.allocMemWait();
    } catch (error) {
      threw = error;
    }
  }
  s.sched.spawn("driver", driver());
  s.sched.pump();
  expect(threw).toBeInstanceOf(ErrnoError);
  expect((threw as ErrnoError).errno).toBe(Errno.ENOMEM);
});

test("memory goes back with its own map, once", () => {
  const { tag } = setUp();
  const [a, b] = [tag.allocMem()!, tag.allocMem()!];
  const map = tag.createMap();
  const wrong = "with a map that did not come with it";
  expect(() => tag.freeMem(a.memory.va, map)).toThrow(wrong);
  expect(() => tag.freeMem(a.memory.va, b.map)).toThrow(wrong);
  expect(() => tag.child({}).freeMem(a.memory.va, a.map)).toThrow(wrong);
  a.free();
  expect(() => a.free()).toThrow(wrong);
  expect(() => b.map.destroy()).toThrow("came with DMA memory");
  b.free();
});
