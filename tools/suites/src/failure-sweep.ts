/**
 * Everything that can fail, once each: a sequence of operations on a file is run to count the places where
 * something may fail, and then again for every one of them, which fails there.
 *
 * Afterwards nothing is held (PagingKernel.finish), and the data are what was promised: what an operation
 * that went well has written is there, though its write-back may have failed; one that failed has changed what its
 * residue says; what a successful fsync has seen is on the disk; and the next sync writes all that is left.
 */
import type { CompletionPolicy } from "@physio/blkio";
import type { Bytes } from "@physio/kern";
import { Errno, KiB } from "@physio/kern";
import { ByteModel } from "./byte-model.ts";
import { Chance } from "./chance.ts";
import type { Point } from "./fault-points.ts";
import { FaultPoints, POINTS } from "./fault-points.ts";
import type { OpName } from "./file-ops.ts";
import { useInOrder } from "./file-ops.ts";
import { settle } from "./file-schedule.ts";
import type { SharedFile } from "./file-user.ts";
import { FileUser } from "./file-user.ts";
import { PagingKernel } from "./paging-kernel.ts";

/** A machine and what is done on it. */
export interface SweepCase {
  readonly name: string;
  readonly seed: number;
  readonly blockSize: Bytes;
  readonly completion: CompletionPolicy;
  readonly journal: boolean;
  readonly direct: boolean;
}

const MOST = 96 * KiB;
/** What a failure may be told as. */
const ERRORS = [Errno.EIO, Errno.ENOSPC, Errno.EROFS, Errno.ENOMEM, Errno.EBUSY, Errno.EFAULT];

const BEGIN: readonly OpName[] = ["write", "append", "write from user memory", "fsync", "truncate"];
const MAPPED: readonly OpName[] = ["store", "load", "msync sync", "store", "madvise", "fsync"];
const DIRECT: readonly OpName[] = ["direct write", "direct read", "direct write", "direct write"];
const END: readonly OpName[] = [
  "putpages",
  "write",
  "read",
  "read ahead",
  "synchronous write",
  "truncate",
  "append",
  "lazy fsync",
  "read to user memory",
  "write",
  "sync",
];

/** What there is to fail: how often each place is come by when all goes well. */
export function countPoints(of: SweepCase): Readonly<Record<Point, number>> {
  const points = new FaultPoints();
  runWith(of, points);
  return points.counts;
}

/** All failures of a case, in order. */
export function* failuresOf(of: SweepCase): Generator<readonly [Point, number], void, void> {
  const counts = countPoints(of);
  for (const point of POINTS) for (let n = 0; n < counts[point]; n++) yield [point, n];
}

/** Run the case with one failure. @returns whether an operation was told. @throws what is wrong, and with which failure. */
export function failOnce(of: SweepCase, point: Point, number: number): boolean {
  const points = new FaultPoints(point, number);
  try {
    const failed = runWith(of, points);
    if (!points.fired) throw new Error("it did not fail");
    return failed;
  } catch (error) {
    throw new Error(`${of.name}, ${point} ${number} fails: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function runWith(of: SweepCase, points: FaultPoints): boolean {
  const { seed, blockSize, completion, journal, direct } = of;
  points.paused = true;
  const size = { ram: 640 * KiB, diskSize: 768 * KiB };
  const kernel = new PagingKernel({
    ...size,
    seed,
    blockSize,
    completion,
    journal,
    metadata: true,
    points,
  });
  const model = new ByteModel(MOST + blockSize);
  const file: SharedFile = {
    kernel,
    vp: kernel.file(),
    model,
    most: MOST,
    direct,
    allowed: ERRORS,
  };
  const user = new FileUser(file, new Chance(seed));
  points.paused = false;
  for (const ops of [BEGIN, direct ? DIRECT : MAPPED, END, direct ? DIRECT : MAPPED]) {
    kernel.run(useInOrder(user, ops));
  }
  points.paused = true;
  kernel.sched.pump();
  kernel.checkQuiet();
  kernel.run(settle(file));
  user.close();
  const told = user.failed > 0;
  kernel.finish();
  return told;
}
