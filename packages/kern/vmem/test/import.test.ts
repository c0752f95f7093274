/**
 * Arenas that import: from another arena, from sources that refuse, misbehave, or call back.
 */
import { Errno, Panic } from "@physio/kern";
import type { ArenaSource } from "@physio/vmem";
import { Arena, Fit } from "@physio/vmem";
import { describe, expect, test } from "vitest";

function family(base: number, importSize: number, quantumCacheMax = 0) {
  const parent = new Arena("parent", 0x10);
  parent.add(base, 0x1000);
  const source = Arena.from(parent);
  return { parent, child: new Arena("child", 0x10, { source, importSize, quantumCacheMax }) };
}

for (const base of [0, 2 ** 40, 2 ** 52 - 0x1000]) {
  describe(`a parent from ${base}`, () => {
    test("an arena that runs out imports a multiple of its import size, and gives it back whole", () => {
      const { parent, child } = family(base, 0x100);
      const a = child.alloc(0x80);
      expect([a, child.total, parent.allocated]).toEqual([base, 0x100, 0x100]);
      const b = child.alloc(0x80);
      expect([b, child.total]).toEqual([base + 0x80, 0x100]);
      const c = child.alloc(0x101);
      expect([c, child.total, parent.allocated]).toEqual([base + 0x100, 0x300, 0x300]);
      child.check();
      child.free(a, 0x80);
      expect(child.total).toBe(0x300);
      child.free(b, 0x80);
      expect([child.total, parent.allocated]).toEqual([0x200, 0x200]);
      child.free(c, 0x101);
      expect([child.total, parent.allocated, parent.maxFree]).toEqual([0, 0, 0x1000]);
      child.check();
      parent.check();
    });

    test("imported spans that touch are not joined, each goes back by itself", () => {
      const { parent, child } = family(base, 0x100);
      const [a, b] = [child.alloc(0x100), child.alloc(0x100)];
      expect(b).toBe(a + 0x100);
      child.free(b, 0x100);
      expect(parent.allocated).toBe(0x100);
      child.free(a, 0x100);
      expect(parent.allocated).toBe(0);
      expect(child.alloc(0x1000)).toBe(base);
    });

    test("an import has room for alignment, phase and boundary, wherever it lies", () => {
      const { parent, child } = family(base, 0x10);
      const gap = parent.alloc(0x10);
      const a = child.alloc(0x80, { align: 0x100, phase: 0x20 });
      expect([a, child.total]).toEqual([base + 0x20, 0x80 + 0x100 - 0x10]);
      const b = child.alloc(0xc0, { nocross: 0x200, align: 0x100 });
      expect([b % 0x200 <= 0x140, child.total]).toEqual([true, 0x170 + 0xc0 + 0x200 - 0x10]);
      child.check();
      child.free(b, 0xc0);
      child.free(a, 0x80);
      parent.free(gap, 0x10);
      expect(parent.maxFree).toBe(0x1000);
    });

    test("nothing is imported for what an import cannot help", () => {
      const { parent, child } = family(base, 0x100);
      expect(child.alloc(0x10, { max: 0xfff })).toBe(-1);
      expect(child.alloc(0x10, { min: 0x10 })).toBe(-1);
      expect(child.xalloc(0x90, 0x100, 0x80, 0x100)).toBe(-1);
      expect(child.alloc(0x1010)).toBe(-1);
      expect([child.total, parent.allocated]).toEqual([0, 0]);
      child.check();
    });

    test("slabs of quantum caches are imported too, and go back when they are drained", () => {
      const { parent, child } = family(base, 0x10, 0x30);
      const a = child.alloc(0x20);
      // A slab of 0x100 and what its alignment may cost.
      expect([a % 0x100, child.total, child.cached]).toEqual([0, 0x1f0, 0x100 - 0x20]);
      child.free(a, 0x20);
      expect([child.total, child.drainCaches(), child.total]).toEqual([0x1f0, 0x100, 0]);
      expect(parent.allocated).toBe(0);
      child.check();
    });

    test("an empty slab that holds a span is given up before an allocation fails", () => {
      const { parent, child } = family(base, 0x800, 0x30);
      child.free(child.alloc(0x20), 0x20);
      expect([child.total, parent.maxFree]).toEqual([0x800, 0x800]);
      expect(child.alloc(0x1000)).toBe(base);
      expect(child.total).toBe(0x1000);
      child.check();
    });

    test("three generations give everything back", () => {
      const { parent, child } = family(base, 0x200, 0x20);
      const grandchild = new Arena("grandchild", 4, {
        source: Arena.from(child),
        importSize: 0x20,
      });
      const held = Array.from({ length: 40 }, (_, i) => grandchild.alloc(4 * (1 + (i % 5))));
      grandchild.check();
      child.check();
      held.forEach((at, i) => {
        grandchild.free(at, 4 * (1 + (i % 5)));
      });
      child.drainCaches();
      expect([grandchild.total, child.total, parent.allocated]).toEqual([0, 0, 0]);
    });

    test("NEXT goes round through spans that come and go", () => {
      const { child, parent } = family(base, 0x100);
      const next = (size: number) => child.alloc(size, { fit: Fit.NEXT });
      const [a, b, c] = [next(0x80), next(0x80), next(0x80)];
      expect([b - a, c - a]).toEqual([0x80, 0x100]);
      child.free(c, 0x80); // the span with the cursor goes back
      child.free(a, 0x80);
      child.check();
      expect(next(0x80)).toBe(a);
      child.free(a, 0x80);
      child.free(b, 0x80);
      expect(parent.allocated).toBe(0);
      child.check();
    });
  });
}

test("a child with a larger quantum asks for its alignment", () => {
  const parent = new Arena("parent", 0x10);
  parent.add(0x10, 0x4000);
  const child = new Arena("child", 0x1000, {
    source: Arena.from(parent, 0x1000),
    importSize: 0x1000,
  });
  expect([child.alloc(0x1000), child.alloc(1)]).toEqual([0x1000, 0x2000]);
  child.check();
});

test("added spans and imported ones: the added ones stay", () => {
  const { parent, child } = family(0x10000, 0x100);
  child.add(0xff00, 0x100);
  const held = [child.alloc(0x100), child.alloc(0x100)];
  expect(held).toEqual([0xff00, 0x10000]);
  for (const at of held) child.free(at, 0x100);
  expect([child.total, parent.allocated, child.maxFree]).toEqual([0x100, 0, 0x100]);
  expect(() => child.add(0xff80, 0x100)).toThrow(expect.objectContaining({ errno: Errno.EEXIST }));
  child.check();
});

test("by default an import is 16 quanta, or two slabs", () => {
  const parent = new Arena("parent", 1);
  parent.add(0, 2 ** 20);
  const source = Arena.from(parent);
  const plain = new Arena("plain", 0x10, { source });
  plain.alloc(1);
  expect(plain.total).toBe(0x100);
  const cached = new Arena("cached", 0x10, { source, quantumCacheMax: 0x80 });
  cached.alloc(1);
  expect(cached.total).toBe(0x400);
});

describe("sources", () => {
  const giving = (start: number): ArenaSource => ({ import: () => start, release: () => {} });

  for (const bad of [0x18, -0x10, Number.NaN, 2 ** 52, 2 ** 52 - 0x80]) {
    test(`one that gives ${bad} is a panic`, () => {
      const it = new Arena("child", 0x10, { source: giving(bad) });
      expect(() => it.alloc(0x10)).toThrow(Panic);
      expect(() => it.alloc(0x10)).toThrow(`vmem child: the source gave ${bad}+256`);
    });
  }

  test("one that gives a range twice is a panic", () => {
    const it = new Arena("child", 0x10, { source: giving(0x1000) });
    expect(it.alloc(0x100)).toBe(0x1000);
    expect(() => it.alloc(0x10)).toThrow("the source gave 4096+256");
  });

  test("one that throws leaves the arena as it was", () => {
    let fails = true;
    const parent = new Arena("parent", 0x10);
    parent.add(0x1000, 0x1000);
    const inner = Arena.from(parent);
    const source: ArenaSource = {
      import(size) {
        if (fails) throw new Error("not now");
        return inner.import(size);
      },
      release: (start, size) => inner.release(start, size),
    };
    const it = new Arena("child", 0x10, { source, quantumCacheMax: 0x10 });
    expect(() => it.alloc(0x20)).toThrow("not now");
    expect(() => it.alloc(0x10)).toThrow("not now");
    it.check();
    fails = false;
    expect([it.alloc(0x20), it.allocated]).toEqual([0x1000, 0x20]);
  });

  test("one may call the arena that asks it", () => {
    const parent = new Arena("parent", 0x10);
    parent.add(0x1000, 0x1000);
    const inner = Arena.from(parent);
    const own: number[] = [];
    let depth = 0;
    const source: ArenaSource = {
      import(size) {
        if (depth === 0) {
          depth++;
          own.push(it.alloc(0x60), it.xalloc(0x40, 0x40), it.alloc(0x10));
          it.free(own[1], 0x40);
          depth--;
        }
        return inner.import(size);
      },
      release: (start, size) => inner.release(start, size),
    };
    const it = new Arena("child", 0x10, { source, quantumCacheMax: 0x10 });
    const at = it.alloc(0x120, { align: 0x20 });
    it.check();
    expect([at % 0x20, it.allocated]).toEqual([0, 0x120 + 0x60 + 0x10]);
    it.free(at, 0x120);
    it.free(own[0], 0x60);
    it.free(own[2], 0x10);
    it.drainCaches();
    it.check();
    expect([it.total, parent.allocated]).toEqual([0, 0]);
  });

  test("a hook of the parent may call the child that gives back", () => {
    const { parent, child } = family(0, 0x100);
    const got: number[] = [];
    const at = child.alloc(0x100);
    parent.onFree(() => {
      if (got.length < 1) got.push(child.alloc(0x40));
    });
    child.free(at, 0x100);
    expect([got, child.allocated, parent.allocated]).toEqual([[0], 0x40, 0x100]);
    child.check();
  });

  test("a hook of the parent may call the child while it gives up empty slabs", () => {
    const { parent, child } = family(0, 0x800, 0x30);
    child.free(child.alloc(0x20), 0x20);
    const got: number[] = [];
    const off = parent.onFree(() => {
      if (got.length === 0) got.push(child.xalloc(0x40, 0x40));
    });
    expect(child.alloc(0x1000)).toBe(-1); // the hook was first, and has a span
    expect([got, child.allocated, child.total]).toEqual([[0], 0x40, 0x800]);
    off();
    child.free(0, 0x40);
    expect(child.alloc(0x1000)).toBe(0);
    child.check();
  });

  for (const importSize of [0, 0x18, -0x10, Number.NaN]) {
    test(`an import size of ${importSize} is refused`, () => {
      const make = () => new Arena("bad", 0x10, { source: giving(0), importSize });
      expect(make).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(make).toThrow(`vmem bad: importSize ${importSize} with quantum 16`);
    });
  }
});

describe("a source that cannot give the import size", () => {
  test("is asked for what is needed, and gets just that back", () => {
    const parent = new Arena("parent", 0x10);
    parent.add(2 ** 40, 0x180);
    const asked: number[] = [];
    const inner = Arena.from(parent);
    const source: ArenaSource = {
      import(size) {
        asked.push(size);
        return inner.import(size);
      },
      release: (start, size) => inner.release(start, size),
    };
    const it = new Arena("child", 0x10, { source, importSize: 0x100 });
    const [a, b] = [it.alloc(0x20), it.alloc(0xf0)];
    expect([a, b, it.total]).toEqual([2 ** 40, -1, 0x100]);
    const c = it.alloc(0x70, { align: 0x10, phase: 0, nocross: 0 });
    const d = it.alloc(0xf0);
    expect([c, d]).toEqual([2 ** 40 + 0x20, -1]);
    const e = it.alloc(0x71);
    expect([e, it.total, asked]).toEqual([
      2 ** 40 + 0x100,
      0x180,
      [0x100, 0x100, 0xf0, 0x100, 0xf0, 0x100, 0x80],
    ]);
    it.check();
    for (const [at, size] of [
      [a, 0x20],
      [c, 0x70],
      [e, 0x71],
    ]) {
      it.free(at, size);
    }
    expect([it.total, parent.allocated, parent.maxFree]).toEqual([0, 0, 0x180]);
  });

  test("also when the import size is beyond the last address", () => {
    const source: ArenaSource = { import: () => 0x1000, release: () => {} };
    const it = new Arena("child", 0x10, { source, importSize: 2 ** 52 });
    expect([it.alloc(0x20), it.total]).toEqual([0x1000, 0x20]);
  });

  test("gives a slab, and the room for its alignment", () => {
    const parent = new Arena("parent", 0x10);
    parent.add(0x1010, 0x70);
    const it = new Arena("child", 0x10, { source: Arena.from(parent), quantumCacheMax: 0x10 });
    expect([it.alloc(0x10), it.cached, it.total]).toEqual([0x1040, 0x30, 0x70]);
    it.check();
  });

  test("is not asked twice for the same size", () => {
    let asked = 0;
    const source: ArenaSource = {
      import: () => {
        asked++;
        return -1;
      },
      release: () => {},
    };
    const it = new Arena("child", 0x10, { source, importSize: 0x20 });
    expect([it.alloc(0x40), asked]).toEqual([-1, 1]);
    expect([it.alloc(0x30), asked]).toEqual([-1, 3]);
  });
});

describe("a source from an arena", () => {
  test("gives what a child with a larger quantum needs, whatever else was said", () => {
    for (const align of [undefined, 1, 0x10, 0x1000]) {
      const parent = new Arena("parent", 0x10);
      parent.add(0x10, 0x8000);
      const source = Arena.from(parent, align);
      const child = new Arena("child", 0x1000, { source, importSize: 0x1000 });
      const small = new Arena("small", 0x20, { source, importSize: 0x20 });
      expect([child.alloc(0x1000), child.alloc(1)]).toEqual([0x1000, 0x2000]);
      expect(small.alloc(1)).toBe(align === 0x1000 ? 0x3000 : 0x20);
      for (const it of [parent, child, small]) it.check();
    }
  });

  const parent = new Arena("parent", 0x10);
  for (const align of [0, 3, -1, 0.5, Number.NaN, "16", 2 ** 53]) {
    test(`refuses align ${typeof align} ${align}`, () => {
      const make = () => Arena.from(parent, align as number);
      expect(make).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(make).toThrow(`vmem parent: a source with align ${align}`);
    });
  }

  for (const bad of [null, undefined, 5, { alloc: () => 0 }]) {
    test(`refuses ${bad === null ? "null" : typeof bad} for a parent`, () => {
      const make = () => Arena.from(bad as unknown as Arena);
      expect(make).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(make).toThrow(`vmem: a source from ${typeof bad}, no arena`);
    });
  }
});
