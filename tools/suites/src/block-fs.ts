/**
 * The least file system that genfs serves: files without names, whose block maps are arrays.
 *
 * It supplies the four operations and a block map, on any disk. Blocks are handed out in an order that
 * its maker chooses, so files may lie in a row or all over; what can fail in a real one can be made to fail. The
 * maps live outside of the disk: this is for tests and measurements of what stands below a file system.
 *
 * Invariant (`check`): no block belongs to two files, and what no file has is free.
 */
import type { Disk } from "@physio/blkio";
import type { GenfsOps } from "@physio/genfs";
import {
  GenfsNode,
  GopUpdate,
  genfsRead,
  genfsTruncate,
  genfsWrite,
  getpages,
  getpagesNow,
  gopWrite,
  putpages,
} from "@physio/genfs";
import type { Bytes, Errno, FileOffset, Nanoseconds } from "@physio/kern";
import { alignUp, Errno as E, ErrnoError, KiB, panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { BlockMap, FsContext, Journal, MountFlag, MountOps, VnodeOps } from "@physio/vfs";
import { flushVnode, Mount, Vnode } from "@physio/vfs";

const HOLE = -1;
const MAX_RUN = 64;

/** What `metadata` takes of the end of the disk: sectors for files up to inode 127. */
export const METADATA = 64 * KiB;

/** Where a fault may be planted. */
export type FsPoint = "bmap" | "alloc" | "begin";

export interface BlockFsOptions {
  readonly disk: Disk;
  readonly context: FsContext;
  readonly blockSize: Bytes;
  /** Blocks in the order in which they are handed out; default: all, ascending. */
  readonly order?: readonly number[];
  readonly flags?: MountFlag;
  readonly journal?: boolean;
  /** Each file has a sector of its own in the last METADATA bytes of the disk, which the block map reads and allocation changes, through the buffer cache. => `order` leaves these out */
  readonly metadata?: boolean;
  /** The error of an operation that begins; OK: it goes well. */
  readonly fails?: (point: FsPoint) => Errno;
  /** How long an operation sleeps before it does anything; 0: not at all. */
  readonly delay?: (point: FsPoint) => Nanoseconds;
}

/** One file: its vnode's `data`. */
class BlockFile {
  readonly genfs: GenfsNode;
  readonly blocks: number[];
  /** Times that it was looked at and changed. */
  accessed: number;
  modified: number;

  constructor(genfs: GenfsNode) {
    this.genfs = genfs;
    this.blocks = [];
    this.accessed = 0;
    this.modified = 0;
  }
}

export class BlockFs implements MountOps {
  readonly fsName = "blocks";
  readonly rootIno = 1;
  readonly mount: Mount;
  readonly blockSize: Bytes;
  /** Free blocks; the next one is the last. */
  readonly free: number[];
  /** Journal transactions that are open, and were. */
  open: number;
  transactions: number;
  readonly #ops: VnodeOps;
  readonly #genfsOps: GenfsOps;
  readonly #fails: (point: FsPoint) => Errno;
  readonly #delay: (point: FsPoint) => Nanoseconds;
  readonly #disk: Disk;
  /** First sector of the metadata, or −1. */
  readonly #metadata: number;
  #nextIno: number;

  constructor(options: BlockFsOptions) {
    const { disk, context, blockSize } = options;
    const count = Math.floor(disk.mediaSize / blockSize);
    this.blockSize = blockSize;
    this.free = [...(options.order ?? Array.from({ length: count }, (_, i) => i))].reverse();
    this.open = 0;
    this.transactions = 0;
    this.#fails = options.fails ?? (() => E.OK);
    this.#delay = options.delay ?? (() => 0);
    this.#disk = disk;
    this.#metadata = options.metadata === true ? (disk.mediaSize - METADATA) / 512 : -1;
    this.#nextIno = 2;
    this.#ops = this.#vnodeOps();
    this.#genfsOps = {
      size: (_vp, size) => alignUp(size, blockSize),
      alloc: (vp, offset, length) => this.#alloc(vp, offset, length),
      write: gopWrite,
      markUpdate: (vp, update) => mark(vp, update),
    };
    this.mount = new Mount({
      disk,
      context,
      fsBshift: Math.log2(blockSize),
      devBshift: 9,
      ops: this,
      flags: options.flags ?? 0,
      journal: options.journal === true ? this.#journal() : null,
    });
  }

  /** An empty file, referenced. */
  create(): Vnode {
    const { pages, bufs } = this.mount.context;
    const ino = this.#nextIno++;
    const data = new BlockFile(new GenfsNode(bufs.sched, this.#genfsOps, `inode ${ino}`));
    const object = pages.newObject();
    const vp = new Vnode(this.mount, this.#ops, "regular", ino, 0, object, data);
    this.mount.enter(vp);
    return vp;
  }

  // biome-ignore lint/correctness/useYield: others read the disk
  *vget(ino: number): Sleeps<Vnode> {
    const vp = this.mount.cached(ino);
    if (vp === null) throw new ErrnoError(E.EIO, `inode ${ino} is not cached, and nowhere else`);
    return vp;
  }

  /** => the vnode is locked alone. @returns as genfsTruncate. */
  truncate(vp: Vnode, size: Bytes): Sleeps<Errno> {
    return genfsTruncate(vp, size, (to) => this.#release(vp, to));
  }

  /** A file without data, whose blocks lie where `blocks` says (−1: hole). => it is empty. */
  lay(vp: Vnode, blocks: readonly number[], size: Bytes): void {
    const taken = new Set(blocks);
    fileOf(vp).blocks.push(...blocks);
    this.free.splice(0, this.free.length, ...this.free.filter((block) => !taken.has(block)));
    vp.size = size;
    vp.writeSize = size;
  }

  /** genfs' part of a file. */
  nodeOf(vp: Vnode): GenfsNode {
    return fileOf(vp).genfs;
  }

  /** The block map of a file. */
  blocksOf(vp: Vnode): readonly number[] {
    return fileOf(vp).blocks;
  }

  /** Times of a file, in operations. */
  timesOf(vp: Vnode): { readonly accessed: number; readonly modified: number } {
    return fileOf(vp);
  }

  /** Panic when a block is in two places; `files` are all. */
  check(files: readonly Vnode[]): void {
    const seen = new Set<number>(this.free);
    if (seen.size !== this.free.length) panic("blockfs: a block is free twice");
    for (const vp of files) {
      for (const block of fileOf(vp).blocks) {
        if (block === HOLE) continue;
        if (seen.has(block)) panic(`blockfs: block ${block} of inode ${vp.ino} has another owner`);
        seen.add(block);
      }
    }
    if (this.open > 0) panic(`blockfs: ${this.open} journal transactions are open`);
  }

  #vnodeOps(): VnodeOps {
    const noName = (): never => {
      throw new ErrnoError(E.EOPNOTSUPP, "files have no names here");
    };
    return {
      lookup: noName,
      readdir: noName,
      readlink: noName,
      getattr: noName,
      read: genfsRead,
      write: genfsWrite,
      getpagesNow,
      getpages,
      putpages,
      fsync: (vp, flags) => flushVnode(vp, flags ?? 0),
      bmap: (vp, lbn, out) => this.#bmap(vp, lbn, out),
    };
  }

  /** Look at the file's own sector, or change it. @returns OK; EIO; ENOMEM. */
  *#touch(vp: Vnode, change: boolean): Sleeps<Errno> {
    if (this.#metadata < 0) return E.OK;
    const { cache } = this.mount.context;
    try {
      const buf = yield* cache.bread(this.#disk, this.#metadata + vp.ino, 512, vp);
      const { error } = buf;
      if (error === E.OK && change) {
        cache.store(buf, Uint8Array.of(vp.ino));
        cache.bdwrite(buf);
      } else cache.brelse(buf);
      return error;
    } catch (error) {
      if (error instanceof ErrnoError) return error.errno;
      throw error;
    }
  }

  /** What may happen before an operation: it sleeps, it fails. */
  *#before(point: FsPoint): Sleeps<Errno> {
    const time = this.#delay(point);
    if (time > 0) yield* this.mount.context.bufs.sched.pause(point, time);
    return this.#fails(point);
  }

  *#bmap(vp: Vnode, lbn: number, out: BlockMap): Sleeps<Errno> {
    let error = yield* this.#before("bmap");
    if (error === E.OK) error = yield* this.#touch(vp, false);
    if (error !== E.OK) return error;
    const { blocks } = fileOf(vp);
    const at = (i: number) => blocks[lbn + i] ?? HOLE;
    const first = at(0);
    let run = 0;
    while (run < MAX_RUN && lbn + run + 1 < blocks.length) {
      if (at(run + 1) !== (first === HOLE ? HOLE : first + run + 1)) break;
      run++;
    }
    out.blkno = first === HOLE ? HOLE : (first * this.blockSize) / 512;
    out.run = run;
    return E.OK;
  }

  *#alloc(vp: Vnode, offset: FileOffset, length: Bytes): Sleeps<Errno> {
    let error = yield* this.#before("alloc");
    if (error === E.OK) error = yield* this.#touch(vp, true);
    if (error !== E.OK) return error;
    const { blocks } = fileOf(vp);
    const end = Math.ceil((offset + length) / this.blockSize);
    const holes: number[] = [];
    for (let lbn = Math.floor(offset / this.blockSize); lbn < end; lbn++) {
      if ((blocks[lbn] ?? HOLE) === HOLE) holes.push(lbn);
    }
    if (holes.length > this.free.length) return E.ENOSPC;
    for (const lbn of holes) {
      while (blocks.length < lbn) blocks.push(HOLE);
      blocks[lbn] = this.free.pop()!;
    }
    return E.OK;
  }

  // biome-ignore lint/correctness/useYield: giving blocks up may sleep
  *#release(vp: Vnode, size: Bytes): Sleeps<Errno> {
    const { blocks } = fileOf(vp);
    const keep = Math.ceil(size / this.blockSize);
    while (blocks.length > keep) {
      const block = blocks.pop()!;
      if (block !== HOLE) this.free.push(block);
    }
    return E.OK;
  }

  #journal(): Journal {
    const before = () => this.#before("begin");
    const begun = () => {
      this.open++;
      this.transactions++;
    };
    return {
      *begin() {
        const error = yield* before();
        if (error === E.OK) begun();
        return error;
      },
      end: () => {
        this.open--;
      },
    };
  }
}

function fileOf(vp: Vnode): BlockFile {
  return vp.data as BlockFile;
}

function mark(vp: Vnode, update: GopUpdate): void {
  const file = fileOf(vp);
  if ((update & GopUpdate.ACCESSED) !== 0) file.accessed++;
  if ((update & GopUpdate.MODIFIED) !== 0) file.modified++;
}
