import { join } from "node:path";
import { expect, test } from "vitest";
import type { Mode } from "../src/consumer.ts";
import { importDoors, typeCheck } from "../src/consumer.ts";
import { constantOf, shakeProblem, unusedProblem } from "../src/shake.ts";
import { doors, repositoryRoot } from "../src/workspace.ts";
import type { Files } from "./fixture.ts";
import { folder, MANIFEST, toy } from "./fixture.ts";

const TSC = join(repositoryRoot(), "node_modules/.bin/tsc");
const NODE = { path: process.execPath, version: process.versions.node, dir: "" };
const TYPES = "dist/index.d.ts";

/** An empty project that has the toy package. */
function project(change: Files = {}): string {
  const at = "node_modules/@x/toy";
  return folder({ "package.json": '{"type":"module"}', ...toy(at, change) });
}

const imported = (dir: string) => importDoors(dir, doors(MANIFEST), NODE);

async function checked(change: Files, mode: Mode): Promise<string | null> {
  const dir = project(change);
  return typeCheck(dir, await imported(dir), mode, TSC);
}

test("every door is imported, and tells its values", async () => {
  expect(await imported(project())).toEqual({ "@x/toy": { SIZE: 4096, twice: null } });
});

test("a module that throws, or imports what is not there, is a failure", async () => {
  const broken = project({ "dist/index.js": 'import "@x/undeclared";\n' });
  await expect(imported(broken)).rejects.toThrow("@x/undeclared");
});

test("real types pass under both resolutions", async () => {
  expect(await checked({}, "nodenext")).toBeNull();
  expect(await checked({}, "bundler")).toBeNull();
});

test("types that are missing, lack a value or do not compile are failures", async () => {
  expect(await checked({ [TYPES]: "" }, "nodenext")).toContain("is not a module");

  const lacking = { [TYPES]: "export declare const SIZE = 4096;\n" };
  expect(await checked(lacking, "nodenext")).toContain("twice");

  const foreign = "export declare const SIZE: Buffer;\nexport declare function twice(): void;\n";
  expect(await checked({ [TYPES]: foreign }, "bundler")).toContain("Buffer");
});

test("one constant gives one line", async () => {
  const dir = project();
  const values = await imported(dir);
  expect(constantOf("@x/toy", values)).toBe("SIZE");
  expect(constantOf("@x/other", values)).toBeNull();
  expect(await shakeProblem(dir, "@x/toy", "SIZE", 4096)).toBeNull();
  expect(await shakeProblem(dir, "@x/toy", "SIZE", 4097)).toContain("gives 1 lines");
});

test("a package whose manifest promises too little is not shaken", async () => {
  const door = `export const SIZE = 4096;
export const table = Object.freeze({ it: [0] });
make();
function make() {
  table.it[0]++;
}
`;
  const manifest = JSON.stringify({ ...MANIFEST, sideEffects: true });
  const dir = project({ "dist/index.js": door, "package.json": manifest });
  expect(await unusedProblem(dir, ["@x/toy"], false)).toContain("for nothing");
  expect(await shakeProblem(dir, "@x/toy", "SIZE", 4096)).toContain("freeze");
  expect(await unusedProblem(project({ "dist/index.js": door }), ["@x/toy"], false)).toBeNull();
});

test("a package that adds to globalThis is a failure", async () => {
  const dir = project({ "dist/index.js": "globalThis.toy = 1;\n" });
  await expect(imported(dir)).rejects.toThrow("adds to globalThis: toy");
});
