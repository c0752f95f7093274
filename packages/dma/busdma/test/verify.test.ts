/**
 * The locking rules of bus_dma(9) under verify, and what waits for DMA memory.
 */
import type { DmaContext, DmaMap, DmaMem } from "@physio/busdma";
import { busdmaLockMutex, createTag, Sync } from "@physio/busdma";
import * as bsd from "@physio/busdma/bsd";
import { Bio, Ccb, Uio, UioRw } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, ErrnoError, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
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

test("verify: what has no locking protocol is called with or without locks", () => {
  for (const held of [false, true]) {
    const s = setUp();
    const child = s.tag.child({});
    const [map, mem] = [s.tag.createMap(), s.tag.allocMem()!];
    const said = s.inThread(() => {
      if (held) s.mutex.enter();
      s.tag.segList();
      s.tag.isIdentity(0x10_0000, 8);
      mem.free();
      expect([map.destroy(), child.destroy(), s.tag.destroy()]).toEqual([0, 0, 0]);
      if (held) s.mutex.exit();
    });
    expect(said, `lock held: ${held}`).toBe("");
  }
});

test("verify: every loaded map is EBUSY until its unload, however it was loaded", () => {
  const loads = Object.entries(calls).filter(([name]) => name.startsWith("load"));
  for (const [name, call] of loads) {
    const s = setUp();
    const map = s.tag.createMap();
    call(map, s.va, s);
    // The ccb of the table has no data: nothing is active.
    const busy = name === "loadCcb" ? Errno.OK : Errno.EBUSY;
    expect(map.destroy(), name).toBe(busy);
    if (busy === Errno.OK) continue;
    map.unload();
    expect(map.destroy(), name).toBe(Errno.OK);
  }
});

test("verify: a load that failed leaves nothing, and a callback may unload its own map", () => {
  const s = setUp();
  const [failed, own] = [s.tag.createMap(), s.tag.createMap()];
  expect(failed.load(s.va, 0, nothing, null)).toBe(Errno.EINVAL);
  expect(failed.destroy()).toBe(Errno.OK);
  own.load(s.va, 8, () => own.unload(), null);
  expect(own.destroy()).toBe(Errno.OK);
});

test("without verify, a loaded map whose backend holds nothing can be destroyed", () => {
  const s = setUp(false);
  const map = s.tag.createMap();
  map.load(s.va, 8, nothing, null);
  expect(map.destroy()).toBe(Errno.OK);
});

test("verify: user memory of a uio is wired before it is loaded", () => {
  const s = setUp();
  const space = s.machine.userSpace();
  const frames = [s.machine.mem.allocFrame(), s.machine.mem.allocFrame()];
  const base = 0x40_0000;
  for (const [i, frame] of frames.entries()) {
    space.pmap.enter(base + i * PAGE_SIZE, frame, Prot.READ | Prot.WRITE, 0);
  }
  const load = () => {
    const iov = [{ base: base + 8, length: PAGE_SIZE }];
    s.tag.createMap().loadUio(new Uio(UioRw.READ, space, iov, 0), nothing, null);
  };
  expect(load).toThrow("loadUio of user at 0x400000, which is not wired");
  expect(s.sched.runSync(space.wire(base, PAGE_SIZE, Prot.WRITE))).toBe(Errno.OK);
  expect(load).toThrow("loadUio of user at 0x401000, which is not wired");
  expect(s.sched.runSync(space.wire(base + PAGE_SIZE, 8, Prot.WRITE))).toBe(Errno.OK);
  load();
  space.unwire(base, PAGE_SIZE);
  expect(load).toThrow("0x400000");
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

test("bus_dmamem_alloc_waitok sleeps, gives memory and map, and says ENOMEM", () => {
  const s = setUp();
  const [vaddr, map] = [bsd.box<number>(), bsd.box<DmaMap>()];
  const tag = createTag(s.context, null, { maxSize: 64 * PAGE_SIZE });
  const never = createTag(s.context, null, { maxSize: 2 ** 40 });
  const run = (t: typeof tag) => s.sched.runSync(bsd.bus_dmamem_alloc_waitok(t, vaddr, 0, map));
  expect(run(never)).toBe(Errno.ENOMEM);
  expect(vaddr.value).toBe(null);
  const hoard: number[] = [];
  while (s.machine.mem.freeFrames > 10) hoard.push(s.machine.mem.allocFrame());
  const giveBack = s.sched.event(() => {
    for (const frame of hoard) s.machine.mem.freeFrame(frame);
  });
  s.sched.after(giveBack, 1000);
  expect([run(tag), s.sched.now]).toEqual([0, 1000]);
  bsd.bus_dmamem_free(tag, vaddr.value!, map.value!);
  expect(tag.destroy()).toBe(Errno.OK);
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
