/**
 * Bounce zones: the FIFO of pages, the sums that must hold, and what breaks them.
 */

import type { BounceZone } from "@physio/busdma-bounce";
import { BouncePool, BounceState } from "@physio/busdma-bounce";
import { NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import fc from "fast-check";
import { expect, test } from "vitest";

type PageList = BounceState["pages"];

function zoneOf(pages: number): BounceZone {
  const pool = new BouncePool({
    mem: new PhysMem({ banks: [{ base: PAGE_SIZE, size: PAGE_SIZE }] }),
    sched: new Scheduler(),
    trace: new Trace(),
    sysctl: new SysctlTree(),
    allocPage: () => -1,
  });
  const zone = pool.zoneFor(0xff_ffff, 1);
  for (let i = 0; i < pages; i++) zone.addPage((i + 1) * PAGE_SIZE, i);
  return zone;
}

const listOf = (zone: BounceZone): PageList => new BounceState(zone).pages;

/** What reservation does, then attach. */
function take(zone: BounceZone, list: PageList): number {
  zone.free--;
  zone.reserved++;
  return zone.attach(list, -1, 0, NO_FRAME, 0, 1);
}

const rows = (zone: BounceZone, list: PageList): number[] => {
  const out: number[] = [];
  for (let row = list.head; row >= 0; row = zone.next[row]) out.push(row);
  return out;
};

test("pages are given in the order in which they came, and come back at the end in their order", () => {
  const zone = zoneOf(5);
  const [a, b] = [listOf(zone), listOf(zone)];
  expect([take(zone, a), take(zone, b), take(zone, a)]).toEqual([0, 1, 2]);
  zone.detachAll(a);
  expect(rows(zone, zone.freeList)).toEqual([3, 4, 0, 2]);
  zone.detachAll(b);
  expect(rows(zone, zone.freeList)).toEqual([3, 4, 0, 2, 1]);
  zone.check();
});

test("an empty free list takes a whole list back", () => {
  const zone = zoneOf(2);
  const list = listOf(zone);
  take(zone, list);
  take(zone, list);
  expect(rows(zone, zone.freeList)).toEqual([]);
  expect(() => take(zone, list)).toThrow(Panic);
});

test("giving back an empty list changes nothing", () => {
  const zone = zoneOf(2);
  zone.detachAll(listOf(zone));
  expect([zone.free, zone.active, rows(zone, zone.freeList)]).toEqual([2, 0, [0, 1]]);
});

test("a zone grows past its first columns and keeps every row", () => {
  const zone = zoneOf(300);
  const list = listOf(zone);
  for (let i = 0; i < 300; i++) {
    const row = take(zone, list);
    expect(zone.busAddr[row]).toBe((row + 1) * PAGE_SIZE);
  }
  zone.addPage(0x50_0000, 300);
  zone.check();
  expect([zone.total, zone.free, zone.active, zone.highWater]).toEqual([301, 1, 300, 300]);
});

const broken: { name: string; harm: (zone: BounceZone) => void }[] = [
  { name: "a page lost", harm: (z) => z.free-- },
  { name: "a page found", harm: (z) => z.total++ },
  { name: "a negative count", harm: (z) => [z.free--, z.free--, z.active++, z.active++] },
  {
    name: "the list shorter than its count",
    harm: (z) => {
      z.next[0] = -1;
    },
  },
  { name: "reserved out of nothing", harm: (z) => [z.reserved++, z.free--, z.free--, z.active++] },
];

for (const { name, harm } of broken) {
  test(`check panics on ${name}`, () => {
    const zone = zoneOf(1);
    zone.addPage(0x9000, NO_FRAME);
    zone.check();
    harm(zone);
    expect(() => zone.check()).toThrow(Panic);
  });
}

test("any order of taking and giving back keeps each page in one place", () => {
  const lists = 4;
  const step = fc.tuple(fc.nat(lists - 1), fc.boolean());
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const zone = zoneOf(6);
    const held = Array.from({ length: lists }, () => listOf(zone));
    const model = { free: [0, 1, 2, 3, 4, 5], held: held.map((): number[] => []) };
    for (const [who, give] of steps) {
      if (give) {
        zone.detachAll(held[who]);
        model.free.push(...model.held[who].splice(0));
      } else if (zone.free > 0) {
        expect(take(zone, held[who])).toBe(model.free[0]);
        model.held[who].push(model.free.shift()!);
      }
      zone.check();
      expect(rows(zone, zone.freeList)).toEqual(model.free);
      expect(held.map((list) => rows(zone, list))).toEqual(model.held);
    }
  });
  fc.assert(property, { seed: 6, numRuns: 200 });
});
