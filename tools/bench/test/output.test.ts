/**
 * The generated page and its curves.
 */
import { expect, test } from "vitest";
import { fasterThan } from "../src/chain-rows.ts";
import type { Chart } from "../src/chart.ts";
import { drawChart } from "../src/chart.ts";
import { growth } from "../src/curve-rows.ts";
import { page } from "../src/docs.ts";
import { faster } from "../src/file-rows.ts";
import { loadOutcomes } from "../src/load-rows.ts";
import { overCopies } from "../src/paging-rows.ts";
import { judge, value } from "../src/row.ts";
import { isBuilt } from "../src/worker-main.ts";

const chart: Chart = {
  name: "curve",
  title: "Cost & size",
  x: "pages",
  y: "nanoseconds",
  series: [
    {
      name: "scattered",
      points: [
        [1, 20],
        [10, 200],
        [100, 2000],
      ],
    },
  ],
};

test("a chart draws every point, on axes that go by decades", () => {
  const svg = drawChart(chart);
  expect(svg).toContain("<title>Cost &amp; size</title>");
  const [, path] = /<path d="M([\d .L]+)" fill="none"/.exec(svg)!;
  const [first, middle, last] = path.split("L").map((p) => p.split(" ").map(Number));
  expect(middle[0] - first[0]).toBeCloseTo(last[0] - middle[0], 0);
  expect(first[1] - middle[1]).toBeCloseTo(middle[1] - last[1], 0);
  for (const tick of ["1", "10", "100", "1k", "10k"]) expect(svg).toContain(`>${tick}</text>`);
});

test("nothing, or a zero, is no chart", () => {
  expect(() => drawChart({ ...chart, series: [] })).toThrow("nothing to draw");
  const zero = { name: "zero", points: [[1, 0]] as const };
  expect(() => drawChart({ ...chart, series: [zero] })).toThrow("nothing to draw");
});

test("growth is the cost at the end over the cost at the start", () => {
  expect(growth(chart.series[0])).toMatchObject({ value: 100, note: "20.0 ns to 2000.0 ns" });
});

test("the page has the machine, a line a row, and the curves", () => {
  const row = { id: "T1a", title: "a | b", unit: "x", gate: 2, goal: 1.3 };
  const report = { results: [judge(row, value(1.5, "3 ns"))], charts: [chart] };
  const text = page(report, ["two processors"]);
  expect(text).toContain("- two processors");
  expect(text).toContain("| T1a | a \\| b | 1.50 x | <= 2 | <= 1.3 | passed | 3 ns |");
  expect(text).toContain("![Cost & size](bench/curve.svg)");
});

test("every load row finds its case in what the worker measured", () => {
  const rounds = { a: [20, 22, 21], b: [100], b2: [100], c: [50], d: [30], e: [90], "a*": [30] };
  const native = { a: [10, 11, 10], b: [80], b2: [80], c: [100], d: [20], e: [60], "a*": [10] };
  const outcomes = loadOutcomes({ ours: rounds, native });
  expect(outcomes.get("T1a")).toMatchObject({ value: 2, note: "21.0 ns, native 10.0 ns" });
  expect(outcomes.get("T1c")).toMatchObject({ value: 0.5 });
  expect(outcomes.get("T3")).toMatchObject({ value: 1.5 });
});

test("the copies of a bounced load are held against the host's, by the worse direction", () => {
  const ours = { "copy out": [2000], "copy in": [4096], memcpy: [1024] };
  const outcomes = loadOutcomes({ ours, native: {} });
  const note = "out 32.8 GB/s, back 16.0 GB/s, host 64.0 GB/s";
  expect([...outcomes]).toEqual([["T4", { kind: "value", value: 4, note }]]);
});

test("a row against another package says how many times as fast it is", () => {
  const outcome = fasterThan(
    { build: [10, 20, 10], "build, bl": [400, 500, 300] },
    "build",
    "build, bl",
  );
  expect(outcome).toMatchObject({
    value: 10 / 300,
    note: "30.0 times as fast: 10.0 ns, bl 400.0 ns",
  });
});

test("sources are not built code", () => {
  expect(isBuilt("file:///x/packages/dma/busdma/dist/index.js")).toBe(true);
  expect(isBuilt("file:///x/packages/dma/busdma/src/index.ts")).toBe(false);
});

test("a row over copies is the median of each round's time over the sum of its copies", () => {
  const rounds = { read: [6e6, 9e6, 4e6], in: [1e6, 2e6, 1e6], out: [2e6, 1e6, 1e6] };
  const note = "2.8 GB/s, copies 5.6 GB/s";
  expect(overCopies(rounds, "read", "in", "out")).toEqual({ kind: "value", value: 2, note });
});

test("a hit is compared with a peer's in the same round", () => {
  const rounds = { "hit out": [100, 300], "hit memfs": [200, 600] };
  const note = "2.00 times as fast: 200 ns, hit memfs 400 ns";
  expect(faster(rounds, "hit out", "hit memfs")).toEqual({ kind: "value", value: 0.5, note });
});
