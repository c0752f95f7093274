/**
 * What `ls`, `stat` and `tree` say of files, as text.
 */
import type { Sleeps } from "@physio/sched";
import type { Attributes, Vnode } from "@physio/vfs";
import { printable } from "./output.ts";

const KINDS: Readonly<Record<string, string>> = Object.freeze({
  regular: "-",
  directory: "d",
  symlink: "l",
  "character special": "c",
  "block special": "b",
  FIFO: "p",
  socket: "s",
});

/** `drwxr-xr-x`, with set-id and sticky bits. */
function modeString(attr: Attributes): string {
  const { mode } = attr;
  const triple = (shift: number, special: number, letter: string) => {
    const bits = mode >> shift;
    const x = (bits & 1) !== 0;
    const last = (mode & special) === 0 ? (x ? "x" : "-") : x ? letter : letter.toUpperCase();
    return `${(bits & 4) === 0 ? "-" : "r"}${(bits & 2) === 0 ? "-" : "w"}${last}`;
  };
  return `${KINDS[attr.type]}${triple(6, 0o4000, "s")}${triple(3, 0o2000, "s")}${triple(0, 0o1000, "t")}`;
}

const timeText = (seconds: number): string => {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace(".000Z", "Z");
};

/** What is printed of a file. */
export interface FileRecord extends Attributes {
  readonly path: string;
  readonly target?: string;
}

/** => `vp` is referenced. @throws {ErrnoError} EIO: a symlink that cannot be read. */
export function* recordOf(path: string, vp: Vnode): Sleeps<FileRecord> {
  const attr = vp.ops.getattr(vp);
  if (vp.type !== "symlink") return { path, ...attr };
  return { path, ...attr, target: yield* vp.ops.readlink(vp) };
}

/** A line of `ls`. */
export function lineText(record: FileRecord): string {
  const size =
    record.rdev === null ? String(record.size) : `${record.rdev.major}, ${record.rdev.minor}`;
  const target = record.target === undefined ? "" : ` -> ${record.target}`;
  const owner = `${String(record.uid).padStart(5)} ${String(record.gid).padStart(5)}`;
  const links = String(record.links).padStart(3);
  return `${modeString(record)} ${links} ${owner} ${size.padStart(10)} ${timeText(record.mtime)} ${printable(record.path + target)}`;
}

/** The lines of `stat`. */
export function statText(r: FileRecord): string {
  return [
    `  File: ${printable(r.target === undefined ? r.path : `${r.path} -> ${r.target}`)}`,
    `  Type: ${r.type}${r.rdev === null ? "" : ` ${r.rdev.major}, ${r.rdev.minor}`}`,
    `  Size: ${r.size}  Sectors: ${r.sectors}  Block size: ${r.blockSize}`,
    ` Inode: ${r.ino}  Links: ${r.links}  Mode: ${r.mode.toString(8).padStart(4, "0")} ${modeString(r)}  Uid: ${r.uid}  Gid: ${r.gid}`,
    `Access: ${timeText(r.atime)}`,
    `Modify: ${timeText(r.mtime)}`,
    `Change: ${timeText(r.ctime)}`,
  ].join("\n");
}
