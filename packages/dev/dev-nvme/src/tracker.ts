/**
 * Trackers: one I/O command each, from a bio to its completion.
 *
 * A tracker owns a DMA map and a page for a PRP list, so starting a command allocates nothing. Its
 * index is the command id. `PrpBuilder.build` turns segments into the two PRP entries of a command.
 * Follows nvme_tracker of nvme_qpair.c; NVM Express 1.4, 4.3.
 */

import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import type { Bio } from "@physio/carriers";
import type { BusAddr } from "@physio/kern";
import { PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import { DmaPage } from "./queue-pair.ts";

export class Tracker {
  readonly cid: number;
  readonly map: DmaMap;
  readonly list: DmaPage;
  bio: Bio | null;
  /** Whether the map is loaded. */
  loaded: boolean;
  next: Tracker | null;

  /** @throws {ErrnoError} ENOMEM. */
  constructor(cid: number, dataTag: DmaTag, listTag: DmaTag) {
    this.cid = cid;
    this.map = dataTag.createMap();
    this.list = new DmaPage(listTag, `the PRP list of command ${cid}`);
    this.bio = null;
    this.loaded = false;
    this.next = null;
  }
}

/** What goes into a command's PRP1 and PRP2, and the pages that go into its list. */
export class PrpBuilder {
  prp1: BusAddr;
  prp2: BusAddr;
  /** Entries of the list as little-endian 64-bit words; `listBytes` of them count. */
  readonly list: Uint8Array;
  listBytes: number;
  readonly #view: DataView;
  #pages: number;
  #second: BusAddr;

  constructor() {
    this.prp1 = 0;
    this.prp2 = 0;
    this.list = new Uint8Array(PAGE_SIZE);
    this.listBytes = 0;
    this.#view = new DataView(this.list.buffer);
    this.#pages = 0;
    this.#second = 0;
  }

  /**
   * Describe `segs` by PRPs. `listBus` is where the list will be.
   * => only the first segment begins inside a page, only the last ends inside one: what the data
   *   tag promises (see NvmeDriver).
   */
  build(segs: SegList, listBus: BusAddr): void {
    this.#pages = 0;
    this.listBytes = 0;
    this.prp1 = 0;
    this.prp2 = 0;
    for (let i = 0; i < segs.count; i++) {
      const start: BusAddr = segs.addr[i];
      const end: BusAddr = start + segs.len[i];
      if (i > 0 && pageOffset(start) !== 0) panic(`nvme: segment ${i} begins inside of a page`);
      if (i < segs.count - 1 && pageOffset(end) !== 0)
        panic(`nvme: segment ${i} ends inside of a page`);
      for (let at: BusAddr = start; at < end; at += PAGE_SIZE - pageOffset(at)) this.#add(at);
    }
    if (this.#pages === 2) this.prp2 = this.#second;
    else if (this.#pages > 2) this.prp2 = listBus;
  }

  #add(page: BusAddr): void {
    if (this.#pages === 0) this.prp1 = page;
    else {
      if (this.#pages === 1) this.#second = page;
      if (this.listBytes === PAGE_SIZE) panic("nvme: more pages than a PRP list holds");
      this.#view.setUint32(this.listBytes, page % 2 ** 32, true);
      this.#view.setUint32(this.listBytes + 4, Math.floor(page / 2 ** 32), true);
      this.listBytes += 8;
    }
    this.#pages++;
  }
}
