import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BEGIN, COLUMNS, END, levelsPicture, ownLayers, withPicture } from "../src/picture.ts";
import { breaches, controls, run, workspace } from "./fixture.ts";

const README = `# House\n\n${BEGIN}\nold\n${END}\n\nText.\n`;

breaches([
  {
    name: "a workplace in a document",
    files: { "docs/run.md": `Run it.\n\nThen \`cd /${"work"}/main\`.\n` },
    rule: "machine-path",
    says: ["docs/run.md:3:", `/${"work"}/`],
  },
  {
    name: "a job folder in a script",
    files: { "tools/x.mjs": `const log = "/${"tmp"}/bash_jobs.0/1";\n` },
    rule: "machine-path",
    says: [`/${"tmp"}/bash_jobs`],
  },
  {
    name: "a home folder in a config",
    files: { "docs/c.json": '{ "at": "file:///root/x" }\n' },
    rule: "machine-path",
    says: ["docs/c.json:1:", "/root/"],
  },
  {
    name: "a path in tools that share a data folder's name",
    files: { "tools/conformance/src/x.ts": `/** X. */\nexport const at = "/${"work"}/x";\n` },
    rule: "machine-path",
    says: ["tools/conformance/src/x.ts:2:"],
  },
  {
    name: "a stale picture",
    files: { "README.md": README },
    rule: "picture",
    says: ["README.md:3:", "--fix"],
  },
]);

controls([
  {
    name: "paths that only contain those words",
    files: {
      "docs/a.md": "see https://example.org/work/ and src/root/x, ./work/x, ~/work/x, /workers/\n",
    },
  },
  {
    name: "recorded data and the lockfile",
    files: {
      "fixtures/ext2/a.txt": "/root/x",
      "packages/kern/vmem/test/fixtures/b.txt": "/root/x",
      "conformance/c.jsonl": "/work/x",
      "pnpm-lock.yaml": "/work/x",
      "docs/picture.bin": "\0/work/x",
    },
  },
  { name: "a README without markers", files: { "README.md": "# House\n" } },
]);

test("the picture names every package once, top level first, within its columns", () => {
  const layers = ownLayers();
  const picture = levelsPicture(layers, new Set(["kern", "cli"]));
  const lines = picture.split("\n");
  expect(lines).toHaveLength(layers.all.length);
  expect(lines[0]).toMatch(/^14 {2}top {4}cli /);
  expect(lines.at(-1)).toMatch(/^ 0 {2}kern {3}kern /);
  expect(lines[1]).toMatch(/^13 {2}top {3}\(nbd\) /);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(COLUMNS);
  for (const line of lines) expect(line).not.toContain("…");
});

test("--fix redraws the picture and leaves the text round it", () => {
  const root = workspace({ "README.md": README });
  expect(run(root, "--fix").code).toBe(0);
  const text = readFileSync(join(root, "README.md"), "utf8");
  expect(text).toMatch(/^# House\n\n<!-- levels:begin -->\n\n```text\n14 {2}top {4}cli /);
  expect(text).toMatch(/\n```\n\n<!-- levels:end -->\n\nText\.\n$/);
  expect(text).toContain("(ffs)");
  expect(run(root).code).toBe(0);
});

test("withPicture wants both markers, in order", () => {
  expect(withPicture(`${END} ${BEGIN}`, "x")).toBeNull();
  expect(withPicture(BEGIN, "x")).toBeNull();
});

test("picture.ts --check finds a stale picture, --write mends it", () => {
  const root = workspace({ "README.md": README });
  const readme = join(root, "README.md");
  const script = join(import.meta.dirname, "../src/picture.ts");
  const picture = (option: string) =>
    execFileSync(process.execPath, [script, "--root", root, option, readme], { stdio: "pipe" });
  expect(() => picture("--check")).toThrow(/stale/);
  picture("--write");
  picture("--check");
  writeFileSync(readme, "no markers");
  expect(() => picture("--write")).toThrow(/levels:begin/);
});
