/**
 * Mounting: what is read from a disk before there is a mount.
 *
 * Without options a file system is mounted for writing where its features allow it; features that a writer
 * would have to know make it read-only, features that a reader would have to know refuse it by name. With a
 * journal it is read-only; what a dirty journal holds is laid over the disk first.
 */
import type { BlockDevice, Disk } from "@physio/blkio";
import { DEV_BSIZE } from "@physio/blkio";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext } from "@physio/vfs";
import { MountFlag } from "@physio/vfs";
import type { Group } from "./group.ts";
import { checkGroup, decodeGroup, groupDescriptorLocation } from "./group.ts";
import { replayJournal } from "./journal.ts";
import { Compat, Incompat, RoCompat, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from "./layout.ts";
import type { Ext2Options } from "./mount.ts";
import { Ext2Mount } from "./mount.ts";
import { freeOrphans } from "./orphans.ts";
import { BlockOverlay } from "./overlay.ts";
import type { Superblock } from "./superblock.ts";
import { decodeSuperblock } from "./superblock.ts";

/** What a writer here keeps right. */
const WRITABLE = RoCompat.sparse_super | RoCompat.large_file;

/** Read [`offset`, `offset + into.length`) of the disk in one buf. */
function* readDisk(
  disk: BlockDevice,
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

function* readGroups(sb: Superblock, disk: BlockDevice, context: FsContext): Sleeps<Group[]> {
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
  const known =
    (sb.featureRoCompat & ~WRITABLE) === 0 && (sb.featureIncompat & Incompat.meta_bg) === 0;
  return known && (sb.featureCompat & Compat.has_journal) === 0;
}

/** Whether the journal holds what the blocks do not. */
function needsRecovery(sb: Superblock): boolean {
  return (sb.featureIncompat & Incompat.needs_recovery) !== 0;
}

/** @throws {ErrnoError} what `mountExt2` says of a super block. */
function* readSuperblock(
  disk: BlockDevice,
  mediaSize: number,
  context: FsContext,
): Sleeps<Superblock> {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  if (mediaSize < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) {
    throw new ErrnoError(E.EIO, `ext2: ${mediaSize} bytes are too few for a file system`);
  }
  const error = yield* readDisk(disk, context, SUPERBLOCK_OFFSET, bytes);
  if (error !== E.OK) throw new ErrnoError(error, "ext2: super block");
  return decodeSuperblock(bytes, mediaSize);
}

/** The disk with the blocks that its journal holds. => `sb` needs recovery. @throws {ErrnoError} see `replayJournal`. */
function* recover(sb: Superblock, disk: Disk, context: FsContext): Sleeps<BlockOverlay> {
  const groups = yield* readGroups(sb, disk, context);
  const before = new Ext2Mount(sb, groups, disk, context, { flags: MountFlag.RDONLY });
  try {
    const blocks = yield* replayJournal(before);
    return new BlockOverlay(disk, context, sb.blockSize, blocks);
  } finally {
    yield* before.mount.unmount();
  }
}

/** Mount, for reading, what the journal makes of the disk. */
function* mountRecovered(
  before: Superblock,
  disk: Disk,
  context: FsContext,
  options: Ext2Options,
): Sleeps<Ext2Mount> {
  const overlay = yield* recover(before, disk, context);
  const sb = yield* readSuperblock(overlay, disk.mediaSize, context);
  if (sb.blockSize !== before.blockSize) {
    const what = `blocks of ${before.blockSize} bytes, in the journal's super block ${sb.blockSize}`;
    throw new ErrnoError(E.EIO, `ext2: ${what}`);
  }
  const groups = yield* readGroups(sb, overlay, context);
  return new Ext2Mount(sb, groups, overlay, context, { ...options, flags: MountFlag.RDONLY });
}

/**
 * Mount the ext2 file system on `disk`. One that needs recovery is mounted for reading as its journal has it.
 * @throws {ErrnoError} EINVAL: not ext2, or sizes that make no sense, also of the journal; EOPNOTSUPP: features
 *   that we cannot read, by name; EIO: the disk, a damaged journal, or a file system larger than the disk (a
 *   truncated image).
 */
export function* mountExt2(
  disk: Disk,
  context: FsContext,
  options: Ext2Options = {},
): Sleeps<Ext2Mount> {
  const sb = yield* readSuperblock(disk, disk.mediaSize, context);
  if (needsRecovery(sb)) return yield* mountRecovered(sb, disk, context, options);
  const groups = yield* readGroups(sb, disk, context);
  const flags = isWritable(sb) ? (options.flags ?? 0) : MountFlag.RDONLY;
  const ext2 = new Ext2Mount(sb, groups, disk, context, { ...options, flags });
  if (!ext2.mount.readOnly) {
    yield* freeOrphans(ext2);
    yield* ext2.writeSuperblock(false);
    const dirty = yield* context.cache.flushDevice(disk, true);
    if (dirty !== E.OK) {
      context.cache.invalidate(disk);
      throw new ErrnoError(dirty, "ext2: super block");
    }
  }
  return ext2;
}
