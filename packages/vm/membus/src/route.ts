/**
 * The way from a device to RAM: its reach, its bridge's window, its translation.
 *
 * An address that a device puts on the bus has at most as many bits as the device has lines. A
 * bridge may pass one range of bus addresses only, and mean other physical addresses by them
 * (dma-ranges). What leaves the bridge may be translated, granule by granule (an IOMMU). `resolve`
 * takes an access that way and leaves the pieces of RAM that it means in columns; it says no before
 * any byte has moved.
 *
 * Invariant: after `resolve` returned null the pieces are RAM, in the order of the access, and their
 * sizes add up to its length. Only a device port calls this.
 */
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import {
  alignDown,
  Errno,
  ErrnoError,
  hex,
  isPowerOf2,
  isWhole,
  MAXADDR,
  offsetIn,
  panic,
} from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { FaultReason } from "./fault.ts";

/** What stands between a bridge and RAM and gives addresses another meaning: an IOMMU. */
export interface Translation {
  /**
   * Where `address` leads, or −1: `requester` may not go there. One answer holds to the end of its
   * granule. => it does not use the port that asks: that panics.
   */
  translate(requester: number, address: BusAddr, write: boolean): PhysAddr;
  /** A power of 2. */
  readonly granule: Bytes;
}

/** The inbound window of a bridge: bus addresses [`bus`, `bus + size`) mean [`phys`, `phys + size`). */
export interface InboundWindow {
  readonly bus: BusAddr;
  readonly phys: PhysAddr;
  readonly size: Bytes;
}

const REFUSED = -1;

function checkWindow({ bus, phys, size }: InboundWindow, highest: BusAddr, who: string): void {
  const whole = isWhole(bus) && isWhole(phys) && isWhole(size) && size > 0;
  if (!whole || bus + size - 1 > MAXADDR || phys + size - 1 > MAXADDR || bus > highest) {
    throw new ErrnoError(
      Errno.EINVAL,
      `membus: port ${who}: window ${bus}+${size} to ${phys}, highest address ${highest}`,
    );
  }
}

function checkTranslation(translation: Translation, who: string): void {
  const { granule } = translation;
  if (!(isWhole(granule) && isPowerOf2(granule))) {
    throw new ErrnoError(Errno.EINVAL, `membus: port ${who}: granule of ${granule} bytes`);
  }
  if (typeof translation.translate !== "function") {
    throw new ErrnoError(Errno.EINVAL, `membus: port ${who}: a translation without \`translate\``);
  }
}

export class Route {
  readonly highest: BusAddr;
  readonly requester: number;
  /** Address of the access that `resolve` is asked about: in a column, where no call boxes it. */
  readonly asked: Float64Array;
  /** First address of the granule that was refused last. */
  refusedGranule: BusAddr;
  /** Pieces of the access that `resolve` accepted last: borrowed until the next one. */
  count: number;
  address: Float64Array;
  size: Float64Array;
  readonly #who: string;
  readonly #mem: PhysMem;
  readonly #from: BusAddr;
  readonly #to: BusAddr;
  readonly #phys: PhysAddr;
  #translation: Translation | null;
  #granule: Bytes;
  /** The translation is being asked: its pieces are not to be lost to another access. */
  #translating: boolean;

  /** `who`: name for messages. @throws {ErrnoError} EINVAL: a window that makes no sense. */
  constructor(
    mem: PhysMem,
    who: string,
    highest: BusAddr,
    requester: number,
    window: InboundWindow | null,
  ) {
    if (window !== null) checkWindow(window, highest, who);
    this.highest = highest;
    this.requester = requester;
    this.asked = new Float64Array(1);
    this.refusedGranule = 0;
    this.count = 0;
    this.address = new Float64Array(8);
    this.size = new Float64Array(8);
    this.#who = who;
    this.#mem = mem;
    this.#from = window === null ? 0 : window.bus;
    this.#to = window === null ? MAXADDR + 1 : window.bus + window.size;
    this.#phys = window === null ? 0 : window.phys;
    this.#translation = null;
    this.#granule = 0;
    this.#translating = false;
  }

  get translation(): Translation | null {
    return this.#translation;
  }

  /** @throws {ErrnoError} EINVAL: its granule is not a power of 2, it cannot translate. */
  set translation(translation: Translation | null) {
    if (translation !== null) checkTranslation(translation, this.#who);
    this.#translation = translation;
    this.#granule = translation === null ? 0 : translation.granule;
  }

  /**
   * Find what RAM `length` bytes at `asked[0]` mean. => `length` is whole and above 0.
   * @returns null: `count` pieces are in the columns; otherwise why the access is refused.
   */
  resolve(length: Bytes, write: boolean): FaultReason | null {
    if (this.#translating) panic(`membus: port ${this.#who} is used by its own translation`);
    const address: BusAddr = this.asked[0];
    const last = address + length - 1;
    if (!(address >= 0 && last <= this.highest && address === Math.floor(address))) {
      return "beyond reach";
    }
    if (!(address >= this.#from && last < this.#to)) return "outside window";
    const start = address - this.#from + this.#phys;
    this.count = 0;
    if (this.#translation === null) {
      this.address[0] = start;
      this.size[0] = length;
      this.count = 1;
    } else if (!this.#translate(this.#translation, start, length, write)) {
      return "not translated";
    }
    for (let i = 0; i < this.count; i++) {
      if (!this.#mem.isRam(this.address[i], this.size[i])) return "no memory";
    }
    return null;
  }

  #translate(by: Translation, start: BusAddr, length: Bytes, write: boolean): boolean {
    this.#translating = true;
    try {
      return this.#translateAll(by, start, length, write);
    } finally {
      this.#translating = false;
    }
  }

  #translateAll(by: Translation, start: BusAddr, length: Bytes, write: boolean): boolean {
    for (let done = 0; done < length; ) {
      const address = start + done;
      const run = Math.min(length - done, this.#granule - offsetIn(address, this.#granule));
      const pa = by.translate(this.requester, address, write);
      if (pa === REFUSED) {
        this.refusedGranule = alignDown(address, this.#granule);
        return false;
      }
      if (!isWhole(pa)) panic(`membus: port ${this.#who}: ${hex(address)} translated to ${pa}`);
      this.#add(pa, run);
      done += run;
    }
    return true;
  }

  /** Append a piece, or lengthen the last one when it continues there. */
  #add(pa: PhysAddr, length: Bytes): void {
    const last = this.count - 1;
    if (last >= 0 && this.address[last] + this.size[last] === pa) {
      this.size[last] += length;
      return;
    }
    if (this.count === this.address.length) this.#grow();
    this.address[this.count] = pa;
    this.size[this.count++] = length;
  }

  #grow(): void {
    const { address, size } = this;
    this.address = new Float64Array(address.length * 2);
    this.size = new Float64Array(size.length * 2);
    this.address.set(address);
    this.size.set(size);
  }
}
