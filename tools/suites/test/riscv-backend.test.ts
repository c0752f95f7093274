/** Tags, maps and memory of riscv, as tables that a reader can check by hand. */
import { riscvBackend } from "@physio/arch-riscv";
import { BusDma, createTag, SEED, Sync } from "@physio/busdma";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { expect, test } from "vitest";
import { growth, memoryAsked, REACH, riscvMachine, stateOf } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK } = Errno;

const low = { lowAddr: REACH };
const growths = [
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

for (const { name, options, totals } of growths) {
  test(`the pool grows with maps (SEED): ${name}`, () => {
    const machine = riscvMachine({ cache: null, semantics: SEED });
    expect(growth(machine, options, totals.length)).toEqual(totals);
  });
}

test("a tag that reaches everything has no zone, and no state of its maps when it is coherent", () => {
  const machine = riscvMachine({ cache: null });
  expect(stateOf(machine.tag().createMap()).bounce).toBe(null);
  expect(machine.tag({ flags: BusDma.COHERENT }).createMap().md).toBe(null);
  const { bounce } = stateOf(machine.tag({ ...low, flags: BusDma.COHERENT }).createMap());
  expect(bounce!.zone).toBe(machine.pool.zones[0]);
  expect(machine.pool.zones.length).toBe(1);
});

test("devices snoop when the CPU port is coherent and nobody says otherwise", () => {
  for (const cache of [null, {}]) {
    const { pool, kmem, context } = riscvMachine({ cache });
    const tag = createTag({ ...context, backend: riscvBackend({ pool, kmem }) }, null, {});
    expect((tag.md as { coherent: boolean }).coherent).toBe(cache === null);
  }
});

test("lines play no part in what bounces, and their parts are cleaned before a device writes", () => {
  const machine = riscvMachine({ cache: null });
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
    expect(memoryAsked(riscvMachine, options, flags)).toBe(is);
  });
}
