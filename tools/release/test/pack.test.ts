import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shebangProblem } from "../src/commands.ts";
import { attwProblem, publintProblem } from "../src/lint.ts";
import { contents, manifestProblem, mapsProblem } from "../src/pack.ts";
import type { Files } from "./fixture.ts";
import { folder, MANIFEST, toy } from "./fixture.ts";

const GOOD = [
  "LICENSE",
  "dist/a/b.d.ts",
  "dist/a/b.d.ts.map",
  "dist/a/b.js",
  "dist/a/b.js.map",
  "package.json",
  "src/a/b.ts",
];

test("sources, their outputs, a licence and a manifest are a package", () => {
  expect(contents(GOOD)).toBeNull();
  expect(contents([...GOOD, "README.md", "CHANGELOG.md"])).toBeNull();
});

test.each([
  ["dist/.tsbuildinfo", "the compiler's own"],
  ["src/a/b.test.ts", "is a test"],
  ["test/a.ts", "is a test"],
  ["dist/test/a.js", "is a test"],
  ["dist/old.js", "has no source"],
  ["dist/old.d.ts.map", "has no source"],
  ["src/new.ts", "dist/new.js is missing"],
  ["src/notes.txt", "is no source"],
  ["tsconfig.json", "does not belong"],
])("%s is found: %s", (path, says) => {
  expect(contents([...GOOD, path])).toContain(says);
});

test.each(["LICENSE", "package.json", "dist/a/b.js.map", "dist/a/b.d.ts"])(
  "%s is missed",
  (path) => {
    expect(contents(GOOD.filter((f) => f !== path))).toContain(`${path} is missing`);
  },
);

test("a packed manifest has real ranges and the promised engines", () => {
  expect(manifestProblem(MANIFEST)).toBeNull();
  const local = {
    ...MANIFEST,
    dependencies: { "@x/b": "workspace:^", c: "catalog:", d: "^1.0.0" },
  };
  expect(manifestProblem(local)).toBe(
    "dependencies: @x/b is workspace:^\ndependencies: c is catalog:",
  );
  expect(manifestProblem({ ...MANIFEST, engines: { node: ">=24" } })).toContain("engines.node");
  expect(manifestProblem({ ...MANIFEST, sideEffects: true })).toContain("sideEffects");
  expect(manifestProblem({ ...MANIFEST, type: "commonjs" })).toContain("type is commonjs");
});

test("maps lead to packed files", () => {
  const map = (source: string) => JSON.stringify({ sources: [source] });
  const files: Files = {
    "dist/a/b.js.map": map("../../src/a/b.ts"),
    "dist/c.js.map": map("../src/gone.ts"),
    "src/a/b.ts": "",
  };
  const dir = folder(files);
  expect(mapsProblem(dir, ["dist/a/b.js.map", "src/a/b.ts"])).toBeNull();
  expect(mapsProblem(dir, Object.keys(files))).toContain("leads to ../src/gone.ts");
});

/** A tarball of the toy package, some of its files replaced. */
function tarball(change: Files = {}) {
  const dir = folder(toy("package", change));
  const path = join(dir, "toy.tgz");
  execFileSync("tar", ["-czf", path, "package"], { cwd: dir });
  const pkg = { name: MANIFEST.name, dir: join(dir, "package"), manifest: MANIFEST };
  return { pkg, path, size: 0, files: [] };
}

test("the outside linters pass the toy and name what is wrong with it", async () => {
  const good = tarball();
  expect(await publintProblem(good)).toBeNull();
  expect(await attwProblem(good)).toBeNull();

  const exports = { ".": { default: "./dist/index.js", types: "./dist/gone.d.ts" } };
  const bad = tarball({ "package.json": JSON.stringify({ ...MANIFEST, exports }) });
  expect(await publintProblem(bad)).toMatch(/error: .*should be the first/);

  const common = { ".": { types: "./dist/index.d.cts", default: "./dist/index.js" } };
  const masked = tarball({
    "package.json": JSON.stringify({ ...MANIFEST, exports: common }),
    "dist/index.d.cts": "export declare const SIZE = 4096;\n",
  });
  expect(await attwProblem(masked)).toContain("Masquerading as CJS");
});

test("a command that a shell would run is found before it is called", () => {
  const dir = folder({
    "good.js": "#!/usr/bin/env node\nexport {};\n",
    "bad.js": "export {};\n",
  });
  expect(shebangProblem(dir, { good: "./good.js" })).toBeNull();
  expect(shebangProblem(dir, { good: "./good.js", bad: "./bad.js" })).toContain(
    "./bad.js does not",
  );
});
