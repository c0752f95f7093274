/**
 * Finding pages of an object and making them busy: uvn_findpages.
 *
 * `findPagesNow` is plain and skips what cannot be had at once; `findPages` sleeps for it. Both go
 * forward; `findDirtyBack` goes backward, for the cluster round a page that is written. Follows
 * uvn_findpage and uvn_findpages of sys/uvm/uvm_vnode.c.
 */
import type { Bits, Frame } from "@physio/kern";
import { bitset, NO_FRAME } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { clearModify } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { UvmObject } from "./object.ts";
import { DONTCARE, Pg } from "./page.ts";
import type { UvmPages } from "./pages.ts";

/** How pages are looked for. @bsd #Y NetBSD sys/uvm/uvm_extern.h UFP_* */
export const Ufp = bitset<"Ufp">()({
  ALL: 0,
  NOWAIT: 0x1, //    skip busy pages, and missing ones when memory is short
  NOALLOC: 0x2, //   skip pages that are not resident
  NOCACHE: 0x4, //   skip pages that are resident
  NORDONLY: 0x8, //  skip read-only pages
  DIRTYONLY: 0x10, // stop at a page that is clean; dirty ones become CLEAN: the caller writes them
});
export type Ufp = Bits<"Ufp">;

// This module's own names: the compiler folds them.
const { NOALLOC, NOCACHE, NORDONLY, DIRTYONLY } = Ufp;
const { BUSY, CLEAN, RDONLY } = Pg;
const CHOOSY = NOCACHE | NORDONLY | DIRTYONLY;
const ROW = ROW_MASK;

/**
 * Find pages without sleeping. See findPages.
 * => `flags` has NOWAIT.
 * @returns how many pages were found (and are busy now).
 */
export function findPagesNow(
  uvm: UvmPages,
  object: UvmObject,
  index: number,
  pages: Int32Array,
  at: number,
  count: number,
  flags: Ufp,
): number {
  let found = 0;
  for (let i = at; i < at + count; i++) {
    if (pages[i] === DONTCARE) continue;
    const frame = findPageNow(uvm, object, index + (i - at), flags);
    pages[i] = frame;
    if (frame >= 0) found++;
    else if ((flags & DIRTYONLY) !== 0) break;
  }
  return found;
}

/**
 * Find dirty pages from page `index` down, without sleeping, up to the first that is not; they fill the
 * array from `pages[at − 1]` down, and become busy and CLEAN. => `count` is at most `index + 1`, and `at`.
 * @returns how many.
 * @bsd #Y uvn_findpages UFP_BACKWARD
 */
export function findDirtyBack(
  uvm: UvmPages,
  object: UvmObject,
  index: number,
  pages: Int32Array,
  at: number,
  count: number,
): number {
  const flags = Ufp.NOWAIT | Ufp.NOALLOC | Ufp.DIRTYONLY;
  let found = 0;
  while (found < count) {
    const frame = findPageNow(uvm, object, index - found, flags);
    if (frame < 0) break;
    found++;
    pages[at - found] = frame;
  }
  return found;
}

/**
 * Fill `pages[at … at + count)` with the pages of `object` from page number `index` on, all busy
 * for the caller: resident ones when they become unbusy, missing ones fresh (FAKE). Entries that
 * are DONTCARE stay so; what the flags skip becomes NO_FRAME.
 * @returns how many pages were found.   @bsd #Y uvn_findpages
 */
export function* findPages(
  uvm: UvmPages,
  object: UvmObject,
  index: number,
  pages: Int32Array,
  at: number,
  count: number,
  flags: Ufp,
): Sleeps<number> {
  // The loop over what can be had at once is a plain function: in a generator each page took 30 ns more.
  let done = takeRun(uvm, object, index, pages, at, 0, count, flags);
  while (done < count && mayCome(uvm, object, index + done, flags)) {
    yield* uvm.waitFor(object, index + done);
    done = takeRun(uvm, object, index, pages, at, done, count, flags);
  }
  let found = 0;
  for (let i = at; i < at + done; i++) if (pages[i] >= 0) found++;
  return found;
}

/** Fill the array from entry `from` on. @returns where it stopped: `count`, or at a page to wait for, or at a clean one for DIRTYONLY. */
function takeRun(
  uvm: UvmPages,
  object: UvmObject,
  index: number,
  pages: Int32Array,
  at: number,
  from: number,
  count: number,
  flags: Ufp,
): number {
  const stops = (flags & DIRTYONLY) !== 0;
  for (let i = from; i < count; i++) {
    if (pages[at + i] === DONTCARE) continue;
    const frame = findPageNow(uvm, object, index + i, flags);
    pages[at + i] = frame;
    if (frame === NO_FRAME && (stops || mayCome(uvm, object, index + i, flags))) return i;
  }
  return count;
}

/**
 * One page, made busy, without sleeping. => `flags` has NOWAIT, or the caller tries again later.
 * @returns NO_FRAME when it is busy, missing or unwanted.   @bsd #Y uvn_findpage
 */
export function findPageNow(uvm: UvmPages, object: UvmObject, index: number, flags: Ufp): Frame {
  const frame = object.index.lookup(index);
  if (frame === NO_FRAME) return (flags & NOALLOC) === 0 ? uvm.alloc(object, index) : NO_FRAME;
  if ((flags & CHOOSY) !== 0) return takeChosen(uvm, frame, flags);
  const column = uvm.mem.section(frame).flags;
  const state = column[frame & ROW];
  if ((state & BUSY) !== 0) return NO_FRAME;
  column[frame & ROW] = state | BUSY;
  return frame;
}

/** A resident page, if it is what the flags ask for. */
function takeChosen(uvm: UvmPages, frame: Frame, flags: Ufp): Frame {
  if ((flags & NOCACHE) !== 0) return NO_FRAME;
  const column = uvm.mem.section(frame).flags;
  const state = column[frame & ROW];
  if ((state & BUSY) !== 0) return NO_FRAME;
  if ((state & RDONLY) !== 0 && (flags & NORDONLY) !== 0) return NO_FRAME;
  if ((flags & DIRTYONLY) === 0) {
    column[frame & ROW] = state | BUSY;
    return frame;
  }
  const modified = clearModify(uvm.mem, frame);
  if (!modified && (state & CLEAN) !== 0) return NO_FRAME;
  column[frame & ROW] = state | BUSY | CLEAN;
  return frame;
}

/** Whether a page that could not be taken can be had later: the flags do not skip it. */
function mayCome(uvm: UvmPages, object: UvmObject, index: number, flags: Ufp): boolean {
  if ((flags & Ufp.NOWAIT) !== 0) return false;
  const frame = object.lookup(index);
  if (frame === NO_FRAME) return (flags & Ufp.NOALLOC) === 0;
  if ((flags & Ufp.NOCACHE) !== 0) return false;
  return (uvm.flags(frame) & Pg.BUSY) !== 0; // else it is read-only or clean, and stays so
}
