/**
 * putpages: pages of a file are written back, given up, or both.
 *
 * One call makes one or more passes over the pages:
 *
 *   enter        transaction, and one of the journal, before any page is looked at
 *   beginPass    what there is to do, and by which walk (walk.ts)
 *   scan         every page of the range: wait while it is busy, protect it, and if it is dirty
 *   gather       make it and its dirty neighbours one cluster of at most 64 KiB, busy and clean,
 *   dispose      mark what is to be freed or deactivated,
 *                and hand the cluster to the file system's `write`
 *   settle       nothing was dirty: the vnode leaves the syncer's worklist; SYNCIO: wait for the output
 *
 * Follows genfs_putpages and genfs_do_putpages; where their revision errs, decisions.ts says how.
 */
import type { Errno, FileOffset, Frame } from "@physio/kern";
import { Errno as E, NO_FRAME, OFF_MAX, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import { clearModify, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import type { UvmPages } from "@physio/uvm";
import { findDirtyBack, findPagesNow, PageTag, Pg, Pgo, Ufp } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { MountFlag } from "@physio/vfs";
import type { GenfsNode } from "./node.ts";
import { GopUpdate, vtog } from "./node.ts";
import type { PageWalk, WalkRange } from "./walk.ts";
import { ListWalk, OffsetWalk } from "./walk.ts";

/** Pages of the largest cluster: MAXPHYS. */
export const CLUSTER = 16;
/** How much dearer it is to look a page up than to go on in the list. @bsd #Y UVM_PAGE_TREE_PENALTY */
const LOOKUP_PENALTY = 4;
const DO_SOMETHING = Pgo.CLEANIT | Pgo.FREE | Pgo.DEACTIVATE;
const ALL_FLAGS =
  DO_SOMETHING | Pgo.SYNCIO | Pgo.ALLPAGES | Pgo.BUSYFAIL | Pgo.RECLAIM | Pgo.JOURNALLOCKED;

const PUTPAGES = traceEvent(Ktr.UBC, "putpages", "ino", "lo", "hi", "flags");
const BUSY = traceEvent(Ktr.UBC, "busy", "ino", "page");
const WRITE = traceEvent(Ktr.UBC, "gop_write", "ino", "offset", "pages", "flags");

/** Filled by `doPutpages` with BUSYFAIL: the page that stopped it. */
export class BusyPage {
  frame: Frame;

  constructor() {
    this.frame = NO_FRAME;
  }
}

/** One call: what it was asked, and the state of the pass under way. */
class Put {
  readonly vp: Vnode;
  readonly node: GenfsNode;
  readonly uvm: UvmPages;
  readonly lo: FileOffset;
  readonly hi: FileOffset;
  /** As asked; `flags` may lose CLEANIT in a pass over a vnode that is known to be clean. */
  readonly asked: Pgo;
  flags: Pgo;
  readonly busy: BusyPage | null;
  readonly daemon: boolean;
  readonly async: boolean;
  inTrans: boolean;
  inJournal: boolean;
  /** Nothing was being written when the pass began, and it has met nothing dirty. */
  wasClean: boolean;
  /** The pass cleans the whole object, and may find it clean. */
  cleanAll: boolean;
  /** It ended before the last page. */
  stopped: boolean;
  /** It has written something. */
  modified: boolean;
  generation: number;
  walk: PageWalk | null;
  /** The cluster in hand; room for what is gathered backward before the page itself. */
  readonly cluster: Int32Array;

  constructor(vp: Vnode, lo: FileOffset, hi: FileOffset, flags: Pgo, busy: BusyPage | null) {
    this.vp = vp;
    this.node = vtog(vp);
    this.uvm = vp.mount.context.pages;
    this.lo = lo;
    this.hi = hi === 0 || (flags & Pgo.ALLPAGES) !== 0 ? OFF_MAX : hi;
    this.asked = flags;
    this.flags = flags;
    this.busy = busy;
    this.daemon = this.uvm.inDaemon;
    this.async = (flags & Pgo.SYNCIO) === 0;
    this.inTrans = false;
    this.inJournal = false;
    this.wasClean = false;
    this.cleanAll = false;
    this.stopped = false;
    this.modified = false;
    this.generation = 0;
    this.walk = null;
    this.cluster = vp.mount.context.pageArrays.take(CLUSTER / 2 + CLUSTER, true)!;
  }

  has(flag: Pgo): boolean {
    return (this.flags & flag) !== 0;
  }
}

/**
 * Do what `flags` say to the pages of [`lo`, `hi`), page aligned; `hi` 0: all from `lo` on.
 * @returns OK; EDEADLK: BUSYFAIL met a busy page; EBUSY: the page daemon would have to wait for a transaction, or
 *   RECLAIM cannot get rid of a page; EROFS: the journal; with SYNCIO the error of a write: EIO, ENOSPC, ENOMEM.
 * @bsd #Y genfs_putpages, VOP_PUTPAGES
 */
export function putpages(vp: Vnode, lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno> {
  return doPutpages(vp, lo, hi, flags, null);
}

/** The same; `busy` gets the page that stopped it. @bsd #Y genfs_do_putpages */
export function* doPutpages(
  vp: Vnode,
  lo: FileOffset,
  hi: FileOffset,
  flags: Pgo,
  busy: BusyPage | null,
): Sleeps<Errno> {
  checkCall(vp, lo, hi, flags);
  vp.mount.context.bufs.trace.record(PUTPAGES, vp.ino, lo, hi, flags);
  const put = new Put(vp, lo, hi, flags, busy);
  const error = yield* passes(put);
  vp.mount.context.pageArrays.give(put.cluster);
  if (put.inJournal) vp.mount.journal!.end();
  if (put.inTrans) vp.mount.trans.done();
  return error;
}

/** For vnodes that never have pages. => it has none. @bsd #Y genfs_null_putpages */
export function nullPutpages(vp: Vnode): Errno {
  const { pageCount } = vp.object;
  if (pageCount !== 0) panic(`putpages: inode ${vp.ino} must not have pages, and has ${pageCount}`);
  return E.OK;
}

function checkCall(vp: Vnode, lo: FileOffset, hi: FileOffset, flags: Pgo): void {
  const sane = lo >= 0 && pageOffset(lo) === 0 && pageOffset(hi) === 0 && (lo < hi || hi === 0);
  if (sane && (flags & DO_SOMETHING) !== 0 && (flags & ~ALL_FLAGS) === 0) return;
  panic(`putpages: inode ${vp.ino}, [${lo}, ${hi}), flags ${flags}`);
}

/** Passes until the vnode is as asked: one, or for RECLAIM as many as it takes. */
function* passes(put: Put): Sleeps<Errno> {
  const { vp } = put;
  for (;;) {
    if (vp.writeMapDirty && !vp.onWorklist)
      panic(`putpages: inode ${vp.ino} is mapped dirty, off the worklist`);
    if (vp.object.pageCount === 0) {
      if (vp.onWorklist) leaveWorklist(put);
      return E.OK;
    }
    if (!put.inTrans && (put.asked & Pgo.CLEANIT) !== 0) {
      const error = yield* enter(put);
      if (error !== E.OK) return error;
      continue;
    }
    const { numOutput: output, object } = vp;
    const before = object.pageCount;
    const error = yield* pass(put);
    if ((put.asked & Pgo.RECLAIM) === 0 || !vp.onWorklist) return error;
    const spins = put.node.decisions.reclaimSpins;
    if (error !== E.OK && !spins) return error;
    const drained = output > 0 && vp.numOutput === 0;
    if (object.pageCount < before || put.modified || drained) continue;
    // Nothing came of it: wait for output that may free pages, or there is no end to this.
    if (vp.numOutput === 0 && !spins) return E.EBUSY;
    yield* put.uvm.sched.sleep(vp, "genput: reclaim");
  }
}

/** @returns OK; EBUSY: the page daemon does not wait for a suspended mount; EROFS, EIO: the journal. */
function* enter(put: Put): Sleeps<Errno> {
  const { trans, journal } = put.vp.mount;
  if (put.daemon) {
    const error = trans.startNow("lazy");
    if (error !== E.OK) return error;
  } else yield* trans.start("lazy");
  put.inTrans = true;
  if (put.daemon || journal === null || (put.asked & Pgo.JOURNALLOCKED) !== 0) return E.OK;
  const error = yield* journal.begin();
  if (error === E.OK) put.inJournal = true;
  return error;
}

function* pass(put: Put): Sleeps<Errno> {
  const { vp, uvm } = put;
  let error: Errno = E.OK;
  if (beginPass(put)) {
    error = yield* scan(put, put.walk!);
    put.walk!.end();
    if (put.walk!.sawGoing) put.wasClean = false;
    settle(put);
  }
  if (!put.wasClean && !put.async) {
    while (vp.numOutput !== 0) yield* uvm.sched.sleep(vp, "genput2");
  }
  return error;
}

/** See what there is to do. @returns false: nothing, as the vnode is known to be clean. */
function beginPass(put: Put): boolean {
  const { vp, node, lo, hi } = put;
  put.flags = put.asked;
  put.modified = false;
  put.stopped = false;
  put.wasClean = vp.numOutput === 0;
  if (!vp.onWorklist) {
    if (!put.has(Pgo.FREE | Pgo.DEACTIVATE)) return false;
    // It is clean now. While the pass sleeps somebody may write to it: what is dirty then must not be freed unwritten.
    if (node.decisions.cleanWholePass) put.flags &= ~Pgo.CLEANIT;
  }
  const whole = lo === 0 && hi === OFF_MAX;
  put.cleanAll = put.has(Pgo.CLEANIT) && put.wasClean && whole && vp.onWorklist;
  put.generation = node.dirtyGeneration;
  put.walk = chooseWalk(put);
  return true;
}

function chooseWalk(put: Put): PageWalk {
  const { uvm, lo, hi, node } = put;
  const { object } = put.vp;
  const range: WalkRange = { uvm, object, lo, hi };
  if (node.decisions.walk === "tag" || object.order === null) {
    return new OffsetWalk(range, put.has(Pgo.FREE | Pgo.DEACTIVATE) ? "resident" : "dirty");
  }
  const byList = object.pageCount <= ((hi - lo) / PAGE_SIZE) * LOOKUP_PENALTY;
  return byList ? new ListWalk(range) : new OffsetWalk(range, "each");
}

/** Go over the range. @returns OK; EDEADLK; a write's error. */
function* scan(put: Put, walk: PageWalk): Sleeps<Errno> {
  const { vp, uvm, node, cluster } = put;
  let gaveWay = false; // at this page
  for (let frame = walk.here(); frame !== NO_FRAME; frame = walk.here()) {
    const busy = (uvm.flags(frame) & Pg.BUSY) !== 0;
    const may: boolean = !gaveWay || node.decisions.givesWayAgain;
    const yielding: boolean = may && uvm.sched.shouldYield() && !put.daemon;
    if (busy || yielding) {
      const stop = busy ? stopsAtBusy(put, frame) : E.OK;
      if (put.stopped) return stop;
      walk.hold();
      if (yielding) yield* uvm.sched.preempt();
      else yield* uvm.waitPage(frame);
      walk.resume();
      gaveWay = yielding;
      continue;
    }
    gaveWay = false;
    protect(put, frame);
    const dirty = put.has(Pgo.CLEANIT) && clean(uvm, frame);
    const count = dirty ? gather(put, frame) : single(put, frame);
    if (!dirty) {
      dispose(put, 1, false);
      walk.pass();
      continue;
    }
    put.wasClean = false;
    put.modified = true;
    dispose(put, count, true);
    vp.mount.context.bufs.trace.record(
      WRITE,
      vp.ino,
      uvm.indexOf(cluster[0]) * PAGE_SIZE,
      count,
      put.flags,
    );
    walk.holdBehind();
    const error = yield* node.ops.write(vp, cluster, count, put.flags);
    walk.resumeBehind();
    if (error !== E.OK) {
      put.stopped = true;
      return error;
    }
    walk.pass();
  }
  return E.OK;
}

/** A busy page ends the scan for those who must not wait for it; the page daemon finds another one. @returns EDEADLK, or OK. */
function stopsAtBusy(put: Put, frame: Frame): Errno {
  put.vp.mount.context.bufs.trace.record(BUSY, put.vp.ino, put.uvm.indexOf(frame));
  put.stopped = put.has(Pgo.BUSYFAIL) || put.daemon;
  if (!put.has(Pgo.BUSYFAIL)) return E.OK;
  if (put.busy !== null) put.busy.frame = frame;
  return E.EDEADLK;
}

/**
 * Take mappings away before the page is looked at: all if it is to be freed; those for writing while the
 * whole object may turn out clean, for then nobody must be able to write to it unseen.
 */
function protect(put: Put, frame: Frame): void {
  const { uvm, node } = put;
  if (put.has(Pgo.FREE)) {
    uvm.protect(frame, Prot.NONE);
    return;
  }
  if (!put.has(Pgo.CLEANIT)) return;
  const hope =
    put.cleanAll && put.wasClean && !put.walk!.sawGoing && node.dirtyGeneration === put.generation;
  if (!hope && node.decisions.protectsWalkedOnly) return;
  // A wired page keeps its mappings: whoever wired it does not fault.
  if (uvm.wireCount(frame) === 0) uvm.protect(frame, Prot.READ | Prot.EXECUTE);
  else put.cleanAll = false;
}

/** The page is CLEAN from here on. @returns whether it has to be written for that. */
function clean(uvm: UvmPages, frame: Frame): boolean {
  const dirty = clearModify(uvm.mem, frame) || (uvm.flags(frame) & Pg.CLEAN) === 0;
  uvm.setFlags(frame, Pg.CLEAN);
  if (!dirty) uvm.untagClean(frame);
  return dirty;
}

/** The page here and its dirty neighbours, at most half a cluster of them before it: busy, clean, in `cluster`. @returns how many. */
function gather(put: Put, frame: Frame): number {
  const { uvm, vp, cluster, node } = put;
  const index = uvm.indexOf(frame);
  const half = CLUSTER / 2;
  uvm.setFlags(frame, Pg.BUSY);
  const back = findDirtyBack(uvm, vp.object, index - 1, cluster, half, Math.min(half, index));
  cluster[half] = frame;
  const flags = Ufp.NOWAIT | Ufp.NOALLOC | Ufp.DIRTYONLY;
  const room = CLUSTER - back - 1;
  const forward = findPagesNow(uvm, vp.object, index + 1, cluster, half + 1, room, flags);
  const count = back + 1 + forward;
  cluster.copyWithin(0, half - back, half - back + count);
  for (let i = 0; i < count; i++) {
    vp.object.index.set(PageTag.WRITEBACK, index - back + i);
    if (!node.decisions.protectsWalkedOnly && uvm.wireCount(cluster[i]) === 0) {
      uvm.protect(cluster[i], Prot.READ | Prot.EXECUTE);
    }
  }
  put.walk!.takeCluster(cluster, count, back);
  return count;
}

function single(put: Put, frame: Frame): number {
  put.cluster[0] = frame;
  put.walk!.takeCluster(put.cluster, 1, 0);
  return 1;
}

/** What FREE and DEACTIVATE ask for, to the pages of the cluster that lie in the range; `busy`: they are being written. */
function dispose(put: Put, count: number, busy: boolean): void {
  if (!put.has(Pgo.FREE | Pgo.DEACTIVATE)) return;
  const { uvm, cluster, lo, hi } = put;
  for (let i = 0; i < count; i++) {
    const frame = cluster[i];
    const offset = uvm.indexOf(frame) * PAGE_SIZE;
    if (offset < lo || offset >= hi) continue;
    if (put.has(Pgo.DEACTIVATE) && uvm.wireCount(frame) === 0) uvm.deactivate(frame);
    else if (put.has(Pgo.FREE)) {
      uvm.protect(frame, Prot.NONE);
      if (busy) freeWhenWritten(put, frame);
      else {
        put.walk!.leave();
        uvm.free(frame);
        if (put.daemon) uvm.daemonFreed++;
      }
    }
  }
}

function freeWhenWritten({ uvm, daemon }: Put, frame: Frame): void {
  if (daemon) uvm.pageoutStart(frame);
  else uvm.setFlags(frame, Pg.RELEASED);
}

/** After the scan: a file written to through a mapping has changed; a vnode found clean leaves the worklist. */
function settle(put: Put): void {
  const { vp, node } = put;
  const timeless = vp.type === "block special" && (vp.mount.flags & MountFlag.NODEVMTIME) !== 0;
  if (put.modified && vp.writeMapDirty && !timeless) node.ops.markUpdate(vp, GopUpdate.MODIFIED);
  const seenAll = !put.stopped || node.decisions.stoppedWalkCleans;
  const clean = put.cleanAll && put.wasClean && seenAll && node.dirtyGeneration === put.generation;
  if (clean && vp.onWorklist) leaveWorklist(put);
}

function leaveWorklist({ vp }: Put): void {
  vp.writeMapDirty = false;
  if (vp.dirtyBufs === 0) vp.mount.context.syncer.remove(vp);
}
