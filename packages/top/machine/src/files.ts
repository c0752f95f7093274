/**
 * Files of a mounted file system, for programs above the kernel.
 *
 * A FileReader owns a kernel buffer, as a process owns the buffer that it passes to read(2), and
 * hands the bytes out piece by piece; `listDirectory` and `walkTree` give names. All of it goes
 * through the vnode operations.
 */

import { Uio, UioRw } from "@physio/carriers";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, ErrnoError, KiB, MiB, PAGE_SIZE } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { DirEntry, Vnode } from "@physio/vfs";
import { BlockMap, IoFlag, vnRead } from "@physio/vfs";

const BUFFER = 64 * KiB;
/** Files above this size are read once and not kept in memory. */
const KEEP_LIMIT = 16 * MiB;

/** Gets a piece of a file. `chunk` is borrowed until the call returns. */
export type ChunkSink = (chunk: Uint8Array, offset: FileOffset) => void;

export class FileReader {
  /** Where the last failed `read` failed: the first block that the map or the disk refuses. */
  failedAt: FileOffset;
  readonly #kmem: Kmem;
  readonly #va: VirtAddr;
  readonly #bytes: Uint8Array;

  constructor(kmem: Kmem) {
    this.failedAt = -1;
    this.#kmem = kmem;
    this.#va = kmem.alloc(BUFFER);
    this.#bytes = new Uint8Array(BUFFER);
  }

  /** Read [`from`, `to`) of a file into `sink`, as far as the file goes. @returns OK; EIO, ENOMEM: `failedAt` says where. */
  *read(vp: Vnode, from: FileOffset, to: FileOffset, sink: ChunkSink): Sleeps<Errno> {
    const end = Math.min(to, vp.size);
    let most: Bytes = BUFFER;
    for (let at = from; at < end; ) {
      const length = Math.min(most - (at % most), end - at);
      const uio = new Uio(UioRw.READ, this.#kmem.space, [{ base: this.#va, length }], at);
      const error = yield* vnRead(vp, uio, vp.size > KEEP_LIMIT ? IoFlag.NOREUSE : 0);
      const got: Bytes = length - uio.resid;
      if (error !== E.OK || got === 0) {
        if (most === PAGE_SIZE) return yield* this.#failed(vp, at, error);
        most = PAGE_SIZE; // find the first page that cannot be read
        continue;
      }
      const chunk = this.#bytes.subarray(0, got);
      this.#kmem.read(this.#va, chunk);
      sink(chunk, at);
      at += got;
    }
    return E.OK;
  }

  /** The page at `at` cannot be read: find its first block that has no good place on the disk. */
  *#failed(vp: Vnode, at: FileOffset, error: Errno): Sleeps<Errno> {
    const blockSize = 2 ** vp.mount.fsBshift;
    const map = new BlockMap();
    this.failedAt = at;
    for (let offset = at; offset < at + PAGE_SIZE; offset += blockSize) {
      if ((yield* vp.ops.bmap(vp, Math.floor(offset / blockSize), map)) === E.OK) continue;
      this.failedAt = offset;
      break;
    }
    return error === E.OK ? E.EIO : error; // a read that gives nothing has failed
  }

  /** Give the buffer back. */
  close(): void {
    this.#kmem.free(this.#va, BUFFER);
  }
}

/** All entries of a directory, "." and ".." included, in the order of the disk. @throws {ErrnoError} ENOTDIR, EIO. */
export function* listDirectory(dvp: Vnode): Sleeps<DirEntry[]> {
  if (dvp.type !== "directory")
    throw new ErrnoError(E.ENOTDIR, `inode ${dvp.ino} is a ${dvp.type}`);
  const all: DirEntry[] = [];
  for (let cookie = 0; cookie >= 0; ) {
    const batch = yield* dvp.ops.readdir(dvp, cookie);
    for (const entry of batch.entries) all.push(entry);
    cookie = batch.next;
  }
  return all;
}

/** Gets what a walk finds. */
export interface TreeVisitor {
  /** A file or directory, referenced for the visitor, who gives it back. */
  found(path: string, vp: Vnode): Sleeps<void>;
  /** Something that cannot be entered: a directory that cannot be read, a name without an inode. */
  broken(path: string, error: ErrnoError): void;
}

/** Call a thing that may fail with an errno. @returns null after telling the visitor. */
function* attempt<T>(visitor: TreeVisitor, path: string, body: Sleeps<T>): Sleeps<T | null> {
  try {
    return yield* body;
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    visitor.broken(path, error);
    return null;
  }
}

/** Walk the tree below the directory `root`, parents first. A directory that is met twice is broken. */
export function* walkTree(root: Vnode, visitor: TreeVisitor): Sleeps<void> {
  const seen = new Set([root.ino]);
  root.mount.vref(root);
  const stack = [{ path: "", dvp: root }];
  root.mount.vref(root);
  yield* visitor.found("/", root);
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { path, dvp } = top;
    const entries = yield* attempt(visitor, path === "" ? "/" : path, listDirectory(dvp));
    const below: typeof stack = [];
    for (const entry of entries ?? []) {
      if (entry.name === "." || entry.name === "..") continue;
      const child = `${path}/${entry.name}`;
      const vp = yield* attempt(visitor, child, dvp.ops.lookup(dvp, entry.name));
      if (vp === null) continue;
      if (vp.type === "directory") {
        if (seen.has(vp.ino)) {
          vp.mount.vrele(vp);
          visitor.broken(
            child,
            new ErrnoError(E.ELOOP, `directory inode ${vp.ino} was met before`),
          );
          continue;
        }
        seen.add(vp.ino);
        vp.mount.vref(vp);
        below.push({ path: child, dvp: vp });
      }
      yield* visitor.found(child, vp);
    }
    dvp.mount.vrele(dvp);
    stack.push(...below.reverse());
  }
}
