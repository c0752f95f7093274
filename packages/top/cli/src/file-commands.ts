/**
 * `physio ls`, `stat` and `cat`: single files of an image.
 */
import { existsSync } from "node:fs";
import { Errno, ErrnoError } from "@physio/kern";
import { FileReader, listDirectory } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { Attributes, Vnode } from "@physio/vfs";
import { namei } from "@physio/vfs";
import { complain, print, printable, printBytes } from "./output.ts";
import type { CommonOptions, Session } from "./session.ts";
import { about, describeError, withSession } from "./session.ts";

/** An operand IMAGE:/path. */
interface Operand {
  readonly image: string;
  readonly path: string;
}

/** Split IMAGE:/path; where a name holds ":/" itself, the longest image that exists is meant. */
function parseOperand(text: string): Operand {
  const cuts = [...text.matchAll(/:(?=\/)/g)].map((match) => match.index).reverse();
  const best = cuts.find((at) => existsSync(text.slice(0, at))) ?? cuts.at(-1);
  if (existsSync(text)) return { image: text, path: "/" };
  if (best === undefined) return { image: text.replace(/:$/, ""), path: "/" };
  return { image: text.slice(0, best), path: text.slice(best + 1) };
}

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

/** What `ls` and `stat` say of a file. */
interface FileRecord extends Attributes {
  readonly path: string;
  readonly target?: string;
}

function* recordOf(path: string, vp: Vnode): Sleeps<FileRecord> {
  const attr = vp.ops.getattr(vp);
  if (vp.type !== "symlink") return { path, ...attr };
  return { path, ...attr, target: yield* vp.ops.readlink(vp) };
}

function line(record: FileRecord): string {
  const size =
    record.rdev === null ? String(record.size) : `${record.rdev.major}, ${record.rdev.minor}`;
  const target = record.target === undefined ? "" : ` -> ${record.target}`;
  const owner = `${String(record.uid).padStart(5)} ${String(record.gid).padStart(5)}`;
  const links = String(record.links).padStart(3);
  return `${modeString(record)} ${links} ${owner} ${size.padStart(10)} ${timeText(record.mtime)} ${printable(record.path + target)}`;
}

/** What `ls` could not look at; the other entries are listed all the same. */
type Broken = ErrnoError[];

function* childRecord(dvp: Vnode, name: string, broken: Broken): Sleeps<FileRecord | null> {
  try {
    const child = yield* dvp.ops.lookup(dvp, name);
    try {
      return yield* recordOf(name, child);
    } finally {
      child.mount.vrele(child);
    }
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    broken.push(new ErrnoError(error.errno, `${name}: ${error.what}`));
    return null;
  }
}

function* listOne(root: Vnode, path: string, broken: Broken): Sleeps<FileRecord[]> {
  const vp = yield* namei(root, path, { follow: path.endsWith("/") });
  try {
    if (vp.type !== "directory") return [yield* recordOf(path, vp)];
    const records: FileRecord[] = [];
    for (const entry of yield* listDirectory(vp)) {
      const record = yield* childRecord(vp, entry.name, broken);
      if (record !== null) records.push(record);
    }
    return records;
  } finally {
    vp.mount.vrele(vp);
  }
}

function* statOne(root: Vnode, path: string): Sleeps<FileRecord[]> {
  const vp = yield* namei(root, path, { follow: false });
  try {
    return [yield* recordOf(path, vp)];
  } finally {
    vp.mount.vrele(vp);
  }
}

function* catOne(session: Session, root: Vnode, path: string): Sleeps<FileRecord[]> {
  const vp = yield* namei(root, path);
  const reader = new FileReader(session.machine.kmem);
  try {
    if (vp.type === "directory") throw new ErrnoError(Errno.EISDIR, path);
    if (vp.type !== "regular") throw new ErrnoError(Errno.EINVAL, `${path}: is a ${vp.type}`);
    const error = yield* reader.read(vp, 0, vp.size as number, printBytes);
    if (error !== Errno.OK) throw new ErrnoError(error, `${path}: read at byte ${reader.failedAt}`);
    return [];
  } finally {
    reader.close();
    vp.mount.vrele(vp);
  }
}

function statText(r: FileRecord): string {
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

type Command = "ls" | "stat" | "cat";

function* onFile(
  session: Session,
  command: Command,
  root: Vnode,
  path: string,
  broken: Broken,
): Sleeps<FileRecord[]> {
  if (command === "ls") return yield* listOne(root, path, broken);
  if (command === "stat") return yield* statOne(root, path);
  return yield* catOne(session, root, path);
}

/** Run one of the commands on IMAGE:/path. @returns the exit code. @throws {ErrnoError} with the operand in front. */
export async function fileCommand(
  command: Command,
  text: string,
  options: CommonOptions,
): Promise<number> {
  const operand = parseOperand(text);
  return await withSession(options, (session) => onImage(session, command, operand));
}

async function onImage(session: Session, command: Command, operand: Operand): Promise<number> {
  const { image, path } = operand;
  const { options } = session;
  const mount = await session.mountImage(image);
  const broken: Broken = [];
  let records: FileRecord[] = [];
  try {
    const root = session.run(mount.root());
    records = session.run(onFile(session, command, root, path, broken));
    mount.vrele(root);
  } catch (error) {
    const named = error instanceof ErrnoError && error.what.startsWith(path);
    throw about(named ? image : `${image}: ${path}`, error);
  }
  session.finish();
  printRecords(command, records, options);
  for (const error of broken) {
    complain(describeError(about(`${image}: ${path}`, error), options.debug === true));
  }
  session.printSysctls(command === "cat" || options.json === true ? complain : print);
  return broken.length === 0 ? 0 : 1;
}

function printRecords(
  command: Command,
  records: readonly FileRecord[],
  options: CommonOptions,
): void {
  if (command === "cat") return;
  if (options.json !== true) {
    for (const record of records) print(command === "ls" ? line(record) : statText(record));
  } else print(JSON.stringify(command === "ls" ? records : records[0], null, 2));
}
