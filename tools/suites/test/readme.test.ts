/**
 * The README's example runs and prints what the README says, and the picture of the levels is the
 * one that layers.json gives.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const readme = readFileSync(`${root}/README.md`, "utf8");

function example(): string {
  const block = /<!-- example:begin -->\n```ts\n([\s\S]*?)```\n<!-- example:end -->/.exec(readme);
  expect(block, "README.md has an example").not.toBeNull();
  return block![1];
}

test("the README's example prints what the README says", () => {
  const file = fileURLToPath(new URL(".readme-example.ts", import.meta.url));
  writeFileSync(file, example());
  try {
    const out = execFileSync(process.execPath, ["--conditions=@physio/source", file], {
      encoding: "utf8",
    });
    const said = /It prints `(.*)`, then `(.*)`\./.exec(readme);
    expect(out.trimEnd().split("\n")).toEqual([said![1], said![2]]);
  } finally {
    rmSync(file, { force: true });
  }
});

test("the README's example has about twenty lines", () => {
  expect(example().trimEnd().split("\n").length).toBeLessThanOrEqual(24);
});
