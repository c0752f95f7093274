/**
 * The end of page I/O: what becomes of the pages.
 *
 * Called when the transfer of a run of busy pages has ended, from wherever completion runs; never
 * sleeps. Follows uvm_aio_aiodone of sys/uvm/uvm_pager.c; the buf is the caller's business.
 */
import type { Errno, Frame } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import { clearModify, Prot } from "@physio/pmap";
import { Pg } from "./page.ts";
import { PageTag } from "./page-index.ts";
import type { UvmPages } from "./pages.ts";

/**
 * The pages `frames[0 … count)` of one object have been read or written, or `error` says why not.
 * => they are busy; `frames` is the caller's scratch.
 * @bsd #Y uvm_aio_aiodone
 */
export function pagesDone(
  uvm: UvmPages,
  frames: Int32Array,
  count: number,
  error: Errno,
  write: boolean,
): void {
  for (let i = 0; i < count; i++) {
    const frame = frames[i];
    if (!write) readDone(uvm, frame, error);
    else writeDone(uvm, frame, error);
  }
  uvm.unbusyAll(frames, 0, count);
}

/** @bsd #Y uvm_aio_aiodone */
function readDone(uvm: UvmPages, frame: Frame, error: Errno): void {
  const flags = uvm.flags(frame);
  const fake = (flags & Pg.FAKE) !== 0;
  if (error !== E.OK) {
    if (!fake && !uvm.decisions.readErrorFreesValid) return;
    uvm.protect(frame, Prot.NONE); // one that was valid may be mapped
    uvm.setFlags(frame, Pg.RELEASED);
    return;
  }
  if (!fake) return;
  if ((flags & Pg.CLEAN) === 0) {
    panic(`pages read: ${uvm.describe(frame)} is dirty already`);
  }
  uvm.clearFlags(frame, Pg.FAKE);
  clearModify(uvm.mem, frame);
  uvm.activate(frame);
}

/** What a write's error costs depends on the decisions: see PageDecisions. */
function writeDone(uvm: UvmPages, frame: Frame, error: Errno): void {
  const object = uvm.objectOf(frame);
  const pageout = (uvm.flags(frame) & Pg.PAGEOUT) !== 0;
  object.index.clear(PageTag.WRITEBACK, uvm.indexOf(frame));
  if (error !== E.OK) object.noteError(error);
  const kept = error === E.ENOMEM || (error !== E.OK && !uvm.decisions.writeErrorLosesData);
  if (kept) {
    if (pageout) uvm.pageoutDone(frame);
    uvm.markDirty(frame);
    uvm.activate(frame);
    if (!uvm.decisions.freedUnwritten) uvm.clearFlags(frame, Pg.RELEASED);
    return;
  }
  if (pageout) {
    uvm.pageoutDone(frame);
    uvm.daemonFreed++;
    uvm.setFlags(frame, Pg.RELEASED);
  }
  uvm.untagClean(frame);
}
