/** Cache attributes of mappings on a machine whose cache does not snoop: where a store is, and when. */
import { MiB, PAGE_SIZE } from "@physio/kern";
import { CacheAttr } from "@physio/membus";
import { Enter, Run } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import { fill, RW, random, userBench } from "./fixture.ts";

const { UNCACHED, WRITE_COMBINING } = Enter;
const VA = 0x10_0000;

/** A page mapped at VA and, managed, once more at 2 VA; the cache holds 64 lines of 64 bytes. */
function cached(flags: number) {
  const m = userBench({
    banks: [{ base: 2 ** 34, size: MiB }],
    cache: { line: 64, sets: 16, ways: 4, random: random(1) },
  });
  const { b, mem, pmap, space } = m;
  const frame = b.frame();
  pmap.enter(VA, frame, RW, flags);
  pmap.enter(2 * VA, frame, RW, flags);
  const pa = mem.addrOf(frame);
  const ram = (at: number) => {
    const byte = fill(1, 0xee);
    mem.read(pa + at, byte);
    return byte[0];
  };
  const store = (at: number, value: number) => space.copyout(VA + at, fill(1, value), 0, 1);
  const load = (at: number) => {
    const byte = fill(1, 0xee);
    space.copyin(VA + at, byte, 0, 1);
    return byte[0];
  };
  return { ...m, frame, pa, ram, store, load };
}

test("a store through WRITE_BACK stays in the cache until it is written back", () => {
  const { b, pa, ram, store, load } = cached(0);
  store(100, 0x11);
  expect([ram(100), load(100)]).toEqual([0, 0x11]);
  b.cpu.writeBack(pa, PAGE_SIZE);
  expect([ram(100), load(100)]).toEqual([0x11, 0x11]);
});

test("a store through UNCACHED is in RAM at once, and a load comes from there", () => {
  const { b, mem, pa, ram, store, load } = cached(UNCACHED);
  store(100, 0x22);
  expect([ram(100), b.cpu.cache?.misses]).toEqual([0x22, 0]);
  mem.write(pa + 100, fill(1, 0x33));
  expect(load(100)).toBe(0x33);
});

test("stores through WRITE_COMBINING gather until they are drained", () => {
  const { b, ram, store, load } = cached(WRITE_COMBINING);
  store(100, 0x44);
  store(101, 0x45);
  expect([ram(100), ram(101), b.cpu.combinedBytes]).toEqual([0, 0, 2]);
  b.cpu.drain();
  expect([ram(100), ram(101), b.cpu.combinedBytes]).toEqual([0x44, 0x45, 0]);
  store(200, 0x46);
  expect([load(200), ram(200)]).toEqual([0x46, 0x46]); // a load looks
});

for (const [name, change] of [
  [
    "changeAttr",
    (m: ReturnType<typeof cached>, attr: number) => m.pmap.changeAttr(VA, PAGE_SIZE, attr),
  ],
  ["setAttr", (m: ReturnType<typeof cached>, attr: number) => m.pmaps.setAttr(m.frame, attr)],
] as const) {
  describe(name, () => {
    test("writes the cache back first, and the cache forgets the page", () => {
      const m = cached(0);
      m.store(0, 0x51);
      m.store(PAGE_SIZE - 1, 0x52);
      change(m, UNCACHED);
      expect([m.ram(0), m.ram(PAGE_SIZE - 1)]).toEqual([0x51, 0x52]);
      expect(m.b.cpu.cache?.contains(m.pa)).toBe(false);
      m.store(0, 0x53);
      expect([m.ram(0), m.load(PAGE_SIZE - 1)]).toEqual([0x53, 0x52]);
    });

    test("brings combined stores to memory first, so that the cache reads no old line", () => {
      const m = cached(WRITE_COMBINING);
      m.store(8, 0x61);
      change(m, 0);
      expect(m.load(8)).toBe(0x61);
      m.store(9, 0x62);
      m.b.cpu.drain();
      m.b.cpu.writeBack(m.pa, PAGE_SIZE);
      expect([m.ram(8), m.ram(9)]).toEqual([0x61, 0x62]);
    });

    test("leaves other frames in the cache", () => {
      const m = cached(0);
      const other = m.b.frame();
      m.pmap.enter(3 * VA, other, RW);
      m.space.copyout(3 * VA, fill(1, 0x71), 0, 1);
      change(m, UNCACHED);
      expect(m.b.cpu.cache?.isDirty(m.mem.addrOf(other))).toBe(true);
    });
  });
}

test("a run ends where the attribute changes, and says which one it has", () => {
  const { b, mem, pmap } = userBench();
  const first = mem.allocContig(4);
  const flags = [0, 0, UNCACHED, WRITE_COMBINING];
  flags.forEach((flag, i) => {
    pmap.enter(VA + i * PAGE_SIZE, first + i, RW, flag);
  });
  const run = new Run();
  const runs: number[][] = [];
  for (let at = 10; at < 4 * PAGE_SIZE; at += run.length) {
    pmap.run(VA + at, 4 * PAGE_SIZE - at, RW, run);
    runs.push([run.frame - first, run.length, run.attr]);
  }
  expect(runs).toEqual([
    [0, 2 * PAGE_SIZE - 10, CacheAttr.WRITE_BACK],
    [2, PAGE_SIZE, CacheAttr.UNCACHED],
    [3, PAGE_SIZE, CacheAttr.WRITE_COMBINING],
  ]);
  pmap.remove(VA, 4 * PAGE_SIZE);
  mem.freeFrame(first, 4);
  b.end();
});

describe("zeroPage, zeroArea and copyPage", () => {
  test("work through the CPU's cache, like any store", () => {
    const { b, mem, pmaps, frame, pa, ram, load } = cached(0);
    mem.write(pa, fill(PAGE_SIZE, 0x77));
    pmaps.zeroArea(frame, 10, 20);
    expect([load(9), load(10), load(29), load(30), ram(10)]).toEqual([0x77, 0, 0, 0x77, 0x77]);
    const other = b.frame();
    pmaps.copyPage(frame, other);
    b.cpu.writeBack(mem.addrOf(other), PAGE_SIZE);
    const seen = fill(PAGE_SIZE, 0);
    mem.read(mem.addrOf(other), seen);
    expect([seen[9], seen[10], seen[4095], seen.filter((x) => x === 0).length]).toEqual([
      0x77, 0, 0x77, 20,
    ]);
    pmaps.zeroPage(frame);
    b.cpu.writeBack(pa, PAGE_SIZE);
    mem.read(pa, seen);
    expect(seen.every((x) => x === 0)).toBe(true);
  });

  test("set no bits, and panic beyond the page", () => {
    const { mem, pmaps, frame } = cached(0);
    pmaps.zeroPage(frame);
    expect(mem.section(frame).pmapBits[frame & 1023]).toBe(0);
    for (const [at, length] of [
      [0, 4097],
      [4096, 1],
      [-1, 1],
      [0, -1],
      [Number.NaN, 1],
      [0, Number.NaN],
    ]) {
      expect(() => pmaps.zeroArea(frame, at, length)).toThrow(`${length} bytes at ${at}`);
    }
    pmaps.zeroArea(frame, 4096, 0);
  });
});
