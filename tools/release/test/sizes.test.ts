import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { measure, weigh } from "../src/sizes.ts";
import { folder, listening, MANIFEST, toy } from "./fixture.ts";

test("a package past its budget fails with its number", () => {
  const { tally, lines } = listening();
  weigh({ name: "@x/toy", gzip: 1200, budget: 1000, whole: 5000 }, tally);
  weigh({ name: "@x/toy", gzip: 1000, budget: 1000, whole: 5000 }, tally);
  weigh({ name: "@x/new", gzip: 300, budget: undefined, whole: 300 }, tally);
  expect(tally.close()).toBe(1);
  expect(lines).toContain("FAILED @x/toy is 1200 bytes, 200 over its budget of 1000");
  expect(lines.join("\n")).toContain("@x/new has no budget");
  expect(lines.at(-1)).toBe("1 passed, 2 failed");
});

test("a package is measured by its own code, and with what it loads", async () => {
  const text = Array.from({ length: 400 }, (_, n) => (n * 7919).toString(36)).join(" ");
  const dir = folder({
    ...toy("node_modules/@x/toy", { "dist/index.js": `export const text = "${text}";\n` }),
    "dist/index.js":
      'import { text } from "@x/toy";\nexport const shout = () => text.toUpperCase();\n',
  });
  const manifest = { ...MANIFEST, name: "@x/user", dependencies: { "@x/toy": "^0.1.0" } };
  const row = await measure({ name: "@x/user", dir, manifest }, 100);
  expect(row.gzip).toBeGreaterThan(0);
  expect(row.gzip).toBeLessThan(150);
  expect(row.whole).toBeGreaterThan(row.gzip + 500);
});

test("the budget of busdma with its bounce pages is 25 kB", () => {
  const path = join(import.meta.dirname, "../budgets.json");
  const budgets = JSON.parse(readFileSync(path, "utf8"));
  expect(budgets.together["busdma + busdma-bounce"]).toBe(25_000);
});
