/** MMIO windows: where they may lie, and what a driver's accesses look like to the device. */
import { Errno, ErrnoError, MiB, Panic } from "@physio/kern";
import type { MmioHandler } from "@physio/membus";
import { BARRIER_READ, BARRIER_WRITE, BusSpace, Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Trace } from "@physio/trace";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** Registers that remember, and a log of every access. */
function registers() {
  const words = new Map<number, number>();
  const log: string[] = [];
  const handler: MmioHandler = {
    mmioRead(offset, size) {
      log.push(`r${size} ${offset}`);
      return words.get(offset) ?? 0;
    },
    mmioWrite(offset, size, value) {
      log.push(`w${size} ${offset}=${value.toString(16)}`);
      words.set(offset, value);
    },
  };
  return { handler, log, words };
}

function bench() {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: MiB },
      { base: 2 ** 33, size: MiB },
    ],
  });
  const bus = new Membus({ mem, trace: new Trace(), now: () => 0 });
  const device = registers();
  const map = (base: number, size: number) =>
    bus.mapWindow({ name: "nvme0", base, size, handler: device.handler });
  return { bus, ...device, map };
}

describe("mapWindow", () => {
  const clashes: [name: string, base: number, size: number][] = [
    ["RAM", 0, 0x1000],
    ["the last page of RAM", MiB - 0x1000, 0x2000],
    ["RAM above 2^32", 2 ** 33 + 0x1000, 0x1000],
    ["all of RAM", 2 ** 33 - 0x1000, 2 * MiB],
    ["the same window", 0xfe00_0000, 0x4000],
    ["the window's start", 0xfdff_f000, 0x1001],
    ["the window's last byte", 0xfe00_3fff, 1],
    ["all of the window", 0xfd00_0000, 0x200_0000],
  ];
  for (const [name, base, size] of clashes) {
    test(`over ${name} is EEXIST`, () => {
      const { map } = bench();
      map(0xfe00_0000, 0x4000);
      expect(() => map(base, size)).toThrow(ErrnoError);
      expect(() => map(base, size)).toThrow(expect.objectContaining({ errno: Errno.EEXIST }));
    });
  }

  test("names the window in its refusal", () => {
    const { map } = bench();
    expect(() => map(0, 0x1000)).toThrow("membus: window nvme0 at 0x0+0x1000 is taken: EEXIST");
  });

  test("takes what touches others without covering them, and a refusal takes nothing", () => {
    const { map } = bench();
    map(MiB, 0x1000);
    expect(() => map(MiB, 0x3000)).toThrow(ErrnoError);
    map(MiB + 0x1000, 0x1000);
    map(2 ** 33 - 0x1000, 0x1000);
    expect(map(2 ** 33 + MiB, 0x1000).window.base).toBe(2 ** 33 + MiB);
  });
});

describe("a bus space", () => {
  test("passes offsets and unsigned words", () => {
    const { map, log, words } = bench();
    const space = map(0xfe00_0000, 0x100);
    space.write4(0x10, 0xdeadbeef);
    space.write4(0x14, -1);
    words.set(0x18, -2);
    expect([space.read4(0x10), space.read4(0x14), space.read4(0x18), space.read4(0xfc)]).toEqual([
      0xdeadbeef, 0xffff_ffff, 0xffff_fffe, 0,
    ]);
    expect(log.slice(0, 3)).toEqual(["w4 16=deadbeef", "w4 20=ffffffff", "r4 16"]);
  });

  test("makes two words of eight bytes, the low one first", () => {
    const { map, log } = bench();
    const space = map(0xfe00_0000, 0x100);
    space.write8(0x28, 0x12_3456_789a_bcde);
    expect(space.read8(0x28)).toBe(0x12_3456_789a_bcde);
    expect(log).toEqual(["w4 40=789abcde", "w4 44=123456", "r4 40", "r4 44"]);
  });

  test("gives back every value below 2^53 that was written", () => {
    const space = bench().map(0xfe00_0000, 0x100);
    fc.assert(
      fc.property(fc.nat(30), fc.maxSafeNat(), (word, value) => {
        space.write8(word * 4, value);
        expect(space.read8(word * 4)).toBe(value);
        expect(space.read4(word * 4)).toBe(Number(BigInt(value) & 0xffff_ffffn));
        expect(space.read4(word * 4 + 4)).toBe(Number(BigInt(value) >> 32n));
      }),
      { numRuns: 300, ...SEED },
    );
  });

  test("a barrier is a place inside of the window and reaches no register", () => {
    const { map, log } = bench();
    const space = map(0xfe00_0000, 0x100);
    space.barrier(0, 0x100, BARRIER_READ | BARRIER_WRITE);
    space.barrier(0x10, 4, BARRIER_WRITE);
    expect(log).toEqual([]);
    expect(() => space.barrier(0xfc, 8, BARRIER_READ)).toThrow(Panic);
  });

  for (const offset of [-4, 0x100, 0xfe, 1, 2, 6, Number.NaN]) {
    test(`a word at offset ${offset} of a window of 0x100 panics`, () => {
      const { map, log } = bench();
      const space = map(0xfe00_0000, 0x100);
      expect(() => space.read4(offset)).toThrow(Panic);
      expect(() => space.write4(offset, 1)).toThrow("bus_space nvme0: offset");
      expect(log).toEqual([]);
    });
  }

  test("eight bytes that leave the window panic", () => {
    const space = bench().map(0xfe00_0000, 0x100);
    expect(() => space.read8(0xfc)).toThrow(Panic);
    expect(() => space.write8(0xfc, 1)).toThrow(Panic);
  });
});

describe("accesses of each size", () => {
  test("reach the device as such, and come back unsigned", () => {
    const { map, log, words } = bench();
    const space = map(0xfe00_0000, 0x100);
    space.write1(3, 0xff);
    space.write2(6, 0xfffe);
    space.write4(8, 0xffff_fffd);
    expect([space.read1(3), space.read2(6), space.read4(8)]).toEqual([0xff, 0xfffe, 0xffff_fffd]);
    expect(log).toEqual(["w1 3=ff", "w2 6=fffe", "w4 8=fffffffd", "r1 3", "r2 6", "r4 8"]);
    words.set(3, 0xffff_ffff); // a device that refuses the size
    words.set(6, -1);
    expect([space.read1(3), space.read2(6)]).toEqual([0xff, 0xffff]);
  });

  const offsets: [size: 1 | 2 | 4, bad: number[], good: number[]][] = [
    [1, [-1, 0x100, 0.5, Number.NaN, Number.POSITIVE_INFINITY], [0, 1, 0xff]],
    [2, [-2, 0x100, 0xff, 1, 3, 0.5, Number.NaN], [0, 2, 0xfe]],
    [4, [-4, 0x100, 0xfe, 1, 2, 6, 0.5, Number.NaN], [0, 4, 0xfc]],
  ];
  for (const [size, bad, good] of offsets) {
    test(`of ${size} at an offset that is not in the window, or no multiple of ${size}, panic`, () => {
      const { map, log } = bench();
      const space = map(0xfe00_0000, 0x100);
      const read = (offset: number) => space[`read${size}` as const](offset);
      const write = (offset: number) => space[`write${size}` as const](offset, 0);
      for (const offset of bad) {
        expect(() => read(offset)).toThrow(`bus_space nvme0: offset ${offset} size`);
        expect(() => write(offset)).toThrow(Panic);
      }
      expect(log).toEqual([]);
      for (const offset of good) expect(read(offset)).toBe(0);
    });
  }

  test("with a value that does not fit panic with it, and reach nobody", () => {
    const { map, log } = bench();
    const space = map(0xfe00_0000, 0x100);
    const odd = [Number.NaN, 0.5, Number.POSITIVE_INFINITY];
    for (const value of [-1, 256, ...odd]) {
      expect(() => space.write1(4, value)).toThrow(`bus_space nvme0: ${value} does not fit at 0x4`);
    }
    for (const value of [-1, 65_536, ...odd]) expect(() => space.write2(4, value)).toThrow(Panic);
    for (const value of [-(2 ** 31) - 1, 2 ** 32, ...odd]) {
      expect(() => space.write4(4, value)).toThrow(Panic);
      expect(() => space.setRegion4(4, value, 1)).toThrow(Panic);
      expect(() => space.writePair(4, value, 0)).toThrow(Panic);
      expect(() => space.writePair(4, 0, value)).toThrow(Panic);
    }
    for (const value of [-1, 2 ** 53, ...odd]) expect(() => space.write8(8, value)).toThrow(Panic);
    expect(log).toEqual([]);
  });

  test("panic with the window's name when the device answers with no 32-bit number", () => {
    const { map, words } = bench();
    const space = map(0xfe00_0000, 0x100);
    for (const answer of [Number.NaN, 0.5, 2 ** 32, -(2 ** 31) - 1, Number.POSITIVE_INFINITY]) {
      words.set(4, answer);
      expect(() => space.read4(4)).toThrow(`bus_space nvme0: the device answers ${answer} at 0x4`);
      expect(() => space.read1(4)).toThrow(Panic);
      expect(() => space.readRegion4(0, new Uint32Array(2))).toThrow(Panic);
    }
  });

  test("of eight bytes read no number from 2^53 on; a pair takes any bits", () => {
    const { map, log, words } = bench();
    const space = map(0xfe00_0000, 0x100);
    words.set(0, 5);
    words.set(4, 2 ** 21);
    expect(() => space.read8(0)).toThrow("bus_space nvme0: offset 0x0 holds 2097152:5");
    words.set(4, 2 ** 21 - 1);
    words.set(0, -1);
    expect(space.read8(0)).toBe(2 ** 53 - 1);
    const pair = new Uint32Array(3);
    log.length = 0;
    space.writePair(8, 0xffff_fffe, -1);
    space.readPair(8, pair);
    expect([...pair]).toEqual([0xffff_fffe, 0xffff_ffff, 0]);
    expect(log).toEqual(["w4 8=fffffffe", "w4 12=ffffffff", "r4 8", "r4 12"]);
    expect(() => space.readPair(0xfc, pair)).toThrow(Panic);
    expect(() => space.writePair(2, 0, 0)).toThrow(Panic);
    expect(() => space.readPair(8, new Uint32Array(1))).toThrow("a pair into 1 words");
  });
});

describe("several words", () => {
  test("go to one register again and again", () => {
    const { map, log } = bench();
    const space = map(0xfe00_0000, 0x100);
    const from = Uint32Array.of(1, 2, 3, 0xffff_ffff);
    space.writeMulti4(8, from);
    space.writeMulti4(12, from, 1, 2);
    expect(log).toEqual(["w4 8=1", "w4 8=2", "w4 8=3", "w4 8=ffffffff", "w4 12=2", "w4 12=3"]);
    const to = new Uint32Array(4);
    space.readMulti4(12, to, 1, 2);
    expect([...to]).toEqual([0, 3, 3, 0]);
  });

  test("go to registers in a row", () => {
    const { map, log } = bench();
    const space = map(0xfe00_0000, 0x100);
    space.writeRegion4(0xf8, Uint32Array.of(7, 8));
    space.setRegion4(0x10, -1, 3);
    space.setRegion4(0x100, 0, 0);
    expect(log).toEqual([
      "w4 248=7",
      "w4 252=8",
      "w4 16=ffffffff",
      "w4 20=ffffffff",
      "w4 24=ffffffff",
    ]);
    const to = new Uint32Array(5);
    space.readRegion4(0x14, to, 1, 3);
    expect([...to]).toEqual([0, 0xffff_ffff, 0xffff_ffff, 0, 0]);
    space.readRegion4(0xf8, to, 3);
    expect([...to.subarray(3)]).toEqual([7, 8]);
  });

  test("that leave the window or the array panic before the first access", () => {
    const { map, log } = bench();
    const space = map(0xfe00_0000, 0x100);
    const three = new Uint32Array(3);
    for (const act of ["readRegion4", "writeRegion4"] as const) {
      expect(() => space[act](0xf8, three)).toThrow(Panic);
      expect(() => space[act](2, three)).toThrow(Panic);
    }
    expect(() => space.setRegion4(0xf8, 0, 3)).toThrow(Panic);
    expect(() => space.setRegion4(0, 0, 0.5)).toThrow("0.5 words");
    expect(() => space.setRegion4(0, 0, -1)).toThrow("-1 words");
    for (const act of ["readMulti4", "writeMulti4", "readRegion4", "writeRegion4"] as const) {
      expect(() => space[act](0, three, 1, 3)).toThrow("bus_space nvme0: 3 words at 1 of 3");
      expect(() => space[act](0, three, 4)).toThrow(Panic);
      expect(() => space[act](0, three, 0, Number.NaN)).toThrow(Panic);
      expect(() => space[act](0, three, 0.5, 1)).toThrow(Panic);
      expect(() => space[act](-4, three)).toThrow(Panic);
    }
    expect(log).toEqual([]);
  });
});

describe("a part of a window", () => {
  test("has offsets of its own, and the device sees those of the window", () => {
    const { map, log } = bench();
    const part = map(2 ** 33 + MiB, 0x100)
      .subregion(0x40, 0x20)
      .subregion(0x10, 0x10);
    part.write4(4, 9);
    part.read2(0xe);
    expect([part.start, part.size, part.base - 2 ** 33 - MiB]).toEqual([0x50, 0x10, 0x50]);
    expect(log).toEqual(["w4 84=9", "r2 94"]);
    expect(() => part.read4(0x10)).toThrow("offset 16 size 4 in a window of 0x10");
    expect(() => part.barrier(8, 9, BARRIER_READ)).toThrow(Panic);
  });

  test("is aligned as the window is", () => {
    const part = bench().map(0xfe00_0000, 0x100).subregion(2, 8);
    expect(() => part.read4(0)).toThrow(Panic);
    expect([part.read4(2), part.read2(0)]).toEqual([0, 0]);
  });

  test("that is not in its space is EINVAL", () => {
    const space = bench().map(0xfe00_0000, 0x100).subregion(0, 0x80);
    for (const [offset, size] of [
      [0, 0x81],
      [0x80, 1],
      [-1, 4],
      [0, 0],
      [0.5, 4],
      [0, Number.NaN],
    ]) {
      expect(() => space.subregion(offset, size)).toThrow(
        `bus_space nvme0: subregion at ${offset}+${size} of 128: EINVAL`,
      );
    }
  });

  test("is found by its physical address", () => {
    const { bus, map, log } = bench();
    map(0xfe00_0000, 0x100);
    const top = map(2 ** 52 - 0x100, 0x100);
    bus.spaceAt(0xfe00_0020, 0x10).write4(4, 1);
    bus.spaceAt(2 ** 52 - 4, 4).write4(0, 2);
    expect(bus.spaceAt(2 ** 52 - 0x100, 0x100).window).toBe(top.window);
    expect(log).toEqual(["w4 36=1", "w4 252=2"]);
  });

  test("that no window holds whole is ENXIO, what is no range EINVAL", () => {
    const { bus, map } = bench();
    map(0xfe00_0000, 0x100);
    map(0xfe00_0100, 0x100);
    for (const [pa, length] of [
      [0, 4],
      [0xfdff_ffff, 2],
      [0xfe00_00ff, 2],
      [0xfe00_0200, 1],
      [2 ** 33, 4],
    ]) {
      expect(() => bus.spaceAt(pa, length)).toThrow(
        expect.objectContaining({ errno: Errno.ENXIO }),
      );
    }
    expect(() => bus.spaceAt(0, 4)).toThrow("membus: bus space at 0x0+0x4: no window: ENXIO");
    for (const [pa, length] of [
      [-4, 4],
      [Number.NaN, 4],
      [0.5, 4],
      [0xfe00_0000, 0],
      [0xfe00_0000, Number.NaN],
      [2 ** 52 - 4, 5],
    ]) {
      expect(() => bus.spaceAt(pa, length)).toThrow(`membus: bus space at ${pa}+${length}: EINVAL`);
      expect(() => map(pa, length)).toThrow(`membus: window nvme0 at ${pa}+${length}: EINVAL`);
    }
  });

  test("may be made without a bus", () => {
    const { handler, log } = bench();
    const space = new BusSpace({ name: "toy0", base: 0, size: 16, handler });
    space.write4(0, 1);
    space.barrier(0, 16, BARRIER_WRITE);
    expect([space.start, space.size, space.read4(0), log.length]).toEqual([0, 16, 1, 2]);
  });
});

for (const flags of [-1, 4, 0.5, Number.NaN]) {
  test(`a barrier with flags ${flags} panics`, () => {
    const space = bench().map(0xfe00_0000, 0x100);
    expect(() => space.barrier(0, 4, flags)).toThrow(`barrier at 0+4, flags ${flags}`);
  });
}
