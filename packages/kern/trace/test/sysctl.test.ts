/** The sysctl tree: leaves are read when asked for, listed in order, and found by whole names only. */
import { ErrnoError, Panic } from "@physio/kern";
import { SysctlTree } from "@physio/trace";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

function sample(): SysctlTree {
  const tree = new SysctlTree();
  tree.add("hw.ncpu", "processors", () => 2);
  tree.add("hw.busdma.total_bpages", "bounce pages", () => 512);
  tree.add("hw.busdma.zone0.alignment", "alignment", () => 4096);
  tree.add("hw.busdmax", "not below hw.busdma", () => 1);
  tree.add("kern.ostype", "system", () => "physio");
  return tree;
}

describe("reading", () => {
  test("get gives the value of now, number or text", () => {
    const tree = sample();
    let boots = 1;
    tree.add("kern.boots", "boots", () => boots);
    boots = 5;
    expect([tree.get("kern.boots"), tree.get("kern.ostype")]).toEqual([5, "physio"]);
  });

  for (const path of ["hw", "hw.busdma", "hw.ncp", "hw.ncpu.", "HW.NCPU", ""]) {
    test(`get of "${path}", which is no leaf, is ENOENT`, () => {
      expect(() => sample().get(path)).toThrow(ErrnoError);
      expect(() => sample().get(path)).toThrow(`sysctl ${path}: ENOENT`);
    });
  }

  test("list gives all leaves in the order in which they came", () => {
    expect(sample().list()[1]).toEqual({
      path: "hw.busdma.total_bpages",
      value: 512,
      description: "bounce pages",
    });
    expect(sample().list().length).toBe(5);
  });

  test("a prefix is a whole name, and may be a leaf", () => {
    const paths = (prefix: string) =>
      sample()
        .list(prefix)
        .map((entry) => entry.path);
    expect(paths("hw.busdma")).toEqual(["hw.busdma.total_bpages", "hw.busdma.zone0.alignment"]);
    expect(paths("hw.ncpu")).toEqual(["hw.ncpu"]);
    expect(paths("hw.bus")).toEqual([]);
  });

  test("format prints as sysctl(8) does", () => {
    expect(sample().format("hw.busdma")).toBe(
      "hw.busdma.total_bpages: 512\nhw.busdma.zone0.alignment: 4096",
    );
    expect(sample().format("nothing")).toBe("");
  });
});

describe("changing", () => {
  test("a counter is a leaf that its owner adds to", () => {
    const tree = sample();
    const counter = tree.counter("vfs.reads", "reads");
    counter.add();
    counter.add(41);
    expect([tree.get("vfs.reads"), counter.value]).toEqual([42, 42]);
  });

  test("remove takes a leaf or a subtree and leaves what only looks alike", () => {
    const tree = sample();
    tree.remove("hw.busdma");
    tree.remove("no.such.thing");
    expect(tree.list("hw").map((entry) => entry.path)).toEqual(["hw.ncpu", "hw.busdmax"]);
    tree.add("hw.busdma.total_bpages", "again", () => 1);
    expect(tree.get("hw.busdma.total_bpages")).toBe(1);
  });

  test("adding a path twice panics and keeps the first", () => {
    const tree = sample();
    expect(() => tree.add("hw.ncpu", "other", () => 9)).toThrow("sysctl: hw.ncpu exists");
    expect(tree.get("hw.ncpu")).toBe(2);
  });

  for (const bad of ["", ".", "hw.", ".hw", "hw..x", "hw x", "hw.é"]) {
    test(`adding the bad path "${bad}" panics`, () => {
      expect(() => new SysctlTree().add(bad, "", () => 0)).toThrow(Panic);
    });
  }
});

test("a tree behaves like a map with prefixes", () => {
  const name = fc.constantFrom("a", "b", "ab", "a.b", "a.bc", "b.a", "a.b.c");
  const step = fc.tuple(fc.boolean(), name, fc.nat(99));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), name, (steps, prefix) => {
      const tree = new SysctlTree();
      const model = new Map<string, number>();
      const below = (path: string, top: string) => `${path}.`.startsWith(`${top}.`);
      for (const [add, path, value] of steps) {
        if (!add) {
          tree.remove(path);
          for (const key of [...model.keys()]) if (below(key, path)) model.delete(key);
        } else if (!model.has(path)) {
          tree.add(path, "", () => value);
          model.set(path, value);
        }
      }
      const expected = [...model].filter(([path]) => below(path, prefix));
      expect(tree.list(prefix).map(({ path, value }) => [path, value])).toEqual(expected);
    }),
    { numRuns: 300, ...SEED },
  );
});
