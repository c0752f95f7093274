import { expect, test } from "vitest";
import { command } from "../src/command.ts";

test("the repository itself is tidy", () => {
  const lines: string[] = [];
  const code = command([], (line) => lines.push(line));
  expect(lines.filter((line) => line.includes(": ["))).toEqual([]);
  expect(code).toBe(0);
});
