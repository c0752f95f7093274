/**
 * The page queues: active and inactive, linked through the frames' columns.
 *
 * Pages that are in use are on the active queue, candidates for reuse on the inactive one, oldest
 * first; busy and wired pages may be on either or none. Follows uvm_pdpolicy_clock.c.
 */
import type { Frame } from "@physio/kern";
import { NO_FRAME, panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import { PageQueue } from "./page.ts";

export class PageQueues {
  readonly #mem: PhysMem;
  readonly #head: Int32Array;
  readonly #tail: Int32Array;
  readonly #length: Int32Array;

  constructor(mem: PhysMem) {
    this.#mem = mem;
    this.#head = new Int32Array(3).fill(NO_FRAME);
    this.#tail = new Int32Array(3).fill(NO_FRAME);
    this.#length = new Int32Array(3);
  }

  /** Pages on `queue`. */
  length(queue: PageQueue): number {
    return this.#length[queue];
  }

  /** The page that has been on `queue` longest, or NO_FRAME. */
  oldest(queue: PageQueue): Frame {
    return this.#head[queue];
  }

  /** The page after `frame` on its queue, or NO_FRAME. */
  after(frame: Frame): Frame {
    return this.#mem.section(frame).next[frame & ROW_MASK];
  }

  /** Put a page at the end of `queue`, from wherever it was. */
  move(frame: Frame, queue: PageQueue): void {
    this.remove(frame);
    if (queue === PageQueue.NONE) return;
    const section = this.#mem.section(frame);
    const row = frame & ROW_MASK;
    const tail = this.#tail[queue];
    section.next[row] = NO_FRAME;
    section.prev[row] = tail;
    if (tail === NO_FRAME) this.#head[queue] = frame;
    else this.#mem.section(tail).next[tail & ROW_MASK] = frame;
    this.#tail[queue] = frame;
    section.queue[row] = queue;
    this.#length[queue]++;
  }

  /** Take a page off its queue; no effect when it is on none. */
  remove(frame: Frame): void {
    const section = this.#mem.section(frame);
    const row = frame & ROW_MASK;
    const queue = section.queue[row];
    if (queue === PageQueue.NONE) return;
    const next = section.next[row];
    const prev = section.prev[row];
    if (prev === NO_FRAME) this.#head[queue] = next;
    else this.#mem.section(prev).next[prev & ROW_MASK] = next;
    if (next === NO_FRAME) this.#tail[queue] = prev;
    else this.#mem.section(next).prev[next & ROW_MASK] = prev;
    section.next[row] = NO_FRAME;
    section.prev[row] = NO_FRAME;
    section.queue[row] = PageQueue.NONE;
    this.#length[queue]--;
  }

  /** Walk both queues and panic on a broken link. */
  check(): void {
    for (const queue of [PageQueue.ACTIVE, PageQueue.INACTIVE]) {
      let count = 0;
      let before: Frame = NO_FRAME;
      for (let f = this.oldest(queue); f !== NO_FRAME; f = this.after(f)) {
        const section = this.#mem.section(f);
        const row = f & ROW_MASK;
        if (section.queue[row] !== queue || section.prev[row] !== before) {
          panic(`page queue ${queue}: frame ${f} is on queue ${section.queue[row]}`);
        }
        before = f;
        count++;
      }
      if (count !== this.#length[queue])
        panic(`page queue ${queue}: ${count} pages, counted ${this.#length[queue]}`);
    }
  }
}
