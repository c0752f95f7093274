/** Reading files and directories of a mounted image, for comparisons. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { DirEntry, Vnode } from "@physio/vfs";
import { expect } from "vitest";
import type { Mounted } from "./mounted.ts";

const PIECE = 64 * KiB;

/** Bytes [`at`, `at + length`) of a file. @returns null after an error, which `errors` gets. */
export function* readBytes(
  m: Mounted,
  vp: Vnode,
  at: number,
  length: number,
  errors: Errno[],
): Sleeps<Uint8Array | null> {
  const bytes = new Uint8Array(length);
  const va = m.kmem.alloc(PIECE);
  let done = 0;
  while (done < length) {
    const piece = Math.min(PIECE, length - done);
    const uio = new Uio(UioRw.READ, m.kmem.space, [{ base: va, length: piece }], at + done);
    const error = yield* vp.ops.read(vp, uio, 0);
    if (error !== Errno.OK || uio.resid === piece) {
      errors.push(error);
      break;
    }
    m.kmem.read(va, bytes.subarray(done, done + piece - uio.resid));
    done += piece - uio.resid;
  }
  m.kmem.free(va, PIECE);
  return done === length ? bytes : null;
}

/** Bytes [`at`, `at + length`) of the file at `path`, which can be read. */
export function contentsOf(m: Mounted, path: string, at: number, length: number): Uint8Array {
  const errors: Errno[] = [];
  const bytes = m.with(path, (vp) => readBytes(m, vp, at, length, errors));
  if (bytes === null) expect([path, at, length, errors]).toBe("readable");
  return bytes!;
}

/** All entries of a directory from `cookie` on. */
export function* list(vp: Vnode, cookie = 0): Sleeps<DirEntry[]> {
  const all: DirEntry[] = [];
  for (let at = cookie; at >= 0; ) {
    const batch = yield* vp.ops.readdir(vp, at);
    all.push(...batch.entries);
    at = batch.next;
  }
  return all;
}

export function listNames(m: Mounted, path: string): string[] {
  return m.with(path, (vp) => list(vp)).map((entry) => entry.name);
}
