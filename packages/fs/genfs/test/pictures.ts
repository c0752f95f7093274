/**
 * Pages of a file as a string, a letter a page.
 *
 *   .  not resident          D  dirty                 R  clean, over a hole
 *   C  clean, active         M  modified by a mapping while CLEAN is still set
 *   c  clean, inactive       d  dirty, inactive
 *   B  busy                  W  clean and wired       w  dirty and wired
 *   b  busy, with the dirty tag: its holder may write to it (drawn only; seen, it is B)
 */
import { NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { isModified, PmapBit } from "@physio/pmap";
import { PageQueue, Pg } from "@physio/uvm";
import { FILE_DELAY } from "@physio/vfs";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, FileMachine } from "./file-machine.ts";

/** Make a file's pages as `picture` says, in the order of `order`; page i has `bytesOf(1, …)`. The vnode is on the worklist. */
export function draw(m: FileMachine, picture: string, order?: readonly number[]): void {
  const numbers = order ?? Array.from({ length: picture.length }, (_, i) => i);
  for (const index of numbers) if (picture[index] !== ".") plant(m, index, picture[index]);
  if (!m.vp.onWorklist) m.mount.context.syncer.add(m.vp, FILE_DELAY);
}

/** One page. */
export function plant(m: FileMachine, index: number, letter: string): void {
  const { pages, vp } = m;
  const frame = pages.alloc(vp.object, index);
  if (frame === NO_FRAME) throw new Error("no frame for a picture");
  const bytes =
    letter === "R" ? new Uint8Array(PAGE_SIZE) : bytesOf(1, index * PAGE_SIZE, PAGE_SIZE);
  m.mem.bytes(frame).set(bytes, m.mem.byteOffset(frame));
  pages.clearFlags(frame, Pg.FAKE);
  if ("Ddw".includes(letter)) pages.markDirty(frame);
  if (letter === "R") pages.setFlags(frame, Pg.RDONLY);
  if (letter === "M") {
    m.mem.section(frame).pmapBits[frame & ROW_MASK] |= PmapBit.MODIFIED;
    pages.tagDirty(frame);
  }
  if ("Ww".includes(letter)) pages.wire(frame);
  else if ("cd".includes(letter)) pages.deactivate(frame);
  else pages.activate(frame);
  if (letter === "b") pages.tagDirty(frame);
  if (letter !== "B" && letter !== "b") pages.unbusy(frame);
}

/** The picture of the first `count` pages. */
export function picture(m: FileMachine, count: number): string {
  return Array.from({ length: count }, (_, index) => letterOf(m, index)).join("");
}

function letterOf(m: FileMachine, index: number): string {
  const { pages, mem } = m;
  const frame = m.vp.object.lookup(index);
  if (frame === NO_FRAME) return ".";
  const flags = pages.flags(frame);
  const dirty = (flags & Pg.CLEAN) === 0;
  if ((flags & Pg.BUSY) !== 0) return "B";
  if (pages.wireCount(frame) > 0) return dirty ? "w" : "W";
  if ((flags & Pg.RDONLY) !== 0) return "R";
  if (!dirty && isModified(mem, frame)) return "M";
  const letter = dirty ? "D" : "C";
  const queue = mem.section(frame).queue[frame & ROW_MASK];
  return queue === PageQueue.INACTIVE ? letter.toLowerCase() : letter;
}

/** Nobody wires the page any more. */
export function unwire(m: FileMachine, index: number): void {
  m.pages.unwire(m.vp.object.lookup(index));
}

/** A file of `count` pages, block i at block i of the disk. */
export function plain(count: number, options: FileMachineOptions = {}): FileMachine {
  const map = Array.from({ length: count }, (_, i) => i);
  return new FileMachine({ size: count * PAGE_SIZE, map, ...options });
}

/** The same with pages as `pages` says. */
export function drawn(pages: string, options: FileMachineOptions = {}): FileMachine {
  const m = plain(pages.length, options);
  draw(m, pages);
  return m;
}

/** => the page is resident. */
export const frameOf = (m: FileMachine, index: number) => m.vp.object.lookup(index);
