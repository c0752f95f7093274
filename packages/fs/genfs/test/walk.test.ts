/** The two walks of write-back by themselves, while others add and free pages. */
import { Errno, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Pg, Pgo } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import type { PageWalk } from "../src/walk.ts";
import { ListWalk, OffsetWalk } from "../src/walk.ts";
import { campaign, FileMachine } from "./file-machine.ts";
import { Chance } from "./machine.ts";
import { draw, picture, plant } from "./pictures.ts";

type Kind = "list" | "each" | "resident" | "dirty";

const KINDS: Kind[] = ["list", "each", "resident", "dirty"];

function machine(): FileMachine {
  return new FileMachine({ size: 64 * PAGE_SIZE, map: [], semantics: "seed" });
}

function walkOf(m: FileMachine, kind: Kind, lo = 0, hi = 64): PageWalk {
  const { object } = m.vp;
  const range = { uvm: m.pages, object, lo: lo * PAGE_SIZE, hi: hi * PAGE_SIZE };
  return kind === "list" ? new ListWalk(range) : new OffsetWalk(range, kind);
}

/** Markers that somebody left in the list of pages. */
function markers(m: FileMachine): number {
  let count = 0;
  for (let at = m.vp.object.order!.list.first; at !== null; at = at.next) {
    if (at.index < 0) count++;
  }
  return count;
}

/** The pages that a walk stands on, one after the other. */
function visit(m: FileMachine, walk: PageWalk, at: (page: number) => void = () => {}): number[] {
  const seen: number[] = [];
  for (let frame = walk.here(); frame !== NO_FRAME; frame = walk.here()) {
    const page = m.pages.indexOf(frame);
    seen.push(page);
    walk.takeCluster(Int32Array.of(frame), 1, 0);
    at(page);
    walk.pass();
  }
  walk.end();
  expect(markers(m)).toBe(0);
  return seen;
}

function free(m: FileMachine, page: number): void {
  m.pages.free(m.vp.object.lookup(page));
}

describe("a walk over pages that stay", () => {
  test.each([
    { kind: "list", pages: [5, 1, 3, 4] },
    { kind: "each", pages: [1, 3, 4, 5] },
    { kind: "resident", pages: [1, 3, 4, 5] },
    { kind: "dirty", pages: [1, 4] },
  ] as const)("by $kind stands on $pages", ({ kind, pages }) => {
    const m = machine();
    draw(m, ".D.CDC", [5, 1, 3, 4]);
    const walk = walkOf(m, kind);
    expect([visit(m, walk), walk.sawGoing]).toEqual([pages, false]);
    m.finish();
  });

  test.each([
    { kind: "list", pages: [3, 4] },
    { kind: "each", pages: [3, 4] },
    { kind: "resident", pages: [3, 4] },
    { kind: "dirty", pages: [4] },
  ] as const)("by $kind keeps to its range", ({ kind, pages }) => {
    const m = machine();
    draw(m, ".D.CDD", [5, 1, 3, 4]);
    expect(visit(m, walkOf(m, kind, 2, 5))).toEqual(pages);
    m.finish();
  });

  test.each(KINDS)("by %s passes over pages that are going, and says so", (kind) => {
    for (const going of [Pg.RELEASED, Pg.PAGEOUT]) {
      const m = machine();
      draw(m, "DDD");
      m.pages.setFlags(m.vp.object.lookup(1), going);
      const walk = walkOf(m, kind);
      expect([visit(m, walk), walk.sawGoing]).toEqual([[0, 2], true]);
      m.pages.clearFlags(m.vp.object.lookup(1), going);
      m.finish();
    }
  });

  test.each(KINDS)("by %s goes on behind a cluster", (kind) => {
    const m = machine();
    draw(m, "DDDDDD");
    const walk = walkOf(m, kind, 2);
    const cluster = Int32Array.from([1, 2, 3, 4], (page) => m.vp.object.lookup(page));
    expect(m.pages.indexOf(walk.here())).toBe(2);
    walk.takeCluster(cluster, 4, 1);
    walk.holdBehind();
    walk.resumeBehind();
    walk.pass();
    expect(m.pages.indexOf(walk.here())).toBe(5);
    walk.end();
    expect(markers(m)).toBe(0);
    m.finish();
  });
});

describe("a walk whose pages come and go", () => {
  test.each(KINDS)("by %s may free the page that it stands on", (kind) => {
    const m = machine();
    draw(m, "DDDD");
    const walk = walkOf(m, kind);
    const pages = visit(m, walk, (page) => {
      walk.leave();
      free(m, page);
    });
    expect([pages, picture(m, 4)]).toEqual([[0, 1, 2, 3], "...."]);
    m.finish();
  });

  test("by list does not go to pages that came after it began", () => {
    const m = machine();
    draw(m, "D.D.");
    expect(visit(m, walkOf(m, "list"), (page) => plant(m, page + 1, "D"))).toEqual([0, 2]);
    m.finish();
  });

  test("keeps its place, whatever becomes of the pages round it", () => {
    for (const seed of campaign(30, 1000)) {
      const chance = new Chance(seed);
      const m = machine();
      const letters = Array.from({ length: 24 }, () => ".DD"[chance.below(3)]).join("");
      draw(m, letters);
      const kind = KINDS[chance.below(4)];
      const stayed = new Set(letters.split("").flatMap((letter, i) => (letter === "D" ? [i] : [])));
      const walk = walkOf(m, kind);
      const other = walkOf(m, "list");
      for (let i = chance.below(8); i > 0 && other.here() !== NO_FRAME; i--) other.pass();
      other.hold(); // its markers are in the way
      const seen: number[] = [];
      let held = 0;
      for (let frame = walk.here(); frame !== NO_FRAME; frame = walk.here()) {
        if (chance.below(3) === 0 && held++ < 100) {
          walk.hold();
          for (let i = chance.below(6); i > 0; i--) disturb(m, chance.below(24), stayed);
          walk.resume();
          continue;
        }
        seen.push(m.pages.indexOf(frame));
        walk.takeCluster(Int32Array.of(frame), 1, 0);
        walk.pass();
      }
      walk.end();
      other.resume();
      other.end();
      expect(markers(m)).toBe(0);
      expect(new Set(seen).size, `seed ${seed}: ${seen.join()}`).toBe(seen.length);
      for (const page of stayed) expect(seen, `seed ${seed}, by ${kind}`).toContain(page);
    }
  });
});

/** A page goes, or comes: it has not stayed. */
function disturb(m: FileMachine, page: number, stayed: Set<number>): void {
  stayed.delete(page);
  if (m.vp.object.lookup(page) === NO_FRAME) plant(m, page, "D");
  else free(m, page);
}

test("several callers of putpages, and others who add, free and hold pages, end with all of it written", () => {
  for (const seed of campaign(16, 600)) {
    const semantics = seed % 2 === 0 ? "seed" : "fixed";
    const decisions = { givesWayAgain: false }; // seed's walks would give way to each other for ever
    const map = Array.from({ length: 40 }, (_, i) => (i % 5 === 4 ? 90 - i : i));
    const m = new FileMachine({
      size: 40 * PAGE_SIZE,
      map,
      seed,
      semantics,
      decisions,
      pagerPages: 36,
    });
    const chance = new Chance(seed);
    draw(m, Array.from({ length: 40 }, () => "..CDM"[chance.below(5)]).join(""));
    m.slow = chance.below(2) === 0;
    const errors: Errno[] = [];
    let ended = 0;
    const flags = () => [0, Pgo.SYNCIO, Pgo.SYNCIO | Pgo.DEACTIVATE, Pgo.FREE][chance.below(4)];
    const put = function* (): Sleeps<void> {
      for (let turn = 0; turn < 4; turn++) {
        const lo = chance.below(30);
        const hi = chance.below(3) === 0 ? 0 : lo + 1 + chance.below(10);
        errors.push(yield* m.put(hi === 0 ? 0 : lo, hi, Pgo.CLEANIT | flags()));
        yield* m.sched.preempt();
      }
      ended++;
    };
    const hold = function* (): Sleeps<void> {
      for (let turn = 0; turn < 25; turn++) {
        const page = chance.below(40);
        const frame = m.vp.object.lookup(page);
        if (frame === NO_FRAME) plant(m, page, "b");
        else if ((m.pages.flags(frame) & Pg.BUSY) === 0) m.pages.setFlags(frame, Pg.BUSY);
        else continue;
        m.node.dirtyGeneration++;
        yield* m.sched.pause("holding", 1 + chance.below(3000));
        if (m.vp.onWorklist) m.pages.markDirty(m.vp.object.lookup(page));
        m.pages.unbusy(m.vp.object.lookup(page));
      }
      ended++;
    };
    const free = function* (): Sleeps<void> {
      for (let turn = 0; turn < 15; turn++) {
        const frame = m.vp.object.lookup(chance.below(40));
        const idle = frame !== NO_FRAME && (m.pages.flags(frame) & Pg.BUSY) === 0;
        if (idle && picture(m, 40)[m.pages.indexOf(frame)] === "C") m.pages.free(frame);
        yield* m.sched.pause("freeing", 1 + chance.below(4000));
      }
      ended++;
    };
    for (const body of [put(), put(), hold(), free()]) m.sched.spawn("worker", body);
    m.sched.pump();
    expect([seed, ended, errors.filter((error) => error !== Errno.OK)]).toEqual([seed, 4, []]);
    expect(m.run(m.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO))).toBe(Errno.OK);
    expect(picture(m, 40), `seed ${seed}`).not.toMatch(/[DMdB]/);
    if (semantics === "seed") expect(markers(m)).toBe(0);
    m.finish();
  }
});
