/**
 * Journals: what groups the changes of a file system's metadata, so that all or none of them last.
 *
 * The mount has one or none; the file system brings it. genfs asks for a transaction where NetBSD's
 * does: round write-back that may have to allocate, and round allocation for a write fault.
 */
import type { Errno } from "@physio/kern";
import { Errno as E } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Mount } from "./mount.ts";

/** A journal that changes of metadata are grouped by; both calls nest. @bsd #Y wapbl(4) */
export interface Journal {
  /** Begin a transaction. @returns OK; EROFS, EIO: it cannot be written. @bsd #Y WAPBL_BEGIN */
  begin(): Sleeps<Errno>;
  /** End it. @bsd #Y WAPBL_END */
  end(): void;
}

/**
 * Run `body` in a transaction of the mount's journal, if it has one.
 * => inside an fstrans transaction, and before a lock that a journal's writer may need.
 * @returns what `body` returns; the journal's error: then `body` has not run.
 */
export function* inJournal(mount: Mount, body: () => Sleeps<Errno>): Sleeps<Errno> {
  const { journal } = mount;
  if (journal === null) return yield* body();
  const error = yield* journal.begin();
  if (error !== E.OK) return error;
  try {
    return yield* body();
  } finally {
    journal.end();
  }
}
