/**
 * The CPU's data cache on a machine whose devices do not snoop it.
 *
 * Set-associative, physically indexed, write-back, write-allocate. Lines really hold bytes: a CPU
 * read may hit a line that RAM has outgrown, a CPU store stays in its line until somebody writes it
 * back, and a dirty line may reach RAM at any time. That is what cpu_dcache_wb_range and its like
 * are for, and what a forgotten one looks like. Everything is determined by the injected random
 * source: the way that a fill takes, spontaneous evictions, speculative fills.
 *
 * Invariant (`check`): a valid line is in its set, once, and is RAM; an invalid one is clean.
 * Only the CPU port calls this. Nothing is allocated after construction.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  hex,
  isPowerOf2,
  isWhole,
  NO_FRAME,
  offsetIn,
  pageOffset,
  panic,
} from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { loadBytes, storeBytes } from "./page-bytes.ts";

/** Where choices come from: whole numbers, evenly from 0 to 2^32 − 1. */
export interface RandomSource {
  next(): number;
}

export interface CacheConfig {
  /** Bytes of a line: 32, 64 or 128. */
  readonly line: number;
  /** Sets, a power of 2 up to 65536; default 64. */
  readonly sets?: number;
  /** Lines of a set, 1 to 64; default 4. */
  readonly ways?: number;
  readonly random: RandomSource;
  /** On average once in so many accesses to a line some line is evicted; absent: never. */
  readonly evictOneIn?: number;
  /** On average once in so many accesses to a line the next one is read in too; absent: never. */
  readonly prefetchOneIn?: number;
}

const EMPTY = -1;
const MAX_SETS = 65_536;
const MAX_WAYS = 64;
// What maintenance does to a line; both: write back, then drop.
const CLEAN = 1;
const DROP = 2;

function checkGeometry(config: CacheConfig, sets: number, ways: number): void {
  const { line, evictOneIn = 1, prefetchOneIn = 1 } = config;
  const lines = line === 32 || line === 64 || line === 128;
  const shape = isWhole(sets) && isPowerOf2(sets) && sets <= MAX_SETS && isWhole(ways) && ways >= 1;
  const odds = isWhole(evictOneIn) && isWhole(prefetchOneIn) && evictOneIn * prefetchOneIn >= 1;
  if (typeof config.random?.next !== "function") {
    throw new ErrnoError(Errno.EINVAL, "membus: cache without a random source");
  }
  if (!lines || !shape || ways > MAX_WAYS || !odds) {
    throw new ErrnoError(
      Errno.EINVAL,
      `membus: cache of ${sets} sets, ${ways} ways, lines of ${line} bytes, evictOneIn ${config.evictOneIn}, prefetchOneIn ${config.prefetchOneIn}`,
    );
  }
}

export class DataCache {
  readonly line: Bytes;
  readonly sets: number;
  readonly ways: number;
  /** Accesses to a line that found it, and that did not. */
  hits: number;
  misses: number;
  /** Lines read from RAM. A store to a whole line misses without one. */
  fills: number;
  /** Dirty lines that went to RAM, for whatever reason. */
  writeBacks: number;
  /** Lines that gave way to others or left spontaneously. */
  evictions: number;
  /** Dirty lines that `invalidate` dropped though its range covered them only in part. */
  lostDirtyLines: number;
  readonly #mem: PhysMem;
  readonly #random: RandomSource;
  readonly #evictOneIn: number;
  readonly #prefetchOneIn: number;
  readonly #perLine: number;
  #valid: number;
  /** By slot: address of the line or EMPTY, whether it is dirty, its bytes. Slots of a set are neighbours. */
  readonly #tags: Float64Array;
  readonly #dirty: Uint8Array;
  readonly #data: Uint8Array;
  /** Address of the line in hand: a double in a column crosses calls without being boxed. */
  readonly #base: Float64Array;

  /** @throws {ErrnoError} EINVAL: a geometry that makes no sense. */
  constructor(mem: PhysMem, config: CacheConfig) {
    const { line, sets = 64, ways = 4, evictOneIn = 0, prefetchOneIn = 0 } = config;
    checkGeometry(config, sets, ways);
    const slots = sets * ways;
    this.line = line;
    this.sets = sets;
    this.ways = ways;
    this.hits = 0;
    this.misses = 0;
    this.fills = 0;
    this.writeBacks = 0;
    this.evictions = 0;
    this.lostDirtyLines = 0;
    this.#mem = mem;
    this.#random = config.random;
    this.#evictOneIn = evictOneIn;
    this.#prefetchOneIn = prefetchOneIn;
    this.#perLine = 1 / line; // exact: a line is a power of 2
    this.#valid = 0;
    this.#tags = new Float64Array(slots).fill(EMPTY);
    this.#dirty = new Uint8Array(slots);
    this.#data = new Uint8Array(slots * line);
    this.#base = new Float64Array(1);
  }

  // ---- accesses

  /** The CPU loads [`pa`, `pa + length`). => it is RAM, `to` has room from `at` on. */
  read(pa: PhysAddr, to: Uint8Array, at: number, length: Bytes): void {
    const { line } = this;
    const data = this.#data;
    let within = offsetIn(pa, line);
    this.#base[0] = pa - within;
    for (let done = 0; done < length; ) {
      const run = Math.min(line - within, length - done);
      const from = this.#access(false) * line + within;
      for (let i = 0; i < run; i++) to[at + done + i] = data[from + i];
      this.#next();
      done += run;
      within = 0;
    }
  }

  /** The CPU stores to [`pa`, `pa + length`). => it is RAM, `from` has the bytes from `at` on. */
  write(pa: PhysAddr, from: Uint8Array, at: number, length: Bytes): void {
    const { line } = this;
    const data = this.#data;
    let within = offsetIn(pa, line);
    this.#base[0] = pa - within;
    for (let done = 0; done < length; ) {
      const run = Math.min(line - within, length - done);
      const slot = this.#access(run === line);
      const to = slot * line + within;
      for (let i = 0; i < run; i++) data[to + i] = from[at + done + i];
      this.#dirty[slot] = 1;
      this.#next();
      done += run;
      within = 0;
    }
  }

  /** The CPU stores `value` to each byte of [`pa`, `pa + length`). => it is RAM. */
  fill(pa: PhysAddr, length: Bytes, value: number): void {
    const { line } = this;
    let within = offsetIn(pa, line);
    this.#base[0] = pa - within;
    for (let done = 0; done < length; ) {
      const run = Math.min(line - within, length - done);
      const slot = this.#access(run === line);
      const to = slot * line + within;
      this.#data.fill(value, to, to + run);
      this.#dirty[slot] = 1;
      this.#next();
      done += run;
      within = 0;
    }
  }

  // ---- maintenance

  /** Dirty lines that overlap the range go to RAM, whole, and stay valid. @bsd #Y cpu_dcache_wb_range */
  writeBack(pa: PhysAddr, length: Bytes): void {
    this.#maintain(pa, length, CLEAN);
  }

  /**
   * Lines that overlap the range are dropped, whole, without reaching RAM: what the CPU stored beside
   * the range in a line that it covers in part is lost (`lostDirtyLines`).
   * @bsd #Y cpu_dcache_inv_range
   */
  invalidate(pa: PhysAddr, length: Bytes): void {
    this.#maintain(pa, length, DROP);
  }

  /** Dirty lines that overlap the range go to RAM, then all that overlap are dropped. @bsd #Y cpu_dcache_wbinv_range */
  writeBackInvalidate(pa: PhysAddr, length: Bytes): void {
    this.#maintain(pa, length, CLEAN + DROP);
  }

  /**
   * A coherent device is about to read, or to write, `length` bytes from `offset` of `frame` on: what
   * is dirty there reaches RAM first, and before a write no line stays. By frame, since a call would
   * box an address. => all of it is RAM.
   */
  snoop(frame: Frame, offset: Bytes, length: Bytes, write: boolean): void {
    if (this.#valid === 0) return;
    const { line } = this;
    const base = this.#base;
    const within = offsetIn(offset, line);
    base[0] = this.#mem.addrOfKnown(frame) + (offset - within);
    for (let done = -within; done < length; done += line) {
      const slot = this.#find();
      if (slot >= 0) {
        if (this.#dirty[slot] === 1) this.#clean(slot);
        if (write) this.#drop(slot);
      }
      base[0] += line;
    }
  }

  // ---- questions

  /** Whether the line of `pa` is in the cache. */
  contains(pa: PhysAddr): boolean {
    return this.#slotOf(pa) >= 0;
  }

  /** Whether the line of `pa` is in the cache and was not written back since the last store. */
  isDirty(pa: PhysAddr): boolean {
    const slot = this.#slotOf(pa);
    return slot >= 0 && this.#dirty[slot] === 1;
  }

  /** Walk all lines and panic on a broken invariant. */
  check(): void {
    let valid = 0;
    for (let slot = 0; slot < this.#tags.length; slot++) {
      const tag = this.#tags[slot];
      const dirty = this.#dirty[slot];
      if (tag === EMPTY) {
        if (dirty !== 0) panic(`cache: slot ${slot} is empty and dirty`);
        continue;
      }
      valid++;
      if (!(isWhole(tag) && offsetIn(tag, this.line) === 0 && this.#mem.isRam(tag, this.line))) {
        panic(`cache: slot ${slot} holds ${tag}, which is no line of RAM`);
      }
      if (this.#slotOf(tag) !== slot) panic(`cache: ${hex(tag)} is in slot ${slot} and elsewhere`);
      if (!(dirty <= 1)) panic(`cache: slot ${slot} is ${dirty} times dirty`);
    }
    if (valid !== this.#valid) panic(`cache: ${valid} lines are valid, counted ${this.#valid}`);
  }

  // ---- one line

  /** The slot of the line in hand, brought in when it is absent. `whole`: all of it will be overwritten. */
  #access(whole: boolean): number {
    if (this.#evictOneIn > 0 && this.#draw(this.#evictOneIn) === 0) this.#evictAny();
    const known = this.#find();
    if (known >= 0) {
      this.hits++;
      return known;
    }
    this.misses++;
    return this.#bringIn(whole);
  }

  /** Step to the next line, after reading it in when chance says so. */
  #next(): void {
    const base = this.#base;
    base[0] += this.line;
    if (this.#prefetchOneIn === 0 || this.#draw(this.#prefetchOneIn) !== 0) return;
    if (this.#mem.frameOf(base[0]) !== NO_FRAME && this.#find() < 0) this.#bringIn(false);
  }

  /** The slot of the line in hand, or −1. */
  #find(): number {
    const tags = this.#tags;
    const base = this.#base[0];
    const first = this.#firstSlot();
    for (let slot = first; slot < first + this.ways; slot++) if (tags[slot] === base) return slot;
    return -1;
  }

  /** First slot of the set of the line in hand. */
  #firstSlot(): number {
    return offsetIn(this.#base[0] * this.#perLine, this.sets) * this.ways;
  }

  #slotOf(pa: PhysAddr): number {
    if (!isWhole(pa)) panic(`cache: no address: ${pa}`);
    this.#base[0] = pa - offsetIn(pa, this.line);
    return this.#find();
  }

  /** Give the line in hand a slot: an empty one of its set, or else one that chance picks. => it has none. */
  #bringIn(whole: boolean): number {
    const first = this.#firstSlot();
    let slot = first;
    while (slot < first + this.ways && this.#tags[slot] !== EMPTY) slot++;
    if (slot === first + this.ways) {
      slot = first + this.#draw(this.ways);
      this.#evict(slot);
    }
    const base = this.#base[0];
    if (!whole) {
      this.fills++;
      const frame = this.#mem.frameOf(base);
      loadBytes(this.#mem, frame, pageOffset(base), this.#data, slot * this.line, this.line);
    }
    this.#tags[slot] = base;
    this.#valid++;
    return slot;
  }

  /** Evict a line that chance picks: the first valid one from a random slot on. */
  #evictAny(): void {
    if (this.#valid === 0) return;
    const slots = this.#tags.length;
    let slot = this.#draw(slots);
    while (this.#tags[slot] === EMPTY) slot = slot + 1 === slots ? 0 : slot + 1;
    this.#evict(slot);
  }

  #evict(slot: number): void {
    this.evictions++;
    if (this.#dirty[slot] === 1) this.#clean(slot);
    this.#drop(slot);
  }

  /** Write a line to RAM. */
  #clean(slot: number): void {
    const tag = this.#tags[slot];
    const frame = this.#mem.frameOf(tag);
    storeBytes(this.#mem, frame, pageOffset(tag), this.#data, slot * this.line, this.line);
    this.#dirty[slot] = 0;
    this.writeBacks++;
  }

  #drop(slot: number): void {
    this.#tags[slot] = EMPTY;
    this.#dirty[slot] = 0;
    this.#valid--;
  }

  /** Lines of a short range are looked up; for a long one all slots are walked. */
  #maintain(pa: PhysAddr, length: Bytes, what: number): void {
    if (!(isWhole(pa) && isWhole(length))) panic(`cache: maintenance of ${pa}+${length}`);
    const { line } = this;
    const end = pa + length;
    const first = pa - offsetIn(pa, line);
    if (end - first > this.#data.length) {
      for (let slot = 0; slot < this.#tags.length; slot++) {
        const tag = this.#tags[slot];
        if (tag >= first && tag < end) this.#maintainSlot(slot, what, pa, end);
      }
      return;
    }
    for (let base = first; base < end && length > 0; base += line) {
      this.#base[0] = base;
      const slot = this.#find();
      if (slot >= 0) this.#maintainSlot(slot, what, pa, end);
    }
  }

  #maintainSlot(slot: number, what: number, pa: PhysAddr, end: PhysAddr): void {
    const tag = this.#tags[slot];
    if (what !== DROP && this.#dirty[slot] === 1) this.#clean(slot);
    if (what === CLEAN) return;
    if (this.#dirty[slot] === 1 && (tag < pa || tag + this.line > end)) this.lostDirtyLines++;
    this.#drop(slot);
  }

  /** A whole number below `n`. */
  #draw(n: number): number {
    const drawn = this.#random.next() % n;
    if (!(drawn >= 0 && drawn === Math.floor(drawn))) panic(`cache: random number ${drawn}`);
    return drawn;
  }
}
