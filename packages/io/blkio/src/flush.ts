/**
 * Flushing: everything that waits to be written now is written, each block once.
 *
 * What becomes dirty meanwhile is left for the next time, and a write that fails is not tried again
 * here, so a flush always ends. Follows vflushbuf and vinvalbuf.
 *
 * => whoever waits holds no buf that is flushed.
 */
import type { Errno } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Buf } from "./buf.ts";
import { BufFlag } from "./buf.ts";
import type { BufPool } from "./buf-pool.ts";

/**
 * Write the dirty ones of `blocks`.
 * With `wait`: also those that somebody holds, and until all is written, what was under way included.
 */
export function* flushBufs(pool: BufPool, blocks: readonly Buf[], wait: boolean): Sleeps<void> {
  const held = [];
  for (const buf of blocks) {
    if ((buf.flags & BufFlag.BUSY) !== 0) held.push(buf);
    else writeIdle(pool, buf);
  }
  if (!wait) return;
  for (const buf of held) {
    // What is under way needs no second write: it was taken as it is.
    if (pool.underway.has(buf)) continue;
    yield* waitIdle(pool, buf);
    writeIdle(pool, buf);
  }
  for (const buf of blocks) while (pool.underway.has(buf)) yield* waitFor(pool, buf);
}

function writeIdle(pool: BufPool, buf: Buf): void {
  if ((buf.flags & BufFlag.DELWRI) === 0) return;
  pool.claim(buf);
  pool.startWrite(buf, true);
}

/** Sleep until nobody holds `buf`. */
export function* waitIdle(pool: BufPool, buf: Buf): Sleeps<void> {
  while ((buf.flags & BufFlag.BUSY) !== 0) yield* waitFor(pool, buf);
}

function* waitFor(pool: BufPool, buf: Buf): Sleeps<Errno> {
  buf.flags |= BufFlag.WANTED;
  return yield* pool.bufs.sched.sleep(buf, "bufflush");
}
