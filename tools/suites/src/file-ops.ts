/**
 * What a thread may do with a file, by name, and threads that do it.
 */
import type { Sleeps } from "@physio/sched";
import { MsFlag } from "@physio/uvm";
import { FsyncFlag, IoFlag } from "@physio/vfs";
import type { FileUser } from "./file-user.ts";

const U = true;
/** Everything that a thread may do. */
export const OPS = {
  read: (u: FileUser) => u.read(0, false),
  "read to user memory": (u: FileUser) => u.read(0, U),
  "read without reuse": (u: FileUser) => u.read(IoFlag.NOREUSE, false),
  "direct read": (u: FileUser) => u.read(IoFlag.DIRECT, U),
  write: (u: FileUser) => u.write(0, false),
  "write from user memory": (u: FileUser) => u.write(0, U),
  "synchronous write": (u: FileUser) => u.write(IoFlag.SYNC, U),
  "direct write": (u: FileUser) => u.write(IoFlag.DIRECT, U),
  append: (u: FileUser) => u.write(IoFlag.APPEND, false),
  truncate: (u: FileUser) => u.truncate(),
  fsync: (u: FileUser) => u.fsync(0),
  "lazy fsync": (u: FileUser) => u.fsync(FsyncFlag.LAZY),
  load: (u: FileUser) => u.load(),
  store: (u: FileUser) => u.store(),
  "msync sync": (u: FileUser) => u.msync(MsFlag.SYNC),
  "msync async": (u: FileUser) => u.msync(MsFlag.ASYNC),
  "msync invalidate": (u: FileUser) => u.msync(MsFlag.SYNC | MsFlag.INVALIDATE),
  madvise: (u: FileUser) => u.advise(),
  putpages: (u: FileUser) => u.putpages(),
  "read ahead": (u: FileUser) => u.readAhead(),
  sync: (u: FileUser) => u.syncAll(),
} as const satisfies Record<string, (user: FileUser) => Sleeps<void>>;

export type OpName = keyof typeof OPS;

/** A thread's body: `count` operations, by chance of `ops`. */
export function* useAtRandom(user: FileUser, count: number, ops: readonly OpName[]): Sleeps<void> {
  for (let i = 0; i < count; i++) {
    yield* OPS[user.chance.pick(ops)](user);
    user.done++;
    if (user.chance.oneIn(4)) yield* user.file.kernel.sched.preempt();
  }
}

/** The same: these operations, in order. */
export function* useInOrder(user: FileUser, ops: readonly OpName[]): Sleeps<void> {
  for (const op of ops) {
    yield* OPS[op](user);
    user.done++;
  }
}
