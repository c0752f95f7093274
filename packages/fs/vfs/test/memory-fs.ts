/** A file system of a tree in memory, in which every lookup may sleep, and its machine. */
import { BufCache, Disk, IoBufs } from "@physio/blkio";
import { Errno, ErrnoError, MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PagerMap, UvmPages } from "@physio/uvm";
import { expect } from "vitest";
import type { MountOps, VnodeOps, VnodeType } from "../src/index.ts";
import { Mount, Vnode } from "../src/index.ts";

/** A directory is a record, a file null, a symlink its target. */
export type Tree = { readonly [name: string]: Tree | string | null };

interface Inode {
  readonly type: VnodeType;
  readonly target: string;
  readonly names: Map<string, number>;
}

const ROOT = 2;
const NOWHERE = 1;

export class MemoryFs implements MountOps {
  readonly fsName = "memory";
  rootIno = ROOT;
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly mount: Mount;
  readonly inodes = new Map<number, Inode>();
  /** Inodes that cannot be read. */
  readonly broken = new Set<number>();
  readonly #ops: VnodeOps;
  readonly #frames: number;

  constructor(tree: Tree) {
    const trace = new Trace();
    this.mem = new PhysMem({ banks: [{ base: MiB, size: 4 * MiB }] });
    this.#frames = this.mem.freeFrames;
    this.sched = new Scheduler({ trace });
    const kmem = new Kmem(this.mem);
    const bufs = new IoBufs({ sched: this.sched, trace, completion: "inline" });
    const cache = new BufCache({ bufs, kmem, limit: MiB });
    const pages = new UvmPages(this.mem, this.sched, trace);
    const pager = new PagerMap(kmem, this.sched);
    const start = () => {
      throw new Error("nobody reads this disk");
    };
    const sizes = { mediaSize: MiB, sectorSize: 512, maxTransfer: MiB };
    const disk = new Disk(bufs, { name: "none", ...sizes, start });
    this.mount = new Mount(disk, { bufs, cache, pages, pager }, 10, 9, this);
    const refuse = (): never => {
      throw new Error("not an operation on names");
    };
    this.#ops = {
      lookup: (dvp, name) => this.#lookup(dvp, name),
      readlink: (vp) => this.#readlink(vp),
      readdir: refuse,
      getattr: refuse,
      read: refuse,
      getpages: refuse,
      bmap: refuse,
    };
    this.#plant(tree, ROOT, NOWHERE); // only namei keeps `..` below the root
  }

  *vget(ino: number): Sleeps<Vnode> {
    const cached = this.mount.cached(ino);
    if (cached !== null) return cached;
    yield* this.sched.pause("inode", 1000);
    const raced = this.mount.cached(ino);
    if (raced !== null) return raced;
    const inode = this.inodes.get(ino);
    if (inode === undefined || this.broken.has(ino))
      throw new ErrnoError(Errno.EIO, `inode ${ino}`);
    const object = this.mount.context.pages.newObject();
    const vp = new Vnode(this.mount, this.#ops, inode.type, ino, 0, object, inode);
    this.mount.enter(vp);
    return vp;
  }

  /** The inode that `path` names, followed by hand. */
  inoOf(path: string): number {
    let ino = ROOT;
    for (const name of path.split("/")) {
      if (name !== "") ino = this.inodes.get(ino)?.names.get(name) ?? -1;
    }
    return ino;
  }

  /** No vnode is in use, and after the unmount every frame is back. */
  finish(): void {
    expect(this.mount.usedVnodes).toBe(0);
    this.sched.runSync(this.mount.unmount());
    this.mount.context.pages.check();
    expect(this.mount.context.pages.resident).toBe(0);
    expect(this.mem.freeFrames).toBe(this.#frames);
  }

  *#lookup(dvp: Vnode, name: string): Sleeps<Vnode> {
    yield* this.sched.pause("directory", 1000);
    const ino = this.inodes.get(dvp.ino)?.names.get(name);
    if (ino === undefined) throw new ErrnoError(Errno.ENOENT, `"${name}"`);
    return yield* this.vget(ino);
  }

  *#readlink(vp: Vnode): Sleeps<string> {
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
