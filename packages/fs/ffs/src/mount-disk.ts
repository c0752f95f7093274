/**
 * Mounting: finding the super block on a disk.
 *
 * It may be in one of four places, and a copy of it in another: version 2 says where it belongs.
 */
import type { Disk } from "@physio/blkio";
import { DEV_BSIZE } from "@physio/blkio";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext } from "@physio/vfs";
import { SUPERBLOCK_PLACES, SUPERBLOCK_ROOM } from "./layout.ts";
import { FfsMount } from "./mount.ts";
import { decodeSuperblock, flavorOf, isAtHome } from "./superblock.ts";

/** What was found where a super block may be. */
interface Found {
  readonly bytes: Uint8Array;
  readonly place: number;
}

/** Read the bytes of the disk from `place` on where a super block may be. @throws {ErrnoError} EIO: the disk; ENOMEM. */
function* readPlace(disk: Disk, context: FsContext, place: number): Sleeps<Uint8Array> {
  const { cache } = context;
  const buf = yield* cache.bread(disk, place / DEV_BSIZE, SUPERBLOCK_ROOM);
  const { error } = buf;
  const bytes = new Uint8Array(SUPERBLOCK_ROOM);
  if (error === E.OK) cache.copy(buf, bytes);
  cache.forget(buf);
  if (error !== E.OK) throw new ErrnoError(error, `ffs: super block at byte ${place}`);
  return bytes;
}

/** Find the super block. `stray` are the places with a good magic that belong elsewhere. */
function* findSuperblock(disk: Disk, context: FsContext, stray: number[]): Sleeps<Found | null> {
  for (const place of SUPERBLOCK_PLACES) {
    if (disk.mediaSize < place + SUPERBLOCK_ROOM) continue;
    const bytes = yield* readPlace(disk, context, place);
    const flavor = flavorOf(bytes);
    if (flavor === null) continue;
    if (isAtHome(bytes, flavor, place)) return { bytes, place };
    stray.push(place);
  }
  return null;
}

/** Whether `disk` has the magic of an FFS in one of its places. @throws {ErrnoError} EIO: the disk; ENOMEM. */
export function* probeFfs(disk: Disk, context: FsContext): Sleeps<boolean> {
  const stray: number[] = [];
  const found = yield* findSuperblock(disk, context, stray);
  return found !== null || stray.length > 0;
}

/**
 * Mount the FFS file system on `disk`, read-only.
 * @throws {ErrnoError} EINVAL: not FFS, or numbers that make no sense; EIO: the disk, or a file
 *   system larger than it (a truncated image); ENOMEM.   @bsd #P[reading] ffs_mountfs
 */
export function* mountFfs(disk: Disk, context: FsContext): Sleeps<FfsMount> {
  const stray: number[] = [];
  const found = yield* findSuperblock(disk, context, stray);
  if (found === null) {
    const places = SUPERBLOCK_PLACES.join(", ");
    const why = stray.length > 0 ? `a copy at byte ${stray[0]} only` : "no magic in it";
    throw new ErrnoError(E.EINVAL, `ffs: super block at byte ${places}: ${why}`);
  }
  const sb = decodeSuperblock(found.bytes, found.place, disk.mediaSize);
  return new FfsMount(sb, disk, context);
}
