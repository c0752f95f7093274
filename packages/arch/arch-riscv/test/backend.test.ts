/** Tags, maps and memory of riscv, as tables that a reader can check by hand. */
import { riscvBackend } from "@physio/arch-riscv";
import { BusDma, createTag, SEED, Sync } from "@physio/busdma";
import type { DmaMemRequest } from "@physio/busdma/impl";
import { Errno, ErrnoError, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { CachedMachine, HIGH, REACH, stateOf } from "./machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EBUSY, EINPROGRESS } = Errno;

const low = { lowAddr: REACH };
const growth = [
  { name: "by maxSize", options: { ...low, maxSize: 3 * PAGE }, totals: [3, 6] },
  {
    name: "segments play no part",
    options: { ...low, maxSize: 3 * PAGE, segments: 1 },
    totals: [3, 6],
  },
  {
    name: "ALLOCNOW is the first growth",
    options: { ...low, maxSize: 3 * PAGE, flags: BusDma.ALLOCNOW },
    totals: [3, 3, 6],
  },
  { name: "less than a page is a page", options: { ...low, maxSize: 100 }, totals: [1, 2] },
];

for (const { name, options, totals } of growth) {
  test(`the pool grows with maps (SEED): ${name}`, () => {
    const machine = new CachedMachine({ cache: null, semantics: SEED });
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
  const options = { ...low, maxSize: 4 * PAGE, flags: BusDma.ALLOCNOW };
  expect(() => machine.tag(options)).toThrow("ENOMEM");
  expect(machine.counts()).toEqual([[3, 3, 0, 0]]);
});

test("a tag that reaches everything has no zone, and no state of its maps when it is coherent", () => {
  const machine = new CachedMachine({ cache: null });
  expect(stateOf(machine.tag().createMap()).bounce).toBe(null);
  expect(machine.tag({ flags: BusDma.COHERENT }).createMap().md).toBe(null);
  const { bounce } = stateOf(machine.tag({ ...low, flags: BusDma.COHERENT }).createMap());
  expect(bounce!.zone).toBe(machine.pool.zones[0]);
  expect(machine.pool.zones.length).toBe(1);
});

test("devices snoop when the CPU port is coherent and nobody says otherwise", () => {
  for (const cache of [null, {}]) {
    const { pool, kmem, context } = new CachedMachine({ cache });
    const tag = createTag({ ...context, backend: riscvBackend({ pool, kmem }) }, null, {});
    expect((tag.md as { coherent: boolean }).coherent).toBe(cache === null);
  }
});

test("a map is EBUSY while it has bounce pages, or ranges to maintain", () => {
  const machine = new CachedMachine({ cache: null });
  for (const options of [{}, low]) {
    const tag = machine.tag(options);
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(1), PAGE)).toBe(OK);
    expect(map.destroy()).toBe(EBUSY);
    machine.tearDown([map], [tag]);
  }
});

test("deferred loads are served in their order, with the lock held", () => {
  const machine = new CachedMachine({ pages: 3 });
  const tag = machine.tag({ ...low, maxSize: 2 * PAGE });
  const maps = [0, 1, 2].map(() => tag.createMap());
  const va = machine.buffer(2);
  const answers = maps.map((map, i) => machine.load(map, va, 2 * PAGE, `m${i}`));
  expect(answers).toEqual([OK, EINPROGRESS, EINPROGRESS]);
  for (const [i, map] of maps.entries()) {
    expect(machine.last().who).toBe(`m${i}`);
    map.unload();
    machine.sched.pump();
  }
  machine.tearDown(maps, [tag]);
});

test("lines play no part in what bounces, and their parts are cleaned before a device writes", () => {
  const machine = new CachedMachine({ cache: null });
  const tag = machine.tag();
  const map = tag.createMap();
  const va = machine.buffer(1);
  expect(machine.load(map, va + 5, 100)).toBe(OK);
  map.sync(Sync.PREREAD);
  expect(machine.calls).toEqual([
    ["clean", "kernel", va + 5, 1],
    ["clean", "kernel", va + 105, 1],
    ["invalidate", "kernel", va + 5, 100],
  ]);
  machine.tearDown([map], [tag]);
});

const memory = [
  { name: "small", options: { maxSize: 100 }, flags: 0, is: "small 100 align 1" },
  {
    name: "not small when aligned beyond its size",
    options: { maxSize: 100, alignment: 128, segments: 1 },
    flags: 0,
    is: "pages 100 align 128",
  },
  {
    name: "uncached is never small",
    options: { maxSize: 100 },
    flags: BusDma.COHERENT,
    is: "pages 100 align 1 uncached",
  },
  {
    name: "coherent tags need no uncached memory",
    options: { maxSize: 100, flags: BusDma.COHERENT },
    flags: BusDma.COHERENT,
    is: "small 100 align 1",
  },
  {
    name: "contiguous for few segments",
    options: { maxSize: 2 * PAGE, segments: 1 },
    flags: BusDma.ZERO,
    is: "contiguous 8192 align 1 zero",
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
    const [{ allocator: kind, size, alignment, uncacheable, zero }] = asked;
    const words = `${uncacheable ? " uncached" : ""}${zero ? " zero" : ""}`;
    expect(`${kind} ${size} align ${alignment}${words}`).toBe(is);
    machine.tearDown([], [tag]);
  });
}

test("memory counts as a map of its tag", () => {
  const machine = new CachedMachine();
  const tag = machine.tag({ maxSize: 100 });
  const got = tag.allocMem()!;
  expect(tag.destroy()).toBe(EBUSY);
  expect(() => got.map.destroy()).toThrow(Panic);
  got.free();
  machine.tearDown([], [tag]);
});

test("a cache line that makes no sense is EINVAL", () => {
  const { pool, kmem } = new CachedMachine();
  for (const cacheLine of [0, 48, -64, Number.NaN, 2 * PAGE, 32]) {
    expect(() => riscvBackend({ pool, kmem, cacheLine })).toThrow(ErrnoError);
  }
});

test("broken contracts panic and say what is wrong", () => {
  const machine = new CachedMachine({ cache: null, semantics: SEED });
  const va = machine.buffer(2);
  const odd = machine.tag({ alignment: 48 }).createMap();
  expect(() => machine.load(odd, va, 64)).toThrow("alignment 48 is not a power of 2");
  const cut = machine.tag({ boundary: 3000 }).createMap();
  expect(() => machine.load(cut, va, 64)).toThrow("boundary 3000 is not a power of 2");
  const map = machine.tag().createMap();
  const hole = { kind: "paddr", pa: 2 * HIGH, length: 64 } as const;
  expect(() => map.loadMem(hole, machine.note(), null)).toThrow("the page is not RAM");
  const unmapped = machine.tag({ maxSegSize: 64 }).createMap();
  expect(() => machine.load(unmapped, va + 2 * PAGE, 64)).toThrow("nothing is mapped");
});
