/** Tags, maps, memory and cache calls of arm64, as tables that a reader can check by hand. */
import { arm64Backend } from "@physio/arch-arm64";
import { BusDma, SEED, Sync } from "@physio/busdma";
import type { DmaMemRequest } from "@physio/busdma/impl";
import { Errno, ErrnoError, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { CachedMachine, HIGH, REACH, stateOf, TOP } from "./machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EBUSY, EFBIG, EINPROGRESS } = Errno;

// ---- growth

const growth = [
  { name: "maxSize plus a page", options: { maxSize: 3 * PAGE }, totals: [4, 8] },
  { name: "a part of a page is a page", options: { maxSize: 100 }, totals: [2, 4] },
  { name: "segments play no part", options: { maxSize: 3 * PAGE, segments: 1 }, totals: [4, 8] },
  {
    name: "ALLOCNOW takes a page more, and is the first growth",
    options: { maxSize: 3 * PAGE, flags: BusDma.ALLOCNOW },
    totals: [5, 5, 9],
  },
  {
    name: "as many as lie above lowaddr",
    options: { maxSize: 3 * PAGE, lowAddr: TOP + MiB - 2 * PAGE - 1 },
    totals: [3, 3],
  },
];

for (const { name, options, totals } of growth) {
  test(`the pool grows with maps: ${name}`, () => {
    const machine = new CachedMachine({ cache: null });
    const tag = machine.tag(options);
    const seen = machine.counts().map(([total]) => total);
    while (seen.length < totals.length) {
      tag.createMap();
      seen.push(machine.counts()[0][0]);
    }
    expect(seen).toEqual(totals);
  });
}

test("ALLOCNOW with too few pages is ENOMEM, and the zone keeps what it got", () => {
  const machine = new CachedMachine({ cache: null, pages: 3 });
  expect(() => machine.tag({ maxSize: 4 * PAGE, flags: BusDma.ALLOCNOW })).toThrow("ENOMEM");
  expect(machine.counts()).toEqual([[3, 3, 0, 0]]);
});

test("every map has a zone, a coherent one too", () => {
  const machine = new CachedMachine({ cache: null });
  for (const flags of [0, BusDma.COHERENT]) machine.tag({ flags, maxSize: PAGE }).createMap();
  expect(machine.counts()).toEqual([[4, 4, 0, 0]]);
});

test("a map is EBUSY while it has bounce pages, or ranges to maintain", () => {
  const machine = new CachedMachine({ cache: null });
  const tag = machine.tag();
  const map = tag.createMap();
  const va = machine.buffer(1);
  for (const length of [PAGE, 10]) {
    expect(machine.load(map, va, length)).toBe(OK);
    expect(map.destroy()).toBe(EBUSY);
    map.unload();
  }
  machine.tearDown([map], [tag]);
});

test("EFBIG leaves nothing to unload", () => {
  const machine = new CachedMachine({ cache: null });
  const tag = machine.tag({ segments: 1, maxSegSize: PAGE });
  const map = tag.createMap();
  expect(machine.load(map, machine.buffer(2), 2 * PAGE)).toBe(OK);
  expect(machine.last().error).toBe(EFBIG);
  expect(map.destroy()).toBe(OK);
  machine.tearDown([], [tag]);
});

test("deferred loads are served in their order, with the lock held", () => {
  const machine = new CachedMachine({ pages: 3 });
  const tag = machine.tag({ lowAddr: REACH, maxSize: 2 * PAGE });
  const maps = [0, 1, 2].map(() => tag.createMap());
  const va = machine.buffer(2);
  expect(maps.map((map, i) => machine.load(map, va, 2 * PAGE, `m${i}`))).toEqual([
    OK,
    EINPROGRESS,
    EINPROGRESS,
  ]);
  for (const [i, map] of maps.entries()) {
    expect(machine.last().who).toBe(`m${i}`);
    map.unload();
    machine.sched.pump();
  }
  machine.tearDown(maps, [tag]);
});

// ---- the line rule

const lines = [
  { name: "whole lines", at: 64, length: PAGE, bounced: 0 },
  { name: "a start in a line", at: 65, length: 63, bounced: 1 },
  { name: "an end in a line", at: 64, length: 63, bounced: 1 },
  { name: "both ends of three pages", at: 32, length: 2 * PAGE, bounced: 2 },
];

for (const { name, at, length, bounced } of lines) {
  test(`line rule: ${name} bounces ${bounced} pages`, () => {
    const machine = new CachedMachine({ cache: null });
    for (const flags of [0, BusDma.COHERENT]) {
      const map = machine.tag({ flags }).createMap();
      expect(machine.load(map, machine.buffer(3) + at, length)).toBe(OK);
      expect(stateOf(map).bounce!.pages.count).toBe(flags === 0 ? bounced : 0);
    }
  });
}

test("line rule: under SEED a physical range whose end is in a line bounces every page", () => {
  for (const [options, bounced] of [
    [{ semantics: SEED }, 3],
    [{}, 1],
  ] as const) {
    const machine = new CachedMachine({ cache: null, ...options });
    const map = machine.tag().createMap();
    const pa = machine.mem.addrOf(machine.frames(3)[0]);
    const mem = { kind: "paddr", pa, length: 2 * PAGE + 1 } as const;
    expect(map.loadMem(mem, machine.note(), null)).toBe(OK);
    expect(stateOf(map).bounce!.pages.count).toBe(bounced);
  }
});

// ---- cache calls

const calls = [
  { ops: Sync.PREWRITE, done: ["clean 64+8192"] },
  { ops: Sync.PREREAD, done: ["invalidate 64+8192"] },
  { ops: Sync.PREREAD | Sync.PREWRITE, done: ["clean 64+8192"] },
  { ops: Sync.POSTREAD, done: ["invalidate 64+8192"] },
  { ops: Sync.POSTREAD | Sync.POSTWRITE, done: ["invalidate 64+8192"] },
  { ops: Sync.POSTWRITE, done: [] },
];

for (const { ops, done } of calls) {
  test(`a kernel range is one call: ${done.join(", ") || "none"} for operations ${ops}`, () => {
    const machine = new CachedMachine({ cache: null });
    const map = machine.tag().createMap();
    const va = machine.buffer(3);
    expect(machine.load(map, va + 64, 2 * PAGE)).toBe(OK);
    map.sync(ops);
    const seen = machine.calls.map(([call, space, at, n]) => {
      expect(space).toBe("kernel");
      return `${call} ${at - va}+${n}`;
    });
    expect(seen).toEqual(done);
  });
}

test("a range without kernel address is a call for each page, and partial lines of each are cleaned", () => {
  const machine = new CachedMachine({ cache: null });
  const tag = machine.tag();
  const map = tag.createMap();
  const [frame] = machine.frames(2);
  const pa = machine.mem.addrOf(frame);
  const va = machine.map([frame, frame + 1], machine.user);
  const load = tag.backend.loadBuffer(tag, map, machine.user, va + 64, PAGE, 0, tag.segs);
  expect(load).toBe(OK);
  map.sync(Sync.PREREAD);
  expect(machine.calls).toEqual([
    ["invalidate", "phys", pa + 64, PAGE - 64],
    ["invalidate", "phys", pa + PAGE, 64],
  ]);
});

// ---- memory

const memory = [
  { name: "small, whole lines", options: { maxSize: 100 }, flags: 0, is: "small 128 align 64" },
  {
    name: "uncached is never small",
    options: { maxSize: 100 },
    flags: BusDma.COHERENT,
    is: "pages 128 align 64 uncached",
  },
  {
    name: "coherent tags need no lines",
    options: { maxSize: 100, flags: BusDma.COHERENT },
    flags: BusDma.COHERENT,
    is: "small 100 align 1",
  },
  {
    name: "NOCACHE holds on a coherent tag",
    options: { maxSize: 100, flags: BusDma.COHERENT },
    flags: BusDma.NOCACHE,
    is: "pages 100 align 1 uncached",
  },
  {
    name: "pages for as many segments",
    options: { maxSize: 2 * PAGE, segments: 2 },
    flags: BusDma.ZERO,
    is: "pages 8192 align 64 zero",
  },
  {
    name: "contiguous for fewer",
    options: { maxSize: 2 * PAGE, segments: 1 },
    flags: BusDma.NOWAIT,
    is: "contiguous 8192 align 64 nowait",
  },
  {
    name: "contiguous for an alignment above a page",
    options: { maxSize: PAGE, alignment: 2 * PAGE },
    flags: 0,
    is: "contiguous 4096 align 8192",
  },
  {
    name: "contiguous for a boundary inside a page",
    options: { maxSize: PAGE, lowAddr: REACH, boundary: 1024, segments: 64 },
    flags: 0,
    is: "contiguous 4096 align 64",
  },
];

for (const { name, options, flags, is } of memory) {
  test(`memory: ${name}: ${is}`, () => {
    const asked: DmaMemRequest[] = [];
    const allocator = {
      alloc: (request: DmaMemRequest) => {
        asked.push(request);
        return -1;
      },
      free: () => {},
    };
    const machine = new CachedMachine({ cache: null, backend: { allocator } });
    const tag = machine.tag(options);
    expect(tag.allocMem(flags)).toBe(null);
    const [{ allocator: kind, size, alignment, uncacheable, zero, wait }] = asked;
    const words = [uncacheable ? " uncached" : "", zero ? " zero" : "", wait ? "" : " nowait"];
    expect(`${kind} ${size} align ${alignment}${words.join("")}`).toBe(is);
    machine.tearDown([], [tag]);
  });
}

test("memory counts as a map of its tag, and a result that breaks the alignment is marked", () => {
  const machine: CachedMachine = new CachedMachine({
    cache: null,
    backend: { allocator: { alloc: () => machine.buffer(1) + 8, free: () => {} } },
  });
  const tag = machine.tag({ maxSize: 100 });
  const got = tag.allocMem()!;
  expect(got.memory.misaligned).toBe(true);
  expect(tag.destroy()).toBe(EBUSY);
  expect(() => got.map.destroy()).toThrow(Panic);
  got.free();
  expect(tag.destroy()).toBe(OK);
});

// ---- bad input

test("a cache line that makes no sense is EINVAL", () => {
  const { pool, kmem } = new CachedMachine();
  for (const cacheLine of [0, 48, -64, Number.NaN, 2 * PAGE, 32]) {
    expect(() => arm64Backend({ pool, kmem, cacheLine })).toThrow(ErrnoError);
  }
  expect(arm64Backend({ pool, kmem }).name).toBe("arm64");
});

test("broken contracts panic and say what is wrong", () => {
  const machine = new CachedMachine({ cache: null, semantics: SEED });
  const va = machine.buffer(2);
  const far = machine.tag({ alignment: 2 * PAGE }).createMap();
  expect(() => machine.load(far, va, 64)).toThrow("alignment 8192 is above a page");
  const odd = machine.tag({ alignment: 48, flags: BusDma.COHERENT }).createMap();
  expect(() => machine.load(odd, va, 64)).toThrow("alignment 48 is not a power of 2");
  const cut = machine.tag({ boundary: 3000 }).createMap();
  expect(() => machine.load(cut, va, 64)).toThrow("boundary 3000 is not a power of 2");
  const map = machine.tag().createMap();
  const hole = { kind: "paddr", pa: 2 * HIGH, length: 64 } as const;
  expect(() => map.loadMem(hole, machine.note(), null)).toThrow("the page is not RAM");
  const unmapped = machine.tag({ maxSegSize: 64 }).createMap();
  expect(() => machine.load(unmapped, va + 2 * PAGE, 64)).toThrow("nothing is mapped");
});

test("a coherent machine has coherent tags only", () => {
  const machine = new CachedMachine({ cache: null, backend: { coherent: true } });
  const map = machine.tag().createMap();
  expect(machine.load(map, machine.buffer(1) + 3, 5)).toBe(OK);
  map.sync(Sync.PREREAD);
  expect([machine.calls, stateOf(map).list.count, stateOf(map).bounce!.pages.count]).toEqual([
    [],
    0,
    0,
  ]);
});
