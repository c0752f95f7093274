/** The software page table against a Map: entries, leaves, the search for the next one, the filler. */
import { NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { LeafFiller } from "@physio/pmap";
import { LEAF_PAGES, LEAVES, leafAddr, leafIndex, leafOf, RadixTable } from "@physio/pmap";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SEED } from "./fixture.ts";

const PAGES = 2 ** 36;

/** Page numbers at the edges of leaves, middles and the table, neighbours, and any. */
const page = fc.oneof(
  fc.nat(20),
  fc.integer({ min: 0, max: PAGES - 1 }),
  fc
    .tuple(fc.constantFrom(2 ** 9, 2 ** 10, 2 ** 22, 2 ** 23, 2 ** 31, 2 ** 32, PAGES), fc.nat(3))
    .map(([edge, below]) => edge - 1 - below),
  fc
    .tuple(fc.constantFrom(2 ** 9, 2 ** 22, 2 ** 31, 2 ** 32, 2 ** 35), fc.nat(3))
    .map(([edge, above]) => edge + above),
);

/** A table by page numbers, as the Map has them; any number may be asked for. */
class ByPage {
  readonly table: RadixTable;

  constructor(table = new RadixTable()) {
    this.table = table;
  }

  static place(p: number): [number, number] {
    const leaf = Math.floor(p / LEAF_PAGES);
    return [leaf, p - leaf * LEAF_PAGES];
  }

  frame = (p: number) => this.table.frame(...ByPage.place(p));
  pte = (p: number) => this.table.pte(...ByPage.place(p));
  leaf = (p: number) => this.table.leaf(ByPage.place(p)[0]);
  leafPtes = (p: number) => this.table.leafPtes(ByPage.place(p)[0]);
  set = (p: number, frame: number, pte: number) => this.table.set(...ByPage.place(p), frame, pte);
  setPte = (p: number, pte: number) => this.table.setPte(...ByPage.place(p), pte);
  clear = (p: number) => this.table.clear(...ByPage.place(p));
  next = (p: number, end: number) =>
    this.table.next(...ByPage.place(p), ...ByPage.place(end))
      ? this.table.foundLeaf * LEAF_PAGES + this.table.foundIndex
      : -1;
}

interface Entry {
  frame: number;
  pte: number;
}

/** The smallest key in a range, by looking at all of them. */
function nextOf(model: Map<number, Entry>, from: number, end: number): number {
  const inside = [...model.keys()].filter((p) => p >= from && p < end);
  return inside.length === 0 ? -1 : Math.min(...inside);
}

function compare(table: ByPage, model: Map<number, Entry>, at: number): void {
  for (const p of [...model.keys(), at, at + 1]) {
    const { frame, pte } = model.get(p) ?? { frame: NO_FRAME, pte: 0 };
    const first = p - (p % LEAF_PAGES);
    expect([table.frame(p), table.pte(p)]).toEqual([frame, pte]);
    expect(table.leaf(p)?.[p - first] ?? NO_FRAME).toBe(frame);
    expect(table.leafPtes(p)?.[p - first] ?? 0).toBe(pte);
    if (p === PAGES) expect([table.leaf(p), table.leafPtes(p)]).toEqual([null, null]);
  }
}

test("set, setPte, clear and next agree with a Map", () => {
  const step = fc.tuple(
    fc.nat(5),
    page,
    page,
    fc.nat(2 ** 31 - 1),
    fc.integer({ min: 1, max: 255 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = new ByPage();
      const model = new Map<number, Entry>();
      for (const [op, at, other, frame, pte] of steps) {
        const mapped = [...model.keys()];
        const known = mapped.length > 0 && op % 2 === 1 ? mapped[other % mapped.length] : at;
        if (op < 3) {
          table.set(at, frame, pte);
          model.set(at, { frame, pte });
        } else if (op === 3) {
          if (model.has(known)) {
            table.setPte(known, pte);
            model.get(known)!.pte = pte;
          }
        } else {
          expect(table.clear(known)).toBe(model.get(known)?.frame ?? NO_FRAME);
          model.delete(known);
        }
        compare(table, model, at);
        for (const [from, end] of [
          [0, PAGES],
          [at, other],
          [other, at],
          [at + 1, PAGES],
          [at, at + 1],
          [at, at],
        ]) {
          expect([from, end, table.next(from, end)]).toEqual([from, end, nextOf(model, from, end)]);
        }
      }
      // A walk meets every page once, in order.
      const seen: number[] = [];
      for (let p = table.next(0, PAGES); p >= 0; p = table.next(p + 1, PAGES)) seen.push(p);
      expect(seen).toEqual([...model.keys()].toSorted((a, b) => a - b));
    }),
    { numRuns: 60, ...SEED },
  );
});

test("what is no page maps to nothing", () => {
  const table = new ByPage();
  table.set(0, 7, 1);
  table.set(PAGES - 1, 8, 1);
  for (const p of [-1, -(2 ** 40), PAGES, 2 ** 52, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect([table.frame(p), table.pte(p), table.leaf(p), table.leafPtes(p)]).toEqual([
      NO_FRAME,
      0,
      null,
      null,
    ]);
    expect(table.clear(p)).toBe(NO_FRAME);
  }
  expect([table.next(-5, 1), table.next(1, 2 ** 52), table.next(PAGES, 2 ** 52)]).toEqual([
    0,
    PAGES - 1,
    -1,
  ]);
  expect([table.next(Number.NaN, PAGES), table.next(0, Number.NaN)]).toEqual([-1, -1]);
});

test("a leaf stays when its pages are cleared, and is the same array", () => {
  const table = new ByPage();
  expect(table.leaf(600)).toBe(null);
  table.set(600, 7, 1);
  const leaf = table.leaf(LEAF_PAGES);
  table.clear(600);
  expect([table.leaf(2 * LEAF_PAGES - 1) === leaf, table.leaf(2 * LEAF_PAGES)]).toEqual([
    true,
    null,
  ]);
  table.set(601, 9, 1);
  expect([leaf?.[601 - LEAF_PAGES], table.frame(600)]).toEqual([9, NO_FRAME]);
});

test("next may start behind the last page of a leaf, and says what it found by leaf and index", () => {
  const table = new RadixTable();
  for (const [leaf, index] of [
    [3, 511],
    [4, 0],
    [LEAVES - 1, 511],
  ]) {
    table.set(leaf, index, 9, 1);
  }
  const found = (...range: [number, number, number, number]) =>
    table.next(...range) ? [table.foundLeaf, table.foundIndex] : null;
  expect(found(0, 0, LEAVES, 0)).toEqual([3, 511]);
  expect(found(3, LEAF_PAGES, LEAVES, 0)).toEqual([4, 0]);
  expect(found(3, 0, 3, 511)).toBe(null);
  expect(found(3, 0, 3, LEAF_PAGES)).toEqual([3, 511]);
  expect(found(3, 512, 4, 0)).toBe(null);
  expect(found(4, 1, LEAVES, 0)).toEqual([LEAVES - 1, 511]);
  expect(found(LEAVES - 1, LEAF_PAGES, LEAVES, 0)).toBe(null);
  expect(found(4, 1, LEAVES - 1, 511)).toBe(null);
});

const addresses: { va: number; leaf: number; index: number }[] = [
  { va: 0, leaf: 0, index: 0 },
  { va: 4095, leaf: 0, index: 0 },
  { va: 4096, leaf: 0, index: 1 },
  { va: 2 ** 21 - 1, leaf: 0, index: 511 },
  { va: 2 ** 21, leaf: 1, index: 0 },
  { va: 2 ** 31, leaf: 1024, index: 0 },
  { va: 2 ** 32 + 2 ** 21 + 5 * 4096 + 7, leaf: 2049, index: 5 },
  { va: 2 ** 40, leaf: 2 ** 19, index: 0 },
  { va: 2 ** 47 - 1, leaf: 2 ** 26 - 1, index: 511 },
  { va: 2 ** 48 - 1, leaf: 2 ** 27 - 1, index: 511 },
  { va: 2 ** 48, leaf: LEAVES, index: 0 },
];
for (const { va, leaf, index } of addresses) {
  test(`address ${va} is in page ${index} of leaf ${leaf}`, () => {
    expect([leafOf(va), leafIndex(va)]).toEqual([leaf, index]);
    expect(leafAddr(leaf, index)).toBe(va - (va % PAGE_SIZE));
  });
}

test("what no page table has as an address is in no leaf", () => {
  for (const va of [
    -1,
    -(2 ** 40),
    2 ** 48 + 1,
    2 ** 52,
    2 ** 53,
    Number.NaN,
    Infinity,
    -Infinity,
  ]) {
    expect(leafOf(va)).toBe(-1);
  }
});

describe("next over what is not mapped", () => {
  afterEach(() => vi.unstubAllGlobals());

  /** Let the leaves that are made from now on count in `reads` who looks at a frame of theirs. */
  function countReads(): { reads: Map<number, number> } {
    const reads = new Map<number, number>();
    let made = 0;
    const handler = (id: number) => ({
      get(target: Int32Array, key: string | symbol) {
        if (typeof key === "string" && /^\d+$/.test(key)) {
          reads.set(id, (reads.get(id) ?? 0) + 1);
          return target[Number(key)];
        }
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const result: unknown = value.apply(target, args);
          return result === target ? new Proxy(target, handler(id)) : result;
        };
      },
    });
    const Real = Int32Array;
    vi.stubGlobal("Int32Array", function counting(length: number) {
      return new Proxy(new Real(length), handler(made++));
    });
    return { reads };
  }

  test("looks into no leaf but those that hold something in the range", () => {
    const { reads } = countReads();
    const table = new ByPage();
    const pages = [5, 2 ** 30 + 5, 2 ** 30 + 5 + 100 * LEAF_PAGES, PAGES - 1];
    for (const p of pages) table.set(p, 1, 1);
    const touched = (from: number, end: number) => {
      reads.clear();
      return [table.next(from, end), [...reads.keys()]];
    };
    // 256 TiB in four leaves.
    expect(touched(0, PAGES)).toEqual([5, [0]]);
    expect(touched(6, PAGES)).toEqual([pages[1], [0, 1]]);
    expect(touched(LEAF_PAGES, PAGES)).toEqual([pages[1], [1]]);
    expect(touched(pages[1] + LEAF_PAGES, PAGES)).toEqual([pages[2], [2]]);
    expect(touched(2 ** 31, PAGES)).toEqual([PAGES - 1, [3]]);
    expect(touched(LEAF_PAGES, 2 ** 30)).toEqual([-1, []]);
    expect(touched(2 ** 31, PAGES - LEAF_PAGES)).toEqual([-1, []]);
    reads.clear();
    table.next(6, PAGES);
    expect([...reads.values()].reduce((sum, n) => sum + n, 0)).toBeLessThan(2 * LEAF_PAGES);
  });
});

describe("a filler", () => {
  const from = 2 ** 35;
  /** Fills the first two leaves from `from` on; the other ones have nothing. */
  function filled() {
    const calls: number[] = [];
    const filler: LeafFiller = (leaf, frames, ptes) => {
      const first = leaf * LEAF_PAGES;
      calls.push(first);
      if (first >= from + 2 * LEAF_PAGES) return false;
      for (let i = 0; i < LEAF_PAGES; i += 2) {
        frames[i] = first - from + i;
        ptes[i] = 3;
      }
      return true;
    };
    return { calls, table: new ByPage(new RadixTable(filler, from / LEAF_PAGES)) };
  }

  test("is asked once for a leaf, when somebody looks there", () => {
    const { calls, table } = filled();
    expect([table.frame(from), table.frame(from + 1), table.pte(from + 6)]).toEqual([0, -1, 3]);
    expect(table.leaf(from + LEAF_PAGES)?.[4]).toBe(LEAF_PAGES + 4);
    expect(table.frame(from + 8)).toBe(8);
    expect(calls).toEqual([from, from + LEAF_PAGES]);
  });

  test("is not asked below its range, nor by a search", () => {
    const { calls, table } = filled();
    expect([table.frame(from - 1), table.leaf(0), table.next(0, PAGES)]).toEqual([-1, null, -1]);
    table.set(5, 1, 1);
    expect(calls).toEqual([]);
  });

  test("makes no leaf where it has nothing, and `set` makes one there", () => {
    const { calls, table } = filled();
    const at = from + 5 * LEAF_PAGES;
    expect([table.leaf(at), table.frame(at), table.pte(at), table.clear(at)]).toEqual([
      null,
      -1,
      0,
      -1,
    ]);
    table.set(at, 77, 5);
    const asked = calls.length;
    expect([table.frame(at), table.pte(at), table.frame(at + 1)]).toEqual([77, 5, -1]);
    expect(calls.length).toBe(asked);
  });

  test("gives leaves that can be changed like others", () => {
    const { table } = filled();
    expect(table.clear(from + 2)).toBe(2);
    table.set(from + 3, 99, 1);
    expect([table.frame(from + 2), table.frame(from + 3), table.frame(from + 4)]).toEqual([
      -1, 99, 4,
    ]);
  });
});
