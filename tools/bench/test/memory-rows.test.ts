/**
 * The rows of memory, mappings and time: what becomes of what their workers measured.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import type { Case } from "../src/cases.ts";
import { boxed, makeCase, measureRounds, warm } from "../src/cases.ts";
import { M6, worst } from "../src/core-garbage-rows.ts";
import { FRAMES, ratioOf } from "../src/frame-rows.ts";
import { PAGES } from "../src/page-rows.ts";
import { PATHS } from "../src/path-rows.ts";
import { OBJECTS, plant } from "../src/planted.ts";
import { Random } from "../src/random.ts";
import { judge } from "../src/row.ts";
import { scratch } from "../src/scratch.ts";

test("a ratio is that of the rounds and tells both figures", () => {
  const rounds = { ours: [20, 60, 20], peer: [10, 20, 10], other: [1, 1, 1] };
  const outcome = ratioOf(rounds, "ours", "peer", "the peer");
  expect(outcome).toMatchObject({ value: 2, note: "20.0 ns, the peer 10.0 ns" });
});

test("the worst case counts, those of the host do not, and the note has all that count", () => {
  const outcome = worst({
    frame: 0.02,
    contig: 3.5,
    bare: 40,
    sleep: 280,
    "give way by chance": 8,
  });
  expect(outcome).toMatchObject({ value: 3.5, note: "frame 0.02, contig 3.50" });
});

test("no case at all is no pass", () => {
  expect(judge(M6, worst({})).verdict).toBe("failed");
  expect(judge(M6, worst({ sleep: 0 })).verdict).toBe("failed");
  expect(judge(M6, worst({ frame: 0 })).verdict).toBe("passed");
});

test("ids of rows are unique", () => {
  const ids = [FRAMES, PATHS, PAGES].flatMap(({ rows }) => rows.map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
});

function counting(name: string, log: string[]): Case {
  return makeCase(name, 8, (n) => log.push(`${name} ${n}`));
}

test("rounds go by turns: every case once a round, and then the others", () => {
  const log: string[] = [];
  const [a, b, other] = ["a", "b", "other"].map((name) => counting(name, log));
  const rounds = measureRounds([a, b], [other], 2, 1);
  // An eighth first, for the compiler, then the slice itself.
  const round = ["a 1", "a 8", "b 1", "b 8", "other 1"];
  expect(log).toEqual([...round, ...round]);
  expect(Object.values(rounds).map((all) => all.length)).toEqual([2, 2]);
});

test("cases warm up by turns", () => {
  const log: string[] = [];
  warm([counting("a", log), counting("b", log)], 2);
  expect(log).toEqual(["a 4", "b 4", "a 4", "b 4"]);
});

test("addresses in a boxed list are the addresses", () => {
  expect([...boxed([2 ** 40, 7, 2 ** 47 + 1])]).toEqual([2 ** 40, 7, 2 ** 47 + 1]);
});

test("a random order has every number once, and is the same for the same seed", () => {
  const order = new Random(5).order(1000);
  expect([...order].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect([...order]).not.toEqual([...order].toSorted((a, b) => a - b));
  expect(new Random(5).order(1000)).toEqual(order);
  expect(new Random(6).order(1000)).not.toEqual(order);
});

test("a regression is planted where its place is, and nowhere else", () => {
  scratch((folder) => {
    const path = join(folder, "node_modules/@physio", OBJECTS.file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(
      path,
      `class A {\n${OBJECTS.head}\n    }\n}\n//# sourceMappingURL=alloc.js.map\n`,
    );
    plant(folder, OBJECTS);
    const text = readFileSync(path, "utf8");
    expect(text).toContain("kept = { domain, cls };");
    expect(text).not.toContain("sourceMappingURL");
    writeFileSync(path, "class A {}\n");
    expect(() => plant(folder, OBJECTS)).toThrow("self-test: no");
  });
});
