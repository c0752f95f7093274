/**
 * Host trees for images: one with something of everything, one with a huge directory.
 */
import { KiB, MiB } from "@physio/kern";
import type { Piece } from "./make-image.ts";
import { HostTree, textOf } from "./make-image.ts";

/** A name of 255 bytes, and names with bytes that are and are not UTF-8. */
const LONG_NAME = `${"long-name-".repeat(25)}12345`;
const ODD_NAMES = ["naïve-名前-ψ", "latin1-\udce9t\udce9", "\udcff\udcfe\udc80", "a b\tc\nd", "-n"];

/** Sizes around the borders of blocks, direct blocks and the first indirect block. */
function borders(tree: HostTree, blockSize: number): void {
  const fanOut = blockSize / 4;
  for (const blocks of [1, 12, 13, 12 + fanOut, 13 + fanOut]) {
    for (const more of [-1, 0, 1]) {
      const path = `/borders/${blocks}-blocks${more < 0 ? more : `+${more}`}`;
      const size = blocks * blockSize + more;
      if (blocks < 20) tree.file(path, textOf(path, size));
      else tree.sparse(path, size, [[size - 700, textOf(path, 700)]]);
    }
  }
}

/** One block of data at the first and last place of every indirection level, holes between. */
function holes(tree: HostTree, blockSize: number, most: number): void {
  const fanOut = blockSize / 4;
  const [single, double] = [12, 12 + fanOut];
  const triple = double + fanOut ** 2;
  const blocks = [2, 11, single, double - 1, double, double + fanOut, triple - 1, triple];
  const pieces = blocks
    .filter((lbn) => (lbn + 1) * blockSize <= most)
    .map((lbn): Piece => [lbn * blockSize, textOf(`hole ${lbn}`, blockSize)]);
  const end = pieces[pieces.length - 1][0] + blockSize;
  tree.sparse("/holes/every-level", end + 12_345, pieces);
  tree.sparse("/holes/ends-with-data", end, pieces);
  tree.sparse("/holes/nothing", 1_000_001, []);
}

/** Something of everything. => `most`: bytes that a file may have. */
export function mixedTree(folder: string, blockSize: number, most: number): HostTree {
  const tree = new HostTree(folder);
  tree.file("/hello", Buffer.from("hello, world\n"));
  tree.file("/empty", Buffer.alloc(0), 0o600);
  tree.file("/program", textOf("program", 3000), 0o4755);
  tree.file("/flip-me", textOf("flip-me", 5 * blockSize), 0o640);
  tree.file(`/${LONG_NAME}`, textOf("long", 100));
  for (const name of ODD_NAMES) tree.file(`/${name}`, textOf(name, 77));
  tree.directory("/borders");
  borders(tree, blockSize);
  tree.directory("/holes", 0o1777);
  holes(tree, blockSize, most);
  if (most > 4 * 1024 * MiB) {
    const at = 4 * 1024 * MiB + 5 * KiB * KiB;
    const piece = textOf("past 4 GiB", 2 * blockSize);
    tree.sparse("/past-4g", at + piece.length, [
      [0, textOf("start", blockSize)],
      [at, piece],
    ]);
  }
  tree.directory("/links");
  for (const length of [1, 58, 59, 60, 61, blockSize - 1])
    tree.symlink(`/links/of-${length}-bytes`, "x".repeat(length));
  tree.symlink("/links/to-hello", "../hello");
  tree.hardLink("/links/hard", "/hello");
  tree.hardLink("/links/hard-too", "/hello");
  let deep = "";
  for (let level = 0; level < 40; level++) {
    deep += `/level-${level}`;
    tree.directory(deep);
  }
  tree.file(`${deep}/bottom`, textOf("bottom", 2 * blockSize + 1));
  tree.directory("/many");
  for (let i = 0; i < 120; i++) tree.file(`/many/file-number-${i}`, textOf(`many ${i}`, i));
  return tree;
}

/** A directory whose index has two levels where blocks have 1 KiB. */
export function wideTree(folder: string, count: number): HostTree {
  const tree = new HostTree(folder);
  tree.directory("/wide");
  for (let i = 0; i < count; i++) {
    const odd = i % 5 === 0 ? "\udcf0\udc80é" : "";
    tree.file(`/wide/${odd}entry-${i}-${"padding".repeat(6)}`, Buffer.alloc(0));
  }
  return tree;
}

/** One file. */
export function tinyTree(folder: string): HostTree {
  const tree = new HostTree(folder);
  tree.file("/hello", Buffer.from("hello, world\n"));
  return tree;
}
