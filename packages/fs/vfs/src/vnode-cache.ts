/**
 * The vnodes of one mount: found by inode number, counted, and ended when there are too many.
 *
 * A vnode is in use, or unused and on one of two lists: `inactive`, when its file system has something
 * to do for it first (a file without names is freed), and then `idle`, oldest first. Beyond a limit the
 * oldest idle ones end. One that has nothing to write ends on the spot; for the others, and for inactive
 * ones, a thread is started, which ends when there is nothing left to do.
 *
 *   enter --> loaded --clean--> cleaning --> dead
 *               ^                  |
 *               +------ error -----+      dirty data are kept, whatever fails
 *
 * While a vnode is being cleaned nobody gets it: `get` sleeps until it is ended or back. Follows
 * vfs_vnode.c (vcache, vrelel, vdrain, vcache_reclaim).
 *
 * Invariants (`check`): a vnode is on a list if and only if nobody uses it and it is loaded; there is one
 * vnode, or one thread that makes one, for an inode.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError, panic, Tailq } from "@physio/kern";
import type { DescribesWait, Sleeps, Thread } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import type { Mount } from "./mount.ts";
import type { Vnode } from "./vnode.ts";
import { FsyncFlag } from "./vnode.ts";
import { vnLock, vnUnlock } from "./vnode-io.ts";

/** Writing pages may make blocks dirty that say where they are; writing those makes nothing dirty. */
const ROUNDS = 2;
const RECLAIM = Pgo.ALLPAGES | Pgo.CLEANIT | Pgo.FREE | Pgo.SYNCIO | Pgo.RECLAIM;

export class VnodeCache {
  /** Unused vnodes that are kept. */
  readonly limit: number;
  /** Vnodes that could not be ended: something of them could not be written. */
  failures: number;
  readonly #mount: Mount;
  readonly #vnodes: Map<number, Vnode>;
  readonly #idle: Tailq<Vnode>;
  readonly #inactive: Tailq<Vnode>;
  /** Inodes whose vnode is being made. */
  readonly #loading: Map<number, DescribesWait>;
  #cleaning: number;
  #drainer: Thread | null;

  constructor(mount: Mount, limit: number) {
    this.limit = limit;
    this.failures = 0;
    this.#mount = mount;
    this.#vnodes = new Map();
    this.#idle = new Tailq<Vnode>();
    this.#inactive = new Tailq<Vnode>();
    this.#loading = new Map();
    this.#cleaning = 0;
    this.#drainer = null;
  }

  /** Vnodes that somebody uses. */
  get used(): number {
    return this.#vnodes.size - this.#idle.length - this.#inactive.length - this.#cleaning;
  }

  /** Vnodes that nobody uses. */
  get unused(): number {
    return this.#idle.length + this.#inactive.length;
  }

  /** Inodes that are being read. */
  get loading(): number {
    return this.#loading.size;
  }

  /** A vnode that is in use, or null: whose fault it is that the mount cannot end. */
  firstUsed(): Vnode | null {
    for (const vp of this.#vnodes.values()) {
      if (vp.useCount > 0 && vp.state === "loaded") return vp;
    }
    return null;
  }

  /** The vnode of an inode, referenced, made by `load` if there is none. @throws what `load` throws. @bsd #Y vcache_get */
  *get(ino: number, load: (ino: number) => Sleeps<Vnode>): Sleeps<Vnode> {
    const { sched } = this.#mount.context.bufs;
    for (;;) {
      const vp = this.#vnodes.get(ino);
      const loading = this.#loading.get(ino);
      if (vp?.state === "loaded") {
        this.ref(vp);
        return vp;
      }
      if (vp === undefined && loading === undefined) return yield* this.#load(ino, load);
      yield* sched.sleep(vp ?? loading!, "vcache");
    }
  }

  /** The vnode of an inode, referenced, or null: there is none, or it is being ended. */
  lookup(ino: number): Vnode | null {
    const vp = this.#vnodes.get(ino);
    if (vp === undefined || vp.state !== "loaded") return null;
    this.ref(vp);
    return vp;
  }

  /** Whether an inode has a vnode, in whatever state, or one is being made. */
  has(ino: number): boolean {
    return this.#vnodes.has(ino) || this.#loading.has(ino);
  }

  /** Enter a new vnode, which its maker references. => its inode has none. */
  enter(vp: Vnode): void {
    if (this.#vnodes.has(vp.ino)) panic(`mount: inode ${vp.ino} has a vnode already`);
    this.#vnodes.set(vp.ino, vp);
    for (let excess = this.#idle.length - this.limit; excess > 0; excess--) {
      const oldest = this.#idle.first!;
      if (this.#needsThread(oldest)) this.#startDrainer();
      else if (!this.#endNow(oldest)) this.#renew(oldest);
    }
  }

  /** One more user. @bsd #Y vref(9) */
  ref(vp: Vnode): void {
    if (vp.state !== "loaded") panic(`vref: inode ${vp.ino} is ${vp.state}`);
    if (vp.useCount === 0) this.#takeOff(vp);
    vp.useCount++;
  }

  /** One user less. @bsd #Y vrele(9), vrele_async */
  release(vp: Vnode): void {
    if (!(vp.useCount > 0)) panic(`vrele: inode ${vp.ino} has ${vp.useCount} users`);
    vp.useCount--;
    if (vp.useCount > 0) return;
    if (!isInactiveDue(vp)) {
      this.#putOn(vp, "idle");
      return;
    }
    this.#putOn(vp, "inactive");
    this.#startDrainer();
  }

  /** The same, and what the file system has to do for the last user is done on return. @bsd #Y vrelel */
  *releaseNow(vp: Vnode): Sleeps<void> {
    if (vp.useCount !== 1 || !isInactiveDue(vp)) {
      this.release(vp);
      return;
    }
    yield* this.#inactivate(vp);
  }

  /**
   * End all vnodes. @throws {ErrnoError} EBUSY: one is in use; EIO, ENOSPC, …: one cannot be written.
   * Its inode is named.   @bsd #P[no flags] vflush
   */
  *flush(skip: Vnode | null = null): Sleeps<void> {
    const { sched } = this.#mount.context.bufs;
    yield* this.settle();
    for (const vp of [...this.#vnodes.values()]) {
      if (vp === skip) continue;
      while (isCleaning(vp)) yield* sched.sleep(vp, "vflush");
      if (vp.unused === "inactive") {
        this.#takeOff(vp);
        vp.useCount = 1;
        yield* this.#inactivate(vp);
      }
      while (isCleaning(vp)) yield* sched.sleep(vp, "vflush");
      if (vp.state === "dead") continue;
      if (vp.useCount > 0) throw new ErrnoError(E.EBUSY, `unmount: inode ${vp.ino} is in use`);
      if (!this.#needsThread(vp) && this.#endNow(vp)) continue;
      const error = yield* this.clean(vp);
      if (error !== E.OK) throw new ErrnoError(error, `unmount: inode ${vp.ino} cannot be written`);
    }
  }

  /**
   * Write an idle vnode back and end it. Nobody gets it meanwhile.
   * => it is on the idle list. @returns OK: it is gone; EBUSY: pages of it are held; EIO, ENOSPC, …: it is kept.
   * @bsd #Y vcache_reclaim, vclean
   */
  *clean(vp: Vnode): Sleeps<Errno> {
    this.#takeOff(vp);
    vp.state = "cleaning";
    this.#cleaning++;
    let error: Errno = E.EBUSY;
    try {
      error = yield* this.#writeBack(vp);
    } finally {
      this.#cleaning--;
      if (error === E.OK) this.#end(vp);
      else {
        this.failures++;
        vp.state = "loaded";
        this.#putOn(vp, "idle");
      }
      this.#mount.context.bufs.sched.wakeup(vp);
    }
    return error;
  }

  /** Sleep until the thread, if there is one, has done what there was to do. */
  *settle(): Sleeps<void> {
    const { sched } = this.#mount.context.bufs;
    while (this.#drainer !== null) yield* sched.sleep(this.#inactive, "vdrain");
  }

  /** Walk everything and panic on a broken invariant. */
  check(): void {
    let cleaning = 0;
    for (const [ino, vp] of this.#vnodes) {
      const unused = vp.useCount === 0 && vp.state === "loaded";
      if (vp.ino !== ino || vp.state === "dead" || (vp.unused !== null) !== unused) {
        panic(`vnode cache: inode ${ino}: ${vp.state}, ${vp.useCount} users, list ${vp.unused}`);
      }
      if (vp.state === "cleaning") cleaning++;
    }
    for (const [list, name] of [
      [this.#idle, "idle"],
      [this.#inactive, "inactive"],
    ] as const) {
      for (const vp of list) {
        if (vp.unused !== name || this.#vnodes.get(vp.ino) !== vp) {
          panic(`vnode cache: inode ${vp.ino} is on the ${name} list and says ${vp.unused}`);
        }
      }
    }
    if (cleaning !== this.#cleaning) {
      panic(`vnode cache: ${cleaning} vnodes are cleaned, counted ${this.#cleaning}`);
    }
  }

  /** Make the vnode of `ino`; others who want it sleep meanwhile. */
  *#load(ino: number, load: (ino: number) => Sleeps<Vnode>): Sleeps<Vnode> {
    const loading = { describeWait: () => `inode ${ino} is read` };
    this.#loading.set(ino, loading);
    try {
      return yield* load(ino);
    } finally {
      this.#loading.delete(ino);
      this.#mount.context.bufs.sched.wakeup(loading);
    }
  }

  /** Tell the file system that the last user leaves; what it cannot do it does at the next time. => one user, the caller. */
  *#inactivate(vp: Vnode): Sleeps<void> {
    let worthless = false;
    try {
      yield* vnLock(vp, RW_WRITER, "lazy");
      try {
        worthless = yield* vp.ops.inactive!(vp);
      } finally {
        vnUnlock(vp);
      }
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.failures++;
    } finally {
      vp.useCount--;
      if (vp.useCount === 0) this.#putOn(vp, "idle");
    }
    if (worthless && vp.unused === "idle") yield* this.clean(vp);
  }

  /** Everything of a vnode to the disk, and its pages away. @returns OK; EBUSY, EIO, … */
  *#writeBack(vp: Vnode): Sleeps<Errno> {
    yield* vnLock(vp, RW_WRITER, "lazy");
    try {
      for (let round = 0; round < ROUNDS && hasData(vp); round++) {
        // Blocks first: a walk over the pages takes the vnode off the worklist only without dirty ones.
        let error: Errno = E.OK;
        if (vp.dirty) error = yield* vp.ops.fsync(vp, FsyncFlag.WAIT | FsyncFlag.RECLAIM);
        this.#mount.context.syncer.settle(vp);
        if (error === E.OK && hasData(vp)) error = yield* vp.ops.putpages(vp, 0, 0, RECLAIM);
        if (error !== E.OK) return error;
      }
      if (hasData(vp)) return E.EBUSY;
      return vp.ops.reclaim === undefined ? E.OK : yield* vp.ops.reclaim(vp);
    } finally {
      vnUnlock(vp);
    }
  }

  /** Whether ending a vnode may sleep. */
  #needsThread(vp: Vnode): boolean {
    return vp.dirty || vp.ops.reclaim !== undefined;
  }

  /** End an idle vnode that has nothing to write. @returns whether it could: nobody holds pages of it. */
  #endNow(vp: Vnode): boolean {
    if (this.#mount.context.pages.flush(vp.object) > 0) return false;
    this.#takeOff(vp);
    this.#end(vp);
    return true;
  }

  /** => it is on no list and has no pages. */
  #end(vp: Vnode): void {
    const { cache, pages } = this.#mount.context;
    this.#mount.names.purgeVnode(vp);
    cache.disown(vp);
    pages.destroyObject(vp.object);
    this.#vnodes.delete(vp.ino);
    vp.state = "dead";
  }

  /** An idle vnode that cannot end now becomes the youngest. */
  #renew(vp: Vnode): void {
    this.#takeOff(vp);
    this.#putOn(vp, "idle");
  }

  #listOf(vp: Vnode): Tailq<Vnode> {
    return vp.unused === "inactive" ? this.#inactive : this.#idle;
  }

  #takeOff(vp: Vnode): void {
    if (vp.unused === null) panic(`vnode cache: inode ${vp.ino} is not unused`);
    this.#listOf(vp).remove(vp);
    vp.unused = null;
  }

  #putOn(vp: Vnode, list: "idle" | "inactive"): void {
    vp.unused = list;
    vp.mapped = false; // a mapping is a user
    this.#listOf(vp).insertTail(vp);
  }

  #startDrainer(): void {
    if (this.#drainer !== null) return;
    const { bufs } = this.#mount.context;
    this.#drainer = bufs.sched.spawn(`vdrain ${this.#mount.disk.name}`, this.#drain());
  }

  /** The thread: inactive vnodes first, then what is over the limit, each once. @bsd #Y vdrain_thread, vdrain_vrele */
  *#drain(): Sleeps<void> {
    try {
      for (let tries = Math.max(1, this.#idle.length - this.limit); ; ) {
        const inactive = this.#inactive.first;
        const oldest = this.#idle.first;
        if (inactive !== null) {
          this.#takeOff(inactive);
          inactive.useCount = 1;
          yield* this.#inactivate(inactive);
        } else if (oldest !== null && this.#idle.length > this.limit && tries-- > 0) {
          yield* this.clean(oldest);
        } else return;
      }
    } finally {
      this.#drainer = null;
      this.#mount.context.bufs.sched.wakeup(this.#inactive);
    }
  }
}

const isCleaning = (vp: Vnode): boolean => vp.state === "cleaning";

/** Whether a vnode has something that must be written or freed before it ends. */
const hasData = (vp: Vnode): boolean => vp.object.pageCount > 0 || vp.dirty;

function isInactiveDue(vp: Vnode): boolean {
  if (vp.ops.inactive === undefined) return false;
  return vp.ops.inactiveDue === undefined || vp.ops.inactiveDue(vp);
}
