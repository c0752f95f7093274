/** The CPU's port: a coherent machine is RAM itself; combined stores wait, and what lets them go. */
import { Errno, Panic } from "@physio/kern";
import type { CacheConfig } from "@physio/membus";
import { BARRIER_READ, BARRIER_WRITE, CacheAttr } from "@physio/membus";
import { describe, expect, test } from "vitest";
import {
  BASES,
  bytes,
  dice,
  HIGH,
  LOW,
  machine,
  ramp,
  SIZE,
  seeds,
  source,
  TOP,
} from "./fixture.ts";

const { WRITE_BACK, UNCACHED, WRITE_COMBINING } = CacheAttr;
const CACHE: CacheConfig = { line: 32, random: source(1) };

function bench(cache?: CacheConfig) {
  const m = machine(cache === undefined ? {} : { cache });
  const ram = (pa: number, length: number): number[] => {
    const seen = new Uint8Array(length);
    expect(m.mem.read(pa, seen)).toBe(Errno.OK);
    return [...seen];
  };
  const combine = (pa: number, data: Uint8Array) =>
    expect(m.cpu.write(pa, data, 0, data.length, WRITE_COMBINING)).toBe(Errno.OK);
  return { ...m, ram, combine };
}

for (const [kind, cache] of [
  ["coherent", undefined],
  ["cached", CACHE],
] as const) {
  describe(`on a ${kind} machine`, () => {
    for (const base of BASES) {
      test(`the CPU reads at 0x${base.toString(16)} what it wrote, copied, filled and zeroed`, () => {
        const { cpu } = bench(cache);
        const seen = new Uint8Array(12);
        expect(cpu.write(base + 30, ramp(10), 2, 6)).toBe(Errno.OK);
        expect(cpu.copy(base + 100, base + 29, 8)).toBe(Errno.OK);
        cpu.read(base + 100, seen, 1, 8);
        expect([...seen]).toEqual([0, 0, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]);
        expect([cpu.fill(base + 101, 3, 0xaa), cpu.zero(base + 105, 2)]).toEqual([0, 0]);
        cpu.read(base + 100, seen, 0, 8);
        expect([...seen.subarray(0, 8)]).toEqual([0, 0xaa, 0xaa, 0xaa, 6, 0, 0, 0]);
        cpu.check();
      });

      test(`all of the bank at 0x${base.toString(16)} may be moved at once`, () => {
        const { cpu } = bench(cache);
        const all = ramp(SIZE);
        expect(cpu.write(base, all)).toBe(Errno.OK);
        const other = base === LOW ? HIGH : LOW;
        expect(cpu.copy(other, base, SIZE)).toBe(Errno.OK);
        const seen = new Uint8Array(SIZE);
        expect(cpu.read(other, seen)).toBe(Errno.OK);
        expect(Buffer.compare(seen, all)).toBe(0);
        expect(cpu.write(base, all, 0, SIZE, WRITE_COMBINING)).toBe(Errno.OK);
        expect(cpu.combinedBytes).toBe(0);
      });
    }

    test("by frame it moves the same bytes as by address, whatever the attribute", () => {
      for (const attr of [WRITE_BACK, UNCACHED, WRITE_COMBINING]) {
        for (const base of BASES) {
          const { cpu, mem } = bench(cache);
          const frame = mem.frameOf(base);
          const [seen, again] = [new Uint8Array(9), new Uint8Array(9)];
          cpu.writeFrame(frame, 4093, ramp(10), 2, 6, attr); // offsets from the frame before on
          cpu.readFrame(frame, 4092, seen, 1, 8, attr);
          cpu.read(base + 4092, again, 1, 8, attr);
          expect([...seen]).toEqual([0, 0, 3, 4, 5, 6, 7, 8, 0]);
          expect([...again]).toEqual([...seen]);
          cpu.write(base + 8190, ramp(4), 0, 4);
          cpu.zeroFrame(frame, 8191, 2);
          cpu.readFrame(frame, 8190, seen, 0, 4);
          expect([...seen.subarray(0, 4)]).toEqual([1, 0, 0, 4]);
          cpu.copyFrame(frame, 4094, mem.frameOf(base + 4096), 4094, 4);
          cpu.read(base + 4093, seen, 0, 6);
          expect([...seen.subarray(0, 6)]).toEqual([3, 1, 0, 0, 4, 8]);
          cpu.check();
        }
      }
    });

    test("by frame, what is not RAM or does not fit panics", () => {
      const { cpu, mem } = bench(cache);
      const data = new Uint8Array(2 * SIZE);
      for (const attr of [WRITE_BACK, UNCACHED, WRITE_COMBINING]) {
        for (const [frame, offset, at, length] of [
          [-1, 0, 0, 1],
          [2 ** 20, 0, 0, 1],
          [Number.NaN, 0, 0, 1],
          [mem.frameOf(LOW), SIZE, 0, 1],
          [mem.frameOf(TOP), SIZE - 1, 0, 2],
          [mem.frameOf(LOW), 0, 0, -1],
          [mem.frameOf(LOW), 0, -1, 1],
          [mem.frameOf(LOW), 0, 2 * SIZE, 1],
        ] as const) {
          expect(() => cpu.readFrame(frame, offset, data, at, length, attr)).toThrow(Panic);
          expect(() => cpu.writeFrame(frame, offset, data, at, length, attr)).toThrow(Panic);
        }
      }
      for (const [frame, offset, length] of [
        [-1, 0, 1],
        [mem.frameOf(LOW), SIZE, 1],
        [mem.frameOf(TOP), SIZE - 1, 2],
        [mem.frameOf(LOW), 1, 9], // overlaps
      ] as const) {
        expect(() => cpu.copyFrame(mem.frameOf(LOW), 0, frame, offset, length)).toThrow(Panic);
        expect(() => cpu.copyFrame(frame, offset, mem.frameOf(LOW), 0, length)).toThrow(Panic);
      }
      cpu.copyFrame(-1, 0, -1, 0, 0);
      expect(() => cpu.zeroFrame(mem.frameOf(LOW), SIZE, 1)).toThrow(Panic);
      expect(() => cpu.zeroFrame(-1, 0, 1)).toThrow(Panic);
    });

    test("an uncached access goes to RAM at once", () => {
      const { cpu, ram } = bench(cache);
      const seen = new Uint8Array(4);
      cpu.write(LOW, ramp(4), 0, 4, UNCACHED);
      expect(ram(LOW, 4)).toEqual([1, 2, 3, 4]);
      cpu.read(LOW, seen, 0, 4, UNCACHED);
      expect([...seen]).toEqual([1, 2, 3, 4]);
    });

    test("what is not RAM is EFAULT with every attribute, and nothing moves", () => {
      const { cpu, mem } = bench(cache);
      const data = ramp(8);
      for (const attr of [WRITE_BACK, UNCACHED, WRITE_COMBINING]) {
        for (const pa of [0, -8, LOW - 1, HIGH + SIZE - 7, TOP + SIZE - 7, 2 ** 52, 2 ** 53 - 1]) {
          expect(cpu.read(pa, data, 0, 8, attr)).toBe(Errno.EFAULT);
          expect(cpu.write(pa, data, 0, 8, attr)).toBe(Errno.EFAULT);
        }
      }
      expect([[...data], mem.touchedBytes, cpu.combinedBytes]).toEqual([[...ramp(8)], 0, 0]);
    });

    test("a broken contract panics with its values", () => {
      const { cpu, mem } = bench(cache);
      const data = ramp(8);
      const moves: [pa: number, at: number, length: number][] = [
        [Number.NaN, 0, 8],
        [LOW + 0.5, 0, 4],
        [LOW, Number.NaN, 4],
        [LOW, 0, Number.NaN],
        [LOW, 0, -1],
        [LOW, -1, 4],
        [LOW, 0.5, 4],
        [LOW, 0, 0.5],
        [LOW, 5, 4],
        [LOW, 0, 9],
      ];
      for (const [pa, at, length] of moves) {
        for (const attr of [WRITE_BACK, UNCACHED, WRITE_COMBINING]) {
          expect(() => cpu.read(pa, data, at, length, attr)).toThrow(Panic);
          expect(() => cpu.write(pa, data, at, length, attr)).toThrow(Panic);
        }
      }
      expect(() => cpu.read(LOW, data, 9)).toThrow("cpu: no range of memory: 65536+-1");
      expect(() => cpu.read(LOW, data, 5, 4)).toThrow("cpu: 4 bytes at 5 of an array of 8");
      expect(() => cpu.read(LOW, data, 0, 4, 3 as 2)).toThrow("with attribute 3");
      expect(() => cpu.write(LOW, data, 0, 4, Number.NaN as 2)).toThrow("with attribute NaN");
      for (const value of [-1, 256, 0.5, Number.NaN]) {
        expect(() => cpu.fill(LOW, 4, value)).toThrow(`cpu: fill with ${value}`);
      }
      expect(() => cpu.zero(Number.NaN, 4)).toThrow(Panic);
      expect(() => cpu.copy(Number.NaN, LOW, 4)).toThrow(Panic);
      expect(() => cpu.copy(LOW, 0.5, 4)).toThrow(Panic);
      for (const [to, from] of [
        [0, 7],
        [7, 0],
        [0, 0],
      ]) {
        expect(() => cpu.copy(LOW + to, LOW + from, 8)).toThrow("overlaps");
      }
      expect(cpu.copy(LOW + 8, LOW, 8)).toBe(Errno.OK);
      expect([[...data], mem.touchedBytes]).toEqual([[...ramp(8)], 0]);
    });
  });
}

test("copies, fills and moves of any size agree with an array, on both kinds of machine", () => {
  for (const seed of seeds(30)) {
    const draw = dice(seed);
    const evictOneIn = 1 + draw(20);
    const odds = { sets: 2, ways: 2, evictOneIn, prefetchOneIn: 4, random: source(seed) };
    const { cpu } = bench(draw(3) === 0 ? undefined : { ...CACHE, ...odds });
    const base = BASES[draw(3)] + (draw(2) === 0 ? 0 : SIZE - 600);
    const expected = new Uint8Array(600);
    const seen = new Uint8Array(600);
    for (let n = 0; n < 80; n++) {
      const length = draw(200);
      const [from, to] = [draw(300 - length), 300 + draw(300 - length)];
      const data = Uint8Array.from({ length }, () => draw(256));
      switch (draw(3)) {
        case 0:
          expect(cpu.copy(base + to, base + from, length)).toBe(Errno.OK);
          expected.copyWithin(to, from, from + length);
          break;
        case 1:
          expect(cpu.fill(base + to, length, n)).toBe(Errno.OK);
          expected.fill(n, to, to + length);
          break;
        default:
          expect(cpu.write(base + from, data)).toBe(Errno.OK);
          expected.set(data, from);
      }
      cpu.read(base, seen);
      expect(Buffer.compare(seen, expected), `seed ${seed}, step ${n}`).toBe(0);
      cpu.check();
    }
  }
});

test("maintenance of a coherent machine does nothing, and there is no line", () => {
  const { cpu } = bench();
  for (const act of ["writeBack", "invalidate", "writeBackInvalidate"] as const) {
    cpu[act](LOW, SIZE);
    cpu[act](0, 2 ** 52);
  }
  expect([cpu.coherent, cpu.lineSize, cpu.cache]).toEqual([true, 0, null]);
});

describe("combined stores", () => {
  test("wait until they are drained, and only what was stored arrives", () => {
    const { combine, cpu, ram } = bench();
    cpu.write(LOW, ramp(16));
    combine(LOW + 2, bytes(91, 92));
    combine(LOW + 7, bytes(97));
    combine(LOW + 3, bytes(93));
    expect([ram(LOW, 8), cpu.combinedBytes]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8], 3]);
    cpu.drain();
    expect([ram(LOW, 9), cpu.combinedBytes]).toEqual([[1, 2, 91, 93, 5, 6, 7, 97, 9], 0]);
    cpu.check();
  });

  test("arrive when their line is full: 64 bytes, or those of a cache line", () => {
    for (const [cache, line] of [
      [undefined, 64],
      [CACHE, 32],
      [{ ...CACHE, line: 128 }, 128],
    ] as const) {
      const { combine, cpu, ram } = bench(cache);
      combine(HIGH, ramp(line - 1));
      expect([ram(HIGH, 1), cpu.combinedBytes]).toEqual([[0], line - 1]);
      combine(HIGH + line - 1, bytes(9));
      expect([ram(HIGH, 1), ram(HIGH + line - 1, 1), cpu.combinedBytes]).toEqual([[1], [9], 0]);
    }
  });

  test("of five lines: the line that was opened first goes", () => {
    const { combine, cpu, ram } = bench();
    for (const line of [3, 1, 0, 2]) combine(LOW + line * 64, bytes(line + 1));
    combine(LOW + 3 * 64 + 1, bytes(44)); // still the first
    const arrived = () => [0, 1, 2, 3, 4, 5].map((line) => ram(LOW + line * 64, 1)[0]);
    expect(arrived()).toEqual([0, 0, 0, 0, 0, 0]);
    combine(LOW + 4 * 64, bytes(5));
    expect([arrived(), ram(LOW + 3 * 64, 2)]).toEqual([
      [0, 0, 0, 4, 0, 0],
      [4, 44],
    ]);
    combine(LOW + 5 * 64, bytes(6));
    expect([arrived(), cpu.combinedBytes]).toEqual([[0, 2, 0, 4, 0, 0], 4]);
    cpu.check();
  });

  test("arrive before an uncached or combined load of their line, not before one beside it", () => {
    for (const attr of [UNCACHED, WRITE_COMBINING]) {
      const { combine, cpu } = bench();
      const seen = new Uint8Array(4);
      combine(LOW + 64, ramp(4));
      cpu.read(LOW + 60, seen, 0, 4, attr);
      cpu.read(LOW + 128, seen, 0, 4, attr);
      expect(cpu.combinedBytes).toBe(4);
      cpu.read(LOW + 61, seen, 0, 4, attr);
      expect(cpu.combinedBytes).toBe(0);
      cpu.read(LOW + 64, seen, 0, 4, attr);
      expect([...seen]).toEqual([1, 2, 3, 4]);
    }
  });

  test("arrive before an uncached store, which is then not overwritten", () => {
    const { combine, cpu, ram } = bench();
    combine(LOW, ramp(4));
    cpu.write(LOW + 1, bytes(9), 0, 1, UNCACHED);
    cpu.drain();
    expect(ram(LOW, 4)).toEqual([1, 9, 3, 4]);
  });

  test("are not seen by a device or through the cache before that", () => {
    const { combine, cpu, device } = bench(CACHE);
    combine(LOW, ramp(4));
    const seen = new Uint8Array(4);
    cpu.read(LOW, seen);
    expect([...seen, device.read32(LOW)]).toEqual([0, 0, 0, 0, 0]);
    cpu.drain();
    cpu.read(LOW, seen);
    expect([...seen, device.read32(LOW)]).toEqual([0, 0, 0, 0, 0x0403_0201]);
  });

  test("arrive before a register write and at a write barrier, not before a read or a read barrier", () => {
    const { bus, combine, cpu, device } = bench();
    const seen: number[] = [];
    const handler = {
      mmioRead: () => device.read32(LOW),
      mmioWrite: () => void seen.push(device.read32(LOW)),
    };
    const regs = bus.mapWindow({ name: "toy0", base: 0xfe00_0000, size: 64, handler });
    combine(LOW, bytes(1));
    expect(regs.read4(0)).toBe(0);
    regs.barrier(0, 64, BARRIER_READ);
    expect(cpu.combinedBytes).toBe(1);
    regs.write4(0, 1);
    combine(LOW, bytes(2));
    regs.barrier(0, 64, BARRIER_WRITE);
    expect([device.read32(LOW), cpu.combinedBytes]).toEqual([2, 0]);
    combine(LOW, bytes(3));
    regs.setRegion4(0, 0, 2);
    combine(LOW, bytes(4));
    bus.spaceAt(0xfe00_0000, 4).subregion(0, 1).write1(0, 0);
    expect(seen).toEqual([1, 3, 3, 4]);
  });

  test("reach RAM as a model has it", () => {
    for (const seed of seeds(60)) {
      const draw = dice(seed);
      const { cpu, combine, mem } = bench(draw(2) === 0 ? undefined : CACHE);
      const line = cpu.coherent ? 64 : 32;
      const ram = new Map<number, number>();
      const open = new Map<number, Map<number, number>>(); // in the order of opening
      const arrive = (base: number) => {
        for (const [pa, value] of open.get(base) ?? []) ram.set(pa, value);
        open.delete(base);
      };
      const base = BASES[draw(3)] + (draw(2) === 0 ? 0 : SIZE - 1024);
      for (let n = 0; n < 100; n++) {
        const at = draw(1024);
        const data = Uint8Array.from({ length: 1 + draw(Math.min(100, 1024 - at)) }, () =>
          draw(256),
        );
        if (draw(20) === 0) {
          cpu.drain();
          for (const each of open.keys()) arrive(each);
        }
        combine(base + at, data);
        for (const [i, value] of data.entries()) {
          const pa = base + at + i;
          const start = Math.floor(pa / line) * line;
          if (!open.has(start) && open.size === 4) arrive([...open.keys()][0]);
          if (!open.has(start)) open.set(start, new Map());
          open.get(start)!.set(pa, value);
          const end = i === data.length - 1 || (pa + 1) % line === 0;
          if (end && open.get(start)!.size === line) arrive(start);
        }
        cpu.check();
        const waiting = [...open.values()].reduce((sum, stored) => sum + stored.size, 0);
        expect(cpu.combinedBytes, `seed ${seed}, step ${n}`).toBe(waiting);
        const seen = new Uint8Array(1024);
        mem.read(base, seen);
        const wrong = seen.findIndex((value, i) => value !== (ram.get(base + i) ?? 0));
        expect(wrong, `seed ${seed}, step ${n}`).toBe(-1);
      }
    }
  });
});
