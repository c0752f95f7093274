/**
 * A request for pages of an object: what is wanted, and the array that it comes back in.
 *
 * Made once by whoever asks repeatedly; asking makes no garbage. After the arguments of VOP_GETPAGES.
 */
import type { FileOffset } from "@physio/kern";
import { NO_FRAME } from "@physio/kern";
import type { Pgo } from "./page.ts";

/** @bsd #Y struct vop_getpages_args */
export class PageRequest {
  /** First page: a page-aligned offset in the object. */
  offset: FileOffset;
  /** Pages wanted, and which of them must not be missing. */
  count: number;
  center: number;
  /** For writing. */
  write: boolean;
  flags: Pgo;
  /**
   * Result: frames, busy for the caller; NO_FRAME where there is none. With LOCKED, entries may be preset to
   * DONTCARE, and all others must be NO_FRAME.
   */
  readonly pages: Int32Array;

  constructor(maxPages: number) {
    this.offset = 0;
    this.count = 0;
    this.center = 0;
    this.write = false;
    this.flags = 0;
    this.pages = new Int32Array(maxPages).fill(NO_FRAME);
  }
}
