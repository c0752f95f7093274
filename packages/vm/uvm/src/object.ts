/**
 * Page objects: what has pages, such as a file.
 *
 * An object maps page numbers to frames through leaves of 128 pages, so a huge sparse file costs what
 * is resident of it. The frame knows its object by id. Follows sys/uvm/uvm_object.h; the dirty tags
 * and the list in insertion order come with write-back.
 */
import type { Frame } from "@physio/kern";
import { NO_FRAME, panic } from "@physio/kern";

const LEAF = 128;

export class UvmObject {
  /** Unique in its machine, > 0. */
  readonly id: number;
  /** Pages resident. @bsd #Y uo_npages */
  pageCount: number;
  readonly #leaves: Map<number, Int32Array>;
  /** What waiters for a busy page sleep on, by page number; made when the first one waits. */
  readonly #channels: Map<number, object>;

  constructor(id: number) {
    this.id = id;
    this.pageCount = 0;
    this.#leaves = new Map();
    this.#channels = new Map();
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

  /** The frame of page `index`, or NO_FRAME. @bsd #Y uvm_pagelookup */
  lookup(index: number): Frame {
    const leaf = this.#leaves.get(Math.floor(index / LEAF));
    return leaf === undefined ? NO_FRAME : leaf[index % LEAF];
  }

  /** => page `index` is not resident. */
  insert(index: number, frame: Frame): void {
    const key = Math.floor(index / LEAF);
    let leaf = this.#leaves.get(key);
    if (leaf === undefined) {
      leaf = new Int32Array(LEAF).fill(NO_FRAME);
      this.#leaves.set(key, leaf);
    }
    if (leaf[index % LEAF] !== NO_FRAME) panic(`object ${this.id}: page ${index} is resident`);
    leaf[index % LEAF] = frame;
    this.pageCount++;
  }

  /** => page `index` is resident. */
  remove(index: number): void {
    const key = Math.floor(index / LEAF);
    const leaf = this.#leaves.get(key);
    if (leaf === undefined || leaf[index % LEAF] === NO_FRAME) {
      panic(`object ${this.id}: page ${index} is not resident`);
    }
    leaf[index % LEAF] = NO_FRAME;
    this.pageCount--;
    if (leaf.every((frame) => frame === NO_FRAME)) this.#leaves.delete(key);
  }

  /** Numbers of the resident pages, in no order that means anything. The walk may remove the page just given. */
  *indexes(): Generator<number, void, void> {
    for (const [key, leaf] of this.#leaves) {
      for (let i = 0; i < LEAF; i++) if (leaf[i] !== NO_FRAME) yield key * LEAF + i;
    }
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `UvmObject(${this.id}, ${this.pageCount} pages)`;
  }
}
