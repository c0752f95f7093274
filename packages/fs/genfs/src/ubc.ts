/**
 * The window through which read and write see the page cache: bytes between a uio and pages.
 *
 * No page is busy while the uio's memory may fault: copies are made with faults off, and where one stops, the
 * memory is wired (which faults it in, and may sleep) with no page held; then the copy goes on. What
 * is resident is copied without making it busy, since nothing else runs meanwhile. After sys/uvm/uvm_bio.c.
 */
import type { Uio } from "@physio/carriers";
import { UioRw, uiomove } from "@physio/carriers";
import type { Bytes, Errno, FileOffset, Frame, VirtAddr } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, pageOf, pageOffset } from "@physio/kern";
import { ROW_MASK, SECTION_FRAMES } from "@physio/physmem";
import { PmapBit, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { UvmPages } from "@physio/uvm";
import { Pg } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const IN_SECTION = ROW_MASK;
const SECTION = SECTION_FRAMES;
const OK: Errno = E.OK;

/** Move `length` bytes between a run of frames (of one section) and the uio. @returns OK; EFAULT: as uiomove. */
export function moveFrames(
  uvm: UvmPages,
  frame: Frame,
  offset: Bytes,
  length: Bytes,
  uio: Uio,
): Errno {
  const { mem } = uvm;
  const { cpu } = uvm.pmaps;
  if (cpu.cache === null && cpu.watcher === null) {
    return uiomove(mem.bytes(frame), mem.byteOffset(frame) + offset, length, uio);
  }
  return moveCached(uvm, frame, offset, length, uio);
}

/** The same through the CPU's cache. */
function moveCached(uvm: UvmPages, frame: Frame, offset: Bytes, length: Bytes, uio: Uio): Errno {
  const { cpu } = uvm.pmaps;
  const staged = new Uint8Array(length);
  if (uio.rw === UioRw.READ) {
    cpu.readFrame(frame, offset, staged, 0, length);
    return uiomove(staged, 0, length, uio);
  }
  const before = uio.resid;
  const error = uiomove(staged, 0, length, uio);
  cpu.writeFrame(frame, offset, staged, 0, before - uio.resid);
  return error;
}

/**
 * Copy resident pages of a file at `uio.offset` to the uio, up to `most` bytes or to the first page that is
 * missing, busy or not filled. @returns OK; EFAULT: the uio's memory stopped it.
 */
export function readResident(vp: Vnode, uio: Uio, most: Bytes): Errno {
  const uvm = vp.mount.context.pages;
  let left = most;
  while (left > 0) {
    const page = pageOf(uio.offset);
    const frame = vp.object.lookup(page);
    if (frame === NO_FRAME || !isReadable(uvm, frame)) return OK;
    const at = pageOffset(uio.offset);
    let run = PAGE - at;
    if (run < left) run = extend(vp, uvm, frame, page, run, left);
    if (run > left) run = left;
    const error = moveFrames(uvm, frame, at, run, uio);
    if (error !== OK) return error;
    left -= run;
  }
  return OK;
}

/** How far the bytes from page `page` on lie in a row of memory in pages that may be read; marks them used. */
function extend(
  vp: Vnode,
  uvm: UvmPages,
  frame: Frame,
  page: number,
  first: Bytes,
  left: Bytes,
): Bytes {
  let run = first;
  let next = frame + 1;
  let index = page + 1;
  while (run < left && (next & IN_SECTION) !== 0 && vp.object.lookup(index) === next) {
    if (!isReadable(uvm, next)) break;
    run += PAGE;
    next++;
    index++;
  }
  return run;
}

/** Whether a page holds the file's bytes and nobody changes them; then it counts as used. */
function isReadable(uvm: UvmPages, frame: Frame): boolean {
  const section = uvm.mem.section(frame);
  const row = frame & IN_SECTION;
  if ((section.flags[row] & (Pg.BUSY | Pg.FAKE)) !== 0) return false;
  section.pmapBits[row] |= PmapBit.REFERENCED;
  return true;
}

/**
 * Copy from the uio into resident pages of a file, up to `most` bytes or to the first page that cannot just be
 * written to: missing, busy, not filled, or over a hole. @returns OK; EFAULT: as uiomove.
 * => the vnode is on the worklist.
 */
export function writeResident(vp: Vnode, uio: Uio, most: Bytes): Errno {
  const uvm = vp.mount.context.pages;
  let left = most;
  while (left > 0) {
    const frame = vp.object.lookup(pageOf(uio.offset));
    if (frame === NO_FRAME) return OK;
    const row = frame & IN_SECTION;
    if ((uvm.mem.section(frame).flags[row] & (Pg.BUSY | Pg.FAKE | Pg.RDONLY)) !== 0) return OK;
    const at = pageOffset(uio.offset);
    const run = Math.min(left, PAGE - at);
    uvm.markDirty(frame);
    const error = moveFrames(uvm, frame, at, run, uio);
    if (error !== OK) return error;
    left -= run;
  }
  return OK;
}

/** Copy between busy pages, `pages[0]` being at `start` in the file, and the uio: up to `most` bytes, or to the first that is missing. @returns OK; EFAULT. */
export function moveBusy(
  vp: Vnode,
  pages: Int32Array,
  start: FileOffset,
  uio: Uio,
  most: Bytes,
): Errno {
  const uvm = vp.mount.context.pages;
  let left = most;
  while (left > 0) {
    let index = pageOf(uio.offset - start);
    const frame = pages[index];
    if (frame < 0) return OK;
    const at = pageOffset(uio.offset);
    let run = PAGE - at;
    // Frames in a row are one copy, within a section.
    let room = SECTION - 1 - (frame & IN_SECTION);
    for (; run < left && room > 0 && pages[index + 1] === pages[index] + 1; index++, room--) {
      run += PAGE;
    }
    if (run > left) run = left;
    const error = moveFrames(uvm, frame, at, run, uio);
    if (error !== OK) return error;
    left -= run;
  }
  return OK;
}

/** A part of a uio's memory that is wired: for `release`. */
export class WiredPart {
  va: VirtAddr;
  length: Bytes;

  constructor() {
    this.va = 0;
    this.length = 0;
  }
}

/**
 * Wire the uio's memory from where it stands on, up to `most` bytes of one range. => no page is busy.
 * @returns OK; EFAULT: it cannot be had.
 */
export function* wirePart(uio: Uio, most: Bytes, part: WiredPart): Sleeps<Errno> {
  while (uio.iovIndex < uio.iov.length && uio.iov[uio.iovIndex].length === 0) uio.iovIndex++;
  const range = uio.iov[uio.iovIndex];
  const length = Math.min(most, range.length, uio.resid);
  const access = uio.rw === UioRw.READ ? Prot.WRITE : Prot.READ;
  part.length = 0;
  const error = yield* uio.space!.wire(range.base, length, access);
  if (error !== OK) return error;
  part.va = range.base;
  part.length = length;
  return OK;
}

/** Undo `wirePart`. */
export function unwirePart(uio: Uio, part: WiredPart): void {
  if (part.length > 0) uio.space!.unwire(part.va, part.length);
  part.length = 0;
}
