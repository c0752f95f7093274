/**
 * DMA memory of x86: which allocator is asked what, who gets it back, and that loads of it never bounce.
 */
import type { DmaSemantics, TagOptions } from "@physio/busdma";
import { BusDma, FIXED, SEED, Sync } from "@physio/busdma";
import type { DmaAllocator, DmaMemRequest } from "@physio/busdma/impl";
import { Errno, MAXADDR, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { HIGH, REACH, SmallMachine } from "./machine.ts";

const PAGE = PAGE_SIZE;

/** Answers `va`, and keeps what it was asked. */
class Scripted implements DmaAllocator {
  readonly asked: DmaMemRequest[];
  readonly freed: unknown[];
  readonly #va: number;

  constructor(va: number) {
    this.asked = [];
    this.freed = [];
    this.#va = va;
  }

  alloc(request: DmaMemRequest): number {
    this.asked.push(request);
    return this.#va;
  }

  free(va: number, size: number, how: "small" | "pages"): void {
    this.freed.push([va, size, how]);
  }
}

const NONE = BusDma.NOWAIT;
const choices: { name: string; options: TagOptions; flags?: BusDma; allocator: string }[] = [
  { name: "a page at most", options: { maxSize: PAGE }, allocator: "small" },
  { name: "aligned to a page", options: { maxSize: 8, alignment: PAGE }, allocator: "small" },
  { name: "a boundary in the page", options: { maxSize: 8, boundary: 4 }, allocator: "small" },
  {
    name: "uncacheable",
    options: { maxSize: 8 },
    flags: BusDma.NOCACHE,
    allocator: "pages",
  },
  { name: "out of reach of some RAM", options: { maxSize: 8, lowAddr: REACH }, allocator: "pages" },
  { name: "a byte more than a page", options: { maxSize: PAGE + 1 }, allocator: "pages" },
  {
    name: "as many segments as pages",
    options: { maxSize: 2 * PAGE, segments: 2 },
    allocator: "pages",
  },
  {
    name: "fewer segments than pages",
    options: { maxSize: 2 * PAGE, segments: 1 },
    allocator: "contiguous",
  },
  {
    name: "fewer segments than pieces of a small maxSegSize",
    options: { maxSize: 2 * PAGE, segments: 7, maxSegSize: 1024 },
    allocator: "contiguous",
  },
  {
    name: "aligned to more than a page",
    options: { maxSize: 8, alignment: 2 * PAGE },
    allocator: "contiguous",
  },
  {
    name: "a boundary of whole pages",
    options: { maxSize: 2 * PAGE, boundary: 2 * PAGE },
    allocator: "pages",
  },
  {
    name: "a boundary that cuts pages",
    options: { maxSize: 2 * PAGE, boundary: PAGE / 2 },
    allocator: "contiguous",
  },
];

for (const { name, options, flags = NONE, allocator } of choices) {
  test(`memory for a tag with ${name} comes from the ${allocator} allocator`, () => {
    const source = new Scripted(-1);
    const machine = new SmallMachine(4, FIXED, source);
    const tag = machine.tag({ lowAddr: MAXADDR, ...options });
    expect(tag.allocMem(flags)).toBe(null);
    expect(source.asked).toEqual([
      {
        allocator,
        size: tag.maxSize,
        highest: tag.lowAddr,
        alignment: tag.alignment,
        boundary: tag.boundary,
        uncacheable: flags === BusDma.NOCACHE,
        zero: false,
        wait: flags !== NONE,
      },
    ]);
    expect(tag.destroy()).toBe(Errno.OK);
  });
}

const histories: [DmaSemantics, string][] = [
  [FIXED, "small"],
  [SEED, "pages"],
];
for (const [semantics, how] of histories) {
  test(`freeByAllocation (${semantics.name}): small memory goes back as ${how} after pages were asked for`, () => {
    const source = new Scripted(0x4000);
    const machine = new SmallMachine(4, semantics, source);
    const tag = machine.tag({ lowAddr: MAXADDR, maxSize: 100 });
    const [small, pages] = [tag.allocMem(NONE)!, tag.allocMem(BusDma.NOCACHE)!];
    small.free();
    pages.free();
    expect(source.freed).toEqual([
      [0x4000, 100, how],
      [0x4000, 100, "pages"],
    ]);
  });
}

for (const [semantics, error] of [
  [FIXED, Errno.EBUSY],
  [SEED, Errno.OK],
] as const) {
  test(`memoryKeepsTag (${semantics.name}): a tag with memory is destroyed with errno ${error}`, () => {
    const machine = new SmallMachine(4, semantics);
    const tag = machine.tag({ maxSize: PAGE });
    const mem = tag.allocMem()!;
    expect(tag.destroy()).toBe(error);
    mem.free();
    if (semantics === FIXED) expect(tag.destroy()).toBe(Errno.OK);
  });
}

test("misaligned memory is used, and says so", () => {
  const machine = new SmallMachine(4);
  const va = machine.buffer(1, false);
  const source = new Scripted(va + 8);
  const other = new SmallMachine(4, FIXED, source);
  other.kmem.pmap.enter(va, other.frames(1, false)[0], 3);
  const tag = other.tag({ lowAddr: MAXADDR, maxSize: 100, alignment: 64 });
  expect(tag.allocMem()!.memory.misaligned).toBe(true);
  expect(
    other.tag({ lowAddr: MAXADDR, maxSize: 100, alignment: 8 }).allocMem()!.memory.misaligned,
  ).toBe(false);
});

test("small memory that crosses a page panics", () => {
  const machine = new SmallMachine(4, FIXED, new Scripted(3 * PAGE - 8));
  expect(() => machine.tag({ lowAddr: MAXADDR, maxSize: 100 }).allocMem()).toThrow(Panic);
});

test("memory obeys its tag: in reach, aligned, never bounced, and comes back", () => {
  const machine = new SmallMachine(4);
  const before = machine.mem.freeFrames;
  for (const options of [
    { maxSize: 3 * PAGE, segments: 1 },
    { maxSize: 3 * PAGE, segments: 3 },
    { maxSize: 2 * PAGE, segments: 1, alignment: 4 * PAGE, boundary: 8 * PAGE },
    { maxSize: 512, alignment: 512 },
  ]) {
    const tag = machine.tag(options);
    const mem = tag.allocMem(BusDma.ZERO | BusDma.COHERENT)!;
    expect(mem.map.md).toBe(null);
    const { va } = mem.memory;
    expect(machine.load(mem.map, va, tag.maxSize)).toBe(Errno.OK);
    const { segs } = machine.last();
    expect(segs.every(([addr, length]) => addr + length - 1 <= REACH)).toBe(true);
    expect(segs[0][0] % tag.alignment).toBe(0);
    expect(machine.deviceRead(segs)).toEqual(new Uint8Array(tag.maxSize));
    mem.map.sync(Sync.PREREAD);
    machine.deviceWrite(segs, new Uint8Array(tag.maxSize).fill(5));
    expect(machine.clientRead(va, 8)).toEqual(new Uint8Array(8).fill(5));
    mem.map.unload();
    mem.free();
    expect(tag.destroy()).toBe(Errno.OK);
  }
  expect(machine.counts()).toEqual([]);
  machine.kmem.reclaim();
  expect(machine.mem.freeFrames).toBe(before);
  expect(HIGH).toBeGreaterThan(REACH);
});
