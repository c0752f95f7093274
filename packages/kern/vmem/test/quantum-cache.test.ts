/**
 * Quantum caches, by hand: pieces and slabs, what stays and what goes back, and what is refused.
 * With quantum 0x10 and sizes up to 0x30 a slab is 0x100: 16 pieces of 0x10, 8 of 0x20, 5 of 0x30.
 */
import { Errno, Panic } from "@physio/kern";
import { Arena } from "@physio/vmem";
import { describe, expect, test } from "vitest";

function cachedArena(base: number, size: number): Arena {
  const it = new Arena("test", 0x10, { quantumCacheMax: 0x30 });
  it.add(base, size);
  return it;
}

/** The segments that caches have cut up: start and size of the pieces. */
function slabs(it: Arena): [number, number][] {
  const found: [number, number][] = [];
  for (const { start, pieceSize } of it.segments()) {
    if (pieceSize > 0) found.push([start, pieceSize]);
  }
  return found;
}

for (const base of [0x10000, 2 ** 40, 2 ** 52 - 0x1000]) {
  describe(`from ${base}`, () => {
    test("a cached size comes from a slab on a multiple of its size", () => {
      const it = new Arena("test", 0x10, { quantumCacheMax: 0x30 });
      it.add(base + 0x10, 0xff0);
      const at = [it.alloc(0x30), it.alloc(0x21), it.alloc(0x20), it.alloc(1)];
      expect(at.map((a) => a - base)).toEqual([0x100, 0x130, 0x200, 0x300]);
      expect(slabs(it)).toEqual([
        [base + 0x100, 0x30],
        [base + 0x200, 0x20],
        [base + 0x300, 0x10],
      ]);
      expect([it.allocated, it.cached, it.freeSize]).toEqual([0x90, 0x300 - 0x90, 0xff0 - 0x90]);
      it.check();
    });

    test("a slab of five holds five; the tail of 0x10 is nobody's", () => {
      const it = cachedArena(base, 0x1000);
      const at = Array.from({ length: 6 }, () => it.alloc(0x30) - base);
      expect(at).toEqual([0, 0x30, 0x60, 0x90, 0xc0, 0x100]);
      expect([it.allocated, it.cached]).toEqual([6 * 0x30, 0x200 - 6 * 0x30]);
      it.check();
    });

    test("what was freed last is taken first", () => {
      const it = cachedArena(base, 0x1000);
      const [a, b, c] = [it.alloc(0x20), it.alloc(0x20), it.alloc(0x20)];
      it.free(c, 0x20);
      it.free(a, 0x20);
      it.check();
      expect([it.alloc(0x20), it.alloc(0x20), it.alloc(0x20)]).toEqual([a, c, b + 0x40]);
    });

    test("one empty slab of each size stays until it is drained, the others go back", () => {
      const it = cachedArena(base, 0x1000);
      const pieces = Array.from({ length: 48 }, () => it.alloc(0x10));
      const other = it.alloc(0x30);
      expect(slabs(it).length).toBe(4);
      for (const at of pieces) it.free(at, 0x10);
      expect(slabs(it).map((s) => s[1])).toEqual([0x10, 0x30]);
      it.check();
      it.free(other, 0x30);
      expect([it.allocated, it.cached]).toEqual([0, 0x200]);
      expect([it.drainCaches(), it.drainCaches()]).toEqual([0x200, 0]);
      expect([it.cached, it.maxFree]).toEqual([0, 0x1000]);
      it.check();
    });

    test("larger sizes and constrained ones pass the caches by", () => {
      const it = cachedArena(base, 0x1000);
      const at = [it.alloc(0x31), it.alloc(0x20, {}), it.xalloc(0x20)];
      expect(at.map((a) => a - base)).toEqual([0, 0x40, 0x60]);
      expect([it.cached, it.allocated]).toEqual([0, 0x80]);
      it.free(at[1], 0x20);
      it.free(at[0], 0x31);
      it.free(at[2], 0x20);
      expect([it.maxFree, it.cached]).toEqual([0x1000, 0]);
      it.check();
    });

    test("where no slab fits the size comes from the arena itself", () => {
      const it = cachedArena(base, 0xf0);
      const at = [it.alloc(0x20), it.alloc(0x20)];
      expect([it.cached, it.allocated]).toEqual([0, 0x40]);
      for (const a of at) it.free(a, 0x20);
      expect(it.maxFree).toBe(0xf0);
      it.check();
    });

    test("empty slabs are given up before an allocation fails", () => {
      const it = cachedArena(base, 0x300);
      const at = [it.alloc(0x10), it.alloc(0x20), it.alloc(0x30)];
      it.free(at[0], 0x10);
      it.free(at[1], 0x20);
      expect([it.alloc(0x300), it.maxFree]).toEqual([-1, 0x200]); // the 0x30 is still held
      it.free(at[2], 0x30);
      expect(it.alloc(0x300)).toBe(base);
      it.check();
    });

    test("freeing a piece twice, with another size, or a part of it panics with values", () => {
      const it = cachedArena(base, 0x1000);
      const [a, b] = [it.alloc(0x20), it.alloc(0x20)];
      expect(() => it.free(b, 0x10)).toThrow(`free of ${b} with size 16, allocated 32`);
      expect(() => it.free(b, 0x30)).toThrow(`free of ${b} with size 48, allocated 32`);
      expect(() => it.free(b, 0x100)).toThrow(`free of ${b} with size 256, allocated 32`);
      expect(() => it.free(b + 0x10, 0x20)).toThrow(`free of ${b + 0x10}, which is not allocated`);
      expect(() => it.free(b + 0x20, 0x20)).toThrow(Panic); // a piece that nobody holds
      expect(() => it.free(a, 0x100)).toThrow(`free of ${a} with size 256, allocated 32`);
      it.free(b, 0x20);
      expect(() => it.free(b, 0x20)).toThrow(`vmem test: free of ${b}, which is not allocated`);
      it.free(a, 0x20);
      expect(() => it.free(a, 0x20)).toThrow(`vmem test: free of ${a}, which is not allocated`);
      expect(() => it.free(a, 0x100)).toThrow("which is not allocated"); // the slab is not theirs
      it.check();
      expect(it.allocated).toBe(0);
    });
  });
}

test("the tail of a slab is no piece", () => {
  const it = cachedArena(0, 0x1000);
  const at = Array.from({ length: 5 }, () => it.alloc(0x30));
  expect(() => it.free(0xf0, 0x30)).toThrow("free of 240, which is not allocated");
  for (const a of at) it.free(a, 0x30);
  it.check();
});

test("NaN and negative numbers are not allocated", () => {
  const it = cachedArena(0, 0x1000);
  const at = it.alloc(0x10);
  for (const bad of [Number.NaN, -0x10, 0.5, 2 ** 53, Number.POSITIVE_INFINITY]) {
    expect(() => it.free(bad, 0x10)).toThrow(`free of ${bad}, which is not allocated`);
    expect(() => it.free(at, bad)).toThrow(bad === 0.5 ? "0.5" : `size ${bad}, allocated 16`);
  }
  for (const bad of [0, Number.NaN, -0x10, 16.5]) {
    expect(() => it.alloc(bad)).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
  }
  it.check();
});

for (const [name, quantum, quantumCacheMax] of [
  ["not a multiple of the quantum", 0x10, 0x18],
  ["below 0", 0x10, -0x10],
  ["no number", 0x10, Number.NaN],
  ["more than 64 quanta", 0x10, 0x410],
  ["with slabs beyond the highest address", 2 ** 50, 2 ** 50],
] as const) {
  test(`a largest size that is refused: ${name}`, () => {
    const make = () => new Arena("bad", quantum, { quantumCacheMax });
    expect(make).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
    expect(make).toThrow(`vmem bad: quantumCacheMax ${quantumCacheMax} with quantum ${quantum}`);
  });
}

test("64 cached sizes, the most there may be, each give back all they took", () => {
  const it = new Arena("test", 1, { quantumCacheMax: 64 });
  it.add(2 ** 40, 2 ** 20);
  const held: [number, number][] = [];
  for (let round = 0; round < 320; round++) {
    const size = 1 + ((round * 37) % 64);
    held.push([it.alloc(size), size]);
  }
  it.check();
  // Five of each size: one slab has room for them up to size 51, four from size 52 on.
  expect(slabs(it).length).toBe(51 + 2 * 13);
  for (const [at, size] of held) it.free(at, size);
  expect([it.allocated, it.drainCaches(), it.maxFree]).toEqual([0, 64 * 256, 2 ** 20]);
  it.check();
});
