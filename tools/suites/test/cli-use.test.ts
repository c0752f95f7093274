/**
 * The command line in good use, and its complaints about how it was called.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { MiB } from "@physio/kern";
import { expect, test } from "vitest";
import { FROM_SOURCE, node, PHYSIO, physio, ROOT } from "../src/cli.ts";
import { entryOf, fixture } from "../src/fixtures.ts";

const lic = fixture("lic-1k");
const hdr = fixture("hdr-4k");
const man = fixture("man-2k-rev0");
const GPL = "/licences/GPL-2";
const COMMANDS = ["demo", "verify", "ls", "stat", "cat"];
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

// ---- how it is called

const USAGE: readonly (readonly [string, readonly string[]])[] = [
  ["an unknown command", ["frobnicate"]],
  ["an unknown option", ["ls", "--frob", "x:/"]],
  ["an option before the command", ["--json", "demo"]],
  ["no operand", ["cat"]],
  ["a copy to nowhere", ["put", "a"]],
  ["a copy from the host to the host", ["cp", "a", "b"]],
  ["two ways at once", ["cp", "--direct", "--mmap", "a", "b:/"]],
  ["a size that is none", ["mkfs", "x.img", "--size", "12Q"]],
  ["verify without an image", ["verify", "--manifest", "m.json"]],
  ["verify without a manifest", ["verify", "x.img"]],
  ["--manifest without a file", ["verify", "x.img", "--manifest"]],
  ["an unknown profile", ["demo", "--profile", "vax"]],
  ["a seed that is no number", ["demo", "--seed", "x"]],
  ["a seed that is negative", ["demo", "--seed", "-1"]],
  ["a seed with a fraction", ["demo", "--seed", "1.5"]],
  ["a seed that is empty", ["demo", "--seed", ""]],
  ["no bounce pages", ["demo", "--bounce-pages", "0"]],
];

for (const [what, args] of USAGE)
  test.concurrent(`${what}: one line, exit code 2`, async () => {
    const run = await physio(...args);
    expect(run.err.split("\n")).toEqual([expect.stringMatching(/^physio: .+/), ""]);
    expect([run.code, run.text]).toEqual([2, ""]);
  });

test("without a command: the help on stderr, exit code 2", async () => {
  const run = await physio();
  expect(run.code).toBe(2);
  expect(run.err).toContain("Usage: physio");
});

for (const command of ["", ...COMMANDS])
  test.concurrent(`--help and --version of physio ${command}: exit code 0`, async () => {
    const before = command === "" ? [] : [command];
    const help = await physio(...before, "--help");
    expect([help.code, help.err]).toEqual([0, ""]);
    expect(help.text).toMatch(new RegExp(`^Usage: physio ${command}`));
    const version = await physio(...before, "--version");
    expect([version.code, version.err]).toEqual([0, ""]);
    expect(version.text).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

// ---- cat

const CATS: readonly (readonly [typeof lic, string])[] = [
  [lic, "/licences/GPL-2"],
  [lic, "/fragmented-by-gaps"],
  [lic, "/sparse-dind"],
  [lic, "/all-hole"],
  [lic, "/naïve-名前-ψ"],
  [hdr, "/churn/grow-a"],
  [man, "/sparse-boundaries"],
];

for (const [of, path] of CATS)
  test.concurrent(`cat ${of.name}:${path} prints the bytes of the manifest`, async () => {
    const run = await physio("cat", `${of.gz}:${path}`);
    expect([run.code, run.err]).toEqual([0, ""]);
    expect(run.out.length).toBe(entryOf(of, path).size);
    expect(sha256(run.out)).toBe(entryOf(of, path).sha256);
  });

test("cat follows symlinks", async () => {
  const run = await physio("cat", `${lic.gz}:/include/short-link`);
  expect(sha256(run.out)).toBe(entryOf(lic, "/licences/GPL-2").sha256);
});

const STREAM = `
import { runCli } from "@physio/cli";
const code = await runCli(["cat", ${JSON.stringify(`${lic.gz}:/sparse-tind`)}]);
process.stderr.write(JSON.stringify({ code, peak: process.resourceUsage().maxRSS * 1024 }));
`;

test("cat of a sparse file of 72 MB streams: all bytes, bounded memory", async () => {
  const script = [FROM_SOURCE, "--input-type=module", "--eval", STREAM];
  const run = await node(script, join(ROOT, "tools/suites"));
  const { code, peak } = JSON.parse(run.err);
  expect(code).toBe(0);
  expect(run.out.length).toBe(entryOf(lic, "/sparse-tind").size);
  expect(sha256(run.out)).toBe(entryOf(lic, "/sparse-tind").sha256);
  expect(peak).toBeLessThan(200 * MiB);
});

test("cat ends quietly when its reader goes away", async () => {
  const child = spawn(process.execPath, [...PHYSIO, "cat", `${lic.gz}:/sparse-tind`], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 20_000,
  });
  let err = "";
  child.stderr.on("data", (piece: Buffer) => {
    err += piece.toString();
  });
  child.stdout.once("data", () => child.stdout.destroy());
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on("close", (...how) => resolve(how));
  });
  expect([err, signal]).toEqual(["", null]);
  expect([0, 1]).toContain(code);
});

// ---- ls and stat

test("ls prints a line for each entry, as the disk has them", async () => {
  const run = await physio("ls", `${lic.gz}:/`);
  expect(run.code).toBe(0);
  const names = run.text
    .trimEnd()
    .split("\n")
    .map((l) => l.split(" -> ")[0].split(" ").at(-1));
  expect(new Set(names)).toEqual(new Set(entryOf(lic, "/").names));
  expect(names.length).toBe(entryOf(lic, "/").names!.length);
  expect(run.text).toMatch(/^c--------- .* 5, 1 .* console$/m);
  expect(run.text).toMatch(/^drwx------ .* lost\+found$/m);
  expect(run.text).toMatch(/^lrwxrwxrwx .* fast-59-bytes -> x{59}$/m);
});

test("ls --json and stat --json say what the manifest says", async () => {
  const [ls, stat, link] = await Promise.all([
    physio("ls", `${lic.gz}:/licences`, "--json"),
    physio("stat", `${lic.gz}:/licences/GPL-2`, "--json"),
    physio("stat", `${lic.gz}:/include/short-link`, "--json"),
  ]);
  const records: { path: string; ino: number }[] = JSON.parse(ls.text);
  expect(records.map((r) => r.path)).toEqual(entryOf(lic, "/licences").names);
  for (const record of records.filter((r) => !r.path.startsWith(".")))
    expect(record.ino).toBe(entryOf(lic, `/licences/${record.path}`).ino);
  const { path, type, ino, mode, uid, gid, size, links, sectors, mtime } = entryOf(lic, GPL);
  const wanted = { path, type, ino, uid, gid, size, links, sectors, mtime };
  expect(JSON.parse(stat.text)).toMatchObject({ ...wanted, mode: Number.parseInt(mode!, 8) });
  expect(JSON.parse(link.text)).toMatchObject({ type: "symlink", target: "../licences/GPL-2" });
});

test("stat prints type, size, inode and times", async () => {
  const run = await physio("stat", `${hdr.gz}:/past-4g`);
  expect(run.code).toBe(0);
  expect(run.text).toMatch(/^ {2}File: \/past-4g$/m);
  expect(run.text).toMatch(/^ {2}Size: 4300000001 {2}Sectors: 56 {2}Block size: 4096$/m);
  expect(run.text).toMatch(/^ Inode: 123 /m);
});

// ---- the sysctl tree

const TREE = /^hw\.busdma\.total_bpages: \d+$/m;
const COUNTER = /^hw\.busdma\.zone0\.total_bounced: (\d+)$/m;

test("--sysctl prints the hw.busdma tree after every command", async () => {
  const file = `${lic.gz}:/licences/GPL-2`;
  const [verify, ls, stat, cat, json] = await Promise.all([
    physio("verify", lic.gz, "--manifest", lic.manifest, "--sysctl"),
    physio("ls", `${lic.gz}:/`, "--sysctl"),
    physio("stat", file, "--sysctl"),
    physio("cat", file, "--sysctl"),
    physio("stat", file, "--sysctl", "--json"),
  ]);
  for (const run of [verify, ls, stat, cat, json]) expect(run.code).toBe(0);
  for (const run of [verify, ls, stat]) {
    expect(run.text).toMatch(TREE);
    expect(Number(COUNTER.exec(run.text)?.[1])).toBeGreaterThan(0);
  }
  for (const run of [cat, json]) expect(run.err).toMatch(TREE); // stdout is the file's, or JSON
  expect(sha256(cat.out)).toBe(entryOf(lic, "/licences/GPL-2").sha256);
  expect(JSON.parse(json.text).path).toBe("/licences/GPL-2");
});
