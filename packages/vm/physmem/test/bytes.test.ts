/** The bytes of RAM: against one plain array, across section borders; what is untouched; what is no RAM. */
import { Errno, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };
const SECTION = 4 * MiB;
const BASE = 2 ** 40 + 0x5000;
const SIZE = 9 * MiB;

const pattern = (length: number, salt: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + salt * 13 + 1) & 0xff);

/** Offsets into the bank, often just before a section border or the bank's end. */
const offset = fc.oneof(
  fc.nat(SIZE - 1),
  fc
    .tuple(fc.constantFrom(SECTION - 0x5000, 2 * SECTION - 0x5000, SIZE, 0x1000), fc.nat(6000))
    .map(([edge, before]) => Math.max(0, edge - 1 - before)),
);
const step = fc.record({
  op: fc.constantFrom("read", "write", "copy", "zero", "readFrames", "writeFrames", "fillFrames"),
  at: offset,
  from: offset,
  length: fc.oneof(fc.nat(9), fc.nat(12_000)),
  salt: fc.nat(255),
});

test("read, write, copy and zero, by address and by frame, agree with one plain array", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const mem = new PhysMem({ banks: [{ base: BASE, size: SIZE }] });
      const model = new Uint8Array(SIZE);
      for (const { op, at, from, length, salt } of steps) {
        const fits = Math.max(at, op === "copy" ? from : 0) + length <= SIZE;
        const expected = fits ? Errno.OK : Errno.EFAULT;
        // A frame at or before the first byte, and where the byte is from its start on.
        const page = Math.floor(Math.min(from, at) / PAGE_SIZE);
        const [frame, within] = [mem.frameOf(BASE + page * PAGE_SIZE), at - page * PAGE_SIZE];
        if (op.endsWith("Frames") && !fits) continue; // the caller's fault: see below
        if (op === "read") {
          const to = pattern(length + 5, salt);
          const copy = to.slice();
          if (fits) copy.set(model.subarray(at, at + length), 3);
          expect(mem.read(BASE + at, to, 3, length)).toBe(expected);
          expect(Buffer.compare(to, copy)).toBe(0);
        } else if (op === "write") {
          const bytes = pattern(length + 5, salt);
          expect(mem.write(BASE + at, bytes, 2, length)).toBe(expected);
          if (fits) model.set(bytes.subarray(2, 2 + length), at);
        } else if (op === "copy") {
          if (Math.abs(at - from) < length) continue;
          expect(mem.copy(BASE + at, BASE + from, length)).toBe(expected);
          if (fits) model.copyWithin(at, from, from + length);
        } else if (op === "readFrames") {
          const to = pattern(length + 5, salt);
          const copy = to.slice();
          copy.set(model.subarray(at, at + length), 3);
          mem.readFrames(frame, within, to, 3, length);
          expect(Buffer.compare(to, copy)).toBe(0);
        } else if (op === "writeFrames") {
          const bytes = pattern(length + 5, salt);
          mem.writeFrames(frame, within, bytes, 2, length);
          model.set(bytes.subarray(2, 2 + length), at);
        } else if (op === "fillFrames") {
          mem.fillFrames(frame, within, length, salt % 2 === 0 ? 0 : salt);
          model.fill(salt % 2 === 0 ? 0 : salt, at, at + length);
        } else {
          expect(mem.zero(BASE + at, length)).toBe(expected);
          if (fits) model.fill(0, at, at + length);
        }
      }
      const all = new Uint8Array(SIZE);
      expect(mem.read(BASE, all)).toBe(Errno.OK);
      expect(Buffer.compare(all, model)).toBe(0);
    }),
    { numRuns: 25, ...SEED },
  );
});

describe("bytes by frame", () => {
  const bench = () =>
    new PhysMem({
      banks: [
        { base: 2 ** 33, size: 2 * PAGE_SIZE },
        { base: 2 ** 52 - PAGE_SIZE, size: PAGE_SIZE },
      ],
    });

  test("an offset may lie behind the frame's end", () => {
    const mem = bench();
    const frame = mem.frameOf(2 ** 33);
    mem.writeFrames(frame, PAGE_SIZE - 1, Uint8Array.of(0, 1, 2, 3), 1, 2);
    mem.fillFrames(frame, PAGE_SIZE + 1, 2, 9);
    const seen = new Uint8Array(5);
    mem.read(2 ** 33 + PAGE_SIZE - 1, seen, 0, 4);
    expect([...seen]).toEqual([1, 2, 9, 9, 0]);
    mem.readFrames(frame, PAGE_SIZE + 1, seen, 3, 2);
    expect([...seen.subarray(3)]).toEqual([9, 9]);
    mem.writeFrames(mem.frameOf(2 ** 52 - 1), PAGE_SIZE - 1, seen, 0, 1);
    mem.read(2 ** 52 - 1, seen, 4, 1);
    expect(seen[4]).toBe(1);
  });

  const wrong: { name: string; frame: number; offset: number; at: number; length: number }[] = [
    { name: "no frame", frame: -1, offset: 0, at: 0, length: 1 },
    { name: "a frame that does not exist", frame: 2 ** 20, offset: 0, at: 0, length: 1 },
    { name: "no number", frame: Number.NaN, offset: 0, at: 0, length: 1 },
    { name: "an offset behind the bank", frame: 0, offset: 2 * PAGE_SIZE, at: 0, length: 1 },
    { name: "a range that leaves the bank", frame: 0, offset: PAGE_SIZE, at: 0, length: 4097 },
    { name: "a length below 0", frame: 0, offset: 0, at: 0, length: -1 },
    { name: "a length that is no number", frame: 0, offset: 0, at: 0, length: Number.NaN },
  ];
  const room = [
    { name: "a place before the array", frame: 0, offset: 0, at: -1, length: 1 },
    { name: "more than the array has", frame: 0, offset: 0, at: 8000, length: 193 },
  ];
  for (const { name, frame, offset, at, length } of [...wrong, ...room]) {
    test(`${name} panics`, () => {
      const mem = bench();
      const first = frame === 0 ? mem.frameOf(2 ** 33) : frame;
      const bytes = new Uint8Array(8192);
      expect(() => mem.readFrames(first, offset, bytes, at, length)).toThrow(Panic);
      expect(() => mem.writeFrames(first, offset, bytes, at, length)).toThrow(Panic);
      if (name.includes("array")) return;
      expect(() => mem.fillFrames(first, offset, length, 1)).toThrow(Panic);
    });
  }

  test("no bytes need no frame", () => {
    const mem = bench();
    mem.readFrames(-1, 0, new Uint8Array(1), 0, 0);
    mem.writeFrames(-1, 0, new Uint8Array(1), 1, 0);
    mem.fillFrames(-1, 0, 0, 1);
    expect(mem.touchedBytes).toBe(0);
  });
});

describe("untouched RAM", () => {
  const bench = () => new PhysMem({ banks: [{ base: 0, size: 64 * MiB }] });

  test("reads as zeros and stays untouched", () => {
    const mem = bench();
    const to = pattern(3 * PAGE_SIZE, 1);
    expect(mem.read(SECTION - PAGE_SIZE, to)).toBe(Errno.OK);
    expect([to.every((byte) => byte === 0), mem.touchedBytes]).toEqual([true, 0]);
  });

  test("stays untouched when it is filled with zeros", () => {
    const mem = bench();
    expect([mem.zero(0, 64 * MiB), mem.touchedBytes]).toEqual([Errno.OK, 0]);
  });

  test("stays untouched when it is copied from, and clears what it is copied to", () => {
    const mem = bench();
    mem.write(0x100, pattern(0x100, 3));
    expect(mem.copy(0x140, 8 * MiB, 0x40)).toBe(Errno.OK);
    expect(mem.copy(16 * MiB, 8 * MiB, SECTION)).toBe(Errno.OK);
    expect(mem.touchedBytes).toBe(SECTION);
    const to = new Uint8Array(0x100);
    mem.read(0x100, to);
    expect([...to]).toEqual([...pattern(0x100, 3).fill(0, 0x40, 0x80)]);
  });

  test("is touched a section at a time, by its first byte", () => {
    const mem = bench();
    mem.write(SECTION - 1, new Uint8Array([1]));
    expect(mem.touchedBytes).toBe(SECTION);
    mem.write(3 * SECTION - 1, new Uint8Array([1, 2]));
    expect(mem.touchedBytes).toBe(3 * SECTION);
  });
});

describe("outside of RAM", () => {
  const banks = [
    { base: 0x10000, size: 16 * PAGE_SIZE },
    { base: 2 ** 33, size: 16 * PAGE_SIZE },
  ];
  const cases: [name: string, pa: number, length: number][] = [
    ["below the first bank", 0, 16],
    ["into the first bank", 0x10000 - 1, 2],
    ["out of the first bank", 0x10000 + 16 * PAGE_SIZE - 1, 2],
    ["between the banks", 2 ** 32, 1],
    ["from bank to bank", 0x10000, 2 ** 33],
    ["above the last bank", 2 ** 33 + 16 * PAGE_SIZE, 1],
    ["at an address that is none", -1, 1],
    ["at no number", Number.NaN, 1],
  ];
  for (const [name, pa, length] of cases) {
    test(`${name}: EFAULT, and nothing moves`, () => {
      const mem = new PhysMem({ banks });
      const bytes = pattern(Math.min(length, 64), 9);
      const before = bytes.slice();
      expect(mem.read(pa, bytes, 0, length)).toBe(Errno.EFAULT);
      expect(mem.write(pa, bytes, 0, length)).toBe(Errno.EFAULT);
      expect(mem.zero(pa, length)).toBe(Errno.EFAULT);
      expect(mem.copy(pa, 0x10000, length)).toBe(Errno.EFAULT);
      expect(mem.copy(0x10000, pa, length)).toBe(Errno.EFAULT);
      expect([[...bytes], mem.touchedBytes]).toEqual([[...before], 0]);
    });
  }
});

test("bytes, byteOffset and view show the same RAM as read and write", () => {
  const mem = new PhysMem({ banks: [{ base: BASE, size: SIZE }] });
  const pa = BASE + SECTION;
  const frame = mem.frameOf(pa);
  mem.write(pa, new Uint8Array([0x78, 0x56, 0x34, 0x12]));
  expect(mem.view(frame).getUint32(mem.byteOffset(frame), true)).toBe(0x12345678);
  mem.bytes(frame)[mem.byteOffset(frame) + 1] = 0xff;
  const to = new Uint8Array(4);
  mem.read(pa, to);
  expect([...to]).toEqual([0x78, 0xff, 0x34, 0x12]);
});

test("two memories in one process share nothing", () => {
  const [a, b] = [0, 1].map(() => new PhysMem({ banks: [{ base: 0, size: 4 * MiB }] }));
  a.write(0x1000, pattern(64, 5));
  const frame = a.allocFrame();
  const to = new Uint8Array(64);
  expect([b.read(0x1000, to), b.touchedBytes]).toEqual([Errno.OK, 0]);
  expect([to.every((byte) => byte === 0), b.freeFrames]).toEqual([true, b.totalFrames]);
  expect(() => b.freeFrame(frame)).toThrow();
});
