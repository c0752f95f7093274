/**
 * The sink of a tag's loads: hands each range of a carrier to the backend.
 *
 * One a tag, set up before each walk, so that a load makes no closure.
 */

import type { MemSink } from "@physio/carriers";
import type { Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import type { BusDma } from "./flags.ts";
import type { DmaMap } from "./map.ts";
import type { DmaTag } from "./tag.ts";

export class LoadSink implements MemSink {
  readonly #tag: DmaTag;
  #map: DmaMap | null;
  #flags: BusDma;

  constructor(tag: DmaTag) {
    this.#tag = tag;
    this.#map = null;
    this.#flags = 0;
  }

  /** Begin a load of `map`. => the tag's segment list is empty. */
  begin(map: DmaMap, flags: BusDma): void {
    this.#map = map;
    this.#flags = flags;
  }

  virtual(va: VirtAddr, length: Bytes): Errno {
    const tag = this.#tag;
    return tag.backend.loadBuffer(
      tag,
      this.#map!,
      tag.context.kernelPmap,
      va,
      length,
      this.#flags,
      tag.segs,
    );
  }

  physical(pa: PhysAddr, length: Bytes): Errno {
    const tag = this.#tag;
    return tag.backend.loadPhys(tag, this.#map!, pa, length, this.#flags, tag.segs);
  }

  pages(ma: readonly Frame[], offset: Bytes, length: Bytes): Errno {
    const tag = this.#tag;
    return tag.backend.loadPages(tag, this.#map!, ma, offset, length, this.#flags, tag.segs);
  }
}
