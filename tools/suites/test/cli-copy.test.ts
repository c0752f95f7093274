/**
 * `physio mkfs`, `put`, `get` and `cp`: trees go in and come out as they were, and e2fsck is content.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { MiB } from "@physio/kern";
import { afterAll, describe, expect, test } from "vitest";
import { scratchFolder } from "../src/cli.ts";
import { debugfsCat, expectClean, physioAll, physioWell } from "../src/cli-many.ts";
import { fixture } from "../src/fixtures.ts";
import { HostTree, haveE2fsprogs, textOf, withInodes } from "../src/make-image.ts";
import { mixedTree } from "../src/trees.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const at = (name: string): string => join(scratch.path, name);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The manifest of a tree that was copied to the root: what cp -rp keeps. */
function manifestOf(tree: HostTree, name: string): string {
  const entries = tree.entries().map((entry) => ({ ...entry, links: undefined }));
  const path = at(`${name}.json`);
  fs.writeFileSync(path, JSON.stringify({ entries }));
  return path;
}

const WAYS = [
  ["buffered", 1024, []],
  ["direct", 2048, ["--direct"]],
  ["mapped", 4096, ["--mmap"]],
] as const;

describe.skipIf(!haveE2fsprogs())("with e2fsprogs as the judge", () => {
  for (const [way, blockSize, flags] of WAYS) {
    test.concurrent(`a tree goes in and out, ${way}, blocks of ${blockSize}`, async () => {
      const tree = mixedTree(at(`tree-${way}`), blockSize, 12 * MiB);
      const image = at(`${way}.img`);
      const copy = at(`copy-${way}`);
      const size = ["--size", "24M", "--block-size", String(blockSize)];
      await physioWell(
        ["mkfs", image, ...size],
        ["put", "-rp", ...flags, `${tree.folder}/.`, `${image}:/`],
        ["verify", image, "--manifest", manifestOf(tree, way)],
        ["get", "-rp", ...flags, `${image}:/`, copy],
      );
      expectClean(image);
      fs.rmdirSync(join(copy, "lost+found"));
      execFileSync("diff", ["-r", "--no-dereference", tree.folder, copy]);
      expect(sha256(debugfsCat(image, "/program"))).toBe(
        sha256(fs.readFileSync(tree.host("/program"))),
      );
      const was = fs.lstatSync(tree.host("/program"));
      const is = fs.lstatSync(join(copy, "program"));
      expect([is.mode, Math.floor(is.mtimeMs / 1000)]).toEqual([
        was.mode,
        Math.floor(was.mtimeMs / 1000),
      ]);
    });
  }

  test.concurrent("holes stay holes, both ways", async () => {
    const tree = new HostTree(at("sparse"));
    const pieces = [
      [20 * MiB, textOf("middle", 5000)],
      [30 * MiB, textOf("four blocks", 4096)],
    ] as const;
    tree.sparse("/holes", 40 * MiB, pieces);
    tree.sparse("/nothing", 30 * MiB, []);
    const image = at("sparse.img");
    const commands = [
      ["mkfs", image, "--size", "4M"],
      ["put", "-r", tree.folder, `${image}:/t`],
      ["cp", `${image}:/t/holes`, `${image}:/again`],
      ["get", "-r", `${image}:/t`, at("sparse-out")],
    ];
    await physioWell(...commands);
    expectClean(image);
    const entries = withInodes(image, [{ path: "/t/holes" }, { path: "/again" }]);
    expect(entries.map((e) => e.sectors)).toEqual([24, 24]); // 9 blocks of data, 3 indirect ones
    for (const name of ["holes", "nothing"]) {
      const path = join(at("sparse-out"), name);
      expect(sha256(fs.readFileSync(path))).toBe(sha256(fs.readFileSync(tree.host(`/${name}`))));
      expect(fs.statSync(path).blocks).toBeLessThan(100);
    }
  });

  test.concurrent("an image's tree goes to another image, special files too", async () => {
    const man = fixture("man-2k-rev0");
    const [image, json] = [at("cp.img"), at("cp.json")];
    const entries = man.entries.map((entry) => {
      const size = entry.type === "directory" ? undefined : entry.size;
      return { ...entry, size, ino: undefined, links: undefined, sectors: undefined };
    });
    fs.writeFileSync(json, JSON.stringify({ entries }));
    await physioWell(
      ["mkfs", image, "--size", "8M", "--block-size", "2048"],
      ["cp", "-rp", `${man.gz}:/`, `${image}:/`],
      ["verify", image, "--manifest", json],
    );
    expectClean(image);
  });

  test.concurrent("a file system that is full: told, and what went in is whole", async () => {
    const tree = new HostTree(at("full"));
    for (let i = 0; i < 20; i++) tree.file(`/f${i}`, textOf(`f${i}`, 100_000));
    const image = at("full.img");
    const [, put, sync] = await physioAll([
      ["mkfs", image, "--size", "1M"],
      ["put", "-rv", tree.folder, `${image}:/`],
      ["sync", image],
    ]);
    expect([put.code, sync.code]).toEqual([1, 0]);
    expect(put.err).toMatch(/^physio: .*full\.img:\/full\/f\d+: .*: ENOSPC$/m);
    expectClean(image);
    const whole = [...put.out.matchAll(/-> .*(\/full\/f\d+)$/gm)].map((match) => match[1]);
    expect(whole.length).toBeGreaterThan(5);
    for (const path of whole) {
      const original = fs.readFileSync(tree.host(path.replace("/full", "")));
      expect(debugfsCat(image, path).equals(original), path).toBe(true);
    }
  });
});

// ---- what cp does with its operands

test("put, cp and get take their operands as cp does", async () => {
  const tree = new HostTree(at("src"));
  tree.file("/a", Buffer.from("a\n"));
  tree.file("/b", Buffer.from("b\n"), 0o600);
  tree.directory("/d");
  tree.file("/d/c", Buffer.from("c\n"));
  tree.symlink("/d/link", "c");
  const image = at("ops.img");
  const [src, root] = [tree.folder, `${image}:/`];
  const outcomes = await physioAll([
    ["mkfs", image, "--size", "1M"],
    ["put", `${src}/a`, `${root}one`], //                      a new name
    ["put", `${src}/a`, `${src}/b`, root], //                  several into a directory
    ["put", `${src}/a`, `${src}/b`, `${root}nix`], //          … that is none
    ["put", `${src}/d`, root], //                              a directory without -r
    ["put", "-r", `${src}/d`, root], //                        below an existing target
    ["put", "-r", `${src}/d`, `${root}e`], //                  a new name
    ["put", "-r", `${src}/d`, `${root}a`], //                  onto a file
    ["cp", `${root}one`, `${root}one`], //                     the same file
    ["cp", "-r", `${root}d`, `${root}d`], //                   into itself
    ["put", `${src}/a`, `${src}/nix`, root], //                one of two is not there
    ["cp", `${root}d/link`, `${root}followed`], //             followed without -r
    ["cp", "-r", `${root}d/link`, `${root}kept`], //           not with it
    ["cp", `${root}[ab]`, `${root}e`], //                      a pattern
    ["cp", `${root}x*`, `${root}e`], //                        without a match
    ["get", "-v", `${root}e/c`, at("got")],
    ["put", `${src}/a`, `${root}new/`],
    ["cp", `${src}/a`, at("host")],
    ["tree", image],
  ]);
  const codes = [0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 2, 0];
  expect(outcomes.map((o) => o.code)).toEqual(codes);
  const errors = [3, 4, 7, 8, 9, 10, 14, 16].map((i) => outcomes[i].err.trim().split(": ").at(-1));
  const wanted = ["ENOENT", "EISDIR", "ENOTDIR", "EINVAL", "EINVAL", "ENOENT", "ENOENT", "ENOTDIR"];
  expect(errors).toEqual(wanted);
  expect(outcomes[15].out).toBe(`${image}:/e/c -> ${at("got")}\n`);
  expect(fs.readFileSync(at("got"), "utf8")).toBe("c\n");
  const lines = outcomes[18].out.split("\n").map((line) => line.replace(/^[│├└─\s]+/u, ""));
  expect(lines.toSorted().filter((line) => line !== "")).toEqual(
    [
      ...["/", "lost+found", "one", "a", "b", "followed", "kept -> c", "4 directories, 13 files"],
      ...["d", "c", "link -> c", "d", "c", "link -> c"], // a directory was copied into itself once
      ...["e", "c", "link -> c", "a", "b"],
    ].toSorted(),
  );
  if (haveE2fsprogs()) expectClean(image);
});

test("--json counts, and a copy keeps a file's mode without -p", async () => {
  const tree = new HostTree(at("counted"));
  tree.file("/x", textOf("x", 10_000), 0o640);
  tree.directory("/y");
  tree.symlink("/y/z", "x");
  const image = at("counted.img");
  const [, json, stat] = await physioWell(
    ["mkfs", image, "--size", "512K"],
    ["put", "-r", "--json", tree.folder, `${image}:/`],
    ["stat", "--json", `${image}:/counted/x`],
  );
  const counts = { files: 1, directories: 2, symlinks: 1, others: 0, bytes: 10_000, failures: 0 };
  expect(JSON.parse(json)).toMatchObject(counts);
  expect(JSON.parse(stat)).toMatchObject({ mode: 0o640, size: 10_000, uid: process.getuid?.() });
});
