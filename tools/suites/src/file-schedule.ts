/**
 * One schedule: some threads use one file in every way at once, and at quiet points memory, disk and a
 * model of its bytes agree. Everything follows from the seed.
 */
import type { CompletionPolicy } from "@physio/blkio";
import { Uio, UioRw } from "@physio/carriers";
import type { Bytes } from "@physio/kern";
import { Errno, KiB, PAGE_SIZE, roundPage } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import { vnLock, vnUnlock } from "@physio/vfs";
import { ByteModel } from "./byte-model.ts";
import { Chance } from "./chance.ts";
import type { OpName } from "./file-ops.ts";
import { useAtRandom } from "./file-ops.ts";
import type { SharedFile } from "./file-user.ts";
import { FileUser } from "./file-user.ts";
import { PagingKernel } from "./paging-kernel.ts";

const K = KiB;
const BLOCK_SIZES = [K, 2 * K, 4 * K, 16 * K, 64 * K];
const ROUNDS = 2;

const CALLS: readonly OpName[] = [
  "read",
  "read",
  "read to user memory",
  "read without reuse",
  "write",
  "write",
  "write from user memory",
  "synchronous write",
  "append",
  "truncate",
  "truncate",
  "fsync",
  "lazy fsync",
  "putpages",
  "putpages",
  "read ahead",
  "sync",
];
const MAPPINGS: readonly OpName[] = [
  "load",
  "load",
  "load",
  "store",
  "store",
  "store",
  "msync sync",
  "msync async",
  "msync invalidate",
  "madvise",
];
const DIRECT: readonly OpName[] = ["direct read", "direct read", "direct write", "direct write"];

/** What the seed says of the machine. */
export interface ScheduleKind {
  readonly blockSize: Bytes;
  readonly completion: CompletionPolicy;
  readonly journal: boolean;
  readonly metadata: boolean;
  readonly tight: boolean;
  readonly direct: boolean;
  readonly threads: number;
}

export function kindOf(seed: number): ScheduleKind {
  const chance = new Chance(seed);
  return {
    blockSize: BLOCK_SIZES[seed % BLOCK_SIZES.length],
    completion: chance.oneIn(2) ? "inline" : "softintr",
    journal: chance.oneIn(2),
    tight: chance.oneIn(2),
    direct: chance.oneIn(4),
    threads: 2 + chance.below(3),
    metadata: chance.oneIn(2),
  };
}

/** What happened: for those who look whether a campaign does anything. */
export interface ScheduleReport {
  readonly kind: ScheduleKind;
  readonly operations: number;
  readonly failures: number;
  readonly pageouts: number;
  /** Times that somebody waited for pager addresses. */
  readonly waits: number;
  readonly switches: number;
}

/** Run the schedule of `seed`. @throws what is wrong, with the seed. */
export function runSchedule(seed: number): ScheduleReport {
  const kind = kindOf(seed);
  try {
    return run(seed, kind);
  } catch (error) {
    throw new Error(
      `replay: PHYSIO_SEED=${seed} (${JSON.stringify(kind)}): ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function run(seed: number, kind: ScheduleKind): ScheduleReport {
  const { blockSize, completion, journal, metadata, tight, direct } = kind;
  const chance = new Chance(seed * 2 + 1);
  const most = Math.max(64 * K, blockSize * 2) + (chance.oneIn(2) ? 32 * K : 0);
  const users = kind.threads;
  // The buffers of the users are most of it when memory is tight.
  const ram = tight ? (users * 12 + 8) * PAGE_SIZE + Math.max(blockSize, 16 * K) : 1024 * K;
  // No more pager addresses than one request takes: 16 pages, and the blocks that it begins and ends in.
  const pagerPages = 17 + Math.ceil(blockSize / PAGE_SIZE);
  const sizes = { ram, diskSize: 1024 * K, pagerPages };
  const kernel = new PagingKernel({ seed, blockSize, completion, journal, metadata, ...sizes });
  const model = new ByteModel(roundPage(most));
  const allowed = tight ? [Errno.ENOMEM] : [];
  const file: SharedFile = { kernel, vp: kernel.file(), model, most, direct, allowed };
  const threads = Array.from(
    { length: users },
    (_, i) => new FileUser(file, new Chance(seed * 64 + i)),
  );
  const ops = [...CALLS, ...(direct ? DIRECT : MAPPINGS)];
  for (let round = 0; round < ROUNDS; round++) {
    kernel.runAll(threads.map((user) => useAtRandom(user, 3 + chance.below(6), ops)));
    kernel.sched.pump();
    kernel.checkQuiet();
    kernel.run(settle(file));
  }
  for (const user of threads) user.close();
  const report = {
    kind,
    operations: threads.reduce((sum, user) => sum + user.done, 0),
    failures: threads.reduce((sum, user) => sum + user.failed, 0),
    pageouts: kernel.daemon.pageouts,
    waits: kernel.pager.waits,
    switches: kernel.sched.switches,
  };
  kernel.finish();
  return report;
}

/** Nothing is under way: memory is as the model says; after a sync the disk is as memory; and so it is read again. */
export function* settle(file: SharedFile): Sleeps<void> {
  const { kernel, vp, model } = file;
  const bytes = yield* contents(file);
  complain("memory", model.settle(bytes));
  yield* vnLock(vp, RW_READER);
  const error = yield* vp.ops.putpages(vp, 0, 0, Pgo.ALLPAGES | Pgo.CLEANIT | Pgo.SYNCIO);
  if (error !== Errno.OK) throw new Error(`write-back: errno ${error}`);
  complain("the disk", same(bytes, kernel.diskBytes(vp, 0, vp.size)));
  yield* vp.ops.putpages(vp, 0, 0, Pgo.ALLPAGES | Pgo.CLEANIT | Pgo.FREE | Pgo.SYNCIO);
  if (vp.object.pageCount !== 0) throw new Error(`${vp.object.pageCount} pages stay`);
  vnUnlock(vp);
  complain("what is read again", same(bytes, yield* contents(file)));
}

/** All bytes of the file, through the page cache. */
function* contents(file: SharedFile): Sleeps<Uint8Array> {
  const { kernel, vp } = file;
  const { kmem } = kernel;
  const bytes = new Uint8Array(vp.size);
  const va = kmem.alloc(PAGE_SIZE);
  for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
    const length = Math.min(PAGE_SIZE, bytes.length - at);
    const uio = new Uio(UioRw.READ, kmem.space, [{ base: va, length }], at);
    yield* vnLock(vp, RW_READER);
    const error = yield* vp.ops.read(vp, uio, 0);
    vnUnlock(vp);
    if (error !== Errno.OK || uio.resid > 0) throw new Error(`read at ${at}: errno ${error}`);
    kmem.read(va, bytes.subarray(at, at + length));
  }
  kmem.free(va, PAGE_SIZE);
  return bytes;
}

function same(wanted: Uint8Array, got: Uint8Array): string | null {
  let at = 0;
  while (at < wanted.length && wanted[at] === got[at]) at++;
  return at === wanted.length
    ? null
    : `byte ${at} of ${wanted.length} is ${got[at]}, not ${wanted[at]}`;
}

function complain(what: string, why: string | null): void {
  if (why !== null) throw new Error(`at a quiet point, ${what}: ${why}`);
}
