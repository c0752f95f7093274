/**
 * The syncer: vnodes that may have something to write, and when it is due.
 *
 * A vnode gets on the worklist when it becomes dirty and off it when it is known to be clean again. The
 * worklist is a wheel of 32 slots of a second each. While it is not empty a thread turns it: it locks
 * each vnode of the slot that is due, starts its writes without waiting for them, and puts it back for
 * 30 seconds later; what is found clean then leaves. Follows sys/kern/vfs_subr.c (sched_sync,
 * vn_syncer_add_to_worklist).
 *
 * The thread never keeps an idle machine going: it ends when the worklist is empty, or when two turns of the
 * wheel have brought nothing while no other thread ran (somebody holds the vnodes). A vnode whose writes
 * have failed three times in a row is left to fsync, sync and unmount. `add` and `kick` start it again.
 *
 * Invariant: a vnode is on the worklist if and only if its `onWorklist` is set; its `worklistSlot` is
 * −1 while it is visited or given up.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import type { Scheduler, Sleeps, Thread } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import type { Mount } from "./mount.ts";
import type { Vnode } from "./vnode.ts";
import { FsyncFlag } from "./vnode.ts";
import { vnLock, vnTryLock, vnUnlock } from "./vnode-io.ts";

const SLOTS = 32; // syncer_maxdelay
const SYNC_DELAY = 30; // syncdelay: until the next look at what was written
const LOCK_DELAY = 1; // lockdelay: until the next try at what somebody holds
const SECOND = 1_000_000_000;
const ATTEMPTS = 3;
const QUIET_SLOTS = 2 * SLOTS;

/** The write-backs of a vnode that failed, as the syncer saw them at its visits. */
interface Trouble {
  writeErrors: number;
  attempts: number;
}

export class Syncer {
  /** Vnodes that the thread has looked at, and those that it has given up. */
  visits: number;
  givenUp: number;
  readonly #sched: Scheduler | null;
  readonly #work: Set<Vnode>;
  readonly #slots: readonly Set<Vnode>[];
  readonly #troubles: Map<Vnode, Trouble>;
  /** The slot that is due next. */
  #at: number;
  #thread: Thread | null;
  #stopped: boolean;
  /** Slots since anything happened. */
  #quiet: number;

  /** Without a scheduler there is a worklist and no thread: whoever owns the machine syncs. */
  constructor(sched: Scheduler | null = null) {
    this.visits = 0;
    this.givenUp = 0;
    this.#sched = sched;
    this.#work = new Set();
    this.#slots = Array.from({ length: SLOTS }, () => new Set<Vnode>());
    this.#troubles = new Map();
    this.#at = 0;
    this.#thread = null;
    this.#stopped = false;
    this.#quiet = 0;
  }

  /** Vnodes on the worklist. */
  get length(): number {
    return this.#work.size;
  }

  /** Whether its thread is there. */
  get running(): boolean {
    return this.#thread !== null;
  }

  /** `vp` is dirty: write it in `delay` seconds, 30 at most. => it is not on the worklist. @bsd #Y vn_syncer_add_to_worklist */
  add(vp: Vnode, delay: number): void {
    if (vp.onWorklist) panic(`syncer: inode ${vp.ino} is on the worklist`);
    vp.onWorklist = true;
    this.#work.add(vp);
    this.#put(vp, delay);
    this.kick();
  }

  /** `vp` is clean. => it is on the worklist. @bsd #Y vn_syncer_remove_from_worklist */
  remove(vp: Vnode): void {
    if (!vp.onWorklist) panic(`syncer: inode ${vp.ino} is not on the worklist`);
    this.#take(vp);
    this.#troubles.delete(vp);
    vp.onWorklist = false;
    this.#work.delete(vp);
    this.#quiet = 0;
  }

  /** A vnode without pages has written a metadata block: it leaves the worklist if that was the last. @bsd #Y reassignbuf */
  settle(vp: Vnode): void {
    const empty = vp.object.pageCount === 0 && vp.dirtyBufs === 0 && vp.numOutput === 0;
    if (!empty || !vp.onWorklist) return;
    vp.writeMapDirty = false;
    this.remove(vp);
  }

  /** Something may be due again: let the thread look. */
  kick(): void {
    this.#quiet = 0;
    if (this.#sched === null || this.#stopped || this.#thread !== null || this.length === 0) return;
    this.#thread = this.#sched.spawn("syncer", this.run());
  }

  /** No more threads, for the end of a machine; one that is there ends as soon as it can. `start` undoes it. */
  stop(): void {
    this.#stopped = true;
    this.#sched?.wakeup(this);
  }

  start(): void {
    this.#stopped = false;
    this.kick();
  }

  /**
   * Write everything of `mount` (null: of all mounts) that is on the worklist, and wait for it.
   * @returns OK; the first error: EIO, ENOSPC, … The others are written all the same.   @bsd #Y VFS_SYNC MNT_WAIT
   */
  *sync(mount: Mount | null = null): Sleeps<Errno> {
    let first: Errno = E.OK;
    for (const vp of [...this.#work]) {
      if (mount !== null && vp.mount !== mount) continue;
      while (vp.state === "cleaning") yield* vp.mount.context.bufs.sched.sleep(vp, "sync");
      if (!vp.onWorklist || vp.state !== "loaded") continue;
      vp.mount.vref(vp);
      yield* vnLock(vp, RW_WRITER, "lazy");
      let error: Errno = E.EIO;
      try {
        error = yield* vp.ops.fsync(vp, FsyncFlag.WAIT | FsyncFlag.MOUNT);
      } finally {
        this.settle(vp);
        if (error === E.OK) this.#hopeAgain(vp);
        vnUnlock(vp);
        vp.mount.vrele(vp);
      }
      if (first === E.OK) first = error;
    }
    return first;
  }

  /** The thread. @bsd #P[no rushjob] sched_sync */
  *run(): Sleeps<void> {
    const sched = this.#sched;
    if (sched === null) panic("syncer: it has no scheduler");
    try {
      for (;;) {
        const due = [...this.#slots[this.#at]];
        this.#at = (this.#at + 1) % SLOTS;
        for (const vp of due) if (vp.onWorklist) yield* this.#visit(vp);
        if (this.length === 0 || this.#stopped || this.#quiet >= QUIET_SLOTS) return;
        const switches = sched.switches;
        yield* sched.sleep(this, "syncer", null, SECOND);
        if (this.#stopped) return;
        this.#quiet = sched.switches - switches > 1 ? 0 : this.#quiet + 1;
      }
    } finally {
      this.#thread = null;
    }
  }

  describeWait(): string {
    return `the next second; ${this.length} vnodes are dirty`;
  }

  /** Walk the wheel and panic on a broken invariant. */
  check(): void {
    let slotted = 0;
    for (const [number, slot] of this.#slots.entries()) {
      for (const vp of slot) {
        if (vp.worklistSlot !== number || !this.#work.has(vp)) {
          panic(`syncer: inode ${vp.ino} is in slot ${number} and says ${vp.worklistSlot}`);
        }
        slotted++;
      }
    }
    for (const vp of this.#work) {
      if (!vp.onWorklist) panic(`syncer: inode ${vp.ino} does not know that it is on the worklist`);
      if (vp.worklistSlot >= 0) slotted--;
    }
    if (slotted !== 0) panic(`syncer: ${slotted} vnodes too many in slots`);
  }

  /** Start the writes of one vnode that is due, unless somebody holds it. */
  *#visit(vp: Vnode): Sleeps<void> {
    this.#take(vp);
    if (vp.state !== "loaded" || !vnTryLock(vp, RW_WRITER, "lazy")) {
      this.#put(vp, LOCK_DELAY);
      return;
    }
    this.visits++;
    vp.mount.vref(vp);
    try {
      yield* vp.ops.fsync(vp, FsyncFlag.LAZY);
    } finally {
      vnUnlock(vp);
      vp.mount.vrele(vp);
    }
    if (!vp.onWorklist || vp.worklistSlot >= 0) return; // clean; or clean and dirty again
    if (this.#isHopeless(vp)) this.givenUp++;
    else this.#put(vp, SYNC_DELAY);
  }

  /** Whether the writes of a vnode have failed too often. Each visit sees the errors of the one before. */
  #isHopeless(vp: Vnode): boolean {
    const { writeErrors } = vp.object;
    const trouble = this.#troubles.get(vp);
    if (trouble === undefined) {
      this.#troubles.set(vp, { writeErrors, attempts: 0 });
      return false;
    }
    trouble.attempts = writeErrors > trouble.writeErrors ? trouble.attempts + 1 : 0;
    trouble.writeErrors = writeErrors;
    return trouble.attempts >= ATTEMPTS;
  }

  /** A vnode that may have been given up could be written. => nobody visits it. */
  #hopeAgain(vp: Vnode): void {
    this.#troubles.delete(vp);
    if (vp.onWorklist && vp.worklistSlot < 0) this.#put(vp, SYNC_DELAY);
  }

  /** @bsd #Y vn_syncer_add1 */
  #put(vp: Vnode, delay: number): void {
    const slot = (this.#at + Math.min(delay, SLOTS - 2)) % SLOTS;
    vp.worklistSlot = slot;
    this.#slots[slot].add(vp);
  }

  #take(vp: Vnode): void {
    if (vp.worklistSlot >= 0) this.#slots[vp.worklistSlot].delete(vp);
    vp.worklistSlot = -1;
  }
}
