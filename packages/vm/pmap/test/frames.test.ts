/** Copies between an address space and frames: what copyin and copyout move, without the host's array in between. */
import { PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { Enter, HostSpace, PmapBit, Prot } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import { dice, RW, random, SEED, userBench } from "./fixture.ts";

const VA = 0x4000;
const PAGES = 4;
const ROUNDS = 60;
const seed = SEED.seed ?? 1;

/** A space of four pages in any frames, and as many frames of a file, all with bytes of their own. */
function bench(attr: Enter = 0, cache = false) {
  const m = userBench(cache ? { cache: { line: 64, sets: 16, ways: 4, random: random(1) } } : {});
  const [mapped, file] = [0, 1].map(() => Array.from({ length: PAGES }, () => m.b.frame()));
  for (const [i, frame] of mapped.entries()) m.pmap.enter(VA + i * PAGE_SIZE, frame, RW, attr);
  const bytes = (first: number) =>
    Uint8Array.from({ length: PAGE_SIZE }, (_, i) => (i * 7 + first) % 251);
  for (const [i, frame] of mapped.entries()) {
    m.b.cpu.writeFrame(frame, 0, bytes(i), 0, PAGE_SIZE, attrOf(attr));
  }
  for (const [i, frame] of file.entries()) {
    m.b.cpu.writeFrame(frame, 0, bytes(100 + i), 0, PAGE_SIZE);
  }
  return { ...m, mapped, file };
}

const attrOf = (attr: Enter): 0 | 1 => (attr === 0 ? 0 : 1);

describe.each([
  { name: "a coherent machine", attr: 0, cache: false },
  { name: "a cache", attr: 0, cache: true },
  { name: "an uncached mapping", attr: Enter.UNCACHED, cache: true },
])("frames and a space, with $name", ({ attr, cache }) => {
  test("move what copyin and copyout move", () => {
    const m = bench(attr, cache);
    const roll = dice(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const offset = roll(PAGE_SIZE);
      const length = roll(PAGE_SIZE - offset + 1);
      const va = VA + roll(PAGES * PAGE_SIZE - length);
      const frame = m.file[roll(PAGES)];
      const [there, here] = [new Uint8Array(length), new Uint8Array(length)];
      if (round % 2 === 0) {
        m.b.cpu.readFrame(frame, offset, here, 0, length);
        expect(m.space.copyoutFrames(va, frame, offset, length)).toBe(length);
        m.space.copyin(va, there, 0, length);
      } else {
        m.space.copyin(va, there, 0, length);
        expect(m.space.copyinFrames(va, frame, offset, length)).toBe(length);
        m.b.cpu.readFrame(frame, offset, here, 0, length);
      }
      expect(there, `seed ${seed}, round ${round}`).toEqual(here);
    }
  });
});

test("a page of a file is copied onto its own mapping, and onto itself further on", () => {
  const m = bench();
  const before = new Uint8Array(PAGE_SIZE);
  m.b.cpu.readFrame(m.mapped[1], 0, before, 0, PAGE_SIZE);
  expect(m.space.copyoutFrames(VA + PAGE_SIZE, m.mapped[1], 0, PAGE_SIZE)).toBe(PAGE_SIZE);
  const after = new Uint8Array(PAGE_SIZE);
  m.b.cpu.readFrame(m.mapped[1], 0, after, 0, PAGE_SIZE);
  expect(after).toEqual(before);
  expect(m.space.copyoutFrames(VA + PAGE_SIZE + 100, m.mapped[1], 0, 3000)).toBe(3000);
  m.b.cpu.readFrame(m.mapped[1], 0, after, 0, PAGE_SIZE);
  expect(after.subarray(100, 3100)).toEqual(before.subarray(0, 3000));
});

test("copies stop at the first page that may not be accessed, and mark those before it", () => {
  const m = bench();
  m.pmap.protect(VA + PAGE_SIZE, PAGE_SIZE, Prot.READ);
  const bits = () => m.mapped.map((f) => m.mem.section(f).pmapBits[f & ROW_MASK]);
  for (const f of m.mapped) m.mem.section(f).pmapBits[f & ROW_MASK] = 0;
  expect(m.space.copyoutFrames(VA + 4000, m.file[0], 0, 200)).toBe(PAGE_SIZE - 4000);
  expect(bits()).toEqual([PmapBit.REFERENCED | PmapBit.MODIFIED, 0, 0, 0]);
  expect(m.space.copyinFrames(VA + 4000, m.file[0], 0, 200)).toBe(200);
  expect(bits()[1]).toBe(PmapBit.REFERENCED);
  expect(m.space.copyinFrames(VA + PAGES * PAGE_SIZE - 10, m.file[0], 0, 200)).toBe(10);
});

test("a space of the host's moves as much as it has room for, also from a part of its array", () => {
  const m = bench();
  const all = new Uint8Array(300);
  const host = new HostSpace(m.b.pmaps, all.subarray(100));
  const page = new Uint8Array(PAGE_SIZE);
  m.b.cpu.readFrame(m.file[2], 0, page, 0, PAGE_SIZE);
  expect(host.copyoutFrames(50, m.file[2], 7, 500)).toBe(150);
  expect(all.subarray(150)).toEqual(page.subarray(7, 157));
  for (const value of [1, 2]) {
    all.fill(value, 120, 220);
    expect(host.copyinFrames(20, m.file[3], 1000, 100)).toBe(100);
    m.b.cpu.readFrame(m.file[3], 1000, page, 0, 100);
    expect(page.subarray(0, 100)).toEqual(new Uint8Array(100).fill(value));
  }
  all.fill(3, 0, 120);
  expect(host.copyinFrames(10, m.file[3], 1000, 100)).toBe(100);
  m.b.cpu.readFrame(m.file[3], 1000, page, 0, 100);
  expect(page.subarray(0, 100)).toEqual(all.subarray(110, 210));
  expect(host.copyinFrames(300, m.file[3], 0, 10)).toBe(0);
  host.close();
});
