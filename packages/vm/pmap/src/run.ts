/**
 * Runs: what lies in a row of memory behind a range of addresses. Filled in by a pmap, owned by the
 * caller, who keeps one for all its copies.
 */
import type { Bytes, Frame } from "@physio/kern";
import { NO_FRAME } from "@physio/kern";
import type { CacheAttr } from "@physio/membus";

/** What `Pmap.run` found. */
export class Run {
  /** Frame of the first byte; NO_FRAME: it is not mapped, or not for this. */
  frame: Frame;
  /** Bytes that lie in a row in memory. */
  length: Bytes;
  /** Their cache attribute. */
  attr: CacheAttr;

  constructor() {
    this.frame = NO_FRAME;
    this.length = 0;
    this.attr = 0;
  }
}
