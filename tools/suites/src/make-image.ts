/**
 * ext2 images made on the spot by e2fsprogs, with manifests that only the host and debugfs wrote.
 *
 * A HostTree is a folder on the host; `mke2fs -d` copies it into an image. What the image must hold
 * is read back from the host: names, sizes, modes, owners, times, hashes. Sparse files are listed
 * by their ranges, so that files of gigabytes cost nothing.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { encodeName } from "@physio/kern";
import type { DataRange, ManifestEntry } from "@physio/machine/verify";

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

/** Whether e2fsprogs is installed. */
export function haveE2fsprogs(): boolean {
  return ["mke2fs", "debugfs", "e2fsck", "tune2fs"].every(
    (tool) => spawnSync(tool, ["-V"], { env: { PATH }, stdio: "ignore" }).error === undefined,
  );
}

function tool(
  name: string,
  args: readonly string[],
  allowed: readonly number[] = [0],
  input = "",
): string {
  const env = { PATH, LC_ALL: "C", MKE2FS_CONFIG: "/dev/null" };
  const run = spawnSync(name, args, { env, input, maxBuffer: 2 ** 26 });
  if (allowed.includes(run.status ?? -1)) return run.stdout.toString("latin1");
  throw new Error(`${name} ${args.join(" ")}: ${run.status}: ${run.stderr}`);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Text that no other file has: `length` bytes from a name. */
export function textOf(name: string, length: number): Buffer {
  const lines: string[] = [];
  for (let i = 0, total = 0; total < length; i++) {
    lines.push(`${sha256(Buffer.from(`${name} ${i}`))} ${name}\n`);
    total += lines[i].length;
  }
  return Buffer.from(lines.join("")).subarray(0, length);
}

/** [byte offset, contents] */
export type Piece = readonly [number, Uint8Array];

export class HostTree {
  readonly folder: string;
  readonly #data: Map<string, DataRange[]>;
  readonly #paths: string[];

  constructor(folder: string) {
    this.folder = folder;
    this.#data = new Map();
    this.#paths = [];
    fs.mkdirSync(folder, { recursive: true });
  }

  /** The host's name for `path`; a name may have bytes that are not UTF-8. */
  host(path: string): Buffer {
    return Buffer.concat([Buffer.from(this.folder), encodeName(path)]);
  }

  directory(path: string, mode = 0o755): void {
    fs.mkdirSync(this.host(path), { mode });
    this.#paths.push(path);
  }

  file(path: string, content: Uint8Array, mode = 0o644): void {
    fs.writeFileSync(this.host(path), content);
    fs.chmodSync(this.host(path), mode);
    this.#paths.push(path);
  }

  /** A file of `size` bytes that has only these pieces. */
  sparse(path: string, size: number, pieces: readonly Piece[]): void {
    const fd = fs.openSync(this.host(path), "w");
    for (const [offset, bytes] of pieces) fs.writeSync(fd, bytes, 0, bytes.length, offset);
    fs.ftruncateSync(fd, size);
    fs.closeSync(fd);
    const data = pieces.map(([offset, bytes]): DataRange => {
      return { offset, length: bytes.length, sha256: sha256(bytes) };
    });
    this.#data.set(path, data);
    this.#paths.push(path);
  }

  symlink(path: string, target: string): void {
    fs.symlinkSync(target, this.host(path));
    this.#paths.push(path);
  }

  hardLink(path: string, existing: string): void {
    fs.linkSync(this.host(existing), this.host(path));
    this.#paths.push(path);
  }

  /** What the host says of the tree. */
  entries(): ManifestEntry[] {
    return this.#paths.map((path) => this.#entry(path));
  }

  #entry(path: string): ManifestEntry {
    const stat = fs.lstatSync(this.host(path));
    const common = {
      path,
      mode: (stat.mode & 0o7777).toString(8),
      uid: stat.uid,
      gid: stat.gid,
      mtime: Math.floor(stat.mtimeMs / 1000),
    };
    if (stat.isDirectory()) return { ...common, type: "directory", names: this.#namesIn(path) };
    if (stat.isSymbolicLink()) {
      const target = fs.readlinkSync(this.host(path));
      return { ...common, type: "symlink", size: stat.size, target };
    }
    const file = { ...common, type: "regular", size: stat.size, links: stat.nlink };
    const data = this.#data.get(path);
    if (data !== undefined) return { ...file, data };
    return { ...file, sha256: sha256(fs.readFileSync(this.host(path))) };
  }

  #namesIn(path: string): string[] {
    const below = this.#paths.filter((p) => p.startsWith(`${path}/`));
    const names = below.map((p) => p.slice(path.length + 1)).filter((name) => !name.includes("/"));
    return [".", "..", ...names];
  }
}

export interface ImageOptions {
  /** Arguments of mke2fs besides the folder, the image and its size. */
  readonly args: readonly string[];
  readonly mebibytes: number;
  /** Hash of directory indexes; makes e2fsck build them. */
  readonly index?: "legacy" | "half_md4" | "tea";
}

/** Make the image `path` of a tree. */
export function makeImage(path: string, tree: HostTree, options: ImageOptions): void {
  const { args, mebibytes, index } = options;
  fs.rmSync(path, { force: true });
  tool("mke2fs", ["-q", "-F", "-d", tree.folder, ...args, path, `${mebibytes}M`]);
  if (index === undefined) return;
  tool("tune2fs", ["-E", `hash_alg=${index}`, path]);
  tool("e2fsck", ["-fyD", path], [0, 1]);
}

/** What `debugfs` prints for some of its commands. */
export function debugfs(image: string, commands: readonly string[], write = false): string {
  const flags = write ? ["-w"] : [];
  return tool("debugfs", [...flags, "-f", "-", image], [0], commands.join("\n"));
}

/** Inode number, links and sectors of each entry whose name debugfs takes, as debugfs says. */
export function withInodes(image: string, entries: readonly ManifestEntry[]): ManifestEntry[] {
  const plain = entries.filter((e) => /^[\w./-]+$/.test(e.path));
  const said = debugfs(
    image,
    plain.map((e) => `stat ${e.path}`),
  )
    .split(/^debugfs: /m)
    .slice(1);
  const known = new Map(plain.map((entry, i) => [entry, said[i]]));
  return entries.map((entry) => {
    const text = known.get(entry);
    if (text === undefined) return entry;
    const number = (name: string) => Number(new RegExp(`\\b${name}: +(\\d+)`).exec(text)?.[1]);
    return {
      ...entry,
      ino: number("Inode"),
      links: number("Links"),
      sectors: number("Blockcount"),
    };
  });
}
