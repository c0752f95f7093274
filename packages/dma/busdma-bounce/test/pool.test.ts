/**
 * The pool: which tags share a zone, how zones grow, and what sysctl shows of them.
 */

import { BouncePool } from "@physio/busdma-bounce";
import { GiB, MAXADDR, PAGE_SIZE } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import { expect, test } from "vitest";

function poolOf(supply: number, maxPages?: number) {
  const asked: number[] = [];
  const sysctl = new SysctlTree();
  const pool = new BouncePool({
    mem: new PhysMem({ banks: [{ base: PAGE_SIZE, size: 64 * PAGE_SIZE }] }),
    sched: new Scheduler(),
    trace: new Trace(),
    sysctl,
    allocPage: (highest) => (asked.push(highest) <= supply ? asked.length * PAGE_SIZE : -1),
    ...(maxPages === undefined ? {} : { maxPages }),
  });
  return { pool, sysctl, asked };
}

const LOW = 0xff_ffff;
const sharing: {
  name: string;
  first: [number, number];
  second: [number, number];
  same: boolean;
}[] = [
  { name: "the same constraints", first: [LOW, 1], second: [LOW, 1], same: true },
  { name: "a device that reaches further", first: [LOW, 1], second: [GiB - 1, 1], same: true },
  { name: "a device that reaches less", first: [GiB - 1, 1], second: [LOW, 1], same: false },
  { name: "an alignment up to the page", first: [LOW, 1], second: [LOW, PAGE_SIZE], same: true },
  { name: "an alignment above", first: [LOW, 1], second: [LOW, 2 * PAGE_SIZE], same: false },
  { name: "a looser alignment", first: [LOW, 2 * PAGE_SIZE], second: [LOW, 4], same: true },
  { name: "no window at all", first: [LOW, 64], second: [MAXADDR, 64], same: true },
];

for (const { name, first, second, same } of sharing) {
  test(`zones: ${name} ${same ? "shares the zone" : "gets its own"}`, () => {
    const { pool } = poolOf(0);
    const zone = pool.zoneFor(...first);
    expect(pool.zoneFor(...second) === zone).toBe(same);
    expect(pool.zones.length).toBe(same ? 1 : 2);
    expect(zone.alignment).toBeGreaterThanOrEqual(PAGE_SIZE);
  });
}

test("zones of different memory domains are different, and say which one they prefer", () => {
  const asked: number[] = [];
  const sysctl = new SysctlTree();
  const pool = new BouncePool({
    mem: new PhysMem({ banks: [{ base: PAGE_SIZE, size: 64 * PAGE_SIZE }] }),
    sched: new Scheduler(),
    trace: new Trace(),
    sysctl,
    allocPage: (_highest, domain) => asked.push(domain) * PAGE_SIZE,
  });
  const zones = [pool.zoneFor(LOW, 1, 0), pool.zoneFor(LOW, 1, 1), pool.zoneFor(LOW, 1)];
  expect(new Set(zones).size).toBe(3);
  expect(pool.zoneFor(LOW, 1, 1)).toBe(zones[1]);
  for (const zone of zones) pool.grow(zone, 1);
  expect(asked).toEqual([0, 1, -1]);
  expect([0, 1, 2].map((i) => sysctl.get(`hw.busdma.zone${i}.domain`))).toEqual([0, 1, -1]);
});

test("the first zone that fits is taken, not the best", () => {
  const { pool } = poolOf(0);
  const strict = pool.zoneFor(LOW, 4 * PAGE_SIZE);
  expect(pool.zoneFor(GiB - 1, 1)).toBe(strict);
});

test("a zone grows page by page, at or below its own lowaddr, until the supply ends", () => {
  const { pool, asked } = poolOf(3);
  const zone = pool.zoneFor(LOW, 1);
  expect(pool.grow(zone, 2)).toBe(2);
  expect(pool.grow(zone, 2)).toBe(1);
  expect(pool.grow(zone, 2)).toBe(0);
  expect([zone.total, zone.free, pool.totalPages]).toEqual([3, 3, 3]);
  expect(asked.every((highest) => highest === LOW)).toBe(true);
  zone.check();
});

test("maxPages limits all zones together", () => {
  const { pool, asked } = poolOf(100, 5);
  const zones = [pool.zoneFor(GiB - 1, 1), pool.zoneFor(LOW, 1)];
  expect(zones.map((zone) => pool.grow(zone, 3))).toEqual([3, 2]);
  expect([pool.totalPages, asked.length]).toEqual([5, 5]);
});

test("sysctl shows the pool and each zone as it is now", () => {
  const { pool, sysctl } = poolOf(4);
  pool.grow(pool.zoneFor(LOW, 1), 3);
  pool.grow(pool.zoneFor(LOW, 2 * PAGE_SIZE), 3);
  const shown = (path: string) => sysctl.get(`hw.busdma.${path}`);
  expect(shown("total_bpages")).toBe(4);
  expect([shown("zone0.total_bpages"), shown("zone1.free_bpages")]).toEqual([3, 1]);
  expect([shown("zone0.lowaddr"), shown("zone1.alignment")]).toEqual(["0xffffff", 8192]);
  pool.zones[0].deferredTime = 7_999;
  expect(shown("zone0.total_deferred_time")).toBe(7);
});
