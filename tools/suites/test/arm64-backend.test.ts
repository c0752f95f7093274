import { BusDma, SEED, Sync } from "@physio/busdma";
import { Errno, MiB, PAGE_SIZE } from "@physio/kern";
import { expect, test } from "vitest";
import { arm64Machine, growth, memoryAsked, REACH, stateOf, TOP } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EFBIG } = Errno;

// ---- growth

const growths = [
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

for (const { name, options, totals } of growths) {
  test(`the pool grows with maps: ${name}`, () => {
    const machine = arm64Machine({ cache: null });
    expect(growth(machine, options, totals.length)).toEqual(totals);
  });
}

test("every map has a zone, a coherent one too", () => {
  const machine = arm64Machine({ cache: null });
  for (const flags of [0, BusDma.COHERENT]) machine.tag({ flags, maxSize: PAGE }).createMap();
  expect(machine.counts()).toEqual([[4, 4, 0, 0]]);
});

test("EFBIG leaves nothing to unload", () => {
  const machine = arm64Machine({ cache: null });
  const tag = machine.tag({ segments: 1, maxSegSize: PAGE });
  const map = tag.createMap();
  expect(machine.load(map, machine.buffer(2), 2 * PAGE)).toBe(OK);
  expect(machine.last().error).toBe(EFBIG);
  expect(map.destroy()).toBe(OK);
  machine.tearDown([], [tag]);
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
    const machine = arm64Machine({ cache: null });
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
    const machine = arm64Machine({ cache: null, ...options });
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
    const machine = arm64Machine({ cache: null });
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
  const machine = arm64Machine({ cache: null });
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
    expect(memoryAsked(arm64Machine, options, flags)).toBe(is);
  });
}

// ---- bad input

test("an alignment above a page panics", () => {
  const machine = arm64Machine({ cache: null, semantics: SEED });
  const map = machine.tag({ alignment: 2 * PAGE }).createMap();
  expect(() => machine.load(map, machine.buffer(1), 64)).toThrow("alignment 8192 is above a page");
});

test("a coherent machine has coherent tags only", () => {
  const machine = arm64Machine({ cache: null, backend: { coherent: true } });
  const map = machine.tag().createMap();
  expect(machine.load(map, machine.buffer(1) + 3, 5)).toBe(OK);
  map.sync(Sync.PREREAD);
  expect([machine.calls, stateOf(map).list.count, stateOf(map).bounce!.pages.count]).toEqual([
    [],
    0,
    0,
  ]);
});
