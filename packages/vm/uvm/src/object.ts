/**
 * Page objects: what has pages, such as a file.
 *
 * An object maps page numbers to frames through its index, and tags those that are dirty or being
 * written; the frame knows its object by id. What brings pages in and writes them back is the
 * object's pager: uvm calls up through it and knows no vnodes. Follows sys/uvm/uvm_object.h.
 */
import type { Errno, FileOffset, Frame } from "@physio/kern";
import { Errno as E } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Pgo } from "./page.ts";
import type { PageTag } from "./page-index.ts";
import { PageIndex } from "./page-index.ts";
import { PageOrder } from "./page-order.ts";
import type { PageRequest } from "./request.ts";

const OK: Errno = E.OK;

/** What fills an object's pages and writes them back. @bsd #P[fault and cluster are the map's] struct uvm_pagerops */
export interface PagerOps {
  /** Pages that are resident and not busy, without sleeping. @returns OK: the centre page is there; EBUSY: call `get`; EINVAL: past the end. @bsd #Y pgo_get with PGO_LOCKED */
  getNow(request: PageRequest): Errno;
  /** Pages, asleep while they are read. @returns OK; EINVAL: past the end; EIO; ENOSPC; ENOMEM. @bsd #Y pgo_get */
  get(request: PageRequest): Sleeps<Errno>;
  /** Write back, free or deactivate the pages of [`lo`, `hi`), `hi` 0: to the end. @returns OK; EDEADLK: BUSYFAIL; EIO, ENOSPC, … @bsd #Y pgo_put */
  put(lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno>;
  /** One more mapping, and one less, of the object. @bsd #Y pgo_reference, pgo_detach */
  reference(): void;
  detach(): void;
  /** It is being mapped; `write`: such that it may be written through the mapping. @bsd #Y VOP_MMAP, uvn_attach */
  mapped(write: boolean): void;
}

export class UvmObject {
  /** Unique in its machine, > 0. */
  readonly id: number;
  /** Null until its owner says: memory of nobody's file has none. @bsd #Y uo pgops */
  pager: PagerOps | null;
  readonly index: PageIndex;
  /** Its pages are nowhere else: the page daemon leaves them alone. @bsd #Y UVM_OBJ_IS_AOBJ */
  anonymous: boolean;
  /** Failed write-backs so far, and the error of the last one: an opener that has seen fewer is told. */
  writeErrors: number;
  writeError: Errno;
  /** The order in which pages came; null where nobody asks for it (`fixed` semantics). @bsd #Y memq */
  readonly order: PageOrder | null;
  /** What waiters for a busy page sleep on, by page number; made when the first one waits. */
  readonly #channels: Map<number, object>;

  /** `ordered`: keep the order in which pages come. */
  constructor(id: number, ordered = false) {
    this.id = id;
    this.pager = null;
    this.anonymous = false;
    this.writeErrors = 0;
    this.writeError = OK;
    this.index = new PageIndex();
    this.order = ordered ? new PageOrder() : null;
    this.#channels = new Map();
  }

  /** Pages resident. @bsd #Y uo_npages */
  get pageCount(): number {
    return this.index.count;
  }

  /** The wait channel of page `index`, kept from the first waiter until `takeChannel`. */
  channel(index: number): object {
    let channel = this.#channels.get(index);
    if (channel === undefined) {
      channel = { describeWait: () => `page ${index} of object ${this.id}` };
      this.#channels.set(index, channel);
    }
    return channel;
  }

  /** The wait channel that waiters of page `index` sleep on; later waiters get a new one. */
  takeChannel(index: number): object {
    const channel = this.channel(index);
    this.#channels.delete(index);
    return channel;
  }

  /** The frame of page `index`, or NO_FRAME. */
  lookup(index: number): Frame {
    return this.index.lookup(index);
  }

  /** => page `index` is not resident. */
  insert(index: number, frame: Frame): void {
    this.index.insert(index, frame);
    this.order?.append(index);
  }

  /** => page `index` is resident. */
  remove(index: number): void {
    this.index.remove(index);
    this.order?.remove(index);
  }

  /** A write-back has failed. */
  noteError(error: Errno): void {
    this.writeErrors++;
    this.writeError = error;
  }

  /** Whether page `index` has a tag. */
  isTagged(tag: PageTag, index: number): boolean {
    return this.index.has(tag, index);
  }

  /** Numbers of the resident pages, ascending. The walk may remove the page just given. */
  *indexes(): Generator<number, void, void> {
    const { index } = this;
    for (let at = index.next(0, Infinity); at >= 0; at = index.next(at + 1, Infinity)) yield at;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `UvmObject(${this.id}, ${this.pageCount} pages)`;
  }
}
