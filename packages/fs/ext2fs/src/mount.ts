/**
 * A mounted ext2: blocks, inodes and groups, and the last word to the disk.
 *
 * The super block and the group descriptors are read once; inodes come from the buffer cache when
 * their vnodes are made. All that comes from the disk is checked where it is decoded; every block
 * number that is followed is checked against the size of the file system here. What shows that the file
 * system is damaged makes the mount read-only.
 *
 * Changed inodes, bitmaps and counts are kept until `sync`; a file that is synced by itself has its inode
 * written at once. While it is mounted for writing the super block says that it is not clean.
 */
import type { Buf, Disk } from "@physio/blkio";
import { DEV_BSHIFT, DEV_BSIZE } from "@physio/blkio";
import { GenfsNode } from "@physio/genfs";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext, MountOps, VnodeOps } from "@physio/vfs";
import { BlockMap, Mount, MountFlag, Vnode } from "@physio/vfs";
import { ext2Bmap } from "./bmap.ts";
import { ext2GenfsOps } from "./genfs-ops.ts";
import type { Group } from "./group.ts";
import { inodeLocation, inodeTableBlocks } from "./group.ts";
import { flushGroups, GroupState } from "./group-state.ts";
import { decodeInode, encodeInode, isUnused, maxFileSize } from "./inode.ts";
import type { Inode } from "./inode.ts";
import {
  REV0_INODE_BYTES,
  ROOT_INO,
  STATE_CLEAN,
  STATE_ERRORS,
  SUPERBLOCK_OFFSET,
  Sb,
  writeU16,
  writeU32,
} from "./layout.ts";
import { Ext2Node, vtoi } from "./node.ts";
import type { Superblock } from "./superblock.ts";
import { ext2Vnodeops } from "./vnodeops.ts";

export interface Ext2Options {
  readonly flags?: MountFlag;
  /** Seconds since 1970; default: when the file system was last written, and virtual time goes on from there. */
  readonly now?: () => number;
}

/** One mounted ext2. */
export class Ext2Mount implements MountOps {
  readonly fsName = "ext2";
  readonly rootIno = ROOT_INO;
  readonly sb: Superblock;
  readonly groups: readonly GroupState[];
  readonly context: FsContext;
  readonly disk: Disk;
  readonly mount: Mount;
  readonly vnodeOps: VnodeOps;
  /** What the super block counts. */
  freeBlocks: number;
  freeInodes: number;
  /** Features for readers that this mount has added: large_file. */
  roCompat: number;
  /** First of the unlinked inodes that are still in use, or 0. */
  lastOrphan: number;
  /** Vnodes whose inode has changed. */
  readonly dirtyInodes: Set<Vnode>;
  /** Damage was found. */
  damaged: boolean;
  /** scratch of bmap: filled and read without a sleep between. */
  readonly pointerBlock: Uint8Array;
  readonly #now: () => number;
  readonly #wasClean: boolean;

  constructor(
    sb: Superblock,
    groups: readonly Group[],
    disk: Disk,
    context: FsContext,
    options: Ext2Options,
  ) {
    this.sb = sb;
    this.groups = groups.map((group, number) => new GroupState(this, number, group));
    this.disk = disk;
    this.context = context;
    this.freeBlocks = this.groups.reduce((sum, group) => sum + group.freeBlocks, 0);
    this.freeInodes = this.groups.reduce((sum, group) => sum + group.freeInodes, 0);
    this.roCompat = sb.featureRoCompat;
    this.lastOrphan = sb.lastOrphan;
    this.dirtyInodes = new Set();
    this.damaged = false;
    this.pointerBlock = new Uint8Array(sb.blockSize);
    const { sched } = context.bufs;
    this.#now = options.now ?? (() => sb.wtime + Math.floor(sched.now / 1e9));
    this.#wasClean = (sb.state & STATE_CLEAN) !== 0;
    this.mount = new Mount({
      disk,
      context,
      fsBshift: sb.blockShift,
      devBshift: DEV_BSHIFT,
      ops: this,
      flags: options.flags ?? 0,
    });
    this.vnodeOps = ext2Vnodeops(this);
  }

  /** Seconds since 1970. */
  now(): number {
    return this.#now();
  }

  /** Damage: the mount is read-only from here on. @returns what to throw. */
  corrupt(what: string): ErrnoError {
    this.damaged = true;
    this.mount.stopWriting();
    return new ErrnoError(E.EIO, `ext2: ${what}; the file system is read-only now`);
  }

  // ---- blocks

  /** Whether `block` may hold file data or file metadata. */
  isFileBlock(block: number): boolean {
    return block > this.sb.firstDataBlock && block < this.sb.blocksCount;
  }

  /** Whether `block` of a group holds the group's own metadata. */
  isMetadata({ place }: GroupState, block: number): boolean {
    const table = block - place.inodeTable;
    const inTable = table >= 0 && table < inodeTableBlocks(this.sb);
    return inTable || block === place.blockBitmap || block === place.inodeBitmap;
  }

  /** First sector of a block. */
  sectorOf(block: number): number {
    return (block * this.sb.blockSize) / DEV_BSIZE;
  }

  /** Read a block through the buffer cache. => the caller gives the buf back. @returns the buf; `error` tells. */
  *bread(block: number, owner: Vnode | null = null): Sleeps<Buf> {
    const { cache } = this.context;
    return yield* cache.bread(this.disk, this.sectorOf(block), this.sb.blockSize, owner);
  }

  /** A block's buf, whatever is in it. => the caller fills all of it, and gives it back. */
  *getblk(block: number, owner: Vnode | null = null): Sleeps<Buf> {
    const { cache } = this.context;
    return yield* cache.getblk(this.disk, this.sectorOf(block), this.sb.blockSize, owner);
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

  /** The block holds `bytes` from now on; they are written later. => `bytes` are a block. @throws {ErrnoError} ENOMEM. */
  *replaceBlock(block: number, bytes: Uint8Array, owner: Vnode | null = null): Sleeps<void> {
    const buf = yield* this.getblk(block, owner);
    this.context.cache.store(buf, bytes);
    this.context.cache.bdwrite(buf);
  }

  /** The block is not metadata any more: what is cached of it must not be written. */
  *forgetBlock(block: number): Sleeps<void> {
    const { cache } = this.context;
    if (cache.incore(this.disk, this.sectorOf(block)) === null) return;
    cache.forget(yield* this.getblk(block));
  }

  /** The block behind logical block `lbn` of a file; 0: a hole. @throws {ErrnoError} EIO. */
  *blockOf(vp: Vnode, lbn: number): Sleeps<number> {
    const map = new BlockMap();
    const error = yield* ext2Bmap(this, vp, lbn, map);
    if (error !== E.OK) throw new ErrnoError(error, `ext2: inode ${vp.ino}: block ${lbn}`);
    return map.blkno < 0 ? 0 : (map.blkno * DEV_BSIZE) / this.sb.blockSize;
  }

  // ---- inodes

  *vget(ino: number): Sleeps<Vnode> {
    const place = inodeLocation(this.sb, ino);
    const block = this.groups[place.group].place.inodeTable + place.blockInTable;
    const bytes = yield* this.readBlock(block, `inode ${ino}`);
    const inode = decodeInode(bytes, place.offset, this.sb, ino);
    if (isUnused(inode) || inode.type === "unused") {
      throw new ErrnoError(E.EIO, `ext2: inode ${ino} is not in use`);
    }
    this.#checkSize(inode);
    return this.makeVnode(inode);
  }

  /** The vnode of an inode that is not cached, entered and referenced. */
  makeVnode(inode: Inode): Vnode {
    const { ino, type, size } = inode;
    if (type === "unused") throw new ErrnoError(E.EIO, `ext2: inode ${ino} has no type`);
    const { pages } = this.context;
    const genfs = new GenfsNode(pages.sched, ext2GenfsOps(this), `inode ${ino}`);
    const node = new Ext2Node(genfs, inode);
    const vp = new Vnode(this.mount, this.vnodeOps, type, ino, size, pages.newObject(), node);
    this.mount.enter(vp);
    return vp;
  }

  /** Write a vnode's inode to its block; with `wait`, to the disk. @returns OK; EIO; ENOMEM. @bsd #Y ext2_update */
  *writeInode(vp: Vnode, wait: boolean): Sleeps<Errno> {
    const { cache } = this.context;
    const inode = vtoi(vp);
    const place = inodeLocation(this.sb, vp.ino);
    const block = this.groups[place.group].place.inodeTable + place.blockInTable;
    this.dirtyInodes.delete(vp);
    const buf = yield* this.bread(block);
    const { error } = buf;
    if (error !== E.OK) {
      cache.brelse(buf);
      this.dirtyInodes.add(vp);
      return error;
    }
    inode.size = inode.type === "regular" || inode.type === "directory" ? vp.size : inode.size;
    const bytes = cache.copy(buf, new Uint8Array(place.offset + REV0_INODE_BYTES));
    encodeInode(inode, bytes, place.offset, this.sb);
    cache.store(buf, bytes.subarray(place.offset), place.offset);
    if (wait) return yield* cache.bwrite(buf);
    cache.bdwrite(buf);
    return E.OK;
  }

  // ---- the whole

  /** @bsd #Y ext2_sync */
  *sync(): Sleeps<Errno> {
    if (this.mount.readOnly && !this.damaged) return E.OK;
    let result: Errno = E.OK;
    for (const vp of [...this.dirtyInodes]) {
      const error = yield* this.writeInode(vp, false);
      if (error !== E.OK) result = error;
    }
    try {
      yield* flushGroups(this);
      yield* this.writeSuperblock(false);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      result = error.errno;
    }
    return result;
  }

  /** @bsd #Y ext2_unmount */
  *end(): Sleeps<Errno> {
    const error = yield* this.sync();
    if (error !== E.OK) return error;
    try {
      yield* this.writeSuperblock(true);
      return E.OK;
    } catch (failure) {
      if (failure instanceof ErrnoError) return failure.errno;
      throw failure;
    }
  }

  /**
   * Bring the counts, the time and the state to the super block. `clean`: nothing is going to be changed any more;
   * what was found not clean stays so.
   */
  *writeSuperblock(clean: boolean): Sleeps<void> {
    const { cache } = this.context;
    const block = Math.floor(SUPERBLOCK_OFFSET / this.sb.blockSize);
    const from = SUPERBLOCK_OFFSET % this.sb.blockSize;
    const bytes = yield* this.readBlock(block, "super block");
    const errors = this.damaged ? STATE_ERRORS : 0;
    const state = (this.sb.state & ~STATE_CLEAN) | errors;
    writeU32(bytes, from + Sb.freeBlocks, this.freeBlocks);
    writeU32(bytes, from + Sb.freeInodes, this.freeInodes);
    writeU32(bytes, from + Sb.wtime, this.now());
    writeU32(bytes, from + Sb.lastOrphan, this.lastOrphan);
    writeU16(bytes, from + Sb.state, clean && this.#wasClean ? state | STATE_CLEAN : state);
    if (this.sb.revision >= 1) writeU32(bytes, from + Sb.featureRoCompat, this.roCompat);
    const buf = yield* this.getblk(block);
    cache.store(buf, bytes);
    cache.bdwrite(buf);
  }

  #checkSize(inode: Inode): void {
    const { ino, type, size, sectors } = inode;
    const holdsBlocks = type === "regular" || type === "directory";
    if (holdsBlocks && size > maxFileSize(this.sb.blockSize)) {
      throw new ErrnoError(
        E.EIO,
        `ext2: inode ${ino}: size ${size} is more than blocks of ${this.sb.blockSize} bytes can hold`,
      );
    }
    if (type === "directory" && size > sectors * 512) {
      // A directory has no holes: more bytes than sectors is damage, and could mean endless reading.
      throw new ErrnoError(
        E.EIO,
        `ext2: directory inode ${ino}: ${size} bytes in ${sectors} sectors`,
      );
    }
  }
}
