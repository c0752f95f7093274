/** MMIO windows: where they may lie, and what a driver's accesses look like to the device. */
import { Errno, ErrnoError, MiB, Panic } from "@physio/kern";
import type { MmioHandler } from "@physio/membus";
import { BARRIER_READ, BARRIER_WRITE, Membus } from "@physio/membus";
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
