/**
 * Mounting an ext2 file system, read-only, and finding its inodes.
 *
 * The super block and the group descriptors are read once; inodes come from the buffer cache when
 * their vnodes are made. All that comes from the disk is checked where it is decoded; every block
 * number that is followed is checked against the size of the file system here.
 */

import type { Buf, Disk } from "@physio/blkio";
import { DEV_BSHIFT, DEV_BSIZE } from "@physio/blkio";
import type { GenfsOps } from "@physio/genfs";
import { GenfsNode } from "@physio/genfs";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext, MountOps, VnodeOps } from "@physio/vfs";
import { Mount, MountFlag, Vnode } from "@physio/vfs";
import type { Group } from "./group.ts";
import { checkGroup, decodeGroup, groupDescriptorLocation, inodeLocation } from "./group.ts";
import { decodeInode, isUnused, maxFileSize } from "./inode.ts";
import { ROOT_INO, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from "./layout.ts";
import { Ext2Node } from "./node.ts";
import type { Superblock } from "./superblock.ts";
import { decodeSuperblock } from "./superblock.ts";
import { ext2Vnodeops } from "./vnodeops.ts";

/** The mount is read-only. */
// biome-ignore lint/correctness/useYield: other file systems write, and sleep
export function* refuseWrite(): Sleeps<Errno> {
  return E.EROFS;
}

const GENFS_OPS: GenfsOps = Object.freeze({
  size: (vp: Vnode, size: number) => {
    const block = 2 ** vp.mount.fsBshift;
    return Math.ceil(size / block) * block;
  },
  alloc: refuseWrite,
  write: refuseWrite,
  markUpdate: () => {},
});

/** One mounted ext2. */
export class Ext2Mount implements MountOps {
  readonly fsName = "ext2";
  readonly rootIno = ROOT_INO;
  readonly sb: Superblock;
  readonly groups: readonly Group[];
  readonly context: FsContext;
  readonly disk: Disk;
  readonly mount: Mount;
  readonly vnodeOps: VnodeOps;
  /** scratch of bmap: filled and read without a sleep between. */
  readonly pointerBlock: Uint8Array;

  constructor(sb: Superblock, groups: readonly Group[], disk: Disk, context: FsContext) {
    this.sb = sb;
    this.groups = groups;
    this.disk = disk;
    this.context = context;
    this.mount = new Mount({
      disk,
      context,
      fsBshift: sb.blockShift,
      devBshift: DEV_BSHIFT,
      ops: this,
      flags: MountFlag.RDONLY,
    });
    this.vnodeOps = ext2Vnodeops(this);
    this.pointerBlock = new Uint8Array(sb.blockSize);
  }

  /** Whether `block` may hold file data or file metadata. */
  isFileBlock(block: number): boolean {
    return block > this.sb.firstDataBlock && block < this.sb.blocksCount;
  }

  /** First sector of a block. */
  sectorOf(block: number): number {
    return (block * this.sb.blockSize) / DEV_BSIZE;
  }

  /** Read a block through the buffer cache. => the caller gives the buf back. @returns the buf; `error` tells. */
  *bread(block: number): Sleeps<Buf> {
    return yield* this.context.cache.bread(this.disk, this.sectorOf(block), this.sb.blockSize);
  }

  /** A copy of a block's bytes. @throws {ErrnoError} EIO: `what` cannot be read. */
  *readBlock(
    block: number,
    what: string,
    into = new Uint8Array(this.sb.blockSize),
  ): Sleeps<Uint8Array> {
    const buf = yield* this.bread(block);
    const { error } = buf;
    if (error === E.OK) this.context.cache.copy(buf, into);
    this.context.cache.brelse(buf);
    if (error !== E.OK) throw new ErrnoError(error, `ext2: ${what}: block ${block}`);
    return into;
  }

  /** => called by the mount, for an inode that has no vnode. */
  *vget(ino: number): Sleeps<Vnode> {
    const place = inodeLocation(this.sb, ino);
    const block = this.groups[place.group].inodeTable + place.blockInTable;
    const bytes = yield* this.readBlock(block, `inode ${ino}`);
    const inode = decodeInode(bytes, place.offset, this.sb, ino);
    if (isUnused(inode) || inode.type === "unused") {
      throw new ErrnoError(E.EIO, `ext2: inode ${ino} is not in use`);
    }
    const holdsBlocks = inode.type === "regular" || inode.type === "directory";
    if (holdsBlocks && inode.size > maxFileSize(this.sb.blockSize)) {
      throw new ErrnoError(
        E.EIO,
        `ext2: inode ${ino}: size ${inode.size} is more than blocks of ${this.sb.blockSize} bytes can hold`,
      );
    }
    if (inode.type === "directory" && inode.size > inode.sectors * 512) {
      // A directory has no holes: more bytes than sectors is damage, and could mean endless reading.
      throw new ErrnoError(
        E.EIO,
        `ext2: directory inode ${ino}: ${inode.size} bytes in ${inode.sectors} sectors`,
      );
    }
    const { pages } = this.context;
    const node = new Ext2Node(new GenfsNode(pages.sched, GENFS_OPS, `inode ${ino}`), inode);
    const object = pages.newObject();
    const vp = new Vnode(this.mount, this.vnodeOps, inode.type, ino, inode.size, object, node);
    this.mount.enter(vp);
    return vp;
  }
}

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

/**
 * Mount the ext2 file system on `disk`, read-only.
 * @throws {ErrnoError} EINVAL: not ext2, or sizes that make no sense; EOPNOTSUPP: features that we
 *   cannot read, by name; EIO: the disk, or a file system larger than it (a truncated image).
 */
export function* mountExt2(disk: Disk, context: FsContext): Sleeps<Ext2Mount> {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  if (disk.mediaSize < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) {
    throw new ErrnoError(E.EIO, `ext2: ${disk.mediaSize} bytes are too few for a file system`);
  }
  const error = yield* readDisk(disk, context, SUPERBLOCK_OFFSET, bytes);
  if (error !== E.OK) throw new ErrnoError(error, "ext2: super block");
  const sb = decodeSuperblock(bytes, disk.mediaSize);
  const groups = yield* readGroups(sb, disk, context);
  return new Ext2Mount(sb, groups, disk, context);
}
