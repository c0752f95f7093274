/**
 * Sync lists: what of a load the device uses in place, where caches do not snoop.
 *
 * One entry is a range that lies in a row in physical memory, and in the kernel's map too when it
 * has a kernel address. Adjoining pieces share an entry. Follows struct sync_list of FreeBSD's arm64
 * and riscv busdma_bounce.c. Used by the backends of such machines, one list a map; DmaCache
 * (dma-cache.ts) works on it.
 *
 * An entry takes 16 bytes: `column` holds, from index 1 on and by turns, where it is and its length in
 * bytes. Where: a kernel address, or −1 − the physical address of a range that has none. Index 0 is
 * the physical address after the last entry, so that no field of an object holds an address.
 */
import type { SegList } from "@physio/busdma";
import type { Bytes, PhysAddr, VirtAddr } from "@physio/kern";

/** Up to 64 bytes V8 keeps a typed array on its heap, without a buffer of its own (200 B less a map). */
const FIRST_ENTRIES = 3;
// scratch: of length 0, so there is nothing to share.
const NONE = new Float64Array(0);

export class SyncList {
  count: number;
  /** Most entries. */
  readonly limit: number;
  column: Float64Array;

  /** @param limit entries that it may hold; the column is made as it is needed */
  constructor(limit: number) {
    this.count = 0;
    this.limit = limit;
    this.column = NONE;
  }

  /** Kernel address of entry `i`, or −1 − its physical address. */
  where(i: number): number {
    return this.column[2 * i + 1];
  }

  length(i: number): Bytes {
    return this.column[2 * i + 2];
  }

  /**
   * Add `length` bytes at `pa`, whose kernel address is `va`, or −1.
   * => `keepKind`: a range without kernel address never lengthens an entry that has one, as it does
   *   in the original.
   * @returns entries made: 1, or 0 when the last one was lengthened; −1: the list is full.
   */
  append(va: VirtAddr, pa: PhysAddr, length: Bytes, keepKind: boolean): number {
    const { count, column } = this;
    if (count > 0 && pa === column[0]) {
      const last = 2 * count - 1;
      const where = column[last];
      if (va < 0 ? where < 0 || !keepKind : where >= 0 && where + column[last + 1] === va) {
        column[last + 1] += length;
        column[0] = pa + length;
        return 0;
      }
    }
    if (count === this.limit) return -1;
    if (2 * count + 2 >= column.length) this.#grow();
    const grown = this.column;
    grown[0] = pa + length;
    grown[2 * count + 1] = va < 0 ? -1 - pa : va;
    grown[2 * count + 2] = length;
    this.count = count + 1;
    return 1;
  }

  /**
   * Add the segments of a load that used [`va`, …) in place, or −1: memory without kernel address.
   * The same as `append` for each, with all addresses in columns: a call would box them (32 B a load).
   * @returns false: the list is full.
   */
  appendSegments(va: VirtAddr, segs: SegList, keepKind: boolean): boolean {
    const { addr, len } = segs;
    const kernel = va >= 0;
    let { column, count } = this;
    let done = 0;
    for (let i = 0; i < segs.count; i++) {
      const last = 2 * count - 1;
      const joins =
        count > 0 &&
        addr[i] === column[0] &&
        (kernel
          ? column[last] >= 0 && column[last] + column[last + 1] === va + done
          : column[last] < 0 || !keepKind);
      if (joins) column[last + 1] += len[i];
      else {
        if (count === this.limit) return false;
        if (last + 3 >= column.length) {
          this.#grow();
          column = this.column;
        }
        column[last + 2] = kernel ? va + done : -1 - addr[i];
        column[last + 3] = len[i];
        this.count = ++count;
      }
      column[0] = addr[i] + len[i];
      done += len[i];
    }
    return true;
  }

  clear(): void {
    this.count = 0;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const entries = Array.from({ length: this.count }, (_, i) => {
      const where = this.where(i);
      const at = where < 0 ? `phys 0x${(-1 - where).toString(16)}` : `0x${where.toString(16)}`;
      return `${at}+${this.length(i)}`;
    });
    return `SyncList(${this.count}) [${entries.join(", ")}]`;
  }

  #grow(): void {
    const entries = Math.max(FIRST_ENTRIES, this.column.length - 1);
    const grown = new Float64Array(2 * entries + 1);
    grown.set(this.column);
    this.column = grown;
  }
}
