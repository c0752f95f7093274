/**
 * Views of RAM that were used lately.
 *
 * `set` copies a whole array, so copying out of RAM needs a view of just the run; making one costs
 * about as much as copying 600 bytes, and leaves 96 bytes of garbage. A run that is copied again, as
 * the buffers of a driver are, finds its view: in one of two slots that its frame has, since a copy
 * back from a bounce page would else throw out the view that the copy out of the client needs.
 */
import type { Bytes, Frame } from "@physio/kern";

const SETS = 256;
const SLOTS = 2 * SETS;
/** Frames of a set; buffers often begin at multiples of it. */
const SET_SHIFT = 8;
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
    const slot = 2 * ((frame ^ (frame >> SET_SHIFT)) & (SETS - 1));
    const first = this.#views[slot];
    if (this.#frames[slot] === frame && this.#starts[slot] === start && first.length === length) {
      return first;
    }
    const second = this.#views[slot + 1];
    if (
      this.#frames[slot + 1] === frame &&
      this.#starts[slot + 1] === start &&
      second.length === length
    ) {
      return second;
    }
    return this.#make(bytes, frame, start, length, slot);
  }

  /** A new view takes the first place of its set, the one from there the second. */
  #make(bytes: Uint8Array, frame: Frame, start: Bytes, length: Bytes, slot: number): Uint8Array {
    const view = bytes.subarray(start, start + length);
    this.#frames[slot + 1] = this.#frames[slot];
    this.#starts[slot + 1] = this.#starts[slot];
    this.#views[slot + 1] = this.#views[slot];
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
