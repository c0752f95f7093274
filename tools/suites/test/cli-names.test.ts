/**
 * `physio mkdir`, `rm`, `mv`, `ln`, `df`, `sync`, `tree`, `mkfs` and `completion`: what they do, and how they complain.
 */
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { physio, scratchFolder } from "../src/cli.ts";
import type { Outcome } from "../src/cli-many.ts";
import { expectClean, physioAll, physioWell } from "../src/cli-many.ts";
import { fixture } from "../src/fixtures.ts";
import { haveE2fsprogs } from "../src/make-image.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const at = (name: string): string => join(scratch.path, name);
const errnoOf = ({ err }: Outcome): string => err.trim().split(": ").at(-1)!;

test("names are made, moved and removed, and complaints are POSIX's", async () => {
  const image = at("names.img");
  const root = `${image}:/`;
  const CASES: readonly (readonly [number, string, readonly string[]])[] = [
    [0, "", ["mkfs", image, "--size", "1M", "--label", "names"]],
    [0, "", ["mkdir", `${root}a`, `${root}b`]],
    [1, "EEXIST", ["mkdir", `${root}a`]],
    [1, "ENOENT", ["mkdir", `${root}x/y`]],
    [0, "", ["mkdir", "-p", "-m", "700", `${root}x/y`]],
    [0, "", ["mkdir", "-p", `${root}x/y`]],
    [0, "", ["put", at("file"), `${root}a/f`]],
    [1, "EEXIST", ["mkdir", "-p", `${root}a/f`]],
    [1, "ENOTDIR", ["mkdir", `${root}a/f/g`]],
    [0, "", ["ln", `${root}a/f`, `${root}hard`]],
    [1, "EPERM", ["ln", `${root}a`, `${root}dir`]],
    [1, "EEXIST", ["ln", "-s", "a/f", `${root}hard`]],
    [0, "", ["ln", "-s", "a/f", `${root}soft`]],
    [0, "", ["ln", "-sf", "b", `${root}soft`]],
    [0, "", ["mv", `${root}a/f`, `${root}x`]],
    [0, "", ["mv", `${root}x/f`, `${root}hard`, `${root}b`]],
    [1, "ENOTDIR", ["mv", `${root}a`, `${root}b`, `${root}b/f`]],
    [1, "EINVAL", ["mv", `${root}x`, `${root}x/y`]],
    [1, "ENOENT", ["mv", `${root}nix`, `${root}b`]],
    [1, "EISDIR", ["rm", `${root}x`]],
    [1, "ENOENT", ["rm", `${root}nix`]],
    [0, "", ["rm", "-f", `${root}nix`, `${root}nix*`]],
    [1, "EINVAL", ["rm", "-r", `${root}`]],
    [0, "", ["rm", "-r", `${root}x`, `${root}[a]`]],
    [0, "", ["sync", image]],
  ];
  fs.writeFileSync(at("file"), "text\n");
  const outcomes = await physioAll(CASES.map(([, , args]) => args));
  for (const [i, [code, errno, args]] of CASES.entries()) {
    const got = outcomes[i];
    expect({ args, code: got.code, errno: errnoOf(got) }).toEqual({ args, code, errno });
  }
  if (haveE2fsprogs()) expectClean(image);
  const [tree, json, stat, several] = await physioWell(
    ["tree", `${image}:/`],
    ["tree", "--json", `${image}:/b`],
    ["stat", "--json", `${image}:/b/hard`],
    ["ls", `${image}:/b`, `${image}:/soft`],
  );
  const wanted = "/\n├── lost+found\n├── b\n│   ├── f\n│   └── hard\n└── soft -> b\n";
  expect(tree).toBe(`${wanted}\n2 directories, 3 files\n`);
  const file = { type: "regular", size: 5 };
  const entries = [
    { name: "f", ...file },
    { name: "hard", ...file },
  ];
  expect(JSON.parse(json)).toMatchObject({ name: "/b", type: "directory", entries });
  expect(JSON.parse(stat)).toMatchObject({ links: 2, size: 5 });
  expect(several).toMatch(/^l.* \/soft -> b\n\n\/b:\nd.* \.\n/);
});

test("mv between images, and images that are not written to", async () => {
  const [one, two, gz] = [at("one.img"), at("two.img"), at("one.img.gz")];
  await physioWell(["mkfs", one, "--size", "128K"], ["mkfs", two, "--size", "128K"]);
  fs.writeFileSync(gz, gzipSync(fs.readFileSync(one)));
  const before = fs.readFileSync(gz);
  const outcomes = await physioAll([
    ["mv", `${one}:/lost+found`, `${two}:/x`],
    ["mkdir", `${gz}:/x`],
    ["put", gz, `${fixture("lic-1k").gz}:/x`],
    ["mkdir", `${at("nix.img")}:/x`],
    ["df", at("nix.img"), one],
  ]);
  expect(outcomes.map((o) => [o.code, o.err.split(": ").at(-1)])).toEqual(
    ["EXDEV\n", "EROFS\n", "EROFS\n", "ENOENT\n", "ENOENT\n"].map((errno) => [1, errno]),
  );
  expect(outcomes[4].out).toContain("one.img");
  expect(fs.readFileSync(gz).equals(before)).toBe(true);
});

test("mkfs and df agree; what cannot be made leaves nothing", async () => {
  const image = at("df.img");
  fs.writeFileSync(at("kept.img"), "not to be lost");
  fs.writeFileSync(at("filler"), Buffer.alloc(100_000, 1));
  const outcomes = await physioAll([
    ["mkfs", image, "--size", "1.5M", "--block-size", "2K", "--inodes", "64", "--json"],
    ["df", image, "--json"],
    ["put", at("filler"), `${image}:/`],
    ["df", image],
    ["mkfs", image], // the size that it has
    ["mkfs", at("small.img"), "--size", "10K"],
    ["mkfs", at("kept.img"), "--size", "1M", "--block-size", "3000"],
    ["mkfs", at("no/folder.img"), "--size", "1M"],
    ["mkfs", scratch.path, "--size", "1M"],
    ["mkfs", image, "--size", "much"],
  ]);
  expect(outcomes.map((o) => o.code)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 2]);
  expect(JSON.parse(outcomes[0].out)).toEqual({ image, size: 1.5 * 2 ** 20 });
  const [usage] = JSON.parse(outcomes[1].out);
  expect(usage).toMatchObject({ image, type: "ext2", blockSize: 2048, freeInodes: 64 - 11 });
  expect(usage.blocks).toBeGreaterThan(700);
  const used = /ext2 +(\d+) +(\d+) +(\d+) +(\d+)% +12 +52$/m.exec(outcomes[3].out)!;
  expect(Number(used[1])).toBe(usage.blocks * 2);
  expect(Number(used[2])).toBe((usage.blocks - usage.freeBlocks) * 2 + 100); // 49 blocks, an indirect one
  expect(outcomes.slice(5, 9).map(errnoOf)).toEqual(["EINVAL", "EINVAL", "ENOENT", "EISDIR"]);
  expect(fs.existsSync(at("small.img"))).toBe(false);
  expect(fs.readFileSync(at("kept.img"), "utf8")).toBe("not to be lost");
  expect(fs.statSync(image).size).toBe(1.5 * 2 ** 20);
  if (haveE2fsprogs()) expectClean(image);
});

test("SOURCE_DATE_EPOCH: an image can be made twice", async () => {
  const make = async (name: string): Promise<Buffer> => {
    const image = at(name);
    await physioWell(["mkfs", image, "--size", "256K"], ["put", at("file"), `${image}:/`]);
    return fs.readFileSync(image);
  };
  fs.writeFileSync(at("file"), "text\n");
  process.env.SOURCE_DATE_EPOCH = "1700000000";
  try {
    expect((await make("first.img")).equals(await make("second.img"))).toBe(true);
  } finally {
    delete process.env.SOURCE_DATE_EPOCH;
  }
});

const WRITERS = ["cp", "put", "get", "mkdir", "rm", "mv", "ln", "sync", "df", "tree", "mkfs"];

test("--help of the commands that write", async () => {
  const texts = await physioWell(...WRITERS.map((command) => [command, "--help"]));
  for (const [i, command] of WRITERS.entries())
    expect(texts[i]).toMatch(new RegExp(`^Usage: physio ${command} \\[options\\] <`));
});

test("completion: bash takes the script and completes commands, options and choices", async () => {
  const [bash, zsh, fish] = await Promise.all(
    ["bash", "zsh", "fish"].map((shell) => physio("completion", shell)),
  );
  const path = at("completion.bash");
  fs.writeFileSync(path, bash.text);
  const complete = (...words: string[]): string[] => {
    const script = `source ${path}; COMP_WORDS=(physio ${words.map((w) => `'${w}'`).join(" ")}); COMP_CWORD=${words.length}; _physio; echo "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { encoding: "utf8", cwd: scratch.path })
      .trim()
      .split(" ");
  };
  expect(complete("m")).toEqual(["mkdir", "mv", "mkfs"]);
  expect(complete("mkfs", "--b")).toEqual(["--block-size"]);
  expect(complete("cp", "--profile", "pc")).toEqual(["pc", "pc-32bit-dma"]);
  expect(complete("ls", "df.im")).toEqual(["df.img"]);
  expect(complete("completion", "f")).toEqual(["fish"]);
  expect([zsh.code, fish.code]).toEqual([0, 0]);
  expect(zsh.text).toContain("#compdef physio");
  expect(fish.text).toContain("complete -c physio -n __fish_use_subcommand -f -a mkfs ");
  for (const [shell, script] of [
    ["zsh", zsh.text],
    ["fish", fish.text],
  ] as const) {
    const run = spawnSync(shell, ["-n"], { input: script });
    if (run.error === undefined) expect([shell, run.status]).toEqual([shell, 0]);
  }
});
