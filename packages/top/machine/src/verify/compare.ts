/**
 * Comparing one file with its manifest entry.
 *
 * Attributes first, then contents: a hash of the whole file, or, for a sparse file whose entry
 * lists its data, a hash of each range and zeros in every other block that the file has. Holes are
 * zeros by definition and are not read.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno, errnoName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Attributes, Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import type { ChunkSink, FileReader } from "../files.ts";
import { listDirectory } from "../files.ts";
import type { DataRange, ManifestEntry } from "./manifest.ts";

/** A hash under way. Injected: Node, browsers and tests have their own. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Lower-case hex. */
  digest(): string;
}

/** Why a file is not what the manifest says. */
export interface Mismatch {
  readonly reason: string;
  /** First bad byte, where it is known. */
  readonly offset?: FileOffset;
  /** A range with a hash of its own that holds the bad byte. */
  readonly range?: { readonly offset: FileOffset; readonly length: Bytes };
}

/** What comparing needs. */
export interface Tools {
  readonly reader: FileReader;
  readonly newHasher: () => Hasher;
}

type Value = string | number | undefined;

const same = (name: string, wanted: Value, got: Value): Mismatch[] =>
  wanted === undefined || wanted === got
    ? []
    : [{ reason: `${name} is ${got}, manifest says ${wanted}` }];

const modeText = (mode: number): string => mode.toString(8).padStart(4, "0");

/** Attributes that differ. */
export function compareAttributes(entry: ManifestEntry, attr: Attributes): Mismatch[] {
  const mode = entry.mode === undefined ? undefined : modeText(Number.parseInt(entry.mode, 8));
  return [
    ...same("type", entry.type, attr.type),
    ...same("size", entry.size, attr.size),
    ...same("inode", entry.ino, attr.ino),
    ...same("mode", mode, modeText(attr.mode)),
    ...same("uid", entry.uid, attr.uid),
    ...same("gid", entry.gid, attr.gid),
    ...same("link count", entry.links, attr.links),
    ...same("sector count", entry.sectors, attr.sectors),
    ...same("mtime", entry.mtime, attr.mtime),
    ...same(
      "device",
      entry.rdev?.join(":"),
      attr.rdev === null ? undefined : `${attr.rdev.major}:${attr.rdev.minor}`,
    ),
  ];
}

/** Fields that speak of contents, and the only type that has such. */
const CONTENTS = Object.freeze([
  ["sha256", "regular"],
  ["data", "regular"],
  ["target", "symlink"],
  ["names", "directory"],
] as const);

/** What differs in the contents of a file, a directory or a symlink; the first finding only. */
export function* compareContents(
  tools: Tools,
  entry: ManifestEntry,
  vp: Vnode,
): Sleeps<Mismatch | null> {
  const misplaced = CONTENTS.find(
    ([field, type]) => entry[field] !== undefined && vp.type !== type,
  );
  if (misplaced !== undefined) return { reason: `is a ${vp.type}, manifest has a ${misplaced[0]}` };
  if (vp.type === "regular") return yield* compareFile(tools, entry, vp);
  if (vp.type === "symlink" && entry.target !== undefined) {
    return same("target", entry.target, yield* vp.ops.readlink(vp))[0] ?? null;
  }
  if (vp.type === "directory" && entry.names !== undefined) {
    const names = (yield* listDirectory(vp)).map((e) => e.name);
    return compareNames(entry.names, names);
  }
  return null;
}

/** A manifest lists "." and "..", or leaves both to every directory. */
function compareNames(wanted: readonly string[], all: readonly string[]): Mismatch | null {
  const got = wanted.includes(".") ? all : all.filter((name) => name !== "." && name !== "..");
  const there = new Set(got);
  const listed = new Set(wanted);
  const missing = wanted.find((name) => !there.has(name));
  const extra = got.find((name) => !listed.delete(name)); // also a name that comes twice
  if (missing !== undefined) return { reason: `has no entry "${missing}"` };
  if (extra !== undefined) return { reason: `has an entry "${extra}" that the manifest lacks` };
  return null;
}

const unreadable = (tools: Tools, error: Errno): Mismatch => ({
  reason: `read: ${errnoName(error)}`,
  offset: tools.reader.failedAt,
});

function* compareFile(tools: Tools, entry: ManifestEntry, vp: Vnode): Sleeps<Mismatch | null> {
  if (entry.data !== undefined) return yield* compareSparse(tools, entry.data, vp);
  if (entry.sha256 === undefined)
    return yield* readBlocks(tools, vp, 0, vp.size as number, () => {});
  const hasher = tools.newHasher();
  const error = yield* tools.reader.read(vp, 0, vp.size as number, (chunk) => hasher.update(chunk));
  if (error !== Errno.OK) return unreadable(tools, error);
  const got = hasher.digest();
  if (got === entry.sha256.toLowerCase()) return null;
  return { reason: `sha256 is ${got}, manifest says ${entry.sha256}` };
}

function* compareSparse(
  tools: Tools,
  data: readonly DataRange[],
  vp: Vnode,
): Sleeps<Mismatch | null> {
  let at = 0;
  for (const range of data.toSorted((a, b) => a.offset - b.offset)) {
    const zeros = yield* compareZeros(tools, vp, at, range.offset);
    if (zeros !== null) return zeros;
    const hashed = yield* compareRange(tools, vp, range);
    if (hashed !== null) return hashed;
    at = Math.max(at, range.offset + range.length);
  }
  return yield* compareZeros(tools, vp, at, vp.size as number);
}

function* compareRange(tools: Tools, vp: Vnode, range: DataRange): Sleeps<Mismatch | null> {
  const { offset, length, sha256 } = range;
  const hasher = tools.newHasher();
  const error = yield* tools.reader.read(vp, offset, offset + (length as number), (chunk) =>
    hasher.update(chunk),
  );
  if (error !== Errno.OK) return unreadable(tools, error);
  if (hasher.digest() === sha256.toLowerCase()) return null;
  return { reason: `the range ${offset}+${length} differs (sha256)`, range: { offset, length } };
}

/** Read the blocks that the file has in [`from`, `to`) into `look`; holes are left out. */
function* readBlocks(
  tools: Tools,
  vp: Vnode,
  from: FileOffset,
  to: FileOffset,
  look: ChunkSink,
): Sleeps<Mismatch | null> {
  const blockSize = 2 ** vp.mount.fsBshift;
  const map = new BlockMap();
  for (let at = from; at < to; ) {
    const lbn = Math.floor(at / blockSize);
    const mapped = yield* vp.ops.bmap(vp, lbn, map);
    if (mapped !== Errno.OK) return { reason: `read: ${errnoName(mapped)}`, offset: at };
    const end: FileOffset = Math.min((lbn + 1 + map.run) * blockSize, to);
    if (map.blkno >= 0) {
      const error = yield* tools.reader.read(vp, at, end, look);
      if (error !== Errno.OK) return unreadable(tools, error);
    }
    at = end;
  }
  return null;
}

/** Find the first byte in [`from`, `to`) that is not zero. */
function* compareZeros(
  tools: Tools,
  vp: Vnode,
  from: FileOffset,
  to: FileOffset,
): Sleeps<Mismatch | null> {
  let bad = -1;
  const unread = yield* readBlocks(tools, vp, from, to, (chunk, offset) => {
    const at = bad < 0 ? chunk.findIndex((byte) => byte !== 0) : -1;
    if (at >= 0) bad = offset + at;
  });
  return bad < 0 ? unread : { reason: `byte ${bad} is not zero`, offset: bad };
}
