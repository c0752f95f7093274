/**
 * Which blocks of a file Linux's ext2 has allocated, and so which direct transfers it refuses.
 *
 * Linux judges the parts of a direct transfer that lie in allocated blocks: offset, length and memory of each
 * must be multiples of a sector. Holes are read as zeros, and a write that meets one goes through the page cache from
 * there on. A write allocates the blocks that it touches; a store through a mapping makes all of its page dirty, and
 * when the page is written what is dirty and in the file by then is allocated. So blocks smaller than a page
 * may be allocated that nobody has written to.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { roundPage, truncPage } from "@physio/kern";

const SECTOR: Bytes = 512;

export class LinuxBlocks {
  readonly #blockSize: Bytes;
  readonly #allocated: Set<number>;
  /** Blocks of pages that were stored to and not written yet. */
  readonly #dirty: Set<number>;
  #size: Bytes;

  constructor(blockSize: Bytes) {
    this.#blockSize = blockSize;
    this.#allocated = new Set();
    this.#dirty = new Set();
    this.#size = 0;
  }

  /** Bytes were written through the page cache. */
  write(off: FileOffset, len: Bytes): void {
    if (len === 0) return;
    for (const block of this.#blocks(off, off + len)) this.#allocated.add(block);
    this.#size = Math.max(this.#size, off + len);
  }

  /** Bytes were stored through a mapping; `sync`: and written. */
  store(off: FileOffset, len: Bytes, sync: boolean): void {
    const [from, to] = [truncPage(off), roundPage(off + len)];
    for (const block of this.#blocks(from, to)) this.#dirty.add(block);
    if (sync) this.clean(from, to);
  }

  /** The pages of a range are written, all without one. */
  clean(from: FileOffset = 0, to: FileOffset = Number.POSITIVE_INFINITY): void {
    for (const block of this.#dirty) {
      const at = block * this.#blockSize;
      if (truncPage(at) < truncPage(from) || truncPage(at) >= to) continue;
      this.#dirty.delete(block);
      if (at < this.#size) this.#allocated.add(block);
    }
  }

  truncate(size: Bytes): void {
    if (size < this.#size) {
      this.#forgetFrom(size);
      const keep = Math.ceil(size / this.#blockSize);
      for (const block of this.#allocated) if (block >= keep) this.#allocated.delete(block);
    }
    this.#size = size;
  }

  /** A direct read comes. @returns whether it is refused. */
  refusesRead(off: FileOffset, len: Bytes): boolean {
    const end = off + len;
    if (off >= this.#size || len === 0) return false;
    this.clean(off, end);
    if (off % SECTOR === 0) return end % SECTOR !== 0 && this.#isAllocated(end - 1);
    // Behind a hole at the beginning it is the memory that is misaligned.
    return [...this.#blocks(off, end)].some((block) => this.#allocated.has(block));
  }

  /** A direct write comes; one that is not refused is done. @returns whether it is refused; also of one that Linux may have done in part. */
  refusesWrite(off: FileOffset, len: Bytes): boolean {
    const end = off + len;
    this.clean(off, end);
    for (const block of this.#blocks(off, end)) {
      const at = block * this.#blockSize;
      if (at < this.#size && !this.#allocated.has(block)) break;
      const from = Math.max(at, off);
      const to = Math.min(at + this.#blockSize, end);
      if (from % SECTOR === 0 && to % SECTOR === 0) continue;
      if (end > this.#size) this.#forgetFrom(this.#size);
      return true;
    }
    this.write(off, len);
    return false;
  }

  /** Blocks that begin behind `size` need not be written any more. */
  #forgetFrom(size: Bytes): void {
    for (const block of this.#dirty) {
      if (block * this.#blockSize >= size) this.#dirty.delete(block);
    }
  }

  #isAllocated(at: FileOffset): boolean {
    return this.#allocated.has(Math.floor(at / this.#blockSize));
  }

  *#blocks(from: FileOffset, to: FileOffset): Iterable<number> {
    const size = this.#blockSize;
    for (let block = Math.floor(from / size); block * size < to; block++) yield block;
  }
}
