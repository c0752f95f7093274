/** A file system of a tree in memory, in which every lookup may sleep, and its machine. */
import { BufCache, Disk, IoBufs } from "@physio/blkio";
import { biodone } from "@physio/carriers";
import { Errno, ErrnoError, MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PageArrays, PagerMap, UvmPages } from "@physio/uvm";
import { expect } from "vitest";
import type { FsContext, MountOps, MountOptions, VnodeOps, VnodeType } from "../src/index.ts";
import { Fstrans, flushVnode, Mount, Syncer, Vnode } from "../src/index.ts";
import { PagedFiles } from "./paged-files.ts";

/** A directory is a record, a file null, a symlink its target. */
export type Tree = { readonly [name: string]: Tree | string | null };

interface Inode {
  readonly type: VnodeType;
  readonly target: string;
  readonly names: Map<string, number>;
}

const ROOT = 2;
const NOWHERE = 1;

const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);

const TIMES = process.env.PHYSIO_ALL === undefined ? 1 : 20;

/** `count` seeds; 20 times as many in CI. */
export const seeds = (count: number): number[] =>
  Array.from({ length: count * TIMES }, (_, i) => FIRST_SEED + i);

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x27d4eb2f);
  }

  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x85ebca6b);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  /** 0 … `limit` − 1. */
  below(limit: number): number {
    return this.next() % limit;
  }
}

export interface MemoryFsOptions
  extends Pick<MountOptions, "flags" | "idleVnodes" | "names" | "journal"> {
  /** Names the choices of the scheduler. */
  readonly seed?: number;
  /** Operations in place of, or beside, the file system's own. */
  readonly ops?: Partial<VnodeOps>;
  /** Whether the syncer has a thread. */
  readonly syncs?: boolean;
}

export class MemoryFs implements MountOps {
  readonly fsName = "memory";
  rootIno = ROOT;
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly context: FsContext;
  readonly disk: Disk;
  readonly trans: Fstrans;
  readonly mount: Mount;
  readonly files = new PagedFiles();
  readonly inodes = new Map<number, Inode>();
  /** Inodes that cannot be read. */
  readonly broken = new Set<number>();
  /** Blocks of the disk cannot be read or written; files' pages do not lie there. */
  diskFails = false;
  /** Times that a name was looked up on the disk. */
  lookups = 0;
  readonly ops: VnodeOps;
  readonly #frames: number;

  constructor(tree: Tree, options: MemoryFsOptions = {}) {
    const { seed, ops, syncs, ...rest } = options;
    const trace = new Trace();
    this.mem = new PhysMem({ banks: [{ base: MiB, size: 4 * MiB }] });
    this.sched = new Scheduler(
      seed === undefined ? { trace } : { trace, random: new Chance(seed) },
    );
    this.kmem = new Kmem(this.mem);
    this.#frames = this.mem.freeFrames;
    const { mem, sched, kmem } = this;
    const bufs = new IoBufs({ sched, trace, completion: "inline" });
    this.context = {
      bufs,
      cache: new BufCache({ bufs, kmem, limit: MiB }),
      pages: new UvmPages({ mem, pmaps: kmem.pmaps, sched, trace }),
      pager: new PagerMap(kmem, sched),
      kmem,
      syncer: new Syncer(syncs === true ? sched : null),
      pageArrays: new PageArrays(),
    };
    const sizes = { mediaSize: MiB, sectorSize: 512, maxTransfer: MiB };
    this.disk = new Disk(bufs, {
      name: "none",
      ...sizes,
      start: (bio) => {
        bio.error = this.diskFails ? Errno.EIO : Errno.OK;
        bio.resid = this.diskFails ? bio.bcount : 0;
        biodone(bio);
      },
    });
    this.trans = new Fstrans(sched, "none");
    this.mount = new Mount({
      disk: this.disk,
      context: this.context,
      fsBshift: 10,
      devBshift: 9,
      ops: this,
      trans: this.trans,
      ...rest,
    });
    this.ops = { ...this.#makeOps(), ...ops };
    this.#plant(tree, ROOT, NOWHERE); // only namei keeps `..` below the root
  }

  *vget(ino: number): Sleeps<Vnode> {
    yield* this.sched.pause("inode", 1000);
    const inode = this.inodes.get(ino);
    if (inode === undefined || this.broken.has(ino))
      throw new ErrnoError(Errno.EIO, `inode ${ino}`);
    const object = this.context.pages.newObject();
    const size = this.files.contents.get(ino)?.length ?? 0;
    const vp = new Vnode(this.mount, this.ops, inode.type, ino, size, object, inode);
    this.mount.enter(vp);
    return vp;
  }

  /** `value`, from what might sleep. */
  *say<T>(value: T): Sleeps<T> {
    yield* this.sched.preempt();
    return value;
  }

  /** A vnode, referenced. */
  get(ino: number): Vnode {
    return this.sched.runSync(this.mount.vget(ino));
  }

  /** The inode that `path` names, followed by hand. */
  inoOf(path: string): number {
    let ino = ROOT;
    for (const name of path.split("/")) {
      if (name !== "") ino = this.inodes.get(ino)?.names.get(name) ?? -1;
    }
    return ino;
  }

  /** Panics on a broken invariant of what is here. */
  check(): void {
    this.mount.vnodes.check();
    this.mount.names.check();
    this.context.syncer.check();
    this.context.pages.check();
  }

  /** No vnode is in use or locked, and after the unmount every frame is back. */
  finish(): void {
    this.sched.pump();
    this.check();
    expect(this.mount.usedVnodes).toBe(0);
    this.sched.runSync(this.mount.unmount());
    this.check();
    expect(this.mount.vnodes.unused).toBe(0);
    expect(this.mount.names.length).toBe(0);
    expect(this.context.syncer.length).toBe(0);
    expect(this.trans.open).toBe(0);
    expect(this.context.bufs.outstanding).toBe(0);
    expect(this.context.pages.resident).toBe(0);
    expect(this.sched.threads()).toEqual([]);
    this.kmem.reclaim(); // pages that zones keep in reserve
    expect(this.mem.freeFrames).toBe(this.#frames);
  }

  #makeOps(): VnodeOps {
    const refuse = (): never => {
      throw new Error("not an operation of this file system");
    };
    return {
      lookup: (dvp, name) => this.#lookup(dvp, name),
      readlink: (vp) => this.#readlink(vp),
      readdir: refuse,
      getattr: refuse,
      read: refuse,
      write: refuse,
      getpagesNow: () => Errno.EBUSY,
      getpages: (vp, request) => this.files.getpages(vp, request),
      putpages: (vp, lo, hi, flags) => this.files.putpages(vp, lo, hi, flags),
      fsync: (vp, flags = 0) => flushVnode(vp, flags),
      bmap: refuse,
    };
  }

  *#lookup(dvp: Vnode, name: string): Sleeps<Vnode> {
    dvp.lock.assertHeld(0);
    this.lookups++;
    yield* this.sched.pause("directory", 1000);
    const ino = this.inodes.get(dvp.ino)?.names.get(name);
    if (ino === undefined) throw new ErrnoError(Errno.ENOENT, `"${name}"`);
    return yield* this.mount.vget(ino);
  }

  *#readlink(vp: Vnode): Sleeps<string> {
    vp.lock.assertHeld(0);
    yield* this.sched.pause("symlink", 1000);
    const { type, target } = this.inodes.get(vp.ino)!;
    if (type !== "symlink") throw new Error(`readlink of a ${type}`);
    if (target === "unreadable") throw new ErrnoError(Errno.EIO, "symlink");
    return target;
  }

  #plant(tree: Tree | string | null, ino: number, parent: number): void {
    const names = new Map<string, number>();
    const isLink = typeof tree === "string";
    const type = isLink ? "symlink" : tree === null ? "regular" : "directory";
    this.inodes.set(ino, { type, target: isLink ? tree : "", names });
    if (tree === null || isLink) return;
    names.set(".", ino);
    names.set("..", parent);
    for (const [name, child] of Object.entries(tree)) {
      const number = ROOT + this.inodes.size;
      names.set(name, number);
      this.#plant(child, number, ino);
    }
  }
}

/** The name of the errno that `run` throws, or "none". */
export function errorOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    return error.code;
  }
}
