/**
 * Loads: who is told what, when, and under which lock.
 */

import type { DmaMap, LockOp } from "@physio/busdma";
import {
  BUS_DMA_LOCK,
  BUS_DMA_UNLOCK,
  BusDma,
  busdmaLockMutex,
  createTag,
  dfltLock,
  FIXED,
  SEED,
  Sync,
} from "@physio/busdma";
import { Bio, BioFlag } from "@physio/carriers";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { Mutex, Scheduler } from "@physio/sched";
import { expect, test } from "vitest";
import { PlainMachine, Told } from "./machine.ts";

function setUp(semantics = FIXED) {
  const machine = new PlainMachine(semantics);
  const tag = createTag(machine.context, null, { maxSize: 4 * PAGE_SIZE, segments: 4 });
  const va = machine.kmem.allocContig(4 * PAGE_SIZE, {});
  return { machine, tag, va, map: tag.createMap(), told: new Told() };
}

const outcomes: { name: string; answer: Errno; caller: Errno; callback: Errno | null }[] = [
  { name: "OK", answer: Errno.OK, caller: Errno.OK, callback: Errno.OK },
  { name: "EFBIG", answer: Errno.EFBIG, caller: Errno.OK, callback: Errno.EFBIG },
  { name: "ENOMEM", answer: Errno.ENOMEM, caller: Errno.ENOMEM, callback: Errno.ENOMEM },
  { name: "EINPROGRESS", answer: Errno.EINPROGRESS, caller: Errno.EINPROGRESS, callback: null },
];

type Form = (map: DmaMap, va: number, told: Told) => Errno;
const forms: Record<string, Form> = {
  load: (map, va, told) => map.load(va, 100, told.callback, null),
  loadMem: (map, va, told) =>
    map.loadMem({ kind: "vlist", list: [{ base: va, length: 100 }] }, told.callback, null),
  loadBio: (map, va, told) => {
    const bio = Object.assign(new Bio(), { data: va, bcount: 100 });
    return map.loadBio(bio, told.callback, null);
  },
};

for (const [form, start] of Object.entries(forms)) {
  for (const { name, answer, caller, callback } of outcomes) {
    test(`${form}: ${name} reaches the caller and the callback as bus_dma(9) says`, () => {
      const { machine, map, va, told } = setUp();
      machine.script.push(answer);
      expect(start(map, va, told)).toBe(caller);
      if (callback === null) {
        expect([told.results, machine.calls]).toEqual([[], []]);
        return;
      }
      const segs = callback === Errno.OK ? [[machine.kmem.pmap.extract(va), 100]] : [];
      expect(told.results).toEqual([{ error: callback, segs }]);
      expect(machine.calls).toEqual([`complete ${segs.length} ${callback}`]);
    });
  }
}

const lengths = [
  { length: 4 * PAGE_SIZE, fixed: Errno.OK },
  { length: 4 * PAGE_SIZE + 1, fixed: Errno.EINVAL },
  { length: Number.NaN, fixed: Errno.EINVAL },
];

for (const { length, fixed } of lengths) {
  test(`a load of ${length} bytes with maxSize 16384 is ${fixed} to caller and callback in fixed`, () => {
    const { map, va, told } = setUp();
    expect(map.load(va, length, told.callback, null)).toBe(fixed);
    expect(told.results.map((r) => r.error)).toEqual([fixed]);
  });
}

test("maxSize limits the sum of a list in fixed, and nothing in seed", () => {
  const list = [0, 1].map((i) => ({ base: 0x10_0000 + i * 0x1_0000, length: 3 * PAGE_SIZE }));
  const fixed = setUp();
  expect(fixed.map.loadMem({ kind: "plist", list }, fixed.told.callback, null)).toBe(Errno.EINVAL);
  const seed = setUp(SEED);
  expect(seed.map.loadMem({ kind: "plist", list }, seed.told.callback, null)).toBe(Errno.OK);
  expect(seed.told.results[0].segs.length).toBe(2);
});

test("a partly built list never reaches the callback of a load that failed", () => {
  const { machine, map, va, told } = setUp();
  machine.script.push(Errno.OK, Errno.EFBIG);
  expect(map.load(va, 2 * PAGE_SIZE, told.callback, null)).toBe(Errno.OK);
  expect(machine.calls).toEqual([`complete 1 ${Errno.EFBIG}`]);
  expect(told.results).toEqual([{ error: Errno.EFBIG, segs: [] }]);
});

test("a deferred load is done again from its first byte when it is resumed", () => {
  const { machine, map, told } = setUp();
  const list = [
    { base: 0x10_0000, length: 16 },
    { base: 0x10_0100, length: 16 },
  ];
  machine.script.push(Errno.OK, Errno.EINPROGRESS);
  expect(map.loadMem({ kind: "plist", list }, told.callback, null)).toBe(Errno.EINPROGRESS);
  expect(map.waiting).toBe(true);
  map.resumeLoad();
  expect(map.waiting).toBe(false);
  expect(told.results).toEqual([
    {
      error: Errno.OK,
      segs: [
        [0x10_0000, 16],
        [0x10_0100, 16],
      ],
    },
  ]);
});

test("a deferred load may stall again, and its callback still runs once", () => {
  const { machine, map, va, told } = setUp();
  machine.script.push(Errno.EINPROGRESS, Errno.EINPROGRESS, Errno.EINPROGRESS);
  expect(map.load(va, 8, told.callback, null)).toBe(Errno.EINPROGRESS);
  map.resumeLoad();
  map.resumeLoad();
  expect([map.waiting, told.results.length]).toEqual([true, 0]);
  map.resumeLoad();
  expect([map.waiting, told.results.length]).toEqual([false, 1]);
  expect(() => map.resumeLoad()).toThrow(Panic);
});

test("a waiting map is EBUSY, and panics on load and unload", () => {
  const { machine, map, va, told } = setUp();
  machine.script.push(Errno.EINPROGRESS);
  expect(map.load(va, 8, told.callback, null)).toBe(Errno.EINPROGRESS);
  expect(map.destroy()).toBe(Errno.EBUSY);
  expect(() => map.unload()).toThrow(Panic);
  expect(() => map.load(va, 8, told.callback, null)).toThrow(Panic);
  expect(machine.calls).toEqual([]);
});

test("a callback may unload its map and load it again", () => {
  const { machine, map, va, told } = setUp();
  const again = () => {
    map.unload();
    expect(map.load(va, 8, told.callback, null)).toBe(Errno.OK);
  };
  expect(map.load(va, 16, again, null)).toBe(Errno.OK);
  expect(told.results.map((r) => r.segs)).toEqual([[[machine.kmem.pmap.extract(va), 8]]]);
});

test("the callback gets its argument", () => {
  const { map, va } = setUp();
  const got: unknown[] = [];
  expect(map.load(va, 8, (arg: { id: number }) => got.push(arg.id), { id: 7 })).toBe(Errno.OK);
  expect(got).toEqual([7]);
});

test("sync and unload reach the backend", () => {
  const { machine, map, va, told } = setUp();
  expect(map.load(va, 8, told.callback, null, BusDma.NOWAIT)).toBe(Errno.OK);
  map.sync(Sync.PREREAD | Sync.PREWRITE);
  map.unload();
  expect(machine.calls.slice(1)).toEqual(["sync 5", "unload"]);
});

test("an unmapped bio and a mapped bio of the same memory give the same segments", () => {
  const { machine, map, va, told } = setUp();
  const ma = [machine.kmem.pmap.frameAt(va)];
  const mapped = Object.assign(new Bio(), { data: va + 96, bcount: 512 });
  const unmapped = Object.assign(new Bio(), {
    flags: BioFlag.UNMAPPED,
    ma,
    maOffset: 96,
    bcount: 512,
  });
  expect(map.loadBio(mapped, told.callback, null)).toBe(Errno.OK);
  expect(map.loadBio(unmapped, told.callback, null)).toBe(Errno.OK);
  expect(told.results[0]).toEqual(told.results[1]);
});

test("busdmaLockMutex takes and releases the driver's mutex", () => {
  const mutex = new Mutex(new Scheduler(), "driver");
  const lock = busdmaLockMutex(mutex);
  const held: boolean[] = [];
  for (const op of [BUS_DMA_LOCK, BUS_DMA_UNLOCK] satisfies LockOp[]) {
    lock(op);
    held.push(mutex.owned);
  }
  expect(held).toEqual([true, false]);
  expect(() => lock(BUS_DMA_UNLOCK)).toThrow(Panic);
});

test("a tag without a lock function has the one that panics", () => {
  const { tag } = setUp();
  expect(tag.lock).toBe(dfltLock);
  expect(() => tag.lock(BUS_DMA_LOCK)).toThrow(Panic);
});
