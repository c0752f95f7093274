/**
 * Operations on one file, as lists that can be kept, shortened and replayed.
 *
 * An operation says what it wants; what it gets depends on the file that it meets (plan.ts), so that any part of a
 * list is a list too.
 */
import type { Bytes } from "@physio/kern";
import { KiB, MiB } from "@physio/kern";
import type { RandomSource } from "@physio/sched";

/** Everything that can be done. */
export const KINDS = [
  "read",
  "write",
  "append",
  "writev",
  "dread",
  "dwrite",
  "mread",
  "mwrite",
  "truncate",
  "pollute",
  "fsync",
  "clean",
  "drop",
  "reopen",
  "remount",
] as const;
export type OpKind = (typeof KINDS)[number];

export interface FsxOp {
  /** Names the bytes that it writes: stays the same when others go. */
  readonly id: number;
  readonly op: OpKind;
  readonly off: number;
  readonly len: number;
  /** mwrite: msync follows. */
  readonly sync?: boolean;
  /** mread, mwrite, pollute: through the mapping that the process keeps. */
  readonly kept?: boolean;
  /** It may run at the same time as the one before. */
  readonly beside?: boolean;
}

/** Which operations a run has, how often, and how its offsets lie. */
export interface FlagSet {
  readonly weights: Partial<Record<OpKind, number>>;
  /** Offsets and lengths are multiples of it; 1: any. */
  readonly align: Bytes;
  /** RAM of the machine, if its profile can do with so little; 0: plenty. */
  readonly ram: Bytes;
  /** Most bytes of a file, and of one operation. */
  readonly fileMost: Bytes;
  readonly opMost: Bytes;
}

/** What seldom happens, in all sets. */
const SELDOM = { fsync: 2, clean: 2, drop: 1, reopen: 1 } as const;
const LIMITS = { align: 1, ram: 0, fileMost: 256 * KiB, opMost: 64 * KiB } as const;
const CALLS = { read: 8, write: 8, append: 2, writev: 2, truncate: 6 } as const;

/** Direct transfers pass the page cache only on a file that nobody has mapped: so there are sets without mappings. */
export const FLAG_SETS: Readonly<Record<string, FlagSet>> = {
  all: {
    ...LIMITS,
    weights: { ...CALLS, ...SELDOM, dread: 4, dwrite: 4, mread: 8, mwrite: 8, pollute: 2 },
  },
  mapped: { ...LIMITS, weights: { ...SELDOM, truncate: 6, mread: 10, mwrite: 10, pollute: 3 } },
  direct: { ...LIMITS, weights: { ...CALLS, ...SELDOM, dread: 10, dwrite: 10 } },
  sectors: {
    ...LIMITS,
    align: 512,
    weights: { ...SELDOM, read: 4, write: 4, dread: 8, dwrite: 8, truncate: 4 },
  },
  /** The file does not fit into memory: the page daemon takes part. */
  tight: {
    align: 1,
    ram: 2 * MiB,
    fileMost: 4 * MiB,
    opMost: 64 * KiB,
    weights: { read: 8, write: 8, dread: 2, dwrite: 2, mread: 8, mwrite: 24 },
  },
  small: {
    align: 1,
    ram: 0,
    fileMost: 20 * KiB,
    opMost: 6 * KiB,
    weights: {
      ...CALLS,
      ...SELDOM,
      dread: 3,
      dwrite: 3,
      mread: 8,
      mwrite: 8,
      pollute: 4,
      remount: 1,
    },
  },
};

/** The least number of a table of weights that chance may draw from. */
class Urn {
  readonly #kinds: readonly OpKind[];

  constructor({ weights }: FlagSet) {
    this.#kinds = KINDS.flatMap((kind) => new Array<OpKind>(weights[kind] ?? 0).fill(kind));
  }

  draw(random: RandomSource): OpKind {
    return this.#kinds[random.next() % this.#kinds.length];
  }
}

/** `count` operations that chance names; with several `threads` most may run beside others. */
export function drawOps(
  random: RandomSource,
  set: FlagSet,
  count: number,
  threads: number,
): FsxOp[] {
  const urn = new Urn(set);
  const ops: FsxOp[] = [];
  for (let id = 1; id <= count; id++) {
    const op = urn.draw(random);
    const off = place(random, set);
    // Short ones are as telling as long ones, and take less time.
    const most = random.next() % 4 === 0 ? set.opMost : set.opMost / 8;
    const raw = 1 + (random.next() % most);
    const len = Math.max(set.align, raw - (raw % set.align));
    const sync = op === "mwrite" && random.next() % 4 === 0;
    const kept = (op === "mread" || op === "mwrite" || op === "pollute") && random.next() % 2 === 0;
    const beside = threads > 1 && random.next() % 4 !== 0;
    ops.push({
      id,
      op,
      off,
      len,
      ...(sync ? { sync } : {}),
      ...(kept ? { kept } : {}),
      ...(beside ? { beside } : {}),
    });
  }
  return ops;
}

/** Anywhere, or near a border of pages or blocks. */
function place(random: RandomSource, { fileMost, align }: FlagSet): number {
  const any = random.next() % fileMost;
  let at = any;
  if (random.next() % 3 === 0) at = any - (any % 1024) + (random.next() % 9) - 4;
  at = Math.min(Math.max(0, at), fileMost - 1);
  return at - (at % align);
}
