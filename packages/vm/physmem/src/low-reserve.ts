/**
 * The low reserve: frames that 24 and 32 bits reach, held back for requests that need them.
 *
 * A request that says no `high` takes from the highest reach first, and would at last take what lies
 * below 16 MiB and 4 GiB, too; then a device of 24 or 32 address lines finds nothing. So each low
 * reach has a number of free frames that such a plain request leaves; one with a `high`, or of class
 * INTERRUPT, may take them. After lowmem_reserve_ratio of Linux; FreeBSD has none.
 *
 * Each pool has a share of its reach's reserve by its size, so the domains hold it together.
 *
 * Who may call: alloc.ts and contig.ts.
 */
import { Errno, ErrnoError, isWhole } from "@physio/kern";
import type { FrameAllocator } from "./buddy.ts";
import { REACHES } from "./buddy.ts";

/** Frames for requests with a `high`: below 16 MiB, and from there to 4 GiB. More than there are is all. */
export type LowReserve = readonly [bits24: number, bits32: number];

/** Without a LowReserve: 1/64 of the reach, at most 256 frames (1 MiB); nothing on a tiny machine. */
const PART = 64;
const MOST = 256;
const TINY_BELOW = 1024;
const LOW_REACHES = REACHES - 1;

/**
 * The free frames that a plain request leaves, by pool.
 * @throws {ErrnoError} EINVAL: not two whole numbers.
 */
export function lowReserves(frames: FrameAllocator, config: LowReserve | undefined): Int32Array {
  const sane = Array.isArray(config) && config.length === LOW_REACHES && config.every(isWhole);
  if (config !== undefined && !sane) {
    throw new ErrnoError(Errno.EINVAL, `physmem: a low reserve of ${String(config)} frames`);
  }
  const byPool = new Int32Array(frames.pools);
  for (let reach = 0; reach < LOW_REACHES; reach++) {
    let total = 0;
    for (let pool = reach; pool < frames.pools; pool += REACHES) total += frames.poolTotal[pool];
    const usual = frames.totalFrames < TINY_BELOW ? 0 : Math.min(MOST, Math.floor(total / PART));
    share(frames, byPool, reach, Math.min(total, config?.[reach] ?? usual), total);
  }
  return byPool;
}

/** Shares by size whose sum is `reserve`. */
function share(
  frames: FrameAllocator,
  byPool: Int32Array,
  reach: number,
  reserve: number,
  total: number,
): void {
  let passed = 0;
  let given = 0;
  for (let pool = reach; pool < frames.pools && total > 0; pool += REACHES) {
    passed += frames.poolTotal[pool];
    const upTo = Math.floor((reserve * passed) / total);
    byPool[pool] = upTo - given;
    given = upTo;
  }
}
