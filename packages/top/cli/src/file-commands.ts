/**
 * `physio ls`, `tree`, `stat` and `cat`: files of images, read.
 */
import { Errno, ErrnoError } from "@physio/kern";
import { FileReader, listDirectory } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { namei } from "@physio/vfs";
import { expandPath } from "./glob.ts";
import type { FileRecord } from "./listing.ts";
import { lineText, recordOf, statText } from "./listing.ts";
import type { ImageOperand } from "./operand.ts";
import { imageOperand } from "./operand.ts";
import { complain, print, printable, printBytes } from "./output.ts";
import type { CommonOptions, Session } from "./session.ts";
import { about, describeError, withSession } from "./session.ts";
import type { Branch } from "./tree.ts";
import { branchOf, countTree, treeLines } from "./tree.ts";

export type ReadCommand = "ls" | "tree" | "stat" | "cat";

/** What could not be looked at; the others are listed all the same. */
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

/** What a command has to say of one path. */
interface Result {
  readonly path: string;
  readonly records: readonly FileRecord[];
  readonly isDirectory: boolean;
  readonly tree?: Branch;
}

function* listOne(vp: Vnode, path: string, broken: Broken): Sleeps<Result> {
  const isDirectory = vp.type === "directory";
  if (!isDirectory) return { path, records: [yield* recordOf(path, vp)], isDirectory };
  const records: FileRecord[] = [];
  for (const entry of yield* listDirectory(vp)) {
    const record = yield* childRecord(vp, entry.name, broken);
    if (record !== null) records.push(record);
  }
  return { path, records, isDirectory };
}

function* catOne(session: Session, vp: Vnode, path: string): Sleeps<Result> {
  const reader = new FileReader(session.machine.kmem);
  try {
    if (vp.type === "directory") throw new ErrnoError(Errno.EISDIR, path);
    if (vp.type !== "regular") throw new ErrnoError(Errno.EINVAL, `${path}: is a ${vp.type}`);
    const error = yield* reader.read(vp, 0, vp.size as number, printBytes);
    if (error !== Errno.OK) throw new ErrnoError(error, `${path}: read at byte ${reader.failedAt}`);
    return { path, records: [], isDirectory: false };
  } finally {
    reader.close();
  }
}

function* onFile(
  session: Session,
  command: ReadCommand,
  root: Vnode,
  path: string,
  broken: Broken,
): Sleeps<Result> {
  const follow = command === "cat" || (command !== "stat" && path.endsWith("/"));
  const vp = yield* namei(root, path, { follow });
  try {
    if (command === "cat") return yield* catOne(session, vp, path);
    if (command === "ls") return yield* listOne(vp, path, broken);
    const records = [yield* recordOf(path, vp)];
    const isDirectory = vp.type === "directory";
    if (command === "stat") return { path, records, isDirectory };
    return { path, records, isDirectory, tree: yield* branchOf(vp, path, broken) };
  } finally {
    vp.mount.vrele(vp);
  }
}

/** Run one of the commands on operands IMAGE:/path. @returns the exit code. @throws {ErrnoError} where there is one operand, with the operand in front. */
export async function fileCommand(
  command: ReadCommand,
  texts: readonly string[],
  options: CommonOptions,
): Promise<number> {
  return await withSession(options, async (session) => {
    const results: Result[] = [];
    let failures = 0;
    for (const text of texts) {
      try {
        failures += await onOperand(session, command, imageOperand(text), results);
      } catch (error) {
        if (texts.length === 1 || !(error instanceof ErrnoError)) throw error;
        complain(describeError(error, options.debug === true));
        failures++;
      }
    }
    session.finish();
    printResults(command, results, options);
    session.printSysctls(command === "cat" || options.json === true ? complain : print);
    return failures === 0 ? 0 : 1;
  });
}

/** @returns how many files of a directory could not be looked at. */
async function onOperand(
  session: Session,
  command: ReadCommand,
  { image, path }: ImageOperand,
  results: Result[],
): Promise<number> {
  const root = await session.root(image);
  const broken: Broken = [];
  let at = path;
  try {
    for (const each of session.run(expandPath(root, path))) {
      at = each;
      results.push(session.run(onFile(session, command, root, each, broken)));
    }
  } catch (error) {
    const named = error instanceof ErrnoError && error.what.startsWith(at);
    throw about(named ? image : `${image}: ${at}`, error);
  }
  for (const error of broken) {
    const named = error.what.startsWith("/");
    const whole = about(named ? image : `${image}: ${at}`, error);
    complain(describeError(whole, session.options.debug === true));
  }
  return broken.length;
}

function printResults(
  command: ReadCommand,
  results: readonly Result[],
  { json }: CommonOptions,
): void {
  if (command === "cat") return;
  if (json === true) print(JSON.stringify(jsonOf(command, results), null, 2));
  else if (command === "stat") for (const { records } of results) print(statText(records[0]));
  else if (command === "tree") for (const { tree } of results) printTree(tree!);
  else printLists(results);
}

function jsonOf(command: ReadCommand, results: readonly Result[]): unknown {
  const one = ({ records, tree }: Result) =>
    command === "ls" ? records : command === "tree" ? tree : records[0];
  if (results.length === 1) return one(results[0]);
  if (command !== "ls") return results.map(one);
  return results.map(({ path, records }) => ({ path, entries: records }));
}

/** Files first, then each directory under its name, as ls(1) does for several. */
function printLists(results: readonly Result[]): void {
  const several = results.length > 1;
  for (const { records, isDirectory } of results)
    if (!isDirectory) for (const record of records) print(lineText(record));
  let first = results.every(({ isDirectory }) => isDirectory);
  for (const { path, records, isDirectory } of results) {
    if (!isDirectory) continue;
    if (several) print(`${first ? "" : "\n"}${printable(path)}:`);
    first = false;
    for (const record of records) print(lineText(record));
  }
}

function printTree(tree: Branch): void {
  for (const line of treeLines(tree)) print(line);
  const { directories, files } = countTree(tree);
  print(`\n${directories} directories, ${files} files`);
}
