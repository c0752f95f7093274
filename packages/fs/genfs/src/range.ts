/**
 * A request for pages while it is served: what was asked for, the whole blocks round it, and the pages.
 *
 * Shared by the phases of getpages (getpages.ts) and its I/O (read-range.ts).
 */
import type { Errno, FileOffset, Frame } from "@physio/kern";
import {
  alignDown,
  alignUp,
  Errno as E,
  PAGE_SIZE,
  pageOffset,
  panic,
  roundPage,
} from "@physio/kern";
import { clearModify } from "@physio/pmap";
import type { PageRequest, UvmPages } from "@physio/uvm";
import { Pg, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { blockShift } from "./block-io.ts";
import type { GenfsNode } from "./node.ts";
import { vtog } from "./node.ts";

/** Pages that a request holds without an array from the machine. @bsd #Y UBC_MAX_PAGES */
const SMALL = 8;
// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const OK: Errno = E.OK;
const { PASTEOF } = Pgo;
// scratch: it has no entries to share
const NO_PAGES = /* @__PURE__ */ new Int32Array(0);

export class Range {
  readonly vp: Vnode;
  readonly node: GenfsNode;
  readonly request: PageRequest;
  readonly async: boolean;
  readonly overwrite: boolean;
  /** The caller is in a transaction and has the node's lock. */
  readonly lockHeld: boolean;
  /** Blocks are allocated for holes. */
  readonly allocates: boolean;
  /** The file's size when the request was planned; another one later means: start over. */
  plannedSize: number;
  /** Ends of the file's blocks and of what its pages may show. */
  diskEof: FileOffset;
  memEof: FileOffset;
  /** The range, its pages and their number; the requested ones are `count` from `first` on. */
  start: FileOffset;
  pages: Int32Array;
  length: number;
  first: number;
  count: number;
  /** Part of it is a hole. */
  sawHole: boolean;
  /** It is inside a transaction, and inside one of the journal. */
  inTrans: boolean;
  inJournal: boolean;

  constructor(vp: Vnode, request: PageRequest) {
    const node = vtog(vp);
    const { flags } = request;
    this.vp = vp;
    this.node = node;
    this.request = request;
    this.async = (flags & Pgo.SYNCIO) === 0;
    this.overwrite = (flags & Pgo.OVERWRITE) !== 0;
    this.lockHeld = (flags & Pgo.GLOCKHELD) !== 0;
    const mayAllocate = request.write && (flags & Pgo.NOBLOCKALLOC) === 0;
    this.allocates = mayAllocate && (!this.async || node.decisions.dirtyBeforeAllocation);
    this.plannedSize = 0;
    this.diskEof = 0;
    this.memEof = 0;
    this.start = 0;
    this.pages = NO_PAGES;
    this.length = 0;
    this.first = 0;
    this.count = 0;
    this.sawHole = false;
    this.inTrans = false;
    this.inJournal = false;
  }

  /** Look at the file's size. @returns OK; EINVAL: the centre lies beyond the end. */
  measure(): Errno {
    const { vp, node, request } = this;
    this.plannedSize = vp.size;
    this.diskEof = node.ops.size(vp, vp.size, false);
    this.memEof = memoryEnd(vp, node, request);
    return checkRequest(vp, request, this.memEof);
  }

  /** Trim the request at the end of the file and put whole blocks round it. @returns OK; ENOMEM: no array of pages without sleeping. */
  plan(): Errno {
    const { vp, request, memEof } = this;
    const blockSize = 2 ** blockShift(vp);
    this.count = Math.min(request.count, roundPage(memEof - request.offset) / PAGE_SIZE);
    this.start = alignDown(request.offset, blockSize);
    const end = roundPage(alignUp(request.offset + this.count * PAGE_SIZE, blockSize));
    this.length = (Math.min(end, roundPage(memEof)) - this.start) / PAGE_SIZE;
    this.first = (request.offset - this.start) / PAGE_SIZE;
    const pages = vp.mount.context.pageArrays.take(
      this.length,
      !this.async || this.length <= SMALL,
    );
    if (pages === null) return E.ENOMEM;
    this.pages = pages;
    return E.OK;
  }

  /** The plan did not come true: give the array back. */
  forget(): void {
    if (this.pages !== NO_PAGES) this.vp.mount.context.pageArrays.give(this.pages);
    this.pages = NO_PAGES;
  }

  /** The file's size has changed since `measure`, so that the ends are wrong. */
  get isOutdated(): boolean {
    const { size } = this.vp;
    return this.node.decisions.ignoresGrowth ? size < this.plannedSize : size !== this.plannedSize;
  }

  get expanded(): boolean {
    return this.length !== this.count;
  }

  /** Whether page `i` of the range was asked for. */
  isRequested(i: number): boolean {
    return i >= this.first && i < this.first + this.count;
  }
}

/** Where pages end: with PASTEOF where the request does, if a write has said that the file will reach there. */
function memoryEnd(vp: Vnode, node: GenfsNode, request: PageRequest): FileOffset {
  if ((request.flags & Pgo.PASTEOF) === 0) return node.ops.size(vp, vp.size, true);
  const size = Math.max(vp.size, request.offset + request.count * PAGE_SIZE);
  if (size > roundPage(node.ops.size(vp, vp.writeSize, true))) {
    panic(`getpages: inode ${vp.ino}: pages up to ${size}, the write ends at ${vp.writeSize}`);
  }
  return node.ops.size(vp, size, true);
}

/** @returns OK; EINVAL: the centre of the request lies at or past the end. */
function checkRequest(vp: Vnode, request: PageRequest, memEof: FileOffset): Errno {
  if (!isSane(request)) refuse(vp, request);
  return request.offset + request.center * PAGE_SIZE >= memEof ? E.EINVAL : E.OK;
}

function isSane({ offset, count, center, pages }: PageRequest): boolean {
  const from = offset >= 0 && pageOffset(offset) === 0;
  return from && count > 0 && count <= pages.length && center >= 0 && center < count;
}

function refuse({ ino }: Vnode, { offset, count, center }: PageRequest): never {
  panic(`getpages: inode ${ino}, offset ${offset}, ${count} pages, centre ${center}`);
}

/** For requests that need no Range: whether the centre lies in the file. @returns OK; EINVAL. */
export function checkResident(vp: Vnode, node: GenfsNode, request: PageRequest): Errno {
  if (!isSane(request)) refuse(vp, request);
  // What the file's size covers its pages show, whatever the file system says they show beyond.
  const within = request.offset + request.center * PAGE < vp.size;
  if (within && (request.flags & PASTEOF) === 0) return OK;
  return checkRequest(vp, request, memoryEnd(vp, node, request));
}

/** A page that was filled is no longer fake, and nobody has written to it. */
export function validate(pages: UvmPages, frame: Frame): void {
  pages.clearFlags(frame, Pg.FAKE);
  clearModify(pages.mem, frame);
}

/** Give pages up; those that were never filled are freed. @bsd #Y genfs_rel_pages */
export function releasePages(pages: UvmPages, frames: Int32Array, at: number, count: number): void {
  for (let i = at; i < at + count; i++) {
    if (frames[i] < 0) continue;
    if ((pages.flags(frames[i]) & Pg.FAKE) !== 0) pages.setFlags(frames[i], Pg.RELEASED);
    pages.unbusy(frames[i]);
  }
}
