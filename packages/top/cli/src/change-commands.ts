/**
 * `physio mkdir`, `rm`, `mv`, `ln` and `sync`: names in images, changed.
 *
 * As the tools whose names they bear: an operand that fails is told, the others go on, and the exit code is 1.
 * All is on the disk when the command ends.
 */
import { Errno, ErrnoError } from "@physio/kern";
import { listDirectory } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import {
  makeDirectory,
  makeLink,
  makeSymlink,
  namei,
  removeDirectory,
  renamePath,
  unlinkPath,
  vnRelease,
} from "@physio/vfs";
import { expandPath } from "./glob.ts";
import type { ImageOperand } from "./operand.ts";
import { imageOperand, operandText } from "./operand.ts";
import { complain, print } from "./output.ts";
import { processMask, processOwner } from "./owner.ts";
import type { CommonOptions, Session } from "./session.ts";
import { about, describeError, withSession } from "./session.ts";

export interface ChangeOptions extends CommonOptions {
  readonly parents?: boolean;
  readonly mode?: number;
  readonly recursive?: boolean;
  readonly force?: boolean;
  readonly symbolic?: boolean;
  readonly verbose?: boolean;
}

/** One path of an image that is mounted for writing. */
interface Place {
  readonly session: Session;
  readonly image: string;
  readonly root: Vnode;
  readonly path: string;
}

/** A run of a command: what it did, and what failed. */
class Changes {
  readonly options: ChangeOptions;
  readonly done: string[];
  failures: number;

  constructor(options: ChangeOptions) {
    this.options = options;
    this.done = [];
    this.failures = 0;
  }

  note(what: string): void {
    this.done.push(what);
    if (this.options.verbose === true && this.options.json !== true) print(what);
  }

  /** Run `body`; its failure is told with the place in front. Damage and a full stop go on. */
  async attempt(image: string, path: string, body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.failures++;
      const named = error.what.startsWith(path) || error.what.startsWith(image);
      const subject = named ? image : `${image}:${path}`;
      const whole = error.what.startsWith(image) ? error : about(subject, error);
      complain(describeError(whole, this.options.debug === true));
    }
  }
}

/** Run a command on an image, and say what it did. */
async function changing(
  options: ChangeOptions,
  body: (session: Session, changes: Changes) => Promise<void>,
): Promise<number> {
  return await withSession(options, async (session) => {
    const changes = new Changes(options);
    await body(session, changes);
    session.finish();
    const { done, failures } = changes;
    if (options.json === true) print(JSON.stringify({ done, failures }, null, 2));
    session.printSysctls(options.json === true ? complain : print);
    return failures === 0 ? 0 : 1;
  });
}

/** For each path that `operand` stands for. An operand that matches nothing is one that fails. */
async function forEach(
  session: Session,
  changes: Changes,
  operand: ImageOperand,
  body: (place: Place) => Sleeps<void>,
): Promise<void> {
  const { image, path } = operand;
  const root = await session.root(image, true);
  let paths: string[] = [];
  await changes.attempt(image, path, async () => {
    paths = await session.runLong(expandPath(root, path));
  });
  for (const each of paths) {
    session.point();
    await changes.attempt(image, each, async () => {
      await session.runLong(body({ session, image, root, path: each }));
    });
  }
}

// ---- mkdir

export function mkdirCommand(operands: readonly string[], options: ChangeOptions): Promise<number> {
  return changing(options, async (session, changes) => {
    for (const { image, path } of operands.map(imageOperand)) {
      const root = await session.root(image, true);
      await changes.attempt(image, path, async () => {
        await session.runLong(mkdir(root, path, options));
        changes.note(operandText({ image, path }));
      });
    }
  });
}

function* mkdir(root: Vnode, path: string, { parents, mode }: ChangeOptions): Sleeps<void> {
  const usual = 0o777 & ~processMask();
  if (parents !== true) {
    yield* makeDirectory(root, path, { mode: mode ?? usual, ...processOwner() });
    return;
  }
  const parts = path.split("/").filter((part) => part !== "");
  let at = "";
  for (const [i, part] of parts.entries()) {
    at += `/${part}`;
    const last = i === parts.length - 1;
    const bits = last ? (mode ?? usual) : usual | 0o300; // those on the way can be entered
    yield* makeOrEnter(root, at, bits);
  }
}

/** @throws {ErrnoError} EEXIST: something else is there. */
function* makeOrEnter(root: Vnode, path: string, mode: number): Sleeps<void> {
  try {
    yield* makeDirectory(root, path, { mode, ...processOwner() });
  } catch (error) {
    if (!(error instanceof ErrnoError) || error.errno !== Errno.EEXIST) throw error;
    const vp = yield* namei(root, path);
    const { type } = vp;
    yield* vnRelease(vp);
    if (type !== "directory") throw error;
  }
}

// ---- rm

export function rmCommand(operands: readonly string[], options: ChangeOptions): Promise<number> {
  return changing(options, async (session, changes) => {
    for (const operand of operands.map(imageOperand)) {
      if (options.force === true && !(await isThere(session, operand))) continue;
      await forEach(session, changes, operand, (place) => rm(place, changes));
    }
  });
}

const NOT_THERE: ReadonlySet<Errno> = new Set([Errno.ENOENT, Errno.ENOTDIR]);

/** Whether an operand stands for something. */
async function isThere(session: Session, { image, path }: ImageOperand): Promise<boolean> {
  const root = await session.root(image, true);
  return session.run(
    (function* (): Sleeps<boolean> {
      try {
        for (const each of yield* expandPath(root, path)) {
          yield* vnRelease(yield* namei(root, each, { follow: false }));
        }
        return true;
      } catch (error) {
        if (error instanceof ErrnoError && NOT_THERE.has(error.errno)) return false;
        throw error;
      }
    })(),
  );
}

function* rm(place: Place, changes: Changes): Sleeps<void> {
  const { root, path } = place;
  if (/(^|\/)\.{0,2}\/*$/.test(path)) {
    throw new ErrnoError(Errno.EINVAL, `${path}: the root, "." and ".." are not removed`);
  }
  const vp = yield* namei(root, path, { follow: false });
  const { type } = vp;
  yield* vnRelease(vp);
  if (type === "directory") {
    if (changes.options.recursive !== true) {
      throw new ErrnoError(Errno.EISDIR, `${path}: is a directory, and not removed without -r`);
    }
    yield* rmTree(place, changes);
  } else yield* unlinkPath(root, path);
  changes.note(`${place.image}:${path}`);
}

/** Remove a directory after all that is in it. */
function* rmTree({ session, image, root, path }: Place, changes: Changes): Sleeps<void> {
  const dvp = yield* namei(root, path, { follow: false });
  let names: string[] = [];
  try {
    names = (yield* listDirectory(dvp)).map((entry) => entry.name);
  } finally {
    yield* vnRelease(dvp);
  }
  for (const name of names) {
    if (name === "." || name === "..") continue;
    session.point();
    const child = `${path.replace(/\/+$/, "")}/${name}`;
    const vp = yield* namei(root, child, { follow: false });
    const { type } = vp;
    yield* vnRelease(vp);
    if (type === "directory") yield* rmTree({ session, image, root, path: child }, changes);
    else yield* unlinkPath(root, child);
    changes.note(`${image}:${child}`);
  }
  yield* removeDirectory(root, path);
}

// ---- mv and ln

const baseName = (path: string): string =>
  path.slice(path.replace(/\/+$/, "").lastIndexOf("/") + 1).replace(/\/+$/, "");

/** Where a name goes that is given to `path`: into it, if that is a directory. @throws {ErrnoError} ENOTDIR: it must be one. */
function* targetOf(root: Vnode, path: string, name: string, several: boolean): Sleeps<string> {
  let type = "";
  try {
    const vp = yield* namei(root, path);
    type = vp.type;
    yield* vnRelease(vp);
  } catch (error) {
    if (!(error instanceof ErrnoError) || error.errno !== Errno.ENOENT) throw error;
  }
  if (type === "directory") return `${path.replace(/\/+$/, "")}/${name}`;
  if (several) throw new ErrnoError(Errno.ENOTDIR, `${path}: is to be a directory`);
  return path;
}

export function mvCommand(operands: readonly string[], options: ChangeOptions): Promise<number> {
  const sources = operands.slice(0, -1).map(imageOperand);
  const target = imageOperand(operands.at(-1)!);
  return changing(options, async (session, changes) => {
    const toRoot = await session.root(target.image, true);
    const several = sources.length > 1;
    for (const source of sources) {
      await forEach(session, changes, source, function* ({ image, root, path }) {
        if (root.mount !== toRoot.mount) {
          throw new ErrnoError(Errno.EXDEV, `${path}: to another image: cp -r and rm do that`);
        }
        const to = yield* targetOf(toRoot, target.path, baseName(path), several);
        yield* renamePath(root, path, to);
        changes.note(`${image}:${path} -> ${target.image}:${to}`);
      });
    }
  });
}

export function lnCommand(operands: readonly string[], options: ChangeOptions): Promise<number> {
  const [existing, name] = operands;
  const link = imageOperand(name);
  return changing(options, async (session, changes) => {
    const root = await session.root(link.image, true);
    const source = options.symbolic === true ? null : imageOperand(existing);
    const from = source === null ? root : await session.root(source.image, true);
    await changes.attempt(link.image, link.path, async () => {
      await session.runLong(ln(from, source?.path ?? existing, root, link.path, options));
      changes.note(`${link.image}:${link.path} -> ${existing}`);
    });
  });
}

function* ln(
  from: Vnode,
  existing: string,
  root: Vnode,
  path: string,
  { symbolic, force }: ChangeOptions,
): Sleeps<void> {
  const to = yield* targetOf(root, path, baseName(existing), false);
  if (from.mount !== root.mount) throw new ErrnoError(Errno.EXDEV, `${to}: from another image`);
  if (force === true) yield* unlinkExisting(root, to);
  if (symbolic === true) yield* makeSymlink(root, to, existing, processOwner());
  else yield* makeLink(root, existing, to);
}

function* unlinkExisting(root: Vnode, path: string): Sleeps<void> {
  try {
    yield* unlinkPath(root, path);
  } catch (error) {
    if (!(error instanceof ErrnoError) || error.errno !== Errno.ENOENT) throw error;
  }
}

// ---- sync

/** Mount, write what is left to do, unmount: the end of every command that writes does it. */
export function syncCommand(images: readonly string[], options: ChangeOptions): Promise<number> {
  return changing(options, async (session, changes) => {
    for (const { image } of images.map(imageOperand)) {
      await changes.attempt(image, "/", async () => {
        const mount = await session.mountImage(image, true);
        const error = await session.runLong(mount.sync());
        if (error !== Errno.OK) throw new ErrnoError(error, `${image}: sync`);
        changes.note(image);
      });
    }
  });
}
