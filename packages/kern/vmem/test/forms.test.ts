/**
 * The forms of a call: fit strategies by hand, xalloc, queries, walks, `onFree`, and many segments.
 */
import { Errno, ErrnoError, MAXADDR, Panic } from "@physio/kern";
import type { ArenaSegment } from "@physio/vmem";
import { Arena, Fit, SizeOf } from "@physio/vmem";
import { describe, expect, test } from "vitest";

/** An arena of [`base`, `base + size`), with all of it used but for the `holes`. */
function withHoles(base: number, size: number, holes: [number, number][]): Arena {
  const it = new Arena("test", 0x10);
  it.add(base, size);
  expect(it.alloc(size)).toBe(base);
  it.free(base, size);
  let at = 0;
  for (const [start, length] of [...holes, [size, 0]]) {
    if (start > at) expect(it.alloc(start - at, { min: base + at })).toBe(base + at);
    at = start + length;
  }
  it.check();
  return it;
}

describe("fit strategies, by hand: holes of 0x80 at 0x100, 0x50 at 0x200, 0x70 at 0x300, 0x50 at 0x400", () => {
  const holes: [number, number][] = [
    [0x100, 0x80],
    [0x200, 0x50],
    [0x300, 0x70],
    [0x400, 0x50],
  ];
  const make = (base: number) => withHoles(base, 0x500, holes);

  for (const base of [0, 0x8000, 2 ** 40, 2 ** 52 - 0x500]) {
    const best = (it: Arena, size: number, align = 0, max = MAXADDR) => {
      const at = it.xalloc(size, align, 0, 0, 0, max, Fit.BEST);
      it.check();
      return at < 0 ? at : at - base;
    };
    const next = (it: Arena, size: number, min = 0, max = MAXADDR) => {
      const at = it.alloc(size, { fit: Fit.NEXT, min, max });
      it.check();
      return at < 0 ? at : at - base;
    };

    test(`BEST takes the smallest hole that fits, from ${base}`, () => {
      const it = make(base);
      expect(best(it, 0x60)).toBe(0x300); // not the 0x80 of the class above
      expect(best(it, 0x80)).toBe(0x100);
      expect(best(it, 0x50, 0, base + 0x27f)).toBe(0x200);
      expect(best(it, 0x50, 0x100)).toBe(0x400);
      expect([best(it, 0x20), best(it, 0x10), best(it, 0x10)]).toEqual([-1, 0x360, -1]);
    });

    test(`BEST passes a smaller hole where the constraints leave no place, from ${base}`, () => {
      const it = make(base);
      expect(it.alloc(0x10, { min: base + 0x200, max: base + 0x20f })).toBe(base + 0x200);
      expect(best(it, 0x40, 0, base + 0x2ff)).toBe(0x210);
      expect(best(it, 0x50, 0x100)).toBe(0x400);
      expect(best(it, 0x50, 0x100)).toBe(0x300);
    });

    test(`NEXT goes up from where it was, and round, from ${base}`, () => {
      const it = make(base);
      expect([next(it, 0x40), next(it, 0x40), next(it, 0x40)]).toEqual([0x100, 0x140, 0x200]);
      it.free(base + 0x100, 0x40); // below the cursor: not before the next round
      expect([next(it, 0x40), next(it, 0x40), next(it, 0x40)]).toEqual([0x300, 0x400, 0x100]);
      expect([next(it, 0x30), next(it, 0x30)]).toEqual([0x340, -1]);
    });

    test(`NEXT does not go back into a hole that grew together round its cursor, from ${base}`, () => {
      const it = make(base);
      expect([next(it, 0x20), next(it, 0x20)]).toEqual([0x100, 0x120]);
      it.free(base + 0x100, 0x20);
      it.free(base + 0x120, 0x20);
      expect([next(it, 0x20), next(it, 0x20)]).toEqual([0x140, 0x160]);
      expect(next(it, 0x80)).toBe(-1);
      expect(next(it, 0x40, 0, base + 0x1ff)).toBe(0x100);
    });
  }

  test("an unknown strategy is refused", () => {
    const it = make(0);
    const asked = () => it.xalloc(0x10, 0, 0, 0, 0, MAXADDR, 3 as Fit);
    expect(asked).toThrow(ErrnoError);
    expect(asked).toThrow(
      "vmem test: size 16 align 16 phase 0 nocross 0 min 0 max 4503599627370495 fit 3",
    );
    expect(() => it.alloc(0x10, { fit: Number.NaN as Fit })).toThrow("fit NaN");
  });
});

describe("xalloc", () => {
  test("takes the constraints in the order of vmem_xalloc(9), 0 is no alignment", () => {
    const it = new Arena("test", 0x10);
    it.add(2 ** 40, 0x10000);
    expect(it.xalloc(1)).toBe(2 ** 40);
    expect(it.xalloc(0x100, 0x1000)).toBe(2 ** 40 + 0x1000);
    expect(it.xalloc(0x100, 0x1000, 0x20)).toBe(2 ** 40 + 0x20);
    expect(it.xalloc(0x800, 0, 0, 0x1000, 2 ** 40 + 0x4900)).toBe(2 ** 40 + 0x5000);
    expect(it.xalloc(0x100, 0, 0, 0, 2 ** 40 + 0x6001, 2 ** 40 + 0x610f)).toBe(2 ** 40 + 0x6010);
    expect(it.xalloc(0x100, 0, 0, 0, 2 ** 40 + 0x6001, 2 ** 40 + 0x610f)).toBe(-1);
    it.check();
    expect(it.allocated).toBe(0x10 + 0x100 * 3 + 0x800);
  });

  for (const [name, args] of [
    ["a size of 0", [0]],
    ["a size that is no number", [Number.NaN]],
    ["a size that is not whole", [16.5]],
    ["an alignment that is no power of 2", [16, 48]],
    ["an alignment below the quantum", [16, 8]],
    ["an alignment that is no number", [16, Number.NaN]],
    ["a phase of the alignment", [16, 32, 32]],
    ["a phase without an alignment", [16, 0, 16]],
    ["a phase that is no number", [16, 32, Number.NaN]],
    ["a boundary below the size", [64, 0, 0, 32]],
    ["a boundary that is no number", [64, 0, 0, Number.NaN]],
    ["min above max", [16, 0, 0, 0, 64, 32]],
    ["a min that is no number", [16, 0, 0, 0, Number.NaN]],
    ["a min that is not whole", [16, 0, 0, 0, 0.5]],
    ["a max that is not whole", [16, 0, 0, 0, 0, 64.5]],
    ["a max that is no exact number", [16, 0, 0, 0, 0, 2 ** 53]],
    ["a max that is no number", [16, 0, 0, 0, 0, Number.NaN]],
  ] as [string, [number, ...number[]]][]) {
    test(`refuses ${name}, and the next call is as if nothing had been`, () => {
      const it = new Arena("test", 0x10);
      it.add(0, 0x100);
      const [size, align, phase, nocross, min, max] = args;
      const asked = () => it.xalloc(size, align, phase, nocross, min, max);
      expect(asked).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(asked).toThrow("vmem test: size");
      expect([it.allocated, it.alloc(0x100)]).toEqual([0, 0]);
      it.check();
    });
  }
});

describe("queries", () => {
  test("sizes add up, and the largest free segment is exact", () => {
    const it = withHoles(0x1000, 0x500, [
      [0x100, 0x90],
      [0x200, 0xf0],
      [0x400, 0xe0],
    ]);
    expect([it.maxFree, it.freeSize, it.allocated, it.total]).toEqual([0xf0, 0x260, 0x2a0, 0x500]);
    expect(it.size(SizeOf.ALLOC)).toBe(0x2a0);
    expect(it.size(SizeOf.FREE)).toBe(0x260);
    expect(it.size(SizeOf.ALLOC | SizeOf.FREE)).toBe(0x500);
    expect(it.size(SizeOf.MAXFREE)).toBe(0xf0);
    expect(() => it.size(0)).toThrow(Panic);
    const empty = new Arena("empty", 1);
    expect([empty.maxFree, empty.freeSize, empty.alloc(1)]).toEqual([0, 0, -1]);
    empty.check();
  });

  test("segments are walked in address order, with their spans", () => {
    const it = new Arena("test", 0x10);
    it.add(2 ** 40, 0x40);
    it.add(0x100, 0x80);
    it.add(0x80, 0x80);
    const at = it.alloc(0x30, { min: 0x100, max: 0x17f });
    const rows = [...it.segments()].map((s: ArenaSegment) => [s.start, s.size, s.free, s.span]);
    expect(at).toBe(0x100);
    expect(rows).toEqual([
      [0x80, 0x80, true, 0x80],
      [0x100, 0x30, false, 0x80],
      [0x130, 0x50, true, 0x80],
      [2 ** 40, 0x40, true, 2 ** 40],
    ]);
  });

  test("an arena prints what matters", () => {
    const show = (it: Arena) => {
      const shown = it as unknown as Record<symbol, () => string>;
      return shown[Symbol.for("nodejs.util.inspect.custom")]();
    };
    const plain = new Arena("kva", 0x10);
    plain.add(0, 0x100);
    plain.alloc(0x20);
    expect(show(plain)).toBe("Arena(kva: 32 of 256 allocated, quantum 16)");
    const cached = new Arena("iova", 0x10, { quantumCacheMax: 0x10, source: Arena.from(plain) });
    cached.alloc(1);
    expect(show(cached)).toBe(
      "Arena(iova: 16 of 112 allocated, quantum 16, 48 cached up to size 16, imports)",
    );
  });
});

test("onFree is called after each free, when what was freed can be had", () => {
  const it = new Arena("test", 0x10, { quantumCacheMax: 0x20 });
  it.add(0, 0x400);
  let got: number[] = [];
  const whole = it.alloc(0x400);
  const off = it.onFree(() => got.push(it.alloc(0x400)));
  it.free(whole, 0x400);
  expect(got).toEqual([0]);
  got = [];
  off();
  const end = it.onFree(() => got.push(it.allocated));
  it.free(0, 0x400);
  it.free(it.alloc(0x20), 0x20);
  end();
  it.free(it.alloc(0x20), 0x20);
  expect(got).toEqual([0, 0]);
  it.check();
});

test("a size that is a power of 2 goes into a hole of just that size, not into a larger one", () => {
  for (const size of [0x10, 0x40, 0x100]) {
    const it = withHoles(2 ** 40, 0x1000, [
      [0x100, 2 * size],
      [0x400, size],
      [0x800, 4 * size],
    ]);
    expect(it.alloc(size) - 2 ** 40).toBe(0x400);
  }
});

test("spans that touch and are in use become one", () => {
  const it = new Arena("test", 0x10);
  it.add(2 ** 40 + 0x200, 0x100);
  expect(it.alloc(0x40)).toBe(2 ** 40 + 0x200);
  expect(it.alloc(0xc0)).toBe(2 ** 40 + 0x240);
  it.add(2 ** 40, 0x100);
  expect(it.alloc(0x100)).toBe(2 ** 40);
  it.add(2 ** 40 + 0x100, 0x100);
  it.check();
  expect(new Set([...it.segments()].map((s) => s.span))).toEqual(new Set([2 ** 40]));
  it.free(2 ** 40 + 0x200, 0x40);
  it.check();
  expect([it.maxFree, it.alloc(0x140)]).toEqual([0x140, 2 ** 40 + 0x100]);
});

test("10,000 segments in any order: the hash grows, and each is found again", () => {
  for (const base of [0, 2 ** 33, 2 ** 52 - 2 ** 34]) {
    const it = new Arena("test", 0x1000);
    it.add(base, 2 ** 34);
    const held: number[] = [];
    for (let i = 0; i < 10_000; i++) {
      // Odd multiples of a large power of 2, and neighbours: both are spread.
      const far = base + ((i * 7919) % 10_000) * 0x100000;
      held.push(i % 2 === 0 ? it.xalloc(0x1000, 0, 0, 0, far) : it.alloc(0x1000));
    }
    expect(new Set(held).size).toBe(10_000);
    it.check();
    for (let i = 0; i < 10_000; i++) it.free(held[(i * 3571) % 10_000], 0x1000);
    it.check();
    expect([it.allocated, it.maxFree]).toEqual([0, 2 ** 34]);
  }
});

describe("onFree", () => {
  test("calls all hooks in the order of their coming, each until it is ended", () => {
    const it = new Arena("test", 0x10);
    it.add(0, 0x400);
    const log: string[] = [];
    const hook = (name: string) => it.onFree(() => log.push(name));
    const round = () => {
      log.length = 0;
      it.free(it.alloc(0x20), 0x20);
      return log.join(" ");
    };
    expect(round()).toBe("");
    const ends = ["a", "b", "c"].map(hook);
    expect(round()).toBe("a b c");
    ends[1]();
    ends[1]();
    expect(round()).toBe("a c");
    ends[0]();
    ends[2]();
    expect(round()).toBe("");
    hook("d");
    expect(round()).toBe("d");
  });

  test("takes the same hook twice, and each end ends one", () => {
    const it = new Arena("test", 0x10);
    it.add(0, 0x400);
    let count = 0;
    const hook = () => count++;
    const ends = [it.onFree(hook), it.onFree(hook)];
    it.free(it.alloc(1), 1);
    expect(count).toBe(2);
    ends[0]();
    ends[0]();
    it.free(it.alloc(1), 1);
    expect(count).toBe(3);
  });

  test("does not call a hook that an earlier one has ended, or one that has just come", () => {
    const it = new Arena("test", 0x10);
    it.add(0, 0x400);
    const log: string[] = [];
    const ends: (() => void)[] = [];
    ends.push(
      it.onFree(() => {
        log.push("first");
        ends[1]();
        if (log.length === 1) it.onFree(() => log.push("late"));
      }),
      it.onFree(() => log.push("never")),
      it.onFree(() => log.push("last")),
    );
    it.free(it.alloc(1), 1);
    expect(log).toEqual(["first", "last"]);
    it.free(it.alloc(1), 1);
    expect(log).toEqual(["first", "last", "first", "last", "late"]);
  });

  test("passes on what a hook throws, when the arena is in order", () => {
    const it = new Arena("test", 0x10);
    it.add(0, 0x400);
    const end = it.onFree(() => {
      throw new Error("hook");
    });
    const at = it.alloc(0x20);
    expect(() => it.free(at, 0x20)).toThrow("hook");
    expect(it.allocated).toBe(0);
    it.check();
    end();
    it.free(it.alloc(0x400), 0x400);
  });

  for (const bad of [null, undefined, "hook", {}]) {
    test(`refuses ${bad === null ? "null" : typeof bad}`, () => {
      const it = new Arena("test", 0x10);
      const call = () => it.onFree(bad as unknown as () => void);
      expect(call).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(call).toThrow(`vmem test: onFree with ${typeof bad}`);
    });
  }
});

describe("strings, booleans and the like are no numbers", () => {
  const calls: Record<string, (it: Arena, bad: number) => unknown> = {
    "the size of alloc": (it, bad) => it.alloc(bad),
    "the size of alloc with constraints": (it, bad) => it.alloc(bad, {}),
    "the size of xalloc": (it, bad) => it.xalloc(bad),
    align: (it, bad) => it.alloc(0x10, { align: bad }),
    phase: (it, bad) => it.alloc(0x10, { align: 0x40, phase: bad }),
    nocross: (it, bad) => it.alloc(0x10, { nocross: bad }),
    min: (it, bad) => it.alloc(0x10, { min: bad }),
    max: (it, bad) => it.alloc(0x10, { max: bad }),
    "the start of a span": (it, bad) => it.add(bad, 0x10),
    "the size of a span": (it, bad) => it.add(0x1000, bad),
    "the start of free": (it, bad) => it.free(bad, 0x10),
    "the size of free": (it, bad) => it.free(0x10, bad),
    quantum: (_it, bad) => new Arena("bad", bad),
    quantumCacheMax: (_it, bad) => new Arena("bad", 0x10, { quantumCacheMax: bad }),
    importSize: (_it, bad) => new Arena("bad", 0x10, { importSize: bad }),
  };
  for (const [name, call] of Object.entries(calls)) {
    test(`for ${name}`, () => {
      for (const cached of [0, 0x20]) {
        const it = new Arena("test", 0x10, { quantumCacheMax: cached });
        it.add(0, 0x400);
        const held = [it.alloc(0x10), it.alloc(0x10)];
        for (const bad of ["16", true, [16]]) {
          expect(() => call(it, bad as unknown as number), String(bad)).toThrow(
            expect.objectContaining({ errno: Errno.EINVAL }),
          );
        }
        it.check();
        for (const at of held) it.free(at, 0x10);
      }
    });
  }
});
