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
  op: fc.constantFrom(
    "read",
    "write",
    "copy",
    "zero",
    "readFrames",
    "writeFrames",
    "fillFrames",
    "copyFrames",
  ),
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
        const fits = Math.max(at, op.startsWith("copy") ? from : 0) + length <= SIZE;
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
        } else if (op === "copyFrames") {
          if (Math.abs(at - from) < length) continue;
          mem.copyFrames(frame, within, frame, from - page * PAGE_SIZE, length);
          model.copyWithin(at, from, from + length);
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
      const [other] = frame === 0 ? [mem.frameOf(2 ** 52 - 1)] : [0];
      expect(() => mem.copyFrames(first, offset, other, 0, length)).toThrow(Panic);
      expect(() => mem.copyFrames(other, 0, first, offset, length)).toThrow(Panic);
      expect(() => mem.fillFrames(first, offset, length, 1)).toThrow(Panic);
    });
  }

  test("no bytes need no frame", () => {
    const mem = bench();
    mem.readFrames(-1, 0, new Uint8Array(1), 0, 0);
    mem.writeFrames(-1, 0, new Uint8Array(1), 1, 0);
    mem.fillFrames(-1, 0, 0, 1);
    mem.copyFrames(-1, 0, -1, 0, 0);
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

describe("what is no whole number", () => {
  const make = () =>
    new PhysMem({
      banks: [
        { base: 0, size: MiB },
        { base: 2 ** 45, size: MiB },
      ],
    });

  for (const pa of [20480.5, 2 ** 45 + 0.5, Number.NaN, -0.5]) {
    test(`as address ${pa} is EFAULT, and no frame`, () => {
      const mem = make();
      const bytes = new Uint8Array(8).fill(1);
      expect([mem.frameOf(pa), mem.isRam(pa, 1), mem.isRam(pa, 0)]).toEqual([-1, false, false]);
      expect([mem.write(pa, bytes), mem.read(pa, bytes)]).toEqual([Errno.EFAULT, Errno.EFAULT]);
      expect([mem.fill(pa, 4, 1), mem.zero(pa, 4)]).toEqual([Errno.EFAULT, Errno.EFAULT]);
      expect([mem.copy(pa, 0, 4), mem.copy(0, pa, 4), mem.touchedBytes]).toEqual([
        Errno.EFAULT,
        Errno.EFAULT,
        0,
      ]);
    });
  }

  for (const length of [0.5, 3.5, Number.NaN, -1]) {
    test(`as length ${length} is EFAULT, by frame a panic`, () => {
      const mem = make();
      const bytes = new Uint8Array(8).fill(1);
      expect(mem.write(0, bytes, 0, length)).toBe(Errno.EFAULT);
      expect([mem.read(0, bytes, 0, length), mem.copy(0, 4096, length)]).toEqual([14, 14]);
      expect(mem.fill(0, length, 1)).toBe(Errno.EFAULT);
      expect(() => mem.writeFrames(0, 0, bytes, 0, length)).toThrow(Panic);
      expect(() => mem.readFrames(0, 0, bytes, 0, length)).toThrow(Panic);
      expect(() => mem.fillFrames(0, 0, length, 1)).toThrow(Panic);
    });
  }

  for (const at of [0.5, Number.NaN, -1, 5, Number.POSITIVE_INFINITY]) {
    test(`as place ${at} in the array panics`, () => {
      const mem = make();
      const bytes = new Uint8Array(8).fill(1);
      expect(() => mem.write(0, bytes, at, 4)).toThrow(
        `write of 4 bytes at ${at} of an array of 8`,
      );
      expect(() => mem.read(0, bytes, at, 4)).toThrow(`read of 4 bytes to ${at} in an array of 8`);
      expect(() => mem.writeFrames(0, 8, bytes, at, 4)).toThrow(Panic);
      expect([[...bytes], mem.touchedBytes]).toEqual([new Array(8).fill(1), 0]);
    });
  }

  for (const offset of [0.5, Number.NaN, -1, MiB]) {
    test(`or outside of RAM as offset ${offset} from a frame panics`, () => {
      const mem = make();
      expect(() => mem.writeFrames(0, offset, new Uint8Array(4), 0, 4)).toThrow("does not exist");
    });
  }

  for (const value of [Number.NaN, 300, 256, -1, 0.5]) {
    test(`or no byte, as ${value}, fills nothing`, () => {
      const mem = make();
      expect(() => mem.fill(0, 16, value)).toThrow(`fill of 16 bytes with ${value}`);
      expect(() => mem.fillFrames(0, 0, 16, value)).toThrow(Panic);
      expect(mem.touchedBytes).toBe(0);
    });
  }
});

describe("a copy of ranges that overlap", () => {
  for (const [to, from] of [
    [SECTION - 100, SECTION - 50],
    [SECTION - 50, SECTION - 100],
    [64, 64],
  ]) {
    test(`panics: ${from} to ${to}`, () => {
      const mem = new PhysMem({ banks: [{ base: 2 ** 40, size: 16 * MiB }] });
      const bytes = pattern(300, 4);
      mem.write(2 ** 40 + SECTION - 150, bytes);
      expect(() => mem.copy(2 ** 40 + to, 2 ** 40 + from, 100)).toThrow("overlaps");
      const frame = mem.frameOf(2 ** 40);
      expect(() => mem.copyFrames(frame, to, frame, from, 100)).toThrow("overlaps");
      const seen = new Uint8Array(300);
      mem.read(2 ** 40 + SECTION - 150, seen);
      expect(seen).toEqual(bytes);
      expect(mem.copy(2 ** 40 + to, 2 ** 40 + from, 0)).toBe(Errno.OK);
    });
  }

  test("is none when they touch", () => {
    const mem = new PhysMem({ banks: [{ base: 0, size: 16 * MiB }] });
    mem.write(0, pattern(100, 4));
    expect([mem.copy(100, 0, 100), mem.copy(SECTION, 100, 100)]).toEqual([Errno.OK, Errno.OK]);
    expect(mem.copy(SECTION - 100, SECTION, 100)).toBe(Errno.OK);
    const seen = new Uint8Array(100);
    mem.read(SECTION - 100, seen);
    expect(seen).toEqual(pattern(100, 4));
  });
});

test("a copy may leave a page, a section or neither, on each side", () => {
  const within = 2 * PAGE_SIZE + 100;
  const places = [within, PAGE_SIZE - 50, SECTION - 50];
  for (const to of places) {
    for (const from of places) {
      const mem = new PhysMem({ banks: [{ base: 0, size: 3 * SECTION }] });
      const source = from + (from === SECTION - 50 ? SECTION : 8 * PAGE_SIZE);
      mem.write(source, pattern(100, to));
      mem.copyFrames(mem.frameOf(0), to, mem.frameOf(PAGE_SIZE), source - PAGE_SIZE, 100);
      const seen = new Uint8Array(102);
      mem.read(to - 1, seen);
      expect(seen).toEqual(Uint8Array.of(0, ...pattern(100, to), 0));
    }
  }
});

describe("bytes of the host", () => {
  test("go when a section is wholly free, and it reads as zeros", () => {
    const mem = new PhysMem({ banks: [{ base: 2 ** 40, size: 16 * MiB }] });
    const first = mem.allocContig(3072);
    const pa = mem.addrOf(first);
    mem.fill(pa, 12 * MiB, 7);
    const seen = new Uint8Array(64);
    mem.read(pa + SECTION, seen); // its view is remembered
    mem.view(first + 1024).setUint8(0, 1);
    mem.freeFrame(first + 1024, 1023);
    expect(mem.touchedBytes).toBe(12 * MiB);
    mem.freeFrame(first + 2047);
    mem.allocContig(1025); // drains the cache of single frames
    expect([mem.touchedBytes, mem.hasBytes(first + 1024)]).toEqual([8 * MiB, false]);
    mem.read(pa + SECTION, seen);
    expect(new Set(seen)).toEqual(new Set([0]));
    mem.write(pa + SECTION + 1, Uint8Array.of(9));
    mem.read(pa + SECTION, seen);
    expect([seen[0], seen[1], mem.view(first + 1024).getUint8(1)]).toEqual([0, 9, 9]);
    mem.read(pa, seen);
    expect(new Set(seen)).toEqual(new Set([7]));
  });

  test("are no more than a bank has of a section, and go as well", () => {
    const base = 2 ** 40 + 3 * MiB;
    const mem = new PhysMem({
      banks: [
        { base, size: 3 * PAGE_SIZE },
        { base: base + SECTION, size: 3 * MiB },
      ],
    });
    const first = mem.allocContig(3, { low: base, high: base + 3 * PAGE_SIZE });
    mem.write(base + PAGE_SIZE - 1, Uint8Array.of(1, 2));
    expect([mem.touchedBytes, mem.bytes(first).length, mem.byteOffset(first + 2)]).toEqual([
      3 * PAGE_SIZE,
      3 * PAGE_SIZE,
      2 * PAGE_SIZE,
    ]);
    expect([...mem.bytes(first).subarray(PAGE_SIZE - 1, PAGE_SIZE + 1)]).toEqual([1, 2]);
    const next = base + SECTION;
    mem.write(next + MiB - 2, Uint8Array.of(1, 2, 3, 4)); // over a section's border
    expect(mem.touchedBytes).toBe(3 * PAGE_SIZE + 3 * MiB);
    const seen = new Uint8Array(4);
    mem.read(next + MiB - 2, seen);
    expect([...seen]).toEqual([1, 2, 3, 4]);
    mem.freeFrame(first, 3);
    expect(mem.touchedBytes).toBe(3 * MiB);
  });

  test("of lent memory are the lender's, and stay", () => {
    const lent = new Uint8Array(8 * MiB).fill(5);
    const mem = new PhysMem({ banks: [{ base: 0, adopt: lent }] });
    mem.freeFrame(mem.allocContig(1024, { high: MiB * 64 }), 1024);
    expect([mem.hasBytes(0), lent[0], lent[4 * MiB]]).toEqual([true, 5, 5]);
  });
});
