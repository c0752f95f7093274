/**
 * Anonymous memory: pages that no file has.
 *
 * An amap holds the pages that a private mapping has made its own: zeroes that were written to, and
 * copies of a file's pages. It is an object whose pages nobody writes back: there is no swap, so they
 * stay resident until they are unmapped, on no page queue, always dirty. Parts of a mapping share its
 * amap when it is split, each from a slot of its own on.
 *
 * `anonObject` makes an object of such pages that spaces can share, for SHARED mappings. Follows
 * sys/uvm/uvm_amap.c, uvm_anon.c and uvm_aobj.c. Spaces do not fork, so an amap is one map's and no
 * page in it is shared: there are no anons with reference counts.
 */
import type { Errno, FileOffset, Frame } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { findPagesNow, Ufp } from "./find-pages.ts";
import type { PagerOps, UvmObject } from "./object.ts";
import { DONTCARE, Pg, Pgo } from "./page.ts";
import type { UvmPages } from "./pages.ts";
import type { PageRequest } from "./request.ts";

/** @bsd #P[of one map only: nothing is copied by a fork] struct vm_amap, struct vm_anon */
export class Amap {
  readonly object: UvmObject;
  /** Map entries that have it. @bsd #Y am_ref */
  users: number;
  readonly #pages: UvmPages;

  constructor(pages: UvmPages) {
    this.object = pages.newObject();
    this.object.anonymous = true;
    this.users = 1;
    this.#pages = pages;
  }

  /** The page in a slot, or NO_FRAME. @bsd #Y amap_lookup */
  lookup(slot: number): Frame {
    return this.object.lookup(slot);
  }

  /** A new page in a free slot: busy, dirty, contents undefined. @returns NO_FRAME: memory is short. @bsd #Y amap_add, uvm_analloc */
  add(slot: number): Frame {
    return newAnon(this.#pages, this.object, slot);
  }

  /** Free the pages of `count` slots from `first` on. => no page is busy. @bsd #Y amap_wipeout */
  free(first: number, count: number): void {
    freeRange(this.#pages, this.object, first, first + count);
  }

  /** One entry less; with the last one the amap goes. => its slots are free. @bsd #Y amap_unref */
  release(): void {
    this.users--;
    if (this.users === 0) this.#pages.destroyObject(this.object);
  }
}

/** An object of `length` bytes, zeroes at first, for `mmap`. It goes with its last mapping. @bsd #P[no swap] uao_create */
export function anonObject(pages: UvmPages, length: FileOffset): UvmObject {
  const object = pages.newObject();
  object.anonymous = true;
  object.pager = new AnonPager(pages, object, Math.ceil(length / PAGE_SIZE));
  return object;
}

/** What fills the pages of an anonymous object, and keeps them. @bsd #Y aobj_pager */
class AnonPager implements PagerOps {
  readonly #pages: UvmPages;
  readonly #object: UvmObject;
  readonly #size: number;
  #users: number;

  constructor(pages: UvmPages, object: UvmObject, size: number) {
    this.#pages = pages;
    this.#object = object;
    this.#size = size;
    this.#users = 0;
  }

  getNow(request: PageRequest): Errno {
    const first = request.offset / PAGE_SIZE;
    if (first + request.center >= this.#size) return E.EINVAL;
    const flags = Ufp.NOWAIT | Ufp.NOALLOC;
    findPagesNow(this.#pages, this.#object, first, request.pages, 0, request.count, flags);
    return request.pages[request.center] < 0 ? E.EBUSY : E.OK;
  }

  /** @bsd #Y uao_get */
  *get(request: PageRequest): Sleeps<Errno> {
    const first = request.offset / PAGE_SIZE;
    if (first + request.center >= this.#size) return E.EINVAL;
    if ((request.flags & Pgo.SYNCIO) === 0) return E.OK; // there is nothing to read ahead
    const count = Math.min(request.count, this.#size - first);
    for (let i = 0; i < count; i++) {
      if (request.pages[i] === DONTCARE) continue;
      const frame = yield* this.#page(first + i);
      request.pages[i] = frame;
      if (frame >= 0) continue;
      this.#pages.unbusyAll(request.pages, 0, i);
      return E.ENOMEM;
    }
    return E.OK;
  }

  /** Only FREE does anything: there is nowhere to write. @bsd #Y uao_put */
  *put(lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno> {
    if ((flags & Pgo.FREE) === 0) return E.OK;
    const { index } = this.#object;
    const end = hi === 0 || (flags & Pgo.ALLPAGES) !== 0 ? Infinity : hi / PAGE_SIZE;
    for (let at = index.next(lo / PAGE_SIZE, end); at >= 0; at = index.next(at, end)) {
      const frame = index.lookup(at);
      if ((this.#pages.flags(frame) & Pg.BUSY) !== 0) yield* this.#pages.waitPage(frame);
      else freeRange(this.#pages, this.#object, at, at + 1);
    }
    return E.OK;
  }

  reference(): void {
    this.#users++;
  }

  /** @bsd #Y uao_detach */
  detach(): void {
    this.#users--;
    if (this.#users > 0) return;
    freeRange(this.#pages, this.#object, 0, Infinity);
    this.#pages.destroyObject(this.#object);
  }

  mapped(_write: boolean): void {}

  /** Page `index`, busy, zeroes if it is new. @returns NO_FRAME: out of memory. */
  *#page(index: number): Sleeps<Frame> {
    const pages = this.#pages;
    for (;;) {
      const frame = this.#object.lookup(index);
      if (frame !== NO_FRAME) {
        if ((pages.flags(frame) & Pg.BUSY) === 0) {
          pages.setFlags(frame, Pg.BUSY);
          return frame;
        }
        yield* pages.waitPage(frame);
        continue;
      }
      const fresh = newAnon(pages, this.#object, index);
      if (fresh !== NO_FRAME) {
        pages.zero(fresh);
        return fresh;
      }
      if ((yield* pages.waitMemory(true)) !== E.OK) return NO_FRAME;
    }
  }
}

/** A page that nobody has but memory: dirty from its beginning. */
function newAnon(pages: UvmPages, object: UvmObject, index: number): Frame {
  const frame = pages.alloc(object, index);
  if (frame === NO_FRAME) return NO_FRAME;
  pages.clearFlags(frame, Pg.FAKE);
  pages.markDirty(frame);
  return frame;
}

function freeRange(pages: UvmPages, object: UvmObject, from: number, end: number): void {
  for (let at = object.index.next(from, end); at >= 0; at = object.index.next(at + 1, end)) {
    const frame = object.lookup(at);
    if ((pages.flags(frame) & Pg.BUSY) !== 0) panic(`${pages.describe(frame)} is freed, but busy`);
    pages.protect(frame, Prot.NONE);
    pages.free(frame);
  }
}
