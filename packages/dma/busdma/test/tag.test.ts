/**
 * Tags: how constraints narrow from parent to child, what is refused, and who may be destroyed.
 */

import type { DmaTag, TagOptions } from "@physio/busdma";
import { BUS_SPACE_UNRESTRICTED, BusDma, createTag, FIXED, SEED } from "@physio/busdma";
import { Errno, ErrnoError, MAXADDR, MAXADDR_32BIT, PAGE_SIZE } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PlainMachine } from "./machine.ts";

const make = (options: TagOptions, parent: DmaTag | null = null, semantics = FIXED) =>
  createTag(parent?.context ?? new PlainMachine(semantics).context, parent, options);

const shown = (tag: DmaTag) => ({
  alignment: tag.alignment,
  boundary: tag.boundary,
  lowAddr: tag.lowAddr,
  highAddr: tag.highAddr,
  maxSegSize: tag.maxSegSize,
});
type Shown = ReturnType<typeof shown>;

const cases: {
  name: string;
  parent: TagOptions;
  child: TagOptions;
  fixed: Partial<Shown>;
  seed?: Partial<Shown>;
}[] = [
  {
    name: "no constraints",
    parent: {},
    child: {},
    fixed: { alignment: 1, boundary: 0, lowAddr: MAXADDR, highAddr: MAXADDR, maxSegSize: MAXADDR },
  },
  {
    name: "the lower lowAddr wins: parent's",
    parent: { lowAddr: 0xff_ffff },
    child: { lowAddr: MAXADDR_32BIT },
    fixed: { lowAddr: 0xff_ffff },
  },
  {
    name: "the lower lowAddr wins: child's",
    parent: { lowAddr: MAXADDR_32BIT },
    child: { lowAddr: 0xff_ffff },
    fixed: { lowAddr: 0xff_ffff },
  },
  {
    name: "the higher highAddr wins",
    parent: { lowAddr: 0xfff, highAddr: 0xffff },
    child: { lowAddr: 0xfff, highAddr: 0x1ffff },
    fixed: { highAddr: 0x1ffff },
  },
  {
    name: "the window grows to whole pages",
    parent: { highAddr: 0 },
    child: { lowAddr: 0x1_2345, highAddr: 0x5_0000 },
    fixed: { lowAddr: 0x1_2fff, highAddr: 0x5_0fff },
  },
  {
    name: "an address above 52 bits is the highest",
    parent: {},
    child: { lowAddr: Number.MAX_SAFE_INTEGER },
    fixed: { lowAddr: MAXADDR },
  },
  {
    name: "the smaller boundary wins",
    parent: { boundary: 0x1000 },
    child: { boundary: 0x4000 },
    fixed: { boundary: 0x1000 },
  },
  {
    name: "its own boundary lowers maxSegSize",
    parent: {},
    child: { boundary: 0x1000, maxSegSize: 0x8000 },
    fixed: { boundary: 0x1000, maxSegSize: 0x1000 },
  },
  {
    name: "an inherited boundary lowers maxSegSize in fixed only",
    parent: { boundary: 0x1000 },
    child: { maxSegSize: 0x8000 },
    fixed: { boundary: 0x1000, maxSegSize: 0x1000 },
    seed: { boundary: 0x1000, maxSegSize: 0x8000 },
  },
  {
    name: "a larger own boundary hides a smaller inherited one in seed only",
    parent: { boundary: 0x1000 },
    child: { boundary: 0x4000, maxSegSize: 0x8000 },
    fixed: { boundary: 0x1000, maxSegSize: 0x1000 },
    seed: { boundary: 0x1000, maxSegSize: 0x4000 },
  },
  {
    name: "alignment is inherited in fixed only",
    parent: { alignment: 64 },
    child: { alignment: 4 },
    fixed: { alignment: 64 },
    seed: { alignment: 4 },
  },
  {
    name: "a larger own alignment stays",
    parent: { alignment: 4 },
    child: { alignment: 64 },
    fixed: { alignment: 64 },
  },
  {
    name: "maxSegSize is maxSize unless given",
    parent: { maxSegSize: 100 },
    child: { maxSize: 4096 },
    fixed: { maxSegSize: 4096 },
  },
];

for (const c of cases) {
  test(`a child tag: ${c.name}`, () => {
    const fixed = make(c.child, make(c.parent));
    expect(shown(fixed)).toMatchObject(c.fixed);
    const seed = make(c.child, make(c.parent, null, SEED));
    expect(shown(seed)).toMatchObject(c.seed ?? c.fixed);
  });
}

test("defaults: anything goes, and as many segments as there are", () => {
  const tag = make({});
  expect([tag.maxSize, tag.segments, tag.flags]).toEqual([MAXADDR, BUS_SPACE_UNRESTRICTED, 0]);
  expect(tag.segs.capacity).toBe(4096);
  expect(make({ segments: 3 }).segs.capacity).toBe(3);
});

test("a list of many segments begins with 4096 and grows to the tag's limit", () => {
  const list = make({ segments: 10_000 }).segList();
  list.addr[4095] = 7;
  expect([list.capacity, list.limit, list.grow(), list.capacity]).toEqual([4096, 1e4, true, 8192]);
  expect([list.grow(9000), list.capacity, list.grow(1), list.capacity]).toEqual([
    true,
    9000,
    true,
    9000,
  ]);
  expect([list.grow(), list.capacity, list.grow(), list.addr[4095]]).toEqual([true, 1e4, false, 7]);
  expect(list.addr.length).toBe(list.len.length);
  expect(make({ segments: 3 }).segList().grow()).toBe(false);
});

const wrong: { options: TagOptions; says: string }[] = [
  { options: { alignment: 3 }, says: "alignment 3" },
  { options: { alignment: 0 }, says: "alignment 0" },
  { options: { alignment: -4 }, says: "alignment -4" },
  { options: { alignment: Number.NaN }, says: "alignment NaN" },
  { options: { boundary: 3000 }, says: "boundary 3000" },
  { options: { lowAddr: -1 }, says: "window -1" },
  { options: { highAddr: 0.5 }, says: "0.5" },
  { options: { maxSize: 0 }, says: "maxSize 0" },
  { options: { segments: 0 }, says: "0 segments" },
  { options: { segments: 1.5 }, says: "1.5 segments" },
  { options: { maxSegSize: 0 }, says: "maxSegSize 0" },
];

for (const { options, says } of wrong) {
  test(`a tag with ${JSON.stringify(options)} is EINVAL and the error names the value`, () => {
    const create = () => make(options);
    expect(create).toThrow(ErrnoError);
    expect(create).toThrow(says);
    expect(create).toThrow("EINVAL");
  });
}

test("limits that are no powers of 2 pass in seed, which looks at them later", () => {
  expect(make({ alignment: 3 }, null, SEED).alignment).toBe(3);
  expect(make({ boundary: 3000, maxSegSize: 9000 }, null, SEED).maxSegSize).toBe(3000);
  expect(() => make({ alignment: 0 }, null, SEED)).toThrow("alignment 0");
  expect(() => make({ boundary: Number.NaN }, null, SEED)).toThrow("boundary NaN");
});

test("a tag is EBUSY while it has maps, and free after the last", () => {
  const machine = new PlainMachine();
  const tag = createTag(machine.context, null, {});
  const maps = [tag.createMap(), tag.createMap()];
  for (const map of maps) {
    expect(tag.destroy()).toBe(Errno.EBUSY);
    expect(map.destroy()).toBe(Errno.OK);
  }
  expect(machine.calls).toEqual([]);
  expect(tag.destroy()).toBe(Errno.OK);
  expect(machine.calls).toEqual(["tagDestroy"]);
});

test("a map that its backend calls busy stays, and its tag with it", () => {
  const machine = new PlainMachine();
  const tag = createTag(machine.context, null, {});
  const map = tag.createMap();
  machine.busy = true;
  expect([map.destroy(), tag.destroy()]).toEqual([Errno.EBUSY, Errno.EBUSY]);
  machine.busy = false;
  expect([map.destroy(), tag.destroy()]).toEqual([Errno.OK, Errno.OK]);
});

test("child tags keep their parent in fixed, not in seed", () => {
  const fixed = make({});
  const child = fixed.child({});
  expect(fixed.destroy()).toBe(Errno.EBUSY);
  expect([child.destroy(), fixed.destroy()]).toEqual([Errno.OK, Errno.OK]);
  const seed = make({}, null, SEED);
  seed.child({});
  expect(seed.destroy()).toBe(Errno.OK);
});

test("DMA memory is one segment that obeys the tag, and comes back", () => {
  const machine = new PlainMachine();
  const free = machine.mem.freeFrames;
  const tag = createTag(machine.context, null, { maxSize: 3 * PAGE_SIZE, segments: 1 });
  const memory = tag.allocMem(BusDma.NOWAIT)!;
  expect(memory.load()).toBe(machine.kmem.pmap.extract(memory.memory.va));
  expect(machine.mem.freeFrames).toBe(free - 3);
  memory.map.unload();
  memory.free();
  expect(machine.mem.freeFrames).toBe(free);
  expect(createTag(machine.context, null, { maxSize: 2 ** 30 }).allocMem()).toBe(null);
});

test("a child is never wider than its parent", () => {
  const power = fc.integer({ min: 0, max: 40 }).map((n) => 2 ** n);
  const options = fc.record({
    alignment: power,
    boundary: fc.oneof(fc.constant(0), power),
    lowAddr: fc.maxSafeNat(),
    highAddr: fc.maxSafeNat(),
    maxSegSize: fc.integer({ min: 1, max: 1 << 20 }),
  });
  const property = fc.property(options, options, options, (a, b, c) => {
    const family = [make(a)];
    family.push(family[0].child(b));
    family.push(family[1].child(c));
    for (let i = 1; i < 3; i++) {
      const [above, below] = [family[i - 1], family[i]];
      expect(below.alignment).toBeGreaterThanOrEqual(above.alignment);
      expect(below.lowAddr).toBeLessThanOrEqual(above.lowAddr);
      expect(below.highAddr).toBeGreaterThanOrEqual(above.highAddr);
      if (above.boundary !== 0) expect(below.boundary).toBeGreaterThan(0);
      if (above.boundary !== 0) expect(below.boundary).toBeLessThanOrEqual(above.boundary);
      if (below.boundary !== 0) expect(below.maxSegSize).toBeLessThanOrEqual(below.boundary);
    }
  });
  fc.assert(property, { seed: 5, numRuns: 300 });
});

test("tags print what they allow", () => {
  const text = (tag: DmaTag) =>
    tag[Symbol.for("nodejs.util.inspect.custom") as never] as () => string;
  const tag = make({ lowAddr: 0xff_ffff, maxSize: 4096, segments: 2, flags: BusDma.ALLOCNOW });
  expect(text(tag).call(tag)).toContain("up to 0xffffff");
  expect(text(tag).call(tag)).toContain("0x2<ALLOCNOW>");
});
