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
