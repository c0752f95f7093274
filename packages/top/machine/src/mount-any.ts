/**
 * Mounting whatever file system a disk has.
 *
 * A disk may carry traces of more than one: ext2 wins, whose magic lies in what FFS leaves to the boot
 * program, and then whatever FFS has in one of its places.
 */
import type { Disk } from "@physio/blkio";
import { DEV_BSIZE } from "@physio/blkio";
import { mountExt2 } from "@physio/ext2fs";
import { mountFfs, probeFfs } from "@physio/ffs";
import { Errno, ErrnoError, hex } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext, Mount } from "@physio/vfs";
import { MountFlag } from "@physio/vfs";

const EXT2_PLACE = 1024;
const EXT2_BYTES = 1024;
const EXT2_MAGIC_AT = 56;
const EXT2_MAGIC = 0xef53;

/** How a disk is mounted. */
export interface MountChoices {
  /** It is to be written to, if it can be. */
  readonly writable?: boolean;
  /** Seconds since 1970; default: from when it was last written on, in virtual time. */
  readonly now?: () => number;
}

/** The 16 bits where ext2 has its magic; −1: the disk ends before. @throws {ErrnoError} EIO: the disk; ENOMEM. */
function* ext2Magic(disk: Disk, { cache }: FsContext): Sleeps<number> {
  if (disk.mediaSize < EXT2_PLACE + EXT2_BYTES) return -1;
  const bytes = new Uint8Array(EXT2_BYTES);
  const buf = yield* cache.bread(disk, EXT2_PLACE / DEV_BSIZE, EXT2_BYTES);
  const { error } = buf;
  if (error === Errno.OK) cache.copy(buf, bytes);
  cache.forget(buf);
  if (error !== Errno.OK)
    throw new ErrnoError(error, `${disk.name}: super block at byte ${EXT2_PLACE}`);
  return bytes[EXT2_MAGIC_AT] + bytes[EXT2_MAGIC_AT + 1] * 256;
}

/**
 * Mount the file system on `disk`: for reading, unless `writable` is asked for and it can be written.
 * @throws {ErrnoError} EINVAL: none that we know, or one that contradicts itself; EOPNOTSUPP; EIO; ENOMEM.
 */
export function* mountAny(
  disk: Disk,
  context: FsContext,
  { writable, now }: MountChoices,
): Sleeps<Mount> {
  const magic = yield* ext2Magic(disk, context);
  if (magic === EXT2_MAGIC || magic < 0) {
    const flags = writable === true ? 0 : MountFlag.RDONLY;
    const ext2 = yield* mountExt2(disk, context, { flags, ...(now === undefined ? {} : { now }) });
    return ext2.mount;
  }
  if (!(yield* probeFfs(disk, context))) {
    const ext2 = `magic ${hex(magic)} at byte ${EXT2_PLACE + EXT2_MAGIC_AT}`;
    throw new ErrnoError(Errno.EINVAL, `neither ext2 (${ext2}) nor FFS (no magic in its places)`);
  }
  const ffs = yield* mountFfs(disk, context);
  return ffs.mount;
}
