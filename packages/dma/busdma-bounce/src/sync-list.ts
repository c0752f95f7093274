/**
 * Sync lists: what of a load the device uses in place, where caches do not snoop.
 *
 * One entry is a range that lies in a row in physical memory, and in the kernel's map too when it
 * has a kernel address. Adjoining pieces share an entry. Follows struct sync_list of FreeBSD's arm64
 * and riscv busdma_bounce.c. Used by the backends of such machines, one list a map; DmaCache
 * (dma-cache.ts) works on it.
 *
 * An entry takes 16 bytes: `pairs` holds, by turns, where it is and its length in bytes. Where: a
 * kernel address, or −1 − the physical address of a range that has none.
 */
import type { SegList } from "@physio/busdma";
import type { Bytes, PhysAddr, VirtAddr } from "@physio/kern";

const FIRST_ENTRIES = 4;
// scratch: of length 0, so there is nothing to share.
const NONE = new Float64Array(0);

export class SyncList {
  count: number;
  /** Most entries. */
  readonly limit: number;
  pairs: Float64Array;
  /** Physical address after the last entry. */
  #end: PhysAddr;

  /** @param limit entries that it may hold; columns are made as they are needed */
  constructor(limit: number) {
    this.count = 0;
    this.limit = limit;
    this.pairs = NONE;
    this.#end = -1;
  }

  /**
   * Add `length` bytes at `pa`, whose kernel address is `va`, or −1.
   * => `keepKind`: a range without kernel address never lengthens an entry that has one, as it does
   *   in the original.
   * @returns entries made: 1, or 0 when the last one was lengthened; −1: the list is full.
   */
  append(va: VirtAddr, pa: PhysAddr, length: Bytes, keepKind: boolean): number {
    const { count, pairs } = this;
    if (count > 0 && pa === this.#end) {
      const last = 2 * count - 2;
      const where = pairs[last];
      if (va < 0 ? where < 0 || !keepKind : where >= 0 && where + pairs[last + 1] === va) {
        pairs[last + 1] += length;
        this.#end = pa + length;
        return 0;
      }
    }
    if (count === this.limit) return -1;
    if (2 * count === pairs.length) this.#grow();
    this.pairs[2 * count] = va < 0 ? -1 - pa : va;
    this.pairs[2 * count + 1] = length;
    this.count = count + 1;
    this.#end = pa + length;
    return 1;
  }

  /** Add the segments of a load that used [`va`, …) in place, or −1: memory without kernel address. @returns false: the list is full. */
  appendSegments(va: VirtAddr, segs: SegList, keepKind: boolean): boolean {
    const { addr, len } = segs;
    for (let i = 0, at = va; i < segs.count; i++) {
      if (this.append(at, addr[i] as number, len[i], keepKind) < 0) return false;
      if (at >= 0) at += len[i];
    }
    return true;
  }

  clear(): void {
    this.count = 0;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const entries = Array.from({ length: this.count }, (_, i) => {
      const where = this.pairs[2 * i];
      const at = where < 0 ? `phys 0x${(-1 - where).toString(16)}` : `0x${where.toString(16)}`;
      return `${at}+${this.pairs[2 * i + 1]}`;
    });
    return `SyncList(${this.count}) [${entries.join(", ")}]`;
  }

  #grow(): void {
    const grown = new Float64Array(Math.max(2 * FIRST_ENTRIES, 2 * this.pairs.length));
    grown.set(this.pairs);
    this.pairs = grown;
  }
}
