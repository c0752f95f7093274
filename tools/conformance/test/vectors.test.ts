/** Files that cannot be used are named with what is wrong; what can be read is read either way. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findVectorFiles, VectorError } from "../src/files.ts";
import { readGenfsVectors } from "../src/genfs/vectors.ts";
import { readVectors } from "../src/vectors.ts";
import { GENFS_SCENARIO } from "./genfs-scenario.ts";
import { SCENARIO } from "./scenario.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "vectors-test-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function file(name: string, bytes: string | Uint8Array): string {
  const path = join(root, name);
  writeFileSync(path, bytes);
  return path;
}

const line = JSON.stringify(SCENARIO);

test("a file is read gzipped or not, whatever its name says, with or without a last newline", () => {
  for (const bytes of [line, `${line}\n`, gzipSync(`${line}\n\n`)]) {
    expect(readVectors(file("x.jsonl", bytes))).toEqual([SCENARIO]);
  }
});

test("a folder stands for its vector files in order, other files are not looked at", () => {
  const folder = join(root, "folder");
  mkdirSync(folder);
  for (const name of ["b.jsonl", "a.jsonl.gz", "README.md", "c.json"]) {
    writeFileSync(join(folder, name), "");
  }
  expect(findVectorFiles([folder])).toEqual([join(folder, "a.jsonl.gz"), join(folder, "b.jsonl")]);
});

const without = (field: string) => JSON.stringify({ ...SCENARIO, [field]: undefined });
const machineWith = (part: object) =>
  JSON.stringify({ ...SCENARIO, machine: { ...SCENARIO.machine, ...part } });

const bad: readonly [string, string, RegExp][] = [
  ["no JSON", "{", /x\.jsonl:1: .*JSON/],
  ["a wrong second line", `${line}\n[]\n`, /x\.jsonl:2: not an object$/],
  ["an empty file", "\n", /x\.jsonl: no scenario in it$/],
  ["no id", without("id"), /:1: no id$/],
  ["an unknown variant", JSON.stringify({ ...SCENARIO, variant: "vax" }), /unknown variant vax$/],
  ["no machine", without("machine"), /:1: no machine$/],
  ["another page size", machineWith({ pageSize: 8192 }), /pageSize is 8192$/],
  ["a top that is no address", machineWith({ physicalTop: 1.5 }), /physicalTop is not an address$/],
  ["RAM that is no runs", machineWith({ ram: [[1, 2, 3]] }), /machine\.ram is not a list of runs$/],
  ["a map that is no runs", machineWith({ userMap: [[1]] }), /userMap is not a list of runs$/],
  ["bounce pages that are none", machineWith({ bouncePages: ["x"] }), /bouncePages is not a list/],
  ["arm64 without a line", JSON.stringify({ ...SCENARIO, variant: "arm64" }), /cacheLine is not/],
  ["no operations", without("ops"), /ops is not a list of operations with outcomes$/],
  [
    "an operation without outcome",
    JSON.stringify({ ...SCENARIO, ops: [{ op: "sync" }] }),
    /ops is/,
  ],
];

for (const [name, text, says] of bad) {
  test(`${name} is reported with the place`, () => {
    const path = file("x.jsonl", text);
    expect(() => readVectors(path)).toThrow(VectorError);
    expect(() => readVectors(path)).toThrow(says);
  });
}

test("a scenario of genfs is read as it was written", () => {
  const text = JSON.stringify(GENFS_SCENARIO);
  expect(readGenfsVectors(file("x.jsonl", text))).toEqual([GENFS_SCENARIO]);
});

const { vnode, mount, disk } = GENFS_SCENARIO;
const badGenfs: readonly [string, object, RegExp][] = [
  ["no id", { id: undefined }, /:1: no id$/],
  ["no vnode", { vnode: undefined }, /:1: no vnode$/],
  ["a type that no vnode has", { vnode: { ...vnode, type: "VSOCK" } }, /unknown vnode.type VSOCK$/],
  ["a routine that is none", { vnode: { ...vnode, gopWrite: "x" } }, /unknown vnode.gopWrite x$/],
  ["a size that is none", { vnode: { ...vnode, size: -1 } }, /vnode.size is not a number$/],
  ["a shift that is none", { mount: { ...mount, fsBshift: "x" } }, /mount.fsBshift is not a num/],
  ["a disk without bytes", { disk: { ...disk, bytes: 0.5 } }, /disk.bytes is not a number$/],
  ["blocks that are none", { blocks: null }, /:1: blocks is not a number$/],
  ["a map of no runs", { map: [[1, 2]] }, /:1: map is not a list of runs$/],
  ["free blocks that are none", { free: ["x"] }, /:1: free is not a list of blocks$/],
  ["user memory without a base", { user: {} }, /:1: user.base is not a number$/],
  ["a step without outcome", { steps: [{ op: "complete" }] }, /:1: steps is not a list of/],
];

for (const [name, part, says] of badGenfs) {
  test(`genfs: ${name} is reported with the place`, () => {
    const path = file("x.jsonl", JSON.stringify({ ...GENFS_SCENARIO, ...part }));
    expect(() => readGenfsVectors(path)).toThrow(VectorError);
    expect(() => readGenfsVectors(path)).toThrow(says);
  });
}

test("damaged gzip, a missing file, a folder without vectors", () => {
  const zipped = gzipSync(line);
  expect(() => readVectors(file("z", zipped.subarray(0, zipped.length - 9)))).toThrow(
    /z: unexpected/,
  );
  expect(() => findVectorFiles([join(root, "nowhere")])).toThrow(/nowhere: ENOENT/);
  mkdirSync(join(root, "empty"));
  expect(() => findVectorFiles([join(root, "empty")])).toThrow(/empty: no \.jsonl/);
});
