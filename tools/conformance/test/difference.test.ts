/** The differ: a table a reader can check, and that "no difference" means equal. */
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { differences, show } from "../src/difference.ts";
import { randomNumbers } from "./random.ts";

const cases: readonly {
  name: string;
  expected: unknown;
  got: unknown;
  lines: readonly string[];
}[] = [
  {
    name: "equal outcomes differ nowhere",
    expected: { error: null },
    got: { error: null },
    lines: [],
  },
  {
    name: "the order of fields does not count",
    expected: { a: 1, b: [2] },
    got: { b: [2], a: 1 },
    lines: [],
  },
  {
    name: "a wrong value is named with its place",
    expected: { zones: [{ free: 3, total: 4 }] },
    got: { zones: [{ free: 2, total: 4 }] },
    lines: ["zones[0].free: expected 3, got 2"],
  },
  {
    name: "addresses are shown in hexadecimal too",
    expected: { va: 4294967296 },
    got: { va: 4095 },
    lines: ["va: expected 4294967296 (0x100000000), got 4095"],
  },
  {
    name: "what is missing and what is too much are told apart",
    expected: { events: [{ callback: "m0" }] },
    got: { events: [], zones: [] },
    lines: ['events[0]: expected {callback "m0"}, got nothing', "zones: expected nothing, got []"],
  },
  {
    name: "one segment more is one line",
    expected: { segments: [[1, 2]] },
    got: {
      segments: [
        [1, 2],
        [3, 4],
      ],
    },
    lines: ["segments[1]: expected nothing, got [3, 4]"],
  },
  {
    name: "null is not nothing",
    expected: { error: null },
    got: {},
    lines: ["error: expected null, got nothing"],
  },
  { name: "a list is not an object", expected: [], got: {}, lines: ["expected [], got {}"] },
  {
    name: "a number is not its text",
    expected: [1],
    got: ["1"],
    lines: ['[0]: expected 1, got "1"'],
  },
  { name: "NaN is never right", expected: 1, got: Number.NaN, lines: ["expected 1, got NaN"] },
];

for (const { name, expected, got, lines } of cases) {
  test(name, () => expect(differences(expected, got)).toEqual(lines));
}

test("a value is shown in one line", () => {
  expect(show({ a: [1, null, "x"], b: { c: true } })).toBe('{a [1, null, "x"], b {c true}}');
  expect(show(undefined)).toBe("nothing");
});

test("there is a difference exactly when two values are not equal", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const draw = randomNumbers(seed);
    const a = value(draw, 3);
    const b = draw(3) === 0 ? structuredClone(a) : value(draw, 3);
    const equal = differences(a, b).length === 0;
    expect(equal, `${JSON.stringify(a)} and ${JSON.stringify(b)}`).toBe(isDeepStrictEqual(a, b));
  }
});

/** A small JSON value: few choices, so that equal ones occur. */
function value(draw: (below: number) => number, depth: number): unknown {
  switch (draw(depth === 0 ? 4 : 6)) {
    case 0:
      return null;
    case 1:
      return draw(2);
    case 2:
      return draw(2) === 0;
    case 3:
      return ["EFBIG", "ENOMEM"][draw(2)];
    case 4:
      return Array.from({ length: draw(3) }, () => value(draw, depth - 1));
    default: {
      const keys = ["a", "b", "c"].slice(0, draw(4));
      return Object.fromEntries(keys.map((key) => [key, value(draw, depth - 1)]));
    }
  }
}
