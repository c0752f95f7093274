/**
 * A mounted FFS file system, read-only: finding its inodes and reading its blocks.
 *
 * The header of a group is read when the first inode of the group is wanted, inodes when their vnodes
 * are made. All that comes from the disk is checked where it is decoded, and every fragment that is
 * followed is checked against its group.
 *
 * Metadata is read in whole blocks of the disk, also where a directory has only some fragments of one:
 * so two damaged inodes cannot ask for the same place in different sizes.
 */

import type { Buf, Disk } from "@physio/blkio";
import { DEV_BSHIFT, DEV_BSIZE } from "@physio/blkio";
import type { GenfsOps } from "@physio/genfs";
import { GenfsNode } from "@physio/genfs";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext, FsStatistics, MountOps, VnodeOps } from "@physio/vfs";
import { BlockMap, Mount, MountFlag, Vnode } from "@physio/vfs";
import { ffsBmap } from "./bmap.ts";
import { checkGroupHeader, checkGroupPlace, groupHeader, inodeLocation } from "./group.ts";
import { blocksEnd, decodeInode, fragsOfBlock } from "./inode.ts";
import { ROOT_INO } from "./layout.ts";
import { FfsNode } from "./node.ts";
import type { Superblock } from "./superblock.ts";
import { ffsVnodeops } from "./vnodeops.ts";

/** The mount is read-only. */
// biome-ignore lint/correctness/useYield: other file systems write, and sleep
export function* refuseWrite(): Sleeps<Errno> {
  return E.EROFS;
}

/** One mounted FFS. */
export class FfsMount implements MountOps {
  readonly fsName = "ffs";
  readonly rootIno = ROOT_INO;
  readonly sb: Superblock;
  readonly context: FsContext;
  readonly disk: Disk;
  readonly mount: Mount;
  readonly vnodeOps: VnodeOps;
  /** scratch of bmap: filled and read without a sleep between. */
  readonly pointerBlock: Uint8Array;
  readonly #genfsOps: GenfsOps;
  /** Inodes that were ever written, of the groups whose headers have been read. */
  readonly #inited: Map<number, number>;

  constructor(sb: Superblock, disk: Disk, context: FsContext) {
    this.sb = sb;
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
    this.vnodeOps = ffsVnodeops(this);
    this.pointerBlock = new Uint8Array(sb.blockSize);
    this.#genfsOps = {
      size: (_vp, size) => blocksEnd(sb, size),
      alloc: refuseWrite,
      write: refuseWrite,
      markUpdate: () => {},
    };
    this.#inited = new Map();
  }

  /** First sector of a fragment. */
  sectorOf(frag: number): number {
    return (frag * this.sb.fragSize) / DEV_BSIZE;
  }

  /** Read the block of the disk that `frag` lies in. => `frag` is in the file system; the caller gives the buf back. @returns the buf; `error` tells. */
  *bread(frag: number): Sleeps<Buf> {
    const { frags, size, fragSize } = this.sb;
    const first = frag - (frag % frags);
    const bytes = Math.min(frags, size - first) * fragSize; // the file system may end within a block
    return yield* this.context.cache.bread(this.disk, this.sectorOf(first), bytes);
  }

  /** A copy of the block of the disk that `frag` lies in, from `frag` on. @throws {ErrnoError} EIO: `what` cannot be read. */
  *readBlock(frag: number, what: string): Sleeps<Uint8Array> {
    const { cache } = this.context;
    const buf = yield* this.bread(frag);
    const { error } = buf;
    const bytes = new Uint8Array(buf.bufsize);
    if (error === E.OK) cache.copy(buf, bytes);
    cache.brelse(buf);
    if (error !== E.OK) throw new ErrnoError(error, `ffs: ${what}: fragment ${frag}`);
    return bytes.subarray((frag % this.sb.frags) * this.sb.fragSize);
  }

  /** A copy of the bytes of block `lbn` of a file, up to the file's end. @throws {ErrnoError} EIO: `what` is a hole, or cannot be read; ENOMEM. */
  *readFileBlock(vp: Vnode, lbn: number, what: string): Sleeps<Uint8Array> {
    const map = new BlockMap();
    const error = yield* ffsBmap(this, vp, lbn, map);
    if (error !== E.OK) {
      const why = "a block number leads to no data, or cannot be read";
      throw new ErrnoError(error, `ffs: ${what}: ${why}`);
    }
    if (map.blkno < 0) throw new ErrnoError(E.EIO, `ffs: ${what}: a hole`);
    const { blockSize, fragSize } = this.sb;
    const bytes = yield* this.readBlock((map.blkno * DEV_BSIZE) / fragSize, what);
    const length = Math.min(vp.size - lbn * blockSize, blockSize);
    return bytes.subarray(0, Math.min(length, fragsOfBlock(this.sb, vp.size, lbn) * fragSize));
  }

  /** => called by the mount, for an inode that has no vnode. */
  *vget(ino: number): Sleeps<Vnode> {
    const { sb } = this;
    const { group, index, frag, offset } = inodeLocation(sb, ino);
    const inited = yield* this.#initedInodes(group);
    if (index >= inited) throw new ErrnoError(E.EIO, `ffs: inode ${ino} was never written`);
    const inode = decodeInode(yield* this.readBlock(frag, `inode ${ino}`), offset, sb, ino);
    const { pages } = this.context;
    const node = new FfsNode(new GenfsNode(pages.sched, this.#genfsOps, `inode ${ino}`), inode);
    const object = pages.newObject();
    const vp = new Vnode(this.mount, this.vnodeOps, inode.type, ino, inode.size, object, node);
    this.mount.enter(vp);
    return vp;
  }

  /** In fragments, of which a file may have a few. @bsd #Y ffs_statvfs */
  statistics(): FsStatistics {
    const { fragSize, dataFrags, freeFrags, keptShare, inodesCount, freeInodes } = this.sb;
    const kept = Math.ceil(dataFrags * keptShare);
    return {
      blockSize: fragSize,
      blocks: dataFrags,
      freeBlocks: freeFrags,
      availableBlocks: Math.max(0, freeFrags - kept),
      inodes: inodesCount,
      freeInodes,
    };
  }

  /** Inodes of a group that were ever written. @throws {ErrnoError} EIO: its header is damaged. */
  *#initedInodes(group: number): Sleeps<number> {
    const { sb } = this;
    let inited = this.#inited.get(group);
    if (inited !== undefined) return inited;
    checkGroupPlace(sb, group);
    const header = yield* this.readBlock(groupHeader(sb, group), `header of group ${group}`);
    inited = sb.headersKnown ? checkGroupHeader(sb, group, header) : sb.inodesPerGroup;
    this.#inited.set(group, inited);
    return inited;
  }
}
