/**
 * Folders that live as long as the tests of one file, and a small package in one.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import { Tally } from "../src/tally.ts";

/** Contents by path. */
export type Files = Readonly<Record<string, string>>;

const made: string[] = [];
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

export function folder(files: Files): string {
  const dir = mkdtempSync(join(tmpdir(), "release-test-"));
  made.push(dir);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(dir, dirname(path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}

export const MANIFEST = {
  name: "@x/toy",
  version: "0.1.0",
  license: "BSD-2-Clause",
  type: "module",
  sideEffects: false,
  engines: { node: ">=20.19" },
  exports: {
    ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
    "./package.json": "./package.json",
  },
  files: ["dist"],
};

const TOY: Files = {
  "package.json": JSON.stringify(MANIFEST),
  LICENSE: "as you like\n",
  "dist/index.js": "export const SIZE = 4096;\nexport function twice(n) {\n  return n * 2;\n}\n",
  "dist/index.d.ts":
    "export declare const SIZE = 4096;\nexport declare function twice(n: number): number;\n",
};

/** The package's files under `at`, some of them replaced. */
export function toy(at: string, change: Files = {}): Files {
  const files = Object.entries({ ...TOY, ...change });
  return Object.fromEntries(files.map(([path, text]) => [join(at, path), text]));
}

/** A tally and what it prints. */
export function listening(): { tally: Tally; lines: string[] } {
  const lines: string[] = [];
  return { tally: new Tally((line) => lines.push(line)), lines };
}
