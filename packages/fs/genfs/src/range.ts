/**
 * The range of a page request: whole blocks round the pages that were asked for, and what becomes of
 * its pages.
 *
 * Shared by the phases of getpages (getpages.ts) and its I/O (read-range.ts).
 */
import type { FileOffset } from "@physio/kern";
import { alignDown, alignUp, NO_FRAME, PAGE_SIZE, roundPage } from "@physio/kern";
import { clearModify } from "@physio/pmap";
import type { UvmPages } from "@physio/uvm";
import { Pg, Pgo } from "@physio/uvm";
import type { PageRequest, Vnode } from "@physio/vfs";

/** A request and the range of whole blocks round it. */
export class Range {
  readonly vp: Vnode;
  readonly request: PageRequest;
  readonly async: boolean;
  /** The file's size when the request was planned; a smaller one later means: start over. */
  readonly plannedSize: number;
  /** End of the file's blocks: GOP_SIZE rounds both the disk's and the memory's end to it. */
  readonly eof: FileOffset;
  /** The range, and its pages; the requested ones begin at `first`. */
  readonly start: FileOffset;
  readonly pages: Int32Array;
  readonly first: number;
  /** Pages requested, after trimming at the end of the file. */
  readonly count: number;

  constructor(vp: Vnode, request: PageRequest, eof: FileOffset) {
    const blockSize = 2 ** vp.mount.fsBshift;
    const most = (roundPage(eof) - request.offset) / PAGE_SIZE;
    this.vp = vp;
    this.request = request;
    this.async = (request.flags & Pgo.SYNCIO) === 0;
    this.plannedSize = vp.size;
    this.eof = eof;
    this.count = Math.min(request.count, most);
    this.start = alignDown(alignDown(request.offset, blockSize), PAGE_SIZE);
    const end = roundPage(alignUp(request.offset + this.count * PAGE_SIZE, blockSize));
    const pages = (Math.min(end, roundPage(eof)) - this.start) / PAGE_SIZE;
    this.pages = new Int32Array(pages).fill(NO_FRAME);
    this.first = (request.offset - this.start) / PAGE_SIZE;
  }

  get expanded(): boolean {
    return this.pages.length !== this.count;
  }
}

/** A page that was filled is no longer fake, and nobody has written to it. */
export function validate(pages: UvmPages, frame: number): void {
  if ((pages.flags(frame) & Pg.FAKE) === 0) return;
  pages.clearFlags(frame, Pg.FAKE);
  clearModify(pages.mem, frame);
}

/** Give pages up; those that were never filled are freed. @bsd #Y genfs_rel_pages */
export function releasePages(pages: UvmPages, frames: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    if (frames[i] < 0) continue;
    if ((pages.flags(frames[i]) & Pg.FAKE) !== 0) pages.setFlags(frames[i], Pg.RELEASED);
    pages.unbusy(frames[i]);
  }
}
