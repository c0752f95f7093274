/** The index of an object's pages and its two tags, against a Map and two Sets. */
import { NO_FRAME, Panic } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PageIndex, PageTag } from "../src/index.ts";

const { DIRTY, WRITEBACK } = PageTag;
const TAGS = [DIRTY, WRITEBACK] as const;

/** Page numbers that lie together, at borders of nodes, and far apart. */
const indexes = fc.oneof(
  fc.nat({ max: 300 }),
  fc.integer({ min: 128 ** 2 - 3, max: 128 ** 2 + 3 }),
  fc.integer({ min: 2 ** 31 - 2, max: 2 ** 31 + 70 }),
  fc.integer({ min: 2 ** 40 - 70, max: 2 ** 40 - 1 }),
);

class Model {
  readonly index = new PageIndex();
  readonly pages = new Map<number, number>();
  readonly tags = [new Set<number>(), new Set<number>()] as const;

  move(what: number, page: number): void {
    const { index, pages, tags } = this;
    const there = pages.has(page);
    if (what < 3) {
      if (there) expect(() => index.insert(page, 1)).toThrow(Panic);
      else index.insert(page, page % 1000);
      if (!there) pages.set(page, page % 1000);
    } else if (what === 3) {
      if (!there) expect(() => index.remove(page)).toThrow(Panic);
      else index.remove(page);
      pages.delete(page);
      for (const tag of TAGS) tags[tag].delete(page);
    } else {
      const tag = TAGS[what % 2];
      if (what < 7 && there) index.set(tag, page);
      if (what < 7 && there) tags[tag].add(page);
      if (what >= 7) index.clear(tag, page);
      if (what >= 7) tags[tag].delete(page);
    }
  }

  /** What lies in [from, end), ascending. */
  within(pages: Iterable<number>, from: number, end: number): number[] {
    return [...pages].filter((page) => page >= from && page < end).sort((a, b) => a - b);
  }

  compare(from: number, end: number): void {
    const { index, pages, tags } = this;
    index.check("model");
    expect(index.count).toBe(pages.size);
    expect(index.lookup(from)).toBe(pages.get(from) ?? NO_FRAME);
    expect(index.next(from, end)).toBe(this.within(pages.keys(), from, end)[0] ?? -1);
    for (const tag of TAGS) {
      const tagged = this.within(tags[tag], from, end);
      expect(index.any(tag)).toBe(tags[tag].size > 0);
      expect(index.has(tag, from)).toBe(tags[tag].has(from));
      expect(index.nextTagged(tag, from, end)).toBe(tagged[0] ?? -1);
      const into = new Float64Array(5);
      const found = index.gather(tag, from, end, into);
      expect([...into.subarray(0, found)]).toEqual(tagged.slice(0, 5));
    }
  }
}

test("a page index finds what a map and two sets find", () => {
  const moves = fc.array(fc.tuple(fc.nat({ max: 9 }), indexes), { maxLength: 120 });
  fc.assert(
    fc.property(moves, indexes, indexes, (list, a, b) => {
      const model = new Model();
      for (const [what, page] of list) {
        model.move(what, page);
        expect(model.index.lookup(page)).toBe(model.pages.get(page) ?? NO_FRAME);
      }
      model.compare(0, Infinity);
      model.compare(Math.min(a, b), Math.max(a, b));
      for (const page of [...model.pages.keys()]) model.move(3, page);
      model.compare(0, Infinity);
      model.move(0, b);
      model.compare(a, Infinity);
    }),
    { numRuns: 120 },
  );
});

test("pages in a row of memory are counted up to a gap, the wish or the end of a leaf", () => {
  const index = new PageIndex();
  for (let page = 100; page < 140; page++) index.insert(page, 500 + page);
  index.remove(110);
  index.insert(110, 7);
  const runs = [
    { from: 100, most: 64, count: 10 },
    { from: 100, most: 3, count: 3 },
    { from: 111, most: 64, count: 17 },
    { from: 128, most: 64, count: 12 },
  ];
  for (const { from, most, count } of runs) {
    expect(index.run(from, index.lookup(from), most), `from ${from}`).toBe(count);
  }
});

test("all tagged pages of a dense object are gathered, whatever the range and the room", () => {
  const index = new PageIndex();
  const dirty: number[] = [];
  for (let page = 0; page < 40_000; page++) {
    index.insert(page, page);
    if ((page * 7919) % 10 !== 0 || (page > 5000 && page < 9000)) continue;
    index.set(DIRTY, page);
    dirty.push(page);
  }
  const rows = [
    { from: 0, end: Infinity, room: 10_000 },
    { from: 0, end: 16_384, room: 2000 },
    { from: 1, end: 16_383, room: 2000 },
    { from: 128, end: 5001, room: 300 },
    { from: 130, end: 40_000, room: 777 },
    { from: 16_384, end: 40_000, room: 128 },
    { from: 5001, end: 9000, room: 5 },
  ];
  for (const { from, end, room } of rows) {
    const into = new Float64Array(room);
    const found = index.gather(DIRTY, from, end, into);
    const wanted = dirty.filter((page) => page >= from && page < end).slice(0, room);
    expect(found).toBe(wanted.length);
    expect([...into.subarray(0, found)], `from ${from} to ${end}`).toEqual(wanted);
  }
});

describe("tags", () => {
  test("of one page in a million are found, and gathered in parts", () => {
    const index = new PageIndex();
    const dirty = [0, 127, 128, 16_383, 16_384, 999_999];
    for (let page = 0; page < 200_000; page += 97) if (!dirty.includes(page)) index.insert(page, 1);
    for (const page of dirty) {
      if (index.lookup(page) === NO_FRAME) index.insert(page, 2);
      index.set(DIRTY, page);
    }
    const seen: number[] = [];
    const into = new Float64Array(2);
    for (let from = 0; ; from = into[1] + 1) {
      const found = index.gather(DIRTY, from, Infinity, into);
      seen.push(...into.subarray(0, found));
      if (found < 2) break;
    }
    expect(seen).toEqual(dirty);
    expect(index.nextTagged(DIRTY, 129, 16_383)).toBe(-1);
    expect(index.any(WRITEBACK)).toBe(false);
  });

  test("of a page that is not there are not set, and cleared in vain", () => {
    const index = new PageIndex();
    index.clear(DIRTY, 5);
    index.insert(6, 1);
    index.clear(DIRTY, 5);
    expect([index.has(DIRTY, 5), index.has(DIRTY, 2 ** 40)]).toEqual([false, false]);
    index.check("index");
  });

  test("go with their page", () => {
    const index = new PageIndex();
    index.insert(5, 1);
    index.set(DIRTY, 5);
    index.set(WRITEBACK, 5);
    index.remove(5);
    index.insert(5, 2);
    expect(TAGS.map((tag) => index.has(tag, 5))).toEqual([false, false]);
    expect(TAGS.map((tag) => index.any(tag))).toEqual([false, false]);
  });
});
