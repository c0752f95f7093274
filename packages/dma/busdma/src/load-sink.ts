/**
 * The sink of a tag's loads: hands each range of a carrier to the backend.
 *
 * One a tag, set up before each walk, so that a load makes no closure.
 */

import type { MemSink } from "@physio/carriers";
import type { Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import { BusDma } from "./flags.ts";
import type { DmaMap } from "./map.ts";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

const LOAD_MBUF = BusDma.LOAD_MBUF;

export class LoadSink implements MemSink {
  readonly #tag: DmaTag;
  #map: DmaMap | null;
  #flags: BusDma;
  #segs: SegList | null;

  constructor(tag: DmaTag) {
    this.#tag = tag;
    this.#map = null;
    this.#flags = 0;
    this.#segs = null;
  }

  /** Begin a load of `map` into `segs`. => the list is empty. */
  begin(map: DmaMap, flags: BusDma, segs: SegList): void {
    this.#map = map;
    this.#flags = flags;
    this.#segs = segs;
  }

  virtual(va: VirtAddr, length: Bytes, pmap: Pmap | null, mbuf: boolean): Errno {
    const tag = this.#tag;
    const flags = mbuf ? this.#flags | LOAD_MBUF : this.#flags;
    const space = pmap ?? tag.kernelPmap;
    return tag.backend.loadBuffer(tag, this.#map!, space, va, length, flags, this.#segs!);
  }

  physical(pa: PhysAddr, length: Bytes): Errno {
    const tag = this.#tag;
    return tag.backend.loadPhys(tag, this.#map!, pa, length, this.#flags, this.#segs!);
  }

  pages(ma: readonly Frame[], offset: Bytes, length: Bytes): Errno {
    const tag = this.#tag;
    return tag.backend.loadPages(tag, this.#map!, ma, offset, length, this.#flags, this.#segs!);
  }
}
