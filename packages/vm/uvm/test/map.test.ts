/** The map against an array with one cell a page; clipping and joining; what check() notices. */
import { PAGE_SIZE, Panic } from "@physio/kern";
import { Prot } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import type { MapEntry, UvmObject } from "../src/index.ts";
import { Advice, VmMap } from "../src/index.ts";
import { Chance, seeds } from "./machine.ts";
import { ToyMachine } from "./toy.ts";

const PAGE = PAGE_SIZE;
const { READ, WRITE } = Prot;
const MIN = 16 * PAGE;
const CELLS = 40;

function entry(
  first: number,
  pages: number,
  object: UvmObject | null,
  at = 0,
  prot: Prot = READ,
): MapEntry {
  object?.pager?.reference();
  return {
    start: MIN + first * PAGE,
    end: MIN + (first + pages) * PAGE,
    prot,
    maxProt: READ | WRITE,
    object,
    offset: at * PAGE,
    copyOnWrite: false,
    amap: null,
    slot: 0,
    advice: Advice.NORMAL,
  };
}

/** What each page shows, by name. */
function cells(map: VmMap): string[] {
  return Array.from({ length: CELLS }, (_, i) => {
    const va = MIN + i * PAGE;
    const found = map.lookup(va);
    if (found === null) return "";
    const offset = found.object === null ? "" : (found.offset + va - found.start) / PAGE;
    return `${found.object?.id ?? "zero"}@${offset}:${found.prot}`;
  });
}

describe("a map", () => {
  test("shows what an array of pages shows after random inserts, removals and changes", () => {
    for (const seed of seeds(8)) {
      const chance = new Chance(seed);
      const m = new ToyMachine(16);
      const files = [m.file(64), m.file(64)];
      const map = new VmMap(MIN, MIN + CELLS * PAGE);
      const model: string[] = new Array<string>(CELLS).fill("");
      for (let turn = 0; turn < 120; turn++) {
        const first = chance.below(CELLS);
        const count = 1 + chance.below(Math.min(8, CELLS - first));
        const [start, end] = [MIN + first * PAGE, MIN + (first + count) * PAGE];
        const free = model.slice(first, first + count).every((cell) => cell === "");
        expect(map.isFree(start, end)).toBe(free);
        expect(map.covers(start, end)).toBe(
          model.slice(first, first + count).every((cell) => cell !== ""),
        );
        const what = chance.below(3);
        if (what === 0 && free) {
          const { object } = files[chance.below(2)];
          const at = chance.below(2) === 0 ? first : chance.below(50); // alike next to alike
          map.insert(entry(first, count, object, at));
          for (let i = 0; i < count; i++) model[first + i] = `${object.id}@${at + i}:1`;
        } else if (what === 1) {
          for (const gone of map.remove(start, end)) gone.object?.pager?.detach();
          model.fill("", first, first + count);
        } else {
          const prot = 1 + 2 * chance.below(2);
          for (const e of map.clip(start, end)) e.prot = prot;
          map.join(start, end);
          for (let i = first; i < first + count; i++) {
            model[i] = model[i] === "" ? "" : `${model[i].slice(0, -1)}${prot}`;
          }
        }
        map.check();
        expect(cells(map), `seed ${seed}, turn ${turn}`).toEqual(model);
        // No two neighbours that could be one, and one reference an entry.
        const starts = model.filter((cell, i) => cell !== "" && !follows(model[i - 1] ?? "", cell));
        expect(map.entries.length).toBe(starts.length);
        expect(files[0].references + files[1].references).toBe(map.entries.length);
      }
    }
  });

  test("finds room first from the hint on, then from the beginning, and says where there is none", () => {
    const m = new ToyMachine(16);
    const { object } = m.file(1);
    const map = new VmMap(MIN, MIN + 10 * PAGE);
    map.insert(entry(2, 2, object));
    map.insert(entry(6, 1, object));
    const find = (pages: number, hint: number) => {
      const va = map.findSpace(pages * PAGE, MIN + hint * PAGE);
      return va < 0 ? -1 : (va - MIN) / PAGE;
    };
    expect([find(2, 0), find(3, 0), find(4, 0)]).toEqual([0, 7, -1]);
    expect([find(1, 3), find(2, 5), find(3, 9)]).toEqual([4, 7, 7]);
    expect(find(1, -100)).toBe(0);
  });

  test("refuses an entry where there is one", () => {
    const m = new ToyMachine(16);
    const { object } = m.file(1);
    const map = new VmMap(MIN, MIN + 10 * PAGE);
    map.insert(entry(2, 2, object));
    for (const [first, pages] of [
      [3, 1],
      [0, 3],
      [1, 5],
    ]) {
      expect(() => map.insert(entry(first, pages, object))).toThrow(Panic);
    }
    map.insert(entry(1, 1, object));
    map.check();
  });
});

/** Whether `cell` goes on where `before` ends. */
function follows(before: string, cell: string): boolean {
  const parts = /^(\w+)@(\d+):(\d)$/.exec(before);
  return parts !== null && cell === `${parts[1]}@${Number(parts[2]) + 1}:${parts[3]}`;
}

describe("check notices", () => {
  const DAMAGE: [string, (e: MapEntry[]) => void][] = [
    ["an empty entry", (e) => (e[0].end = e[0].start)],
    ["entries that overlap", (e) => (e[0].end = e[1].end)],
    ["an entry below the first address", (e) => (e[0].start = 0)],
    ["an entry that is no whole pages", (e) => (e[1].end -= 1)],
    ["an offset within a page", (e) => (e[1].offset += 8)],
  ];
  test.each(DAMAGE)("%s", (_name, damage) => {
    const m = new ToyMachine(16);
    const { object } = m.file(1);
    const map = new VmMap(MIN, MIN + 10 * PAGE);
    map.insert(entry(1, 2, object));
    map.insert(entry(6, 1, object));
    map.check();
    damage(map.entries);
    expect(() => map.check()).toThrow(Panic);
  });
});
