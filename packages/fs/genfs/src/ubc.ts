/**
 * The window through which read and write see the page cache: bytes between a uio and pages.
 *
 * No page is busy while the uio's memory may fault: copies are made with faults off, and where one stops, the
 * memory is wired (which faults it in, and may sleep) with no page held; then the copy goes on. What
 * is resident is copied without making it busy, since nothing else runs meanwhile. After sys/uvm/uvm_bio.c.
 */
import type { Uio } from "@physio/carriers";
import { UioRw, uiomoveFrames } from "@physio/carriers";
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
const { REFERENCED } = PmapBit;
const UNREADABLE = Pg.BUSY | Pg.FAKE;

/**
 * Copy resident pages of a file at `uio.offset` to the uio, up to `most` bytes or to the first page that is
 * missing, busy or not filled. @returns OK; EFAULT: the uio's memory stopped it.
 */
export function readResident(vp: Vnode, uio: Uio, most: Bytes): Errno {
  const uvm = vp.mount.context.pages;
  const { index } = vp.object;
  let left = most;
  while (left > 0) {
    const page = pageOf(uio.offset);
    const frame = index.lookup(page);
    if (frame === NO_FRAME) return OK;
    const at = pageOffset(uio.offset);
    const wanted = at + left <= PAGE ? 1 : index.run(page, frame, pageOf(at + left + PAGE - 1));
    const pages = readable(uvm, frame, wanted);
    if (pages === 0) return OK;
    const run = Math.min(pages * PAGE - at, left);
    const error = uiomoveFrames(frame, at, run, uio);
    if (error !== OK) return error;
    left -= run;
  }
  return OK;
}

/** How many of `count` pages in a row of memory, of one section, hold the file's bytes while nobody changes them; those count as used. */
function readable(uvm: UvmPages, frame: Frame, count: number): number {
  const { flags, pmapBits } = uvm.mem.section(frame);
  const first = frame & IN_SECTION;
  const end = Math.min(first + count, SECTION);
  let row = first;
  for (; row < end && (flags[row] & UNREADABLE) === 0; row++) pmapBits[row] |= REFERENCED;
  return row - first;
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
    const error = uiomoveFrames(frame, at, run, uio);
    if (error !== OK) return error;
    left -= run;
  }
  return OK;
}

/** Copy between busy pages, `pages[0]` being at `start` in the file, and the uio: up to `most` bytes, or to the first that is missing. @returns OK; EFAULT. */
export function moveBusy(pages: Int32Array, start: FileOffset, uio: Uio, most: Bytes): Errno {
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
    const error = uiomoveFrames(frame, at, run, uio);
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
