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
import type { BlockDevice, Buf } from "@physio/blkio";
import { BufFlag, DEV_BSHIFT, DEV_BSIZE } from "@physio/blkio";
import { GenfsNode } from "@physio/genfs";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { FsContext, FsStatistics, MountFlag, MountOps, VnodeOps } from "@physio/vfs";
import { BlockMap, Mount, Vnode } from "@physio/vfs";
import { ext2Bmap } from "./bmap.ts";
import { Damage } from "./damage.ts";
import { ext2GenfsOps } from "./genfs-ops.ts";
import type { BlockPlace, Group } from "./group.ts";
import { inodeLocation, inodeTableBlocks } from "./group.ts";
import { flushGroups, GroupState } from "./group-state.ts";
import type { Inode } from "./inode.ts";
import { decodeInode, encodeInode, isUnused, maxFileSize } from "./inode.ts";
import {
  REV0_INODE_BYTES,
  ROOT_INO,
  RoCompat,
  Sb,
  SMALL_FILE_MAX,
  STATE_CLEAN,
  STATE_ERRORS,
  SUPERBLOCK_OFFSET,
  writeU16,
  writeU32,
} from "./layout.ts";
import { NameIndexes } from "./name-index.ts";
import { Ext2Node, vtoe } from "./node.ts";
import { ext2Statistics } from "./statistics.ts";
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
  readonly disk: BlockDevice;
  readonly mount: Mount;
  readonly vnodeOps: VnodeOps;
  /** What the super block counts. */
  freeBlocks: number;
  freeInodes: number;
  /** Features for readers that this mount has added: large_file. */
  roCompat: number;
  /** Inodes without names that are still in use, or were in a crash: oldest first. Kept by orphans.ts. */
  readonly orphans: number[];
  /** Directories that are being changed. */
  readonly directories: NameIndexes;
  /** Vnodes whose inode has changed. */
  readonly dirtyInodes: Set<Vnode>;
  /** Damage was found, and what it was at last. */
  damaged: boolean;
  damage: string;
  /** scratch of bmap: filled and read without a sleep between. */
  readonly pointerBlock: Uint8Array;
  readonly #now: () => number;
  readonly #wasClean: boolean;

  constructor(
    sb: Superblock,
    groups: readonly Group[],
    disk: BlockDevice,
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
    this.orphans = [];
    this.directories = new NameIndexes();
    this.dirtyInodes = new Set();
    this.damaged = false;
    this.damage = "";
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

  /** The orphan that the super block names; 0: there is none. */
  get lastOrphan(): number {
    return this.orphans.at(-1) ?? 0;
  }

  /** Bytes that a file may have. */
  get maxFileSize(): number {
    const most = maxFileSize(this.sb.blockSize);
    return this.sb.revision >= 1 ? most : Math.min(most, SMALL_FILE_MAX);
  }

  /** A file has grown: one of 2 GiB must be announced. */
  noteSize(vp: Vnode): void {
    if (vp.size > SMALL_FILE_MAX) this.roCompat |= RoCompat.large_file;
  }

  /** Damage: the mount is read-only from here on. @returns what to throw. */
  corrupt(what: string): ErrnoError {
    this.damaged = true;
    this.damage = what;
    this.mount.stopWriting();
    return new ErrnoError(E.EIO, `ext2: ${what}; the file system is read-only now`);
  }

  /** Say which directory an error of a decoder is about. @returns what to throw. */
  inDirectory(dvp: Vnode, lbn: number, error: unknown): unknown {
    if (!(error instanceof ErrnoError) || error.errno !== E.EIO) return error;
    return this.corrupt(`directory inode ${dvp.ino}, block ${lbn}: ${error.what}`);
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
    const inode = yield* this.readInode(ino);
    if (isUnused(inode) || inode.type === "unused") {
      throw new Damage(`ext2: inode ${ino} is not in use`);
    }
    return this.makeVnode(inode);
  }

  /** Where an inode is: its block, and the byte in it. @throws {ErrnoError} EIO: no such inode; EINVAL. */
  placeOf(ino: number): BlockPlace {
    const { group, blockInTable, offset } = inodeLocation(this.sb, ino);
    return { block: this.groups[group].place.inodeTable + blockInTable, offset };
  }

  /** An inode as it is on the disk, used or not. @throws {ErrnoError} EIO; {Damage} it makes no sense. */
  *readInode(ino: number): Sleeps<Inode> {
    const { block, offset } = this.placeOf(ino);
    const bytes = yield* this.readBlock(block, `inode ${ino}`);
    try {
      const inode = decodeInode(bytes, offset, this.sb, ino);
      if (!isUnused(inode)) this.#checkSize(inode);
      return inode;
    } catch (error) {
      throw error instanceof ErrnoError ? new Damage(`block ${block}: ${error.what}`) : error;
    }
  }

  /** The vnode of an inode that is not cached, entered and referenced. */
  makeVnode(inode: Inode): Vnode {
    const { ino, type, size } = inode;
    if (type === "unused") throw new Damage(`ext2: inode ${ino} has no type`);
    const { pages } = this.context;
    const genfs = new GenfsNode(pages.sched, ext2GenfsOps(this), `inode ${ino}`);
    const node = new Ext2Node(genfs, inode);
    const vp = new Vnode(this.mount, this.vnodeOps, type, ino, size, pages.newObject(), node);
    this.mount.enter(vp);
    return vp;
  }

  /** Write a vnode's inode to its block; with `wait`, to the disk. @returns OK; EIO, ENOMEM: it is to be written still. @bsd #Y ext2_update */
  *writeInode(vp: Vnode, wait: boolean): Sleeps<Errno> {
    const { cache } = this.context;
    const { block, offset } = this.placeOf(vp.ino);
    let error: Errno = E.OK;
    try {
      const buf = yield* this.bread(block);
      ({ error } = buf);
      if (error !== E.OK) {
        cache.brelse(buf);
      } else {
        this.#putInode(vp, buf, offset);
        this.dirtyInodes.delete(vp);
        if (wait) error = yield* cache.bwrite(buf);
        else cache.bdwrite(buf);
      }
    } catch (failure) {
      if (!(failure instanceof ErrnoError)) throw failure;
      error = failure.errno;
    }
    if (error !== E.OK) this.dirtyInodes.add(vp);
    return error;
  }

  /** Bring a vnode's inode to the disk, if what is there is older. @returns OK; EIO, ENOMEM. */
  *inodeToDisk(vp: Vnode): Sleeps<Errno> {
    if (this.dirtyInodes.has(vp)) return yield* this.writeInode(vp, true);
    const { cache } = this.context;
    const { block } = this.placeOf(vp.ino);
    const cached = cache.incore(this.disk, this.sectorOf(block));
    if (cached === null || (cached.flags & (BufFlag.DELWRI | BufFlag.BUSY)) === 0) return E.OK;
    return yield* this.writeInode(vp, true);
  }

  /** => the buf is the inode's block, and busy. */
  #putInode(vp: Vnode, buf: Buf, offset: number): void {
    const { cache } = this.context;
    const node = vtoe(vp);
    const { inode } = node;
    if (inode.type === "regular" || inode.type === "directory") inode.size = vp.size;
    const length = node.fresh ? this.sb.inodeSize : REV0_INODE_BYTES;
    const bytes = cache.copy(buf, new Uint8Array(offset + length));
    if (node.fresh) bytes.fill(0, offset);
    encodeInode(inode, bytes, offset, this.sb);
    cache.store(buf, bytes.subarray(offset), offset);
    node.fresh = false;
  }

  // ---- the whole

  /** @bsd #Y ext2_sync */
  *sync(): Sleeps<Errno> {
    if (this.mount.readOnly && !this.damaged) return E.OK;
    let result: Errno = E.OK;
    for (const vp of [...this.dirtyInodes]) {
      const error = yield* this.#syncInode(vp);
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

  /** The vnode must not end meanwhile, or its inode may be another file's when it is written. */
  *#syncInode(vp: Vnode): Sleeps<Errno> {
    const { sched } = this.context.bufs;
    while (vp.state === "cleaning") yield* sched.sleep(vp, "ext2sync");
    if (!this.dirtyInodes.has(vp) || vp.state !== "loaded") return E.OK;
    this.mount.vref(vp);
    const error = yield* this.writeInode(vp, false);
    this.mount.vrele(vp);
    return error;
  }

  /** @bsd #Y ext2_statvfs */
  statistics(): FsStatistics {
    return ext2Statistics(this);
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
      throw new Damage(
        `ext2: inode ${ino}: size ${size} is more than blocks of ${this.sb.blockSize} bytes can hold`,
      );
    }
    if (type === "directory" && size > sectors * 512) {
      // A directory has no holes: more bytes than sectors is damage, and could mean endless reading.
      throw new Damage(`ext2: directory inode ${ino}: ${size} bytes in ${sectors} sectors`);
    }
  }
}
