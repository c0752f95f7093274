/**
 * Mounting: what is read from a disk before there is a mount.
 *
 * Without options a file system is mounted for writing where its features allow it; features that a writer
 * would have to know make it read-only, features that a reader would have to know refuse it by name.
 */
import type { Disk } from "@physio/blkio";
import { DEV_BSIZE } from "@physio/blkio";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext } from "@physio/vfs";
import { MountFlag } from "@physio/vfs";
import type { Group } from "./group.ts";
import { checkGroup, decodeGroup, groupDescriptorLocation } from "./group.ts";
import { Compat, Incompat, RoCompat, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from "./layout.ts";
import type { Ext2Options } from "./mount.ts";
import { Ext2Mount } from "./mount.ts";
import type { Superblock } from "./superblock.ts";
import { decodeSuperblock } from "./superblock.ts";

/** What a writer here keeps right. */
const WRITABLE = RoCompat.sparse_super | RoCompat.large_file;

/** Read [`offset`, `offset + into.length`) of the disk in one buf. */
function* readDisk(
  disk: Disk,
  context: FsContext,
  offset: number,
  into: Uint8Array,
): Sleeps<Errno> {
  const buf = yield* context.cache.bread(disk, offset / DEV_BSIZE, into.length);
  const { error } = buf;
  if (error === E.OK) context.cache.copy(buf, into);
  context.cache.forget(buf);
  return error;
}

function* readGroups(sb: Superblock, disk: Disk, context: FsContext): Sleeps<Group[]> {
  const groups: Group[] = [];
  const bytes = new Uint8Array(sb.blockSize);
  let loaded = -1;
  for (let number = 0; number < sb.groupCount; number++) {
    const { block, offset } = groupDescriptorLocation(sb, number);
    if (block !== loaded) {
      const error = yield* readDisk(disk, context, block * sb.blockSize, bytes);
      if (error !== E.OK)
        throw new ErrnoError(error, `ext2: descriptor of group ${number}: block ${block}`);
      loaded = block;
    }
    const group = decodeGroup(bytes, offset);
    checkGroup(sb, number, group);
    groups.push(group);
  }
  return groups;
}

/** Whether a writer may touch the file system: no feature that he does not keep right, no journal that would be out of date. */
function isWritable(sb: Superblock): boolean {
  const known = (sb.featureRoCompat & ~WRITABLE) === 0 && (sb.featureIncompat & Incompat.meta_bg) === 0;
  return known && (sb.featureCompat & Compat.has_journal) === 0;
}

/**
 * Mount the ext2 file system on `disk`.
 * @throws {ErrnoError} EINVAL: not ext2, or sizes that make no sense; EOPNOTSUPP: features that we
 *   cannot read, by name; EIO: the disk, or a file system larger than it (a truncated image).
 */
export function* mountExt2(
  disk: Disk,
  context: FsContext,
  options: Ext2Options = {},
): Sleeps<Ext2Mount> {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  if (disk.mediaSize < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) {
    throw new ErrnoError(E.EIO, `ext2: ${disk.mediaSize} bytes are too few for a file system`);
  }
  const error = yield* readDisk(disk, context, SUPERBLOCK_OFFSET, bytes);
  if (error !== E.OK) throw new ErrnoError(error, "ext2: super block");
  const sb = decodeSuperblock(bytes, disk.mediaSize);
  const groups = yield* readGroups(sb, disk, context);
  const flags = isWritable(sb) ? (options.flags ?? 0) : MountFlag.RDONLY;
  const ext2 = new Ext2Mount(sb, groups, disk, context, { ...options, flags });
  if (!ext2.mount.readOnly) {
    yield* ext2.writeSuperblock(false);
    const dirty = yield* context.cache.flushDevice(disk, true);
    if (dirty !== E.OK) throw new ErrnoError(dirty, "ext2: super block");
  }
  return ext2;
}
