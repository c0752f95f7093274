/**
 * Each decision between SEED and FIXED that shows in the x86 backend, both ways.
 *
 * Those about waiting are in deferral.test.ts, those about tags in busdma's tag.test.ts.
 */

import { x86Backend } from "@physio/arch-x86";
import type { DmaSemantics } from "@physio/busdma";
import { BusDma, FIXED, SEED, Sync } from "@physio/busdma";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { pattern } from "./bytes.ts";
import { HIGH, REACH, SmallMachine, stateOf } from "./machine.ts";

const PAGE = PAGE_SIZE;
const both = (fixed: unknown, seed: unknown): [DmaSemantics, unknown][] => [
  [FIXED, fixed],
  [SEED, seed],
];

for (const [semantics, pages] of both(1, 3)) {
  test(`chunksStayInPage (${semantics.name}): a misaligned start bounces ${pages} of 3 pages`, () => {
    const machine = new SmallMachine(4, semantics);
    const tag = machine.tag({ maxSize: 4 * PAGE, alignment: 64 });
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(4, false) + 1, 3 * PAGE - 1)).toBe(Errno.OK);
    expect(stateOf(map).pages.count).toBe(pages);
    machine.tearDown([map], [tag]);
  });
}

for (const [semantics, panics] of both(false, true)) {
  test(`chunksStayInPage (${semantics.name}): an unmapped list of odd length ${panics ? "panics" : "loads"}`, () => {
    const machine = new SmallMachine(4, semantics);
    const map = machine.tag({ maxSize: 4 * PAGE, alignment: 64 }).createMap();
    const ma = machine.frames(2);
    const load = () =>
      map.loadMem({ kind: "vmpages", ma, offset: 0, length: PAGE + 5 }, machine.note("m"), null);
    if (panics) expect(load).toThrow(Panic);
    else expect(load()).toBe(Errno.OK);
  });
}

for (const [semantics, reached] of both(true, false)) {
  test(`testEveryPage (${semantics.name}): a physical range that runs out of reach midway is ${reached ? "bounced there" : "not noticed"}`, () => {
    const machine = new SmallMachine(4, semantics);
    const limit = HIGH + 2 * PAGE - 1;
    const tag = machine.tag({ maxSize: 4 * PAGE, lowAddr: limit });
    const map = tag.createMap();
    const load = map.loadMem(
      { kind: "paddr", pa: HIGH, length: 4 * PAGE },
      machine.note("m"),
      null,
    );
    expect(load).toBe(Errno.OK);
    const inReach = machine.last().segs.every(([addr, length]) => addr + length - 1 <= limit);
    expect(inReach).toBe(reached);
    expect(machine.last().segs[0]).toEqual([HIGH, (reached ? 2 : 4) * PAGE]);
    const backend = x86Backend(machine.pool, machine.kmem);
    expect(backend.isIdentity(tag, HIGH, 2 * PAGE)).toBe(true);
    expect(backend.isIdentity(tag, HIGH, 2 * PAGE + 1)).toBe(!reached);
    expect(backend.isIdentity(tag, HIGH + 2 * PAGE, 1)).toBe(false);
    machine.tearDown([map], [tag]);
  });
}

for (const [semantics, pages] of both(1, 0)) {
  test(`poolCoversMaxSize (${semantics.name}): ALLOCNOW of 1500 bytes gives ${pages} pages`, () => {
    const machine = new SmallMachine(4, semantics);
    machine.tag({ maxSize: 1500, flags: BusDma.ALLOCNOW });
    expect(machine.counts()).toEqual([[pages, pages, 0, 0]]);
  });
}

test("ALLOCNOW with too few pages is ENOMEM, and the zone keeps what it got", () => {
  const machine = new SmallMachine(3);
  expect(() => machine.tag({ maxSize: 4 * PAGE, flags: BusDma.ALLOCNOW })).toThrow("ENOMEM");
  expect(machine.counts()).toEqual([[3, 3, 0, 0]]);
});

for (const [semantics, error] of both(Errno.EINVAL, Errno.OK)) {
  test(`checkMaxSize (${semantics.name}): a byte too many is ${error}`, () => {
    const machine = new SmallMachine(4, semantics);
    const map = machine.tag({ maxSize: 2 * PAGE }).createMap();
    expect(machine.load(map, machine.buffer(3, false), 2 * PAGE + 1)).toBe(error);
    expect(machine.last().error).toBe(error);
  });
}

for (const [semantics, delivered] of both(true, false)) {
  test(`syncEachOperation (${semantics.name}): PREWRITE|POSTREAD ${delivered ? "delivers" : "loses"} what the device wrote`, () => {
    const machine = new SmallMachine(4, semantics);
    const tag = machine.tag({ maxSize: 4 * PAGE });
    const map = tag.createMap();
    const va = machine.buffer(2);
    const [ours, theirs] = [pattern(1, 2 * PAGE), pattern(2, 2 * PAGE)];
    machine.kmem.write(va, ours);
    expect(machine.load(map, va, 2 * PAGE)).toBe(Errno.OK);
    const { segs } = machine.last();
    machine.deviceWrite(segs, theirs);
    map.sync(Sync.PREWRITE | Sync.POSTREAD);
    const wanted = delivered ? theirs : ours;
    expect(machine.clientRead(va, 2 * PAGE)).toEqual(wanted);
    expect(machine.deviceRead(segs)).toEqual(wanted);
    expect(machine.pool.zones[0].totalBounced).toBe(2);
    machine.tearDown([map], [tag]);
  });
}

for (const [semantics, message] of both(/EINVAL/, /is not a power of 2/)) {
  test(`checkPowersOf2 (${semantics.name}): found ${semantics === SEED ? "by the load" : "by the tag"}`, () => {
    const machine = new SmallMachine(4, semantics);
    const near = machine.buffer(1, false);
    for (const wrong of [{ alignment: 3 }, { boundary: 3000 }]) {
      const use = () => {
        const map = machine.tag({ maxSize: PAGE, ...wrong }).createMap();
        machine.load(map, near, 8);
      };
      expect(use).toThrow(message as RegExp);
      if (semantics === SEED) expect(use).toThrow(Panic);
    }
  });
}

for (const [semantics, count] of both(0, 1)) {
  test(`failedMapNotCounted (${semantics.name}): a map that could not be made counts ${count} in its zone`, () => {
    const machine = new SmallMachine(1, semantics);
    expect(() => machine.tag({ maxSize: 2 * PAGE }).createMap()).toThrow("ENOMEM");
    expect(machine.pool.zones[0].mapCount).toBe(count);
    expect(machine.counts()).toEqual([[1, 1, 0, 0]]);
  });
}

test("a tag whose lowaddr is the last byte of RAM counts as one that may bounce; above it does not", () => {
  const machine = new SmallMachine(4);
  const top = machine.mem.top as number;
  expect(machine.tag({ lowAddr: top - 1, maxSize: PAGE }).createMap().md).not.toBe(null);
  expect(machine.tag({ lowAddr: top, maxSize: PAGE }).createMap().md).toBe(null);
  expect(REACH).toBeLessThan(top);
});

test("a child of a tag that may bounce may bounce", () => {
  const machine = new SmallMachine(4, SEED);
  const parent = machine.tag({ lowAddr: 2 ** 52 - 1, alignment: 64, maxSize: PAGE });
  const child = parent.child({ maxSize: PAGE });
  expect(child.alignment).toBe(1);
  expect(child.createMap().md).not.toBe(null);
});

test("KEEP_PG_OFFSET: a bounced chunk keeps its offset, and the page is whole again for the next", () => {
  for (const semantics of [FIXED, SEED]) {
    const machine = new SmallMachine(4, semantics);
    const flags = BusDma.KEEP_PG_OFFSET;
    const keep = machine.tag({ maxSize: 2 * PAGE, boundary: PAGE, flags });
    const plain = machine.tag({ maxSize: 2 * PAGE });
    const va = machine.buffer(2);
    const [a, b] = [keep.createMap(), plain.createMap()];
    expect(machine.load(a, va + 300, PAGE)).toBe(Errno.OK);
    expect(machine.last().segs.map(([addr, length]) => [addr % PAGE, length])).toEqual([
      [300, PAGE - 300],
      [0, 300],
    ]);
    const ma = [machine.kmem.pmap.frameAt(va), machine.kmem.pmap.frameAt(va + PAGE)];
    a.unload();
    const unmapped = { kind: "vmpages", ma, offset: 700, length: PAGE } as const;
    expect(a.loadMem(unmapped, machine.note("a"), null)).toBe(Errno.OK);
    expect(machine.last().segs.map(([addr]) => addr % PAGE)).toEqual([700, 0]);
    a.unload();
    expect(machine.load(b, va + 300, 100)).toBe(Errno.OK);
    expect(machine.last().segs[0][0] % PAGE).toBe(0);
    machine.tearDown([a, b], [keep, plain]);
  }
});

for (const [semantics, taken] of both(0, 2)) {
  test(`KEEP_PG_OFFSET (${semantics.name}): an unmapped list with a page too many leaves ${taken} attached`, () => {
    const machine = new SmallMachine(2, semantics);
    const flags = BusDma.KEEP_PG_OFFSET;
    const map = machine.tag({ maxSize: 3 * PAGE, segments: 2, flags }).createMap();
    const mem = { kind: "vmpages", ma: machine.frames(3), offset: 0, length: 3 * PAGE } as const;
    expect(map.loadMem(mem, machine.note("m"), null, BusDma.NOWAIT)).toBe(Errno.ENOMEM);
    expect(machine.counts()).toEqual([[2, 2 - Number(taken), 0, taken]]);
  });
}
