/** Device ports: what is within reach moves, what is not moves nothing and is recorded. */
import { Errno, GiB, MAXADDR_32BIT, MiB, PAGE_SIZE } from "@physio/kern";
import { formatFault, Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Ktr, Trace } from "@physio/trace";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** 2 MiB at 0, 2 MiB below 3 GiB, 16 MiB from 4 GiB − 8 MiB; a device that reaches 32 bits. */
function bench(highest = MAXADDR_32BIT) {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: 2 * MiB },
      { base: 3 * GiB - 2 * MiB, size: 2 * MiB },
      { base: 4 * GiB - 8 * MiB, size: 16 * MiB },
    ],
  });
  const trace = new Trace();
  const clock = { time: 0 };
  const bus = new Membus({ mem, trace, now: () => clock.time });
  return { mem, trace, clock, bus, port: bus.devicePort({ name: "ide", highest }) };
}

const bytes = (...list: number[]) => Uint8Array.from(list);

describe("within reach", () => {
  test("a write reaches RAM and a read comes from it", () => {
    const { mem, port } = bench();
    expect(port.write(0x1234, bytes(1, 2, 3, 4))).toBe(Errno.OK);
    const seen = new Uint8Array(4);
    mem.read(0x1234, seen);
    expect([...seen]).toEqual([1, 2, 3, 4]);
    mem.write(0x1235, bytes(9));
    expect(port.read(0x1234, seen)).toBe(Errno.OK);
    expect([...seen]).toEqual([1, 9, 3, 4]);
    expect([port.bytesRead, port.bytesWritten, port.faultCount]).toEqual([4, 4, 0]);
  });

  test("part of an array is moved when a place and a length are given", () => {
    const { port } = bench();
    port.write(0x100, bytes(1, 2, 3, 4, 5), 1, 3);
    const seen = new Uint8Array(6).fill(0xee);
    port.read(0x100, seen, 2, 3);
    expect([...seen]).toEqual([0xee, 0xee, 2, 3, 4, 0xee]);
    port.read(0x100, seen, 4);
    expect([...seen.subarray(4)]).toEqual([2, 3]);
  });

  test("moves of any length are whole, also across pages and sections", () => {
    const { mem, port } = bench();
    const data = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
    const seen = new Uint8Array(300);
    for (const border of [PAGE_SIZE, 3 * GiB - 2 * MiB + PAGE_SIZE, 4 * GiB - 4 * MiB]) {
      for (const length of [1, 4, 63, 64, 65, 128, 299]) {
        for (const at of [border - length, border - 1, border, border - length + 1]) {
          port.write(at, data, 1, length);
          mem.read(at, seen, 0, length);
          expect([...seen.subarray(0, length)]).toEqual([...data.subarray(1, 1 + length)]);
          mem.write(at, data, 0, length);
          port.read(at, seen, 1, length);
          expect([...seen.subarray(1, 1 + length)]).toEqual([...data.subarray(0, length)]);
        }
      }
    }
  });

  test("the last byte of the reach is within it", () => {
    const { port } = bench();
    expect(port.write(4 * GiB - 4, bytes(0x78, 0x56, 0x34, 0x92))).toBe(Errno.OK);
    expect(port.read32(4 * GiB - 4)).toBe(0x92345678);
  });

  test("nothing at all may be moved anywhere in RAM", () => {
    const { port } = bench();
    expect([port.read(0, bytes()), port.write(4 * GiB, bytes())]).toEqual([Errno.OK, Errno.OK]);
  });
});

describe("refused", () => {
  const top = 4 * GiB + 8 * MiB;
  const cases = [
    { name: "beyond reach", address: 4 * GiB, length: 16, reason: "beyond reach" },
    { name: "across the reach border", address: 4 * GiB - 15, length: 16, reason: "beyond reach" },
    { name: "far beyond all", address: 2 ** 52, length: 1, reason: "beyond reach" },
    { name: "into a hole", address: 2 * MiB, length: 16, reason: "no memory" },
    { name: "across a bank's end", address: 2 * MiB - 15, length: 16, reason: "no memory" },
    {
      name: "into a bank from below",
      address: 3 * GiB - 2 * MiB - 1,
      length: 2,
      reason: "no memory",
    },
    {
      name: "over the end of a hole",
      address: 3 * GiB - 2 * MiB - 15,
      length: 16,
      reason: "no memory",
    },
    { name: "below 0", address: -4, length: 4, reason: "beyond reach" },
    { name: "no whole number", address: 0.5, length: 4, reason: "beyond reach" },
    {
      name: "past all RAM, far reach",
      address: top - 1,
      length: 2,
      reason: "no memory",
      far: true,
    },
  ] as const;
  for (const { name, address, length, reason, ...rest } of cases) {
    test(`${name}: EFAULT, a record, and no byte moved`, () => {
      const { mem, port, clock, bus } = bench("far" in rest ? 2 ** 52 - 1 : MAXADDR_32BIT);
      clock.time = 1234;
      const data = new Uint8Array(16).fill(0x5a);
      expect(port.read(address, data, 0, length)).toBe(Errno.EFAULT);
      clock.time = 5678;
      expect(port.write(address, data, 0, length)).toBe(Errno.EFAULT);
      expect([data.every((byte) => byte === 0x5a), mem.touchedBytes]).toEqual([true, 0]);
      expect(port.faults).toEqual([
        { port: "ide", requester: 0, direction: "read", address, length, reason, time: 1234 },
        { port: "ide", requester: 0, direction: "write", address, length, reason, time: 5678 },
      ]);
      expect([port.faultCount, bus.faultCount]).toEqual([2, 2]);
      expect([port.bytesRead, port.bytesWritten]).toEqual([0, 0]);
    });
  }

  test("a 32-bit read is all ones after a fault, also across the border", () => {
    const { port } = bench();
    expect(port.write(4 * GiB - 2, bytes(0, 0))).toBe(Errno.OK);
    const words = [4 * GiB, 4 * GiB - 2, 2 * MiB, 0].map((address) => port.read32(address));
    expect(words).toEqual([0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0]);
    expect(port.faultCount).toBe(3);
  });

  test("the first 64 faults are kept, all are counted", () => {
    const { port, clock } = bench();
    for (let i = 0; i < 200; i++) {
      clock.time = i;
      port.read32(4 * GiB + i * 4);
    }
    expect([port.faults.length, port.faultCount]).toEqual([64, 200]);
    expect([port.faults[0].time, port.faults[63].time]).toEqual([0, 63]);
  });

  test("a fault is traced and prints on a line", () => {
    const { port, trace } = bench();
    trace.mask = Ktr.FAULT;
    port.write(4 * GiB, new Uint8Array(PAGE_SIZE));
    expect(trace.format()).toBe(`0.000 bus fault address=${4 * GiB} length=4096 write=1`);
    expect(formatFault(port.faults[0])).toBe("ide write 0x100000000+4096: beyond reach");
  });
});

test("each port has its own reach, name and faults", () => {
  const { bus, port } = bench();
  const isa = bus.devicePort({ name: "isa", highest: MiB - 1 });
  expect([port.read32(MiB), isa.read32(MiB)]).toEqual([0, 0xffff_ffff]);
  expect(bus.ports.map(({ name, faultCount }) => [name, faultCount])).toEqual([
    ["ide", 0],
    ["isa", 1],
  ]);
  expect(bus.faultCount).toBe(1);
});

test("an access moves all of its bytes or none, by the definition of reach and RAM", () => {
  const edge = fc.constantFrom(0, 2 * MiB, 3 * GiB - 2 * MiB, 3 * GiB, 4 * GiB - 8 * MiB, 4 * GiB);
  const access = fc.tuple(edge, fc.integer({ min: -40, max: 40 }), fc.integer({ min: 1, max: 64 }));
  const { mem, port } = bench();
  fc.assert(
    fc.property(access, fc.integer({ min: 1, max: 255 }), ([at, delta, length], value) => {
      const address = at + delta;
      const last = address + length - 1;
      const ram = mem.banks.some((bank) => address >= bank.base && last < bank.end);
      const expected = ram && last <= MAXADDR_32BIT ? Errno.OK : Errno.EFAULT;
      const faults = port.faultCount;
      const seen = new Uint8Array(length).fill(0xee);
      expect(port.write(address, new Uint8Array(length).fill(value))).toBe(expected);
      expect(port.read(address, seen)).toBe(expected);
      expect(seen.every((byte) => byte === (expected === Errno.OK ? value : 0xee))).toBe(true);
      expect(port.faultCount - faults).toBe(expected === Errno.OK ? 0 : 2);
    }),
    { numRuns: 1000, ...SEED },
  );
});
