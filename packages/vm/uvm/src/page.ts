/**
 * Page states: the bits that uvm keeps in a frame's `flags` column. After sys/uvm/uvm_page.h.
 *
 * A page is a frame that belongs to an object. While BUSY it belongs to one thread or one I/O, and
 * nobody else may look at its contents; whoever needs it sets WANTED and sleeps. A FAKE page has
 * never been filled; a CLEAN one has the same contents as its backing store.
 */
import type { Bits } from "@physio/kern";
import { bitset } from "@physio/kern";

export const Pg = bitset<"Pg">()({
  BUSY: 0x01, //     set and cleared by its holder
  WANTED: 0x02, //   set by who waits for BUSY to clear; cleared with it
  TABLED: 0x04, //   in an object's index
  CLEAN: 0x08, //    no need to write it back
  PAGEOUT: 0x10, //  the page daemon writes it back
  RELEASED: 0x20, // free it when it becomes unbusy
  FAKE: 0x40, //     not filled yet
  RDONLY: 0x80, //   over a hole: a write must allocate first
});
export type Pg = Bits<"Pg">;

/** Which queue a page is on (physmem's `queue` column). */
export const PageQueue = Object.freeze({ NONE: 0, ACTIVE: 1, INACTIVE: 2 } as const);
export type PageQueue = (typeof PageQueue)[keyof typeof PageQueue];

/** An entry of a page array that the caller does not want looked up. @bsd #Y PGO_DONTCARE */
export const DONTCARE = -2;

/** Requests to getpages and putpages. Values of sys/uvm/uvm_pager.h. */
export const Pgo = bitset<"Pgo">()({
  CLEANIT: 0x001, //       putpages: write dirty pages
  SYNCIO: 0x002, //        wait until the I/O has ended
  DEACTIVATE: 0x004, //    putpages: move pages to the inactive queue
  FREE: 0x008, //          putpages: free pages
  ALLPAGES: 0x010, //      putpages: the whole object
  JOURNALLOCKED: 0x020, // putpages: the caller is in a journal transaction already
  LOCKED: 0x040, //        getpages: only what is resident, without sleeping
  BUSYFAIL: 0x080, //      putpages: stop at a busy page
  OVERWRITE: 0x200, //     getpages: the caller overwrites whole pages, do not read
  PASTEOF: 0x400, //       getpages: pages beyond the end of the file are meant
  NOBLOCKALLOC: 0x800, //  getpages: do not allocate blocks for holes
  NOTIMESTAMP: 0x1000, //  getpages: leave the times alone
  RECLAIM: 0x2000, //      putpages: the vnode is being reclaimed
  GLOCKHELD: 0x4000, //    getpages: the caller is in a transaction and has the node's lock
});
export type Pgo = Bits<"Pgo">;
