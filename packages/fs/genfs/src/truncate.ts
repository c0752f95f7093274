/**
 * Changing the size of a file: what the page cache has to do with it.
 *
 * What lies behind the end of a file in its last page is anybody's: a mapping may have written there. So it is
 * zeroed when the file shrinks, for the disk, and when it grows, for readers. Follows ufs_truncate and
 * ffs_write in what they do.
 */
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import {
  alignUp,
  Errno as E,
  NO_FRAME,
  PAGE_SIZE,
  pageOffset,
  roundPage,
  truncPage,
} from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { Pg } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { setSize, zeroRange } from "@physio/vfs";
import { blockShift } from "./block-io.ts";
import { vtog } from "./node.ts";

/**
 * The file ends at `size` from now on. When it shrinks, `release` gives the blocks beyond up; it runs with the
 * node's lock held, after the pages are gone. When it grows, nothing is allocated.
 * => the caller keeps writers and others who change the size away: it has the vnode's lock alone.
 * @returns OK; EIO, ENOMEM: its last page cannot be read, nothing has changed; what `release` says.
 * @bsd #Y ufs_truncate, GOP_SIZE
 */
export function* genfsTruncate(
  vp: Vnode,
  size: Bytes,
  release: (size: Bytes) => Sleeps<Errno>,
): Sleeps<Errno> {
  if (size === vp.size) return E.OK;
  const { trans } = vp.mount;
  yield* trans.start("shared");
  const error = size > vp.size ? yield* extend(vp, size) : yield* shrink(vp, size, release);
  trans.done();
  return error;
}

/** What lies between reads as zeros and has no blocks. */
function* extend(vp: Vnode, size: Bytes): Sleeps<Errno> {
  const error = yield* fillGap(vp, size as number);
  if (error !== E.OK) return error;
  vp.writeSize = size;
  vp.size = size;
  return E.OK;
}

function* shrink(vp: Vnode, size: Bytes, release: (size: Bytes) => Sleeps<Errno>): Sleeps<Errno> {
  const { lock } = vtog(vp);
  const end = size as number;
  let error = pageOffset(end) === 0 ? E.OK : yield* zeroRange(vp, end, roundPage(end) - end);
  if (error !== E.OK) return error;
  yield* lock.enter(RW_WRITER);
  error = yield* setSize(vp, size);
  if (error === E.OK) error = yield* release(size);
  lock.exit();
  return error;
}

/**
 * Before the file grows over `offset`: what lies between its end and there reads as zeros, and a page of which
 * only a part has blocks cannot be written to any more without asking for the others. The last block of a file may
 * have more pages than its end: what the disk has of them is from a longer file, or nobody's.
 * => as for genfsTruncate, in a transaction. @returns OK; EIO, ENOMEM.
 */
export function* fillGap(vp: Vnode, offset: FileOffset): Sleeps<Errno> {
  const end = vp.size as number;
  const blockSize = 2 ** blockShift(vp);
  const edge = Math.min(offset, alignUp(end, Math.max(blockSize, PAGE_SIZE)));
  const error = edge > end ? yield* zeroRange(vp, end, edge - end) : E.OK;
  if (error !== E.OK || blockSize >= PAGE_SIZE) return error;
  const { pages } = vp.mount.context;
  const frame = vp.object.lookup(truncPage(end) / PAGE_SIZE);
  if (frame !== NO_FRAME && pageOffset(end) !== 0) {
    pages.protect(frame, Prot.READ | Prot.EXECUTE);
    pages.setFlags(frame, Pg.RDONLY);
  }
  return E.OK;
}
