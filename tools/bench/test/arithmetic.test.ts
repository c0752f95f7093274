/**
 * Median and ratio.
 */
import { expect, test } from "vitest";
import { median, medianRatio } from "../src/arithmetic.ts";

test.each([
  { values: [3], middle: 3 },
  { values: [5, 1, 3], middle: 3 },
  { values: [4, 1, 3, 2], middle: 2.5 },
  { values: [10, 9, 1000, 11, 10], middle: 10 },
  { values: [2, 10, 1], middle: 2 }, // as numbers, not as text
])("the median of $values is $middle", ({ values, middle }) => {
  const before = [...values];
  expect(median(values)).toBe(middle);
  expect(values).toEqual(before);
});

test("there is no median of nothing", () => {
  expect(() => median([])).toThrow("median of nothing");
});

test("the ratio is the median of the rounds' ratios, not the ratio of the medians", () => {
  // The second round ran on a slow machine, for both sides alike.
  expect(medianRatio([10, 100, 12], [10, 50, 10])).toBe(1.2);
  expect(medianRatio([10, 30, 20], [10, 10, 40])).toBe(1);
});

test("both sides have as many rounds", () => {
  expect(() => medianRatio([1, 2], [1])).toThrow("2 rounds of ours, 1 of the peer's");
});
