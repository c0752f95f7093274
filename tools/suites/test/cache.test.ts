/**
 * The build cache is honest: it replays a result for the same files, and for no others.
 *
 * All of it runs in a copy of the checkout with a cache of its own.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyCheckout, turbo } from "../src/checkout.ts";
import { ROOT, scratchFolder } from "../src/cli.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
beforeAll(() => copyCheckout(scratch.path));

const TIME = { timeout: 90_000 };

async function testsHash(): Promise<string> {
  const run = await turbo(scratch.path, "run:tests", "--dry=json");
  expect(run.code, run.text).toBe(0);
  const { tasks } = JSON.parse(run.out);
  expect(tasks).toHaveLength(1);
  expect(tasks[0].hash).toMatch(/^[0-9a-f]{16}$/);
  return tasks[0].hash;
}

/** One file of each sort that the tests' result depends on. */
const EDITS: readonly (readonly [string, string])[] = [
  ["a source", "packages/kern/kern/src/addr.ts"],
  ["a test", "packages/kern/kern/test/addr.test.ts"],
  ["a package's manifest", "packages/fs/ext2fs/package.json"],
  ["a fixture", "fixtures/ext2/lic-1k.manifest.json"],
  ["an image", "fixtures/ext2/lic-1k.img.gz"],
  ["conformance vectors", "conformance/busdma/README.md"],
  ["a tool", "tools/tidy/src/main.ts"],
  ["the layers", "tools/tidy/layers.json"],
  ["a suite", "tools/suites/src/cli.ts"],
  ["the README, whose example is run", "README.md"],
  ["the configuration of the tests", "vitest.config.ts"],
  ["the compiler's settings", "tsconfig.base.json"],
  ["the lock file", "pnpm-lock.yaml"],
];

test("the hash of the tests changes with every sort of file, and only then", TIME, async () => {
  const seen = [await testsHash()];
  expect(await testsHash()).toBe(seen[0]);
  for (const [what, path] of EDITS) {
    expect(existsSync(join(ROOT, path)), `${path} is still there`).toBe(true);
    appendFileSync(join(scratch.path, path), "\n");
    const hash = await testsHash();
    expect(seen, `the hash after an edit of ${what}`).not.toContain(hash);
    seen.push(hash);
  }
});

/** Take the tests out: their types take time, and are not the matter here. */
function removeTests(): void {
  const all = { recursive: true, force: true };
  for (const group of readdirSync(join(scratch.path, "packages"))) {
    for (const name of readdirSync(join(scratch.path, "packages", group))) {
      const folder = join(scratch.path, "packages", group, name);
      for (const tests of ["test", "long"]) rmSync(join(folder, tests), all);
    }
  }
  for (const name of readdirSync(join(scratch.path, "tools"))) {
    const folder = join(scratch.path, "tools", name);
    if (existsSync(join(folder, "package.json"))) rmSync(folder, all);
  }
}

async function typesRun(): Promise<{ green: boolean; text: string }> {
  const { code, text } = await turbo(scratch.path, "run:types");
  return { green: code === 0, text };
}

test("types: the second run is replayed, a run after a type error is not", TIME, async () => {
  removeTests();
  const first = await typesRun();
  expect(first.green, first.text).toBe(true);
  expect(first.text).toMatch(/cache miss/);
  const second = await typesRun();
  expect(second.green, second.text).toBe(true);
  expect(second.text).toMatch(/FULL TURBO/);

  const source = join(scratch.path, "packages/kern/kern/src/addr.ts");
  const good = readFileSync(source);
  appendFileSync(source, 'export const wrong: number = "text";\n');
  for (let run = 1; run <= 2; run++) {
    const broken = await typesRun();
    expect(broken.green, `run ${run} after the error`).toBe(false);
    expect(broken.text).toMatch(/addr\.ts\(\d+,\d+\): error TS2322/);
  }

  writeFileSync(source, good);
  const test = join(scratch.path, "packages/kern/kern/test");
  mkdirSync(test);
  writeFileSync(join(test, "new.test.ts"), 'export const wrong: number = "text";\n');
  const added = await typesRun();
  expect(added.green, "with a new test that has an error").toBe(false);
  expect(added.text).toMatch(/new\.test\.ts\(\d+,\d+\): error TS2322/);
});
