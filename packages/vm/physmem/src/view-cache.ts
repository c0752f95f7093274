/**
 * Views of RAM that were used lately.
 *
 * `set` copies a whole array, so copying out of RAM needs a view of just the run; making one costs
 * about as much as copying 600 bytes, and leaves 96 bytes of garbage. The cache is direct mapped by
 * frame: a run that is copied again, as the buffers of a driver are, finds its view.
 */
import type { Bytes, Frame } from "@physio/kern";

const SLOTS = 256;
const SLOT_MASK = SLOTS - 1;
// scratch: it has no bytes to share
const NOTHING = new Uint8Array(0);

export class ViewCache {
  readonly #frames: Int32Array;
  readonly #starts: Float64Array;
  readonly #views: Uint8Array[];

  constructor() {
    this.#frames = new Int32Array(SLOTS).fill(-1);
    this.#starts = new Float64Array(SLOTS);
    this.#views = new Array<Uint8Array>(SLOTS).fill(NOTHING);
  }

  /** [`start`, `start + length`) of `bytes`, which holds `frame`'s bytes. => the range begins in that frame. */
  view(bytes: Uint8Array, frame: Frame, start: Bytes, length: Bytes): Uint8Array {
    const slot = frame & SLOT_MASK;
    const known = this.#views[slot];
    if (this.#frames[slot] === frame && this.#starts[slot] === start && known.length === length) {
      return known;
    }
    const view = bytes.subarray(start, start + length);
    this.#frames[slot] = frame;
    this.#starts[slot] = start;
    this.#views[slot] = view;
    return view;
  }

  /** Forget all of them: the memory behind some is gone. */
  clear(): void {
    this.#frames.fill(-1);
    this.#views.fill(NOTHING);
  }
}
