/** The data cache by hand: what the CPU sees, what devices see, and what maintenance does about it. */
import { Errno, ErrnoError, GiB, KiB, Panic } from "@physio/kern";
import type { CacheConfig } from "@physio/membus";
import { describe, expect, test } from "vitest";
import { BASES, bytes, HIGH, LOW, machine, ramp, SIZE, source, TOP } from "./fixture.ts";

/** A machine whose cache never does anything by itself. */
function bench(cache: Partial<CacheConfig> = {}) {
  const m = machine({ cache: { line: 32, random: source(1), ...cache } });
  const seen = new Uint8Array(32);
  const cpuSees = (pa: number, length = 4): number[] => {
    expect(m.cpu.read(pa, seen, 0, length)).toBe(Errno.OK);
    return [...seen.subarray(0, length)];
  };
  const deviceSees = (pa: number, length = 4): number[] => {
    expect(m.device.read(pa, seen, 0, length)).toBe(Errno.OK);
    return [...seen.subarray(0, length)];
  };
  return { ...m, dcache: m.cpu.cache!, cpuSees, deviceSees };
}

const OLD = [1, 1, 1, 1];
const NEW = [7, 7, 7, 7];

for (const base of BASES) {
  describe(`at 0x${base.toString(16)}`, () => {
    test("a device reads old bytes until the CPU's store is written back", () => {
      const { cpu, device, deviceSees, dcache } = bench();
      device.write(base, bytes(...OLD));
      cpu.write(base, bytes(...NEW));
      expect([deviceSees(base), dcache.isDirty(base)]).toEqual([OLD, true]);
      cpu.writeBack(base, 4);
      expect([deviceSees(base), dcache.isDirty(base), dcache.contains(base)]).toEqual([
        NEW,
        false,
        true,
      ]);
    });

    test("the CPU keeps old bytes until its line is invalidated", () => {
      const { cpu, device, cpuSees, deviceSees } = bench();
      device.write(base, bytes(...OLD));
      expect(cpuSees(base)).toEqual(OLD);
      device.write(base, bytes(...NEW));
      expect([cpuSees(base), deviceSees(base)]).toEqual([OLD, NEW]);
      cpu.writeBack(base, 4); // it is clean: nothing to write
      expect([cpuSees(base), deviceSees(base)]).toEqual([OLD, NEW]);
      cpu.invalidate(base, 4);
      expect(cpuSees(base)).toEqual(NEW);
    });

    test("an invalidate in part of a line loses what the CPU stored beside it", () => {
      const { cpu, device, cpuSees, dcache } = bench();
      device.write(base, ramp(32));
      cpu.write(base + 8, bytes(...NEW)); // a neighbour of the buffer
      device.write(base, bytes(9, 9, 9, 9));
      cpu.invalidate(base, 4);
      expect([cpuSees(base), cpuSees(base + 8)]).toEqual([
        [9, 9, 9, 9],
        [9, 10, 11, 12],
      ]);
      expect([dcache.lostDirtyLines, dcache.writeBacks]).toEqual([1, 0]);
    });

    test("a write-back of a shared line overwrites what the device put beside it", () => {
      const { cpu, device, deviceSees } = bench();
      cpu.write(base + 8, bytes(...NEW));
      device.write(base, bytes(9, 9, 9, 9));
      cpu.writeBack(base + 8, 4);
      expect([deviceSees(base), deviceSees(base + 8)]).toEqual([[0, 0, 0, 0], NEW]);
    });

    test("an eviction overwrites what the device wrote", () => {
      const { cpu, device, cpuSees, deviceSees, dcache } = bench({ sets: 1, ways: 1 });
      cpu.write(base, bytes(...OLD));
      device.write(base, bytes(...NEW));
      expect(deviceSees(base)).toEqual(NEW);
      cpuSees(base + 32); // needs the only line
      expect([deviceSees(base), dcache.evictions, dcache.writeBacks]).toEqual([OLD, 1, 1]);
    });

    test("write back and invalidate brings stores to RAM and fresh bytes to the CPU", () => {
      const { cpu, device, cpuSees, deviceSees, dcache } = bench();
      cpu.write(base + 4, bytes(...OLD));
      cpu.writeBackInvalidate(base, 32);
      expect([deviceSees(base + 4), dcache.contains(base)]).toEqual([OLD, false]);
      device.write(base + 4, bytes(...NEW));
      expect([cpuSees(base + 4), dcache.lostDirtyLines]).toEqual([NEW, 0]);
    });
  });
}

describe("a line", () => {
  test("is filled by a load and by a store to a part, not by a store to all of it", () => {
    const { cpu, dcache } = bench();
    cpu.read(LOW + 3, new Uint8Array(2));
    expect([dcache.misses, dcache.fills]).toEqual([1, 1]);
    cpu.write(LOW + 32, ramp(31));
    expect([dcache.misses, dcache.fills]).toEqual([2, 2]);
    cpu.write(LOW + 64, ramp(32));
    expect([dcache.misses, dcache.fills, dcache.hits]).toEqual([3, 2, 0]);
    cpu.write(LOW + 20, ramp(60)); // all three, the middle one whole
    expect([dcache.misses, dcache.fills, dcache.hits]).toEqual([3, 2, 3]);
  });

  test("that is stored in part keeps RAM's other bytes", () => {
    const { cpu, device, deviceSees } = bench();
    device.write(LOW, ramp(32));
    cpu.write(LOW + 5, bytes(0xaa));
    device.write(LOW, ramp(32, 101)); // too late: the line was filled before
    cpu.writeBack(LOW, 1);
    const expected = ramp(32);
    expected[5] = 0xaa;
    expect(deviceSees(LOW, 32)).toEqual([...expected]);
  });

  test("that nobody wrote reads as zeros without touching RAM", () => {
    const { mem, cpuSees } = bench();
    expect([cpuSees(HIGH), mem.touchedBytes]).toEqual([[0, 0, 0, 0], 0]);
  });

  test("is evicted from its set only, and the set has as many as it has ways", () => {
    const { cpuSees, dcache } = bench({ sets: 2, ways: 2 });
    for (const line of [0, 2, 4, 1]) cpuSees(LOW + line * 32);
    const there = [0, 2, 4].filter((line) => dcache.contains(LOW + line * 32));
    expect([there.length, there.includes(4), dcache.contains(LOW + 32)]).toEqual([2, true, true]);
    expect([dcache.evictions, dcache.writeBacks]).toEqual([1, 0]);
  });

  test("of the last bytes of memory is a line like others", () => {
    const { cpu, cpuSees, deviceSees, dcache } = bench({ prefetchOneIn: 1 });
    const last = TOP + SIZE - 2;
    cpu.write(last, bytes(5, 6));
    expect([cpuSees(last, 2), deviceSees(last, 2)]).toEqual([
      [5, 6],
      [0, 0],
    ]);
    cpu.writeBack(last, 2);
    expect([deviceSees(last, 2), dcache.fills]).toEqual([[5, 6], 1]);
    dcache.check();
  });
});

describe("maintenance", () => {
  test("takes whole lines that the range touches, and no others", () => {
    const { cpu, device, deviceSees } = bench();
    for (let line = 0; line < 5; line++) cpu.write(LOW + line * 32, ramp(32));
    cpu.writeBack(LOW + 63, 34); // the last byte of line 1 to the first of line 3
    const reached = [0, 1, 2, 3, 4].map((line) => deviceSees(LOW + line * 32)[0]);
    expect([reached, device.faultCount]).toEqual([[0, 1, 1, 1, 0], 0]);
  });

  test("of nothing does nothing, also at the edge of a line and in one", () => {
    const { cpu, dcache } = bench();
    cpu.write(LOW, ramp(64));
    for (const at of [LOW, LOW + 5, LOW + 32]) {
      cpu.writeBack(at, 0);
      cpu.invalidate(at, 0);
    }
    expect([dcache.isDirty(LOW), dcache.isDirty(LOW + 32), dcache.writeBacks]).toEqual([
      true,
      true,
      0,
    ]);
  });

  test("of all addresses walks the cache, and loses nothing that it covers whole", () => {
    const { cpu, deviceSees, dcache } = bench();
    for (const base of BASES) cpu.write(base + 40, ramp(4));
    cpu.writeBack(0, 2 ** 52);
    expect(BASES.map((base) => deviceSees(base + 40))).toEqual(BASES.map(() => [1, 2, 3, 4]));
    for (const base of BASES) cpu.write(base + 40, ramp(4, 50));
    cpu.invalidate(0, 2 ** 52);
    expect(BASES.map((base) => dcache.contains(base + 40))).toEqual([false, false, false]);
    expect([dcache.writeBacks, dcache.lostDirtyLines, dcache.evictions]).toEqual([3, 0, 0]);
    dcache.check();
  });

  test("counts a dirty line as lost only when the range covers a part of it", () => {
    const { cpu, dcache } = bench();
    const losses = [
      [0, 32],
      [0, 31],
      [1, 31],
      [1, 32], // touches the next line too, which is clean
    ].map(([from, length]) => {
      cpu.write(LOW, ramp(4));
      const before = dcache.lostDirtyLines;
      cpu.invalidate(LOW + from, length);
      return dcache.lostDirtyLines - before;
    });
    expect(losses).toEqual([0, 1, 1, 1]);
  });
});

test("RAM knows the cache in front of it, and a coherent machine has none", () => {
  const { mem, cpu } = bench();
  expect([mem.cachedBy === cpu, machine().mem.cachedBy]).toEqual([true, null]);
});

describe("by itself", () => {
  test("a cache that evicts often brings stores to RAM that nobody wrote back", () => {
    const { cpu, cpuSees, device, deviceSees, dcache } = bench({ evictOneIn: 4, sets: 4, ways: 2 });
    cpu.write(LOW, bytes(...OLD));
    device.write(LOW, bytes(...NEW));
    for (let i = 0; i < 200 && dcache.writeBacks === 0; i++) cpuSees(LOW + 64);
    expect([deviceSees(LOW), dcache.writeBacks]).toEqual([OLD, 1]);
  });

  test("about one access in n evicts a line, and one in m reads the next one in", () => {
    const { cpuSees, dcache } = bench({ evictOneIn: 10, prefetchOneIn: 20, line: 64 });
    for (let i = 0; i < 20_000; i++) cpuSees(LOW);
    expect(dcache.evictions).toBeGreaterThan(1800);
    expect(dcache.evictions).toBeLessThan(2200);
    const { fills, misses } = dcache;
    for (let i = 0; i < 20_000; i++) cpuSees(LOW + ((i * 128) % SIZE)); // every other line
    const speculative = dcache.fills - fills - (dcache.misses - misses);
    expect(speculative).toBeGreaterThan(600); // a line that is there is not read again
    expect(speculative).toBeLessThan(1100);
    expect(dcache.hits + dcache.misses).toBe(40_000);
    dcache.check();
  });

  test("a speculative fill keeps bytes that the device replaces afterwards", () => {
    const { cpuSees, device, cpu } = bench({ prefetchOneIn: 1 });
    cpuSees(LOW); // reads LOW + 32 in too
    device.write(LOW + 32, bytes(...NEW));
    expect(cpuSees(LOW + 32)).toEqual([0, 0, 0, 0]);
    cpu.invalidate(LOW + 32, 32);
    expect(cpuSees(LOW + 32)).toEqual(NEW);
  });

  test("two caches of one seed do the same", () => {
    const run = () => {
      const { cpuSees, dcache } = bench({ sets: 2, ways: 4, evictOneIn: 5, prefetchOneIn: 3 });
      for (let i = 0; i < 500; i++) cpuSees(LOW + ((i * 7919) % 4096));
      return [dcache.hits, dcache.misses, dcache.fills, dcache.evictions];
    };
    expect(run()).toEqual(run());
  });
});

describe("refused", () => {
  const geometries: [name: string, config: Partial<CacheConfig>][] = [
    ["a line of 16", { line: 16 as 32 }],
    ["a line of NaN", { line: Number.NaN as 32 }],
    ["3 sets", { sets: 3 }],
    ["0 sets", { sets: 0 }],
    ["131072 sets", { sets: 131_072 }],
    ["0 ways", { ways: 0 }],
    ["65 ways", { ways: 65 }],
    ["2.5 ways", { ways: 2.5 }],
    ["an eviction in 0", { evictOneIn: 0 }],
    ["an eviction in -1", { evictOneIn: -1 }],
    ["a fill in half an access", { prefetchOneIn: 0.5 }],
    ["a fill in NaN", { prefetchOneIn: Number.NaN }],
  ];
  for (const [name, config] of geometries) {
    test(`a cache with ${name} is EINVAL`, () => {
      expect(() => bench(config)).toThrow(ErrnoError);
      expect(() => bench(config)).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
    });
  }

  test("a bad geometry is named with its values", () => {
    expect(() => bench({ sets: 3, ways: 2, line: 64, evictOneIn: 9 })).toThrow(
      "membus: cache of 3 sets, 2 ways, lines of 64 bytes, evictOneIn 9, prefetchOneIn undefined: EINVAL",
    );
  });

  test("maintenance of what is no range panics with it, before it does anything", () => {
    const { cpu, dcache } = bench();
    cpu.write(LOW, ramp(4));
    for (const [pa, length] of [
      [Number.NaN, 4],
      [LOW, Number.NaN],
      [LOW + 0.5, 4],
      [-32, 64],
      [LOW, -1],
      [LOW, 0.5],
      [Number.POSITIVE_INFINITY, 4],
    ]) {
      for (const act of ["writeBack", "invalidate", "writeBackInvalidate"] as const) {
        expect(() => cpu[act](pa, length)).toThrow(`maintenance of ${pa}+${length}`);
      }
    }
    expect(() => dcache.contains(Number.NaN)).toThrow(Panic);
    expect(() => dcache.isDirty(0.5)).toThrow(Panic);
    expect(dcache.isDirty(LOW)).toBe(true);
  });

  test("a random source that gives no whole numbers panics", () => {
    for (const value of [Number.NaN, 0.5, -1]) {
      const { cpuSees } = bench({ evictOneIn: 2, random: { next: () => value } });
      expect(() => cpuSees(LOW)).toThrow("cache: random number");
    }
  });

  test("what is not RAM is EFAULT, and neither cache nor array change", () => {
    const { cpu, dcache } = bench();
    const data = ramp(8);
    for (const pa of [0, LOW + SIZE - 7, HIGH - 1, HIGH + SIZE, TOP - 1, TOP + SIZE - 7, -4]) {
      expect([cpu.read(pa, data), cpu.write(pa, data)]).toEqual([Errno.EFAULT, Errno.EFAULT]);
      expect([cpu.zero(pa, 8), cpu.fill(pa, 8, 3)]).toEqual([Errno.EFAULT, Errno.EFAULT]);
      expect([cpu.copy(LOW + 64, pa, 8), cpu.copy(pa, HIGH + 64, 8)]).toEqual([14, 14]);
    }
    expect(cpu.read(LOW, new Uint8Array(0), 0, 0)).toBe(Errno.OK);
    expect([...data]).toEqual([...ramp(8)]);
    expect([dcache.hits, dcache.misses]).toEqual([0, 0]);
    expect(cpu.read(4 * GiB + 4 * KiB, data)).toBe(Errno.EFAULT);
  });
});
