/**
 * The data path: between a buffer of the chip and the pages that a command's PRPs name.
 *
 * Follows NVM Express 1.4, 4.3. PRP1 may begin anywhere in its page on a double word; every other
 * page is named by its first byte. Up to two pages PRP2 is a page; beyond that it points at a list,
 * which may begin inside a page (on a quad word) and goes on, from the last entry of its page, in
 * another page.
 *
 * The whole layout is walked and checked before a byte moves. A page that the port refuses ends the
 * transfer with DATA_TRANSFER; pages before it have been moved, as on the wire.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import { Errno, offsetIn, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { DevicePort } from "@physio/membus";
import type { NvmeStats } from "./hw-config.ts";
import type { Command } from "./hw-queue.ts";
import { busAddressAt } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import { STATUS_DNR, Status } from "./regs.ts";

const ENTRY = 8;
const BAD_OFFSET: NvmeStatus = Status.PRP_OFFSET | STATUS_DNR;

export class DataPath {
  readonly #port: DevicePort;
  readonly #stats: NvmeStats;
  /** One page of a PRP list. */
  readonly #list: Uint8Array;
  readonly #entries: DataView;
  /** The pages of the transfer at hand. */
  readonly #address: Float64Array;
  readonly #length: Float64Array;
  #count: number;

  /** => no transfer is longer than `maxTransfer`. */
  constructor(port: DevicePort, maxTransfer: Bytes, stats: NvmeStats) {
    const pages = maxTransfer / PAGE_SIZE + 1;
    this.#port = port;
    this.#stats = stats;
    this.#list = new Uint8Array(PAGE_SIZE);
    this.#entries = new DataView(this.#list.buffer);
    this.#address = new Float64Array(pages);
    this.#length = new Float64Array(pages);
    this.#count = 0;
  }

  /** Write the first `length` bytes of `from` into host memory. @returns SUCCESS, PRP_OFFSET, DATA_TRANSFER. */
  toHost(command: Command, from: Uint8Array, length: Bytes): NvmeStatus {
    const status = this.#walk(command.prp1, command.prp2, length);
    if (status !== Status.SUCCESS) return status;
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      const size = this.#length[i];
      if (this.#port.write(this.#address[i], from, at, size) !== Errno.OK) {
        return Status.DATA_TRANSFER;
      }
      at += size;
    }
    return Status.SUCCESS;
  }

  /** Read `length` bytes of host memory to the front of `to`. @returns SUCCESS, PRP_OFFSET, DATA_TRANSFER. */
  fromHost(command: Command, to: Uint8Array, length: Bytes): NvmeStatus {
    const status = this.#walk(command.prp1, command.prp2, length);
    if (status !== Status.SUCCESS) return status;
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      const size = this.#length[i];
      if (this.#port.read(this.#address[i], to, at, size) !== Errno.OK) return Status.DATA_TRANSFER;
      at += size;
    }
    return Status.SUCCESS;
  }

  #walk(prp1: BusAddr, prp2: BusAddr, length: Bytes): NvmeStatus {
    this.#count = 0;
    if (offsetIn(prp1, 4) !== 0) return BAD_OFFSET;
    const first = Math.min(length, PAGE_SIZE - pageOffset(prp1));
    this.#add(prp1, first);
    const left = length - first;
    if (left > PAGE_SIZE) return this.#walkList(prp2, left);
    if (left === 0) return Status.SUCCESS; // PRP2 is reserved: it may hold anything
    if (pageOffset(prp2) !== 0) return BAD_OFFSET;
    this.#add(prp2, left);
    return Status.SUCCESS;
  }

  #walkList(list: BusAddr, left: Bytes): NvmeStatus {
    if (offsetIn(list, ENTRY) !== 0) return BAD_OFFSET;
    for (;;) {
      const needed = Math.ceil(left / PAGE_SIZE);
      const room = (PAGE_SIZE - pageOffset(list)) / ENTRY;
      const bytes = Math.min(needed, room) * ENTRY;
      if (this.#port.read(list, this.#list, 0, bytes) !== Errno.OK) return Status.DATA_TRANSFER;
      this.#stats.prpLists++;
      // The last entry of a page points on, unless it is the last of all.
      const pages = needed > room ? room - 1 : needed;
      for (let i = 0; i < pages; i++) {
        const page = busAddressAt(this.#entries, i * ENTRY);
        if (pageOffset(page) !== 0) return BAD_OFFSET;
        this.#add(page, Math.min(left, PAGE_SIZE));
        left -= PAGE_SIZE;
      }
      if (needed <= room) return Status.SUCCESS;
      list = busAddressAt(this.#entries, pages * ENTRY);
      if (pageOffset(list) !== 0) return BAD_OFFSET;
    }
  }

  #add(address: BusAddr, length: Bytes): void {
    this.#address[this.#count] = address;
    this.#length[this.#count] = length;
    this.#count++;
    this.#stats.prpPages++;
  }
}
