import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, expect, test } from "vitest";
import { table } from "../src/dry-run.ts";
import type { Bump } from "../src/plan.ts";
import { releasePlan } from "../src/plan.ts";
import { publicPackages, repositoryRoot } from "../src/workspace.ts";
import { folder } from "./fixture.ts";

const ROOT = repositoryRoot();
const made: string[] = [];
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** The house's manifests as after a first release, without git, with these changesets. */
function copy(changesets: Readonly<Record<string, string>>): string {
  const to = mkdtempSync(join(tmpdir(), "release-plan-"));
  made.push(to);
  for (const path of ["package.json", "pnpm-workspace.yaml", ".changeset/config.json"]) {
    cpSync(join(ROOT, path), join(to, path));
  }
  for (const { dir, manifest } of publicPackages(ROOT)) {
    const there = join(to, relative(ROOT, dir));
    mkdirSync(there, { recursive: true });
    writeFileSync(
      join(there, "package.json"),
      JSON.stringify({ ...manifest, version: "0.1.0", private: false }),
    );
  }
  for (const [name, front] of Object.entries(changesets)) {
    writeFileSync(join(to, ".changeset", `${name}.md`), `---\n${front}\n---\n\nA change.\n`);
  }
  return to;
}

function dependents(of: string): string[] {
  return publicPackages(ROOT)
    .filter((p) => Object.hasOwn(p.manifest.dependencies ?? {}, of))
    .map((p) => p.name);
}

test("a minor of physmem bumps physmem, its dependents by a patch, and nothing else", async () => {
  const bumps = await releasePlan(copy({ "more-ram": '"@physio/physmem": minor' }));
  const users = dependents("@physio/physmem");
  expect(users.length).toBeGreaterThan(3);
  expect(users.length).toBeLessThan(publicPackages(ROOT).length - 2); // so "nothing else" says something

  const physmem = bumps.find((b) => b.name === "@physio/physmem");
  expect(physmem).toMatchObject({
    type: "minor",
    oldVersion: "0.1.0",
    newVersion: "0.2.0",
    changesets: ["more-ram"],
    follows: [],
  });
  const others = bumps.filter((b) => b !== physmem);
  expect(others.map((b) => b.name)).toEqual(users);
  for (const bump of others) {
    expect(bump).toMatchObject({ type: "patch", newVersion: "0.1.1", changesets: [] });
    expect(bump.follows).toEqual(["@physio/physmem"]);
  }
});

test("a patch that every range admits bumps its package alone", async () => {
  const bumps = await releasePlan(copy({ fix: '"@physio/kern": patch' }));
  expect(bumps.map((b) => [b.name, b.newVersion])).toEqual([["@physio/kern", "0.1.1"]]);
});

test("without changesets nothing is published", async () => {
  expect(await releasePlan(copy({}))).toEqual([]);
});

test("a changeset for a package that is not there is an error", async () => {
  await expect(releasePlan(copy({ odd: '"@physio/none": patch' }))).rejects.toThrow("odd");
  await expect(releasePlan(folder({}))).rejects.toThrow();
});

test("the table tells version, tarball and reason", () => {
  const bump = { name: "@x/a", type: "minor", oldVersion: "0.1.0", newVersion: "0.2.0" } as const;
  const own: Bump = { ...bump, changesets: ["one", "two"], follows: [] };
  const led: Bump = { ...bump, type: "patch", name: "@x/bb", changesets: [], follows: ["@x/a"] };
  expect(table([own, led], new Map([["@x/bb", { files: 7, size: 12_345 }]]))).toEqual([
    "package  version         tarball           why",
    "@x/a     0.1.0 -> 0.2.0                    minor: changeset one, two",
    "@x/bb    0.1.0 -> 0.2.0  7 files  12.3 kB  patch: its dependency @x/a moves",
  ]);
});
