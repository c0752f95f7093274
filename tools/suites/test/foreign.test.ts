/**
 * Images that are not in the project: made here by e2fsprogs, with all kinds of layouts.
 *
 * Everything that the host and debugfs say of the trees is compared. Without e2fsprogs the tests
 * are skipped, with a word about it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GiB, MiB } from "@physio/kern";
import { MemoryMedia, machine, pc } from "@physio/machine";
import type { ManifestEntry, VerifyReport } from "@physio/machine/verify";
import { parseManifest } from "@physio/machine/verify";
import type { Sleeps } from "@physio/sched";
import { namei } from "@physio/vfs";
import { afterAll, expect, test } from "vitest";
import { physio, scratchFolder } from "../src/cli.ts";
import { examine } from "../src/examine.ts";
import type { HostTree } from "../src/make-image.ts";
import { debugfs, haveE2fsprogs, makeImage, textOf, withInodes } from "../src/make-image.ts";
import { mixedTree, tinyTree, wideTree } from "../src/trees.ts";

const THERE = haveE2fsprogs();
if (!THERE) console.warn("tests against foreign images are skipped: e2fsprogs is not installed");
const foreign = test.runIf(THERE);

const scratch = scratchFolder();
afterAll(scratch.remove);
let images = 0;
const newPath = (): string => join(scratch.path, `image-${images++}`);

const trees: Map<string, HostTree> = new Map();

/** The mixed tree for a block size; files above 2 GiB only where the revision knows them. */
function treeFor(blockSize: number, revision: number): HostTree {
  const key = `tree-${blockSize}-rev${revision}`;
  const most = revision === 0 ? 2 * GiB - 1 : 6 * GiB;
  const tree = trees.get(key) ?? mixedTree(join(scratch.path, key), blockSize, most);
  trees.set(key, tree);
  return tree;
}

function verify(bytes: Uint8Array, entries: readonly ManifestEntry[]): VerifyReport {
  return examine(new MemoryMedia(bytes), parseManifest({ entries })).report;
}

interface Layout {
  readonly args: string;
  readonly blockSize: number;
  readonly revision?: number;
  readonly mebibytes?: number;
}

const LAYOUTS: readonly Layout[] = [
  { args: "-r 0 -b 1024", blockSize: 1024, revision: 0 },
  { args: "-r 0 -b 2048", blockSize: 2048, revision: 0 },
  { args: "-r 0 -b 4096", blockSize: 4096, revision: 0 },
  { args: "-b 1024", blockSize: 1024 },
  { args: "-b 2048", blockSize: 2048 },
  { args: "-b 4096", blockSize: 4096 },
  { args: "-b 1024 -O none", blockSize: 1024 },
  { args: "-b 1024 -I 128 -O ^filetype,^sparse_super,^resize_inode,^dir_index", blockSize: 1024 },
  { args: "-b 1024 -g 256 -N 512 -O meta_bg,^resize_inode", blockSize: 1024 },
  { args: "-b 1024 -g 512 -O sparse_super2,^sparse_super,^resize_inode", blockSize: 1024 },
  { args: "-b 1024 -g 8192 -O resize_inode -E resize=8000000", blockSize: 1024, mebibytes: 32 },
  { args: "-b 2048 -I 256 -O large_file,huge_file,dir_nlink,extra_isize", blockSize: 2048 },
  { args: "-b 2048 -I 256 -O metadata_csum,^extent,^64bit", blockSize: 2048 },
  { args: "-b 4096 -I 256 -O uninit_bg", blockSize: 4096 },
  { args: "-b 4096 -I 512 -O quota,project", blockSize: 4096, mebibytes: 32 },
  { args: "-b 1024 -O has_journal", blockSize: 1024, mebibytes: 32 },
  { args: "-b 4096 -O has_journal,orphan_file", blockSize: 4096, mebibytes: 32 },
];

/** Flip a bit in the second block of /flip-me, found by its contents. */
function expectFlipFound(
  bytes: Uint8Array,
  entries: readonly ManifestEntry[],
  block: number,
): void {
  const needle = textOf("flip-me", 5 * block).subarray(block, block + 100);
  const at = Buffer.from(bytes.buffer).indexOf(needle);
  expect(at % block).toBe(0);
  bytes[at + 50] ^= 4;
  expect(verify(bytes, entries).failures.map((f) => f.path)).toEqual(["/flip-me"]);
}

/** Every sixth layout; CI sets PHYSIO_ALL and takes all. */
const CHOSEN = LAYOUTS.filter((_, i) => process.env.PHYSIO_ALL !== undefined || i % 6 === 0);
for (const { args, blockSize, revision = 1, mebibytes = 24 } of CHOSEN)
  foreign(`mke2fs ${args}: everything agrees, a flipped byte is found`, () => {
    const tree = treeFor(blockSize, revision);
    const path = newPath();
    makeImage(path, tree, { args: args.split(" "), mebibytes });
    const entries = withInodes(path, tree.entries());
    const bytes = new Uint8Array(readFileSync(path));
    const report = verify(bytes, entries);
    expect(report.failures).toEqual([]);
    expect(report.files + report.directories + report.others).toBe(entries.length);
    expect(report.unlisted, "the root and lost+found").toBe(2);
    expectFlipFound(bytes, entries, blockSize);
  });

// ---- directories with an index

function* lookUpAll(
  m: ReturnType<typeof machine>,
  bytes: Uint8Array,
  paths: string[],
): Sleeps<number> {
  const disk = yield* m.attachDisk("nvme0", new MemoryMedia(bytes));
  const mount = yield* m.mount(disk);
  const root = yield* mount.root();
  const before = m.cache.hits + m.cache.misses;
  for (const path of paths) mount.vrele(yield* namei(root, path));
  const blocks = m.cache.hits + m.cache.misses - before;
  mount.vrele(root);
  yield* mount.unmount();
  return blocks / paths.length;
}

for (const [index, args, levels] of [
  ["half_md4", "-b 1024 -O dir_index", 1],
  ["tea", "-b 1024 -O dir_index", 1],
  ["legacy", "-b 1024 -O dir_index", 1],
  ["half_md4", "-b 1024 -O dir_index,metadata_csum,^extent,^64bit", 1],
  ["half_md4", "-b 4096 -O dir_index", 0],
] as const)
  foreign(`mke2fs ${args}, index ${index}: lookups go through its ${levels + 1} levels`, () => {
    const tree = trees.get("wide") ?? wideTree(join(scratch.path, "wide"), 2500);
    trees.set("wide", tree);
    const path = newPath();
    makeImage(path, tree, { args: [...args.split(" "), "-N", "3000"], mebibytes: 24, index });
    expect(debugfs(path, ["htree /wide"])).toMatch(new RegExp(`Indirect levels: ${levels}`));
    const bytes = new Uint8Array(readFileSync(path));
    const entries = tree.entries();
    expect(verify(bytes, entries)).toMatchObject({ failures: [], unlisted: 2 });
    const paths = entries.map((e) => e.path).filter((p, i) => i > 0 && i % 7 === 0 && p !== "");
    const m = machine(pc());
    const perLookup = m.runSync(lookUpAll(m, bytes, paths));
    // Root directory, root's inode entry, index root, inner node, leaf, the inode: not 200 blocks.
    expect(perLookup).toBeLessThan(8);
  });

// ---- what must be refused

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["-t ext4 -O extent", "extent", /\bextent\b/],
  ["-O extent,64bit", "extent and 64bit", /\bextent 64bit\b/],
  ["-O flex_bg", "flex_bg", /\bflex_bg\b/],
  ["-O inline_data -I 256", "inline_data", /\binline_data\b/],
  ["-O extent,casefold", "casefold", /\bcasefold\b/],
  ["-O extent,encrypt", "encrypt", /\bencrypt\b/],
];

for (const [args, what, names] of REFUSED)
  foreign(`mke2fs ${args}: EOPNOTSUPP naming ${what}`, () => {
    const path = newPath();
    const tree = tinyTree(newPath());
    makeImage(path, tree, { args: ["-b", "4096", ...args.split(" ")], mebibytes: 16 });
    const bytes = new Uint8Array(readFileSync(path));
    expect(() => verify(bytes, [])).toThrow(names);
    expect(() => verify(bytes, [])).toThrow(/: EOPNOTSUPP$/);
  });

foreign("a journal that must be replayed is, in memory alone", async () => {
  const path = newPath();
  const args = ["-b", "4096", "-O", "has_journal"];
  makeImage(path, tinyTree(newPath()), { args, mebibytes: 20 });
  const clean = await physio("cat", `${path}:/hello`);
  expect(clean.text).toBe("hello, world\n");
  const block = Number(/\(0\):(\d+)/.exec(debugfs(path, ["stat /hello"]))?.[1]);
  const other = `${path}-block`;
  writeFileSync(other, Buffer.alloc(4096, "HELLO, world"));
  debugfs(path, ["jo", `jw -b ${block} ${other}`, "jc"], true);
  const before = readFileSync(path);
  expect((await physio("cat", `${path}:/hello`)).text).toBe("HELLO, worldH");
  expect(readFileSync(path).equals(before)).toBe(true);
});

foreign(
  "the commands read a foreign image: names with any bytes, a symlink, bytes past 4 GiB",
  async () => {
    const path = newPath();
    makeImage(path, treeFor(1024, 1), { args: ["-b", "1024"], mebibytes: 24 });
    const [ls, cat, stat] = await Promise.all([
      physio("ls", `${path}:/`, "--json"),
      physio("cat", `${path}:/links/to-hello`),
      physio("stat", `${path}:/past-4g`, "--json"),
    ]);
    const names = JSON.parse(ls.text).map((record: { path: string }) => record.path);
    expect(names).toContain("latin1-\udce9t\udce9");
    expect(names).toContain("naïve-名前-ψ");
    expect(cat.text).toBe("hello, world\n");
    expect(JSON.parse(stat.text).size).toBeGreaterThan(4096 * MiB);
  },
);
