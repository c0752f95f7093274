/**
 * Filters: who is asked about which address, what is inherited, and what a machine that refuses says.
 */
import type { DmaSemantics, DmaTag } from "@physio/busdma";
import { createTag, FIXED, SEED } from "@physio/busdma";
import { Errno, MAXADDR, PAGE_SIZE } from "@physio/kern";
import { expect, test } from "vitest";
import { HIGH, REACH, SmallMachine } from "./machine.ts";

const PAGE = PAGE_SIZE;

/** Rejects the given addresses' pages, and keeps what it was asked. */
function rejecting(...pages: number[]) {
  const asked: number[] = [];
  const filter = (_arg: unknown, addr: number) => {
    asked.push(addr);
    return pages.includes(addr - (addr % PAGE)) ? 1 : 0;
  };
  return { asked, filter };
}

const identity = (tag: DmaTag, pa: number, length = 1) => tag.backend.isIdentity(tag, pa, length);

for (const semantics of [FIXED, SEED]) {
  test(`${semantics.name}: a filter is asked about the window only, and lets its addresses pass`, () => {
    const machine = new SmallMachine(4, semantics);
    const { asked, filter } = rejecting(HIGH + PAGE);
    const tag = machine.tag({ maxSize: 4 * PAGE, filter });
    expect([tag.filtered, tag.flat]).toEqual([true, false]);
    const map = tag.createMap();
    const va = machine.buffer(3); // the first three frames above the reach
    expect(machine.load(map, va, 3 * PAGE)).toBe(Errno.OK);
    const starts = machine.last().segs.map(([addr]) => addr);
    expect([starts[0], starts[2]]).toEqual([HIGH, HIGH + 2 * PAGE]);
    expect(starts[1]).toBeLessThanOrEqual(REACH);
    map.unload();
    asked.length = 0;
    expect(machine.load(map, machine.buffer(2, false), 2 * PAGE)).toBe(Errno.OK);
    expect(asked).toEqual([]);
    machine.tearDown([map], [tag]);
  });

  test(`${semantics.name}: the filter gets its argument`, () => {
    const machine = new SmallMachine(4, semantics);
    const got: unknown[] = [];
    const filter = (arg: unknown) => (got.push(arg) > 0 ? 0 : 1);
    expect(identity(machine.tag({ filter, filterArg: "softc" }), HIGH)).toBe(true);
    expect(got).toEqual(["softc"]);
    const heir = machine.tag({ filter, filterArg: "parent" }).child({ filterArg: "lost" });
    identity(heir, HIGH);
    expect(got).toEqual(["softc", "parent"]); // asked once, not again for the parent
  });

  test(`${semantics.name}: a filter is inherited, and asked after the child's own`, () => {
    const machine = new SmallMachine(4, semantics);
    const above = rejecting(HIGH);
    const own = rejecting(HIGH + PAGE);
    const parent = machine.tag({ filter: above.filter });
    const heir = parent.child({});
    const child = parent.child({ filter: own.filter });
    const grandchild = child.child({ maxSize: PAGE });
    const passes = (tag: DmaTag) => [0, 1, 2].map((i) => identity(tag, HIGH + i * PAGE));
    expect(passes(parent)).toEqual([false, true, true]);
    expect(passes(heir)).toEqual([false, true, true]);
    expect(passes(child)).toEqual([false, false, true]);
    expect(passes(grandchild)).toEqual([false, false, true]);
    expect([heir.filtered, grandchild.filtered]).toEqual([true, true]);
    own.asked.length = 0;
    above.asked.length = 0;
    identity(child, HIGH + PAGE);
    expect([own.asked.length, above.asked.length]).toEqual([1, 0]);
  });

  test(`${semantics.name}: a window above a child with a filter holds, filter or not`, () => {
    const machine = new SmallMachine(4, semantics);
    const child = machine.tag({}).child({ filter: () => 0 });
    expect(identity(child, HIGH)).toBe(false);
    expect(identity(child, REACH)).toBe(true);
  });
}

const alignments: [DmaSemantics, boolean][] = [
  [FIXED, false],
  [SEED, true],
];
for (const [semantics, passes] of alignments) {
  test(`alignmentBeforeFilters (${semantics.name}): a filter ${passes ? "lets" : "does not let"} a misaligned address pass`, () => {
    const machine = new SmallMachine(4, semantics);
    const tag = machine.tag({ lowAddr: MAXADDR, alignment: 64, filter: () => 0 });
    expect(identity(tag, HIGH + 4)).toBe(passes);
    expect(identity(tag, HIGH + 64)).toBe(true);
  });
}

test("a machine that refuses filters says EINVAL, and takes tags without", () => {
  const machine = new SmallMachine(4);
  const context = { ...machine.context, filters: "refused" as const };
  expect(() => createTag(context, null, { filter: () => 0 })).toThrow("EINVAL");
  expect(createTag(context, null, { filter: null }).filtered).toBe(false);
});

test("a child with a filter may bounce even when no parent may", () => {
  const machine = new SmallMachine(4);
  const parent = machine.tag({ lowAddr: MAXADDR, maxSize: PAGE });
  expect(parent.createMap().md).toBe(null);
  expect(parent.child({ maxSize: PAGE, filter: () => 1 }).createMap().md).not.toBe(null);
  expect(machine.tag({ lowAddr: MAXADDR, filter: () => 1 }).createMap().md).toBe(null);
});
