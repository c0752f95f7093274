/** Wire counts, and what a frame must be to be freed, wired or asked about. */
import { MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem, ROW_MASK } from "@physio/physmem";
import { describe, expect, test } from "vitest";

const bench = () => {
  const mem = new PhysMem({ banks: [{ base: 2 ** 40 + 8 * PAGE_SIZE, size: 9 * MiB }] });
  return { mem, frame: mem.allocFrame() };
};

test("wires are counted", () => {
  const { mem, frame } = bench();
  mem.wire(frame);
  mem.wire(frame);
  expect(mem.section(frame).wireCount[frame & ROW_MASK]).toBe(2);
  expect([mem.unwire(frame), mem.unwire(frame)]).toEqual([1, 0]);
  mem.freeFrame(frame);
  mem.check();
});

test("a wired frame is not freed, alone or in a range, and nothing changes", () => {
  const { mem } = bench();
  const first = mem.allocContig(2000);
  const free = mem.freeFrames;
  mem.wire(first + 1999);
  expect(() => mem.freeFrame(first + 1999)).toThrow(
    `free of frame ${first + 1999}, which is wired`,
  );
  expect(() => mem.freeFrame(first, 2000)).toThrow(Panic);
  expect(mem.freeFrames).toBe(free);
  mem.check();
  mem.unwire(first + 1999);
  mem.freeFrame(first, 2000);
  mem.check();
});

test("65,535 wires are the most", () => {
  const { mem, frame } = bench();
  for (let i = 0; i < 65_535; i++) mem.wire(frame);
  expect(() => mem.wire(frame)).toThrow(`frame ${frame} is wired 65535 times`);
  expect(mem.unwire(frame)).toBe(65_534);
});

test("a frame without a wire is not unwired", () => {
  const { mem, frame } = bench();
  expect(() => mem.unwire(frame)).toThrow(`frame ${frame} is unwired, but not wired`);
});

describe("frames that are not allocated", () => {
  const { mem, frame } = bench();
  const freed = mem.allocFrame();
  mem.freeFrame(freed);
  const cases: [name: string, frame: number, state: string][] = [
    ["one that was freed", freed, "free, in the cache"],
    ["one that was never allocated", frame + 500, "free"],
    ["one of a section that was never split", 2 ** 10 + 3, "free"],
    ["one before its bank", 7, "no RAM"],
    ["one behind the last bank", 8 + 9 * 256, "no RAM"],
    ["one of no section", 2 ** 20, "no RAM"],
    ["none", -1, "no RAM"],
    ["no number", Number.NaN, "no RAM"],
    ["a part of one", frame + 0.5, "allocated"],
    ["one above 2^32", 2 ** 32 + frame, "no RAM"],
  ];
  for (const [name, bad, state] of cases) {
    test(`${name} panics: ${state}`, () => {
      expect(() => mem.assertAllocated(bad)).toThrow(Panic);
      expect(() => mem.wire(bad)).toThrow(`frame ${bad} is not allocated`);
      expect(() => mem.unwire(bad)).toThrow(`frame ${bad} is not allocated`);
      expect(() => mem.freeFrame(bad)).toThrow(`free of frame ${bad}, which is not allocated`);
      expect(() => mem.freeFrame(bad, 2)).toThrow(Panic);
      if (state !== "allocated") expect(() => mem.wire(bad)).toThrow(state);
      mem.check();
    });
  }

  test("an allocated one does not", () => {
    mem.assertAllocated(frame);
  });
});

test("counts that are none are not freed", () => {
  const { mem, frame } = bench();
  for (const count of [0, -1, 1.5, Number.NaN, 2 ** 53])
    expect(() => mem.freeFrame(frame, count)).toThrow(Panic);
  mem.check();
});

test("every column takes part in at most 32 bytes a page", () => {
  const { mem, frame } = bench();
  const columns = Object.values(mem.section(frame)) as { BYTES_PER_ELEMENT: number }[];
  const bytes = columns.reduce((sum, column) => sum + column.BYTES_PER_ELEMENT, 0);
  expect([columns.length, bytes]).toEqual([10, 31]);
  expect(new Set(mem.section(frame).pv)).toEqual(new Set([-1]));
});

describe("a new owner", () => {
  test("finds frames neither modified nor referenced, single, in a range, from the cache or not", () => {
    const { mem } = bench();
    const first = mem.allocContig(2000);
    const set = () => {
      for (let f = first; f < first + 2000; f++) mem.section(f).pmapBits[f & ROW_MASK] = 3;
    };
    const bits = (frame: number) => mem.section(frame).pmapBits[frame & ROW_MASK];
    set();
    mem.freeFrame(first, 2000);
    expect(mem.allocContig(2000)).toBe(first);
    expect(Array.from({ length: 2000 }, (_, i) => bits(first + i)).filter((b) => b !== 0)).toEqual(
      [],
    );
    set();
    for (let f = first; f < first + 2000; f++) mem.freeFrame(f);
    const singles = Array.from({ length: 2000 }, () => mem.allocFrame());
    expect(singles.filter((f) => bits(f) !== 0)).toEqual([]);
  });
});

describe("a mapped frame", () => {
  test("is not freed, alone or in a range, and nothing changes", () => {
    const { mem } = bench();
    const first = mem.allocContig(2000);
    const free = mem.freeFrames;
    for (const at of [0, 1500, 1999]) {
      const frame = first + at;
      mem.section(frame).pv[frame & ROW_MASK] = 77;
      const message = `free of frame ${frame}, which is mapped: pv 77`;
      expect(() => mem.freeFrame(frame)).toThrow(message);
      expect(() => mem.freeFrame(first, 2000)).toThrow(message);
      mem.section(frame).pv[frame & ROW_MASK] = -1;
    }
    expect(mem.freeFrames).toBe(free);
    mem.freeFrame(first, 2000);
    mem.check();
  });
});

describe("a number that is no frame", () => {
  const banks = [
    { base: 5 * PAGE_SIZE, size: 3 * PAGE_SIZE },
    { base: 2 ** 45 + 8 * PAGE_SIZE, size: 5 * MiB },
  ];
  const bad = [
    2,
    4,
    8,
    -1,
    1.5,
    5.5,
    Number.NaN,
    1024,
    2048 + 7,
    2 ** 20,
    2 ** 32 + 5,
    "6" as unknown as number,
  ];
  for (const frame of bad) {
    test(`${frame} panics wherever one is needed`, () => {
      const mem = new PhysMem({ banks });
      mem.allocContig(3);
      const message = `frame ${frame} does not exist`;
      expect(() => mem.addrOf(frame)).toThrow(message);
      expect(() => mem.section(frame)).toThrow(message);
      expect(() => mem.bytes(frame)).toThrow(message);
      expect(() => mem.byteOffset(frame)).toThrow(message);
      expect(() => mem.hasBytes(frame)).toThrow(message);
      expect(() => mem.view(frame)).toThrow(message);
      expect(() => mem.domainOf(frame)).toThrow(message);
      expect(() => mem.readFrames(frame, 0, new Uint8Array(4), 0, 4)).toThrow(Panic);
      expect(() => mem.fillFrames(frame, 0, 4, 1)).toThrow(Panic);
      expect(mem.touchedBytes).toBe(0);
    });
  }

  test("columns come with the first allocation", () => {
    const mem = new PhysMem({ banks: [{ base: 0, size: 8 * MiB }] });
    expect(() => mem.section(1024)).toThrow("frame 1024 has no columns: it was never allocated");
    mem.allocContig(1, { low: 4 * MiB });
    expect(mem.section(1024).pv.length).toBe(1024);
  });
});
