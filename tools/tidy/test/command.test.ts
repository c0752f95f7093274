import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Layers } from "../src/layers.ts";
import { ownLayers } from "../src/picture.ts";
import { home, run, source, workspace } from "./fixture.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const start = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });

test("a clean workspace exits 0 with one line", () => {
  const { code, lines } = run(workspace());
  expect(lines).toEqual(["tidy: 6 packages, 14 files, clean"]);
  expect(code).toBe(0);
});

/** What every violation in vmem ends with. */
const VMEM = " | @physio/vmem (level 2), may import levels 0 to 1";

test("the process exits 0, 1 and 2", () => {
  expect(start("--root", workspace()).status).toBe(0);

  const dirty = start("--root", workspace(source("vmem", "export let n = 1;")));
  expect(dirty.status).toBe(1);
  expect(dirty.stdout).toBe(
    `packages/kern/vmem/src/planted.ts:2: [state] module-level let n${VMEM}\n`,
  );

  for (const args of [["--bad"], ["stray"], ["--root", "/nowhere/at/all"]]) {
    const bad = start(...args);
    expect(bad.status).toBe(2);
    expect(bad.stdout).toContain("usage:");
  }
});

test("violations come sorted by path and line", () => {
  const { lines } = run(
    workspace({
      ...source("vmem", "export let b = 1;\nexport let c = 1n;"),
      ...source("sched", "export let a = 1;"),
    }),
  );
  const places = lines.map((line) => line.split(": ")[0]);
  const planted = (pkg: string, line: number) => `${home(pkg)}/src/planted.ts:${line}`;
  expect(places).toEqual([
    planted("sched", 2),
    planted("vmem", 2),
    planted("vmem", 3),
    planted("vmem", 3),
  ]);
});

test("in a git tree ignored files are not judged, new ones are", () => {
  const root = workspace({ ".gitignore": "*.local.ts\n" });
  execFileSync("git", ["init", "-q"], { cwd: root });
  writeFileSync(join(root, home("vmem"), "src/x.local.ts"), "let n = 1;");
  expect(run(root).code).toBe(0);
  writeFileSync(join(root, home("vmem"), "src/x.ts"), "/** X. */\nlet n = 1;\nexport {};\n");
  expect(run(root).lines).toEqual([
    `${home("vmem")}/src/x.ts:2: [state] module-level let n${VMEM}`,
  ]);
});

test("every package of the house stands on one level", () => {
  const layers = ownLayers();
  expect(layers.all).toHaveLength(30);
  expect(layers.all.at(-1)?.name).toBe("cli");
  expect(layers.find("dmacheck")).toMatchObject({ level: 9, group: "dma" });
  expect(new Layers([]).find("kern")).toBeUndefined();
});
