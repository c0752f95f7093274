/**
 * Bus spaces: how a driver reaches the registers behind a window.
 *
 * A BusSpace is a window or a part of one. Numbers are unsigned and little-endian, as the device
 * sees them; offsets count from the start of the space, and are multiples of the access's size in
 * the window. Accesses reach the device at once and in order. Stores to RAM that were combined reach
 * it before a register write and at a write barrier; what the device posted reaches it before a
 * register read returns. Follows bus_space(9).
 *
 * A wrong offset, value or count is a broken contract of the driver and panics with it.
 */
import type { Bytes, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, isWhole, panic } from "@physio/kern";
import type { CpuPort } from "./cpu-port.ts";
import type { DevicePort } from "./device-port.ts";
import type { MmioHandler, MmioWindow } from "./mmio.ts";
import { Mapping } from "./mmio.ts";

export const BARRIER_READ = 1;
export const BARRIER_WRITE = 2;

// This module's own names: the compiler folds them.
const WRITE = BARRIER_WRITE;
const BOTH = BARRIER_READ + BARRIER_WRITE;
const TWO_32 = 2 ** 32;
/** High words of numbers below 2^53. */
const HIGH_END = 2 ** 21;

export class BusSpace {
  readonly window: MmioWindow;
  /** First byte of this space in the window, and its length. */
  readonly start: Bytes;
  readonly size: Bytes;
  readonly #handler: MmioHandler;
  readonly #port: DevicePort | null;
  readonly #cpu: CpuPort | null;
  readonly #mapping: Mapping;

  /** `cpu`: whose combined stores register writes push; null: nobody's. `mapping`: for Membus. => the part lies in the window. */
  constructor(
    window: MmioWindow,
    cpu: CpuPort | null = null,
    start: Bytes = 0,
    size: Bytes = window.size - start,
    mapping: Mapping = new Mapping(window),
  ) {
    this.window = window;
    this.start = start;
    this.size = size;
    this.#handler = window.handler;
    this.#port = window.port ?? null;
    this.#cpu = cpu;
    this.#mapping = mapping;
  }

  /** Physical address of its first byte. */
  get base(): PhysAddr {
    return this.window.base + this.start;
  }

  /** A part of this space. @throws {ErrnoError} EINVAL: it is empty, or not in this space. @bsd #Y bus_space_subregion */
  subregion(offset: Bytes, size: Bytes): BusSpace {
    if (!(isWhole(offset) && isWhole(size) && size > 0 && offset + size <= this.size)) {
      throw new ErrnoError(
        Errno.EINVAL,
        `bus_space ${this.window.name}: subregion at ${offset}+${size} of ${this.size}`,
      );
    }
    return new BusSpace(this.window, this.#cpu, this.start + offset, size, this.#mapping);
  }

  /** Whether this is a space of that mapping: for Membus. */
  isOf(mapping: Mapping): boolean {
    return this.#mapping === mapping;
  }

  // ---- one register

  /** @bsd #Y bus_space_read_1 */
  read1(offset: Bytes): number {
    this.#check(offset, 1, 1);
    return this.#read(offset, 1) & 0xff;
  }

  /** @bsd #Y bus_space_read_2 */
  read2(offset: Bytes): number {
    this.#check(offset, 2, 2);
    return this.#read(offset, 2) & 0xffff;
  }

  /** @bsd #Y bus_space_read_4 */
  read4(offset: Bytes): number {
    this.#check(offset, 4, 4);
    return this.#read(offset, 4) >>> 0;
  }

  /** Two 32-bit reads, low word first. => the register's value is below 2^53: `readPair` is for others. @bsd #P[two accesses] bus_space_read_8 */
  read8(offset: Bytes): number {
    this.#check(offset, 8, 4);
    const low = this.#read(offset, 4) >>> 0;
    const high = this.#read(offset + 4, 4) >>> 0;
    if (!(high < HIGH_END)) {
      panic(`bus_space ${this.window.name}: offset ${hex(offset)} holds ${high}:${low}`);
    }
    return high * TWO_32 + low;
  }

  /** Two 32-bit reads, low word first, into `out[0]` and `out[1]`. */
  readPair(offset: Bytes, out: Uint32Array): void {
    this.#check(offset, 8, 4);
    if (!(out instanceof Uint32Array && out.length >= 2))
      panic(`bus_space ${this.window.name}: a pair into ${out.length} words`);
    out[0] = this.#read(offset, 4);
    out[1] = this.#read(offset + 4, 4);
  }

  /** => `value`: 0 to 255. @bsd #Y bus_space_write_1 */
  write1(offset: Bytes, value: number): void {
    this.#check(offset, 1, 1);
    this.#checkValue(offset, value, 0, 0xff);
    this.#write(offset, 1, value);
  }

  /** => `value`: 0 to 65535. @bsd #Y bus_space_write_2 */
  write2(offset: Bytes, value: number): void {
    this.#check(offset, 2, 2);
    this.#checkValue(offset, value, 0, 0xffff);
    this.#write(offset, 2, value);
  }

  /** => `value`: −2^31 to 2^32 − 1, so that results of bit operators may be written as they are. @bsd #Y bus_space_write_4 */
  write4(offset: Bytes, value: number): void {
    this.#check(offset, 4, 4);
    this.#checkWord(offset, value);
    this.#write(offset, 4, value >>> 0);
  }

  /** Two 32-bit writes, low word first. => `value`: 0 to 2^53 − 1. @bsd #P[two accesses] bus_space_write_8 */
  write8(offset: Bytes, value: number): void {
    this.#check(offset, 8, 4);
    this.#checkValue(offset, value, 0, Number.MAX_SAFE_INTEGER);
    this.#write(offset, 4, value % TWO_32);
    this.#write(offset + 4, 4, Math.floor(value / TWO_32));
  }

  /** Two 32-bit writes, low word first: any 64 bits. */
  writePair(offset: Bytes, low: number, high: number): void {
    this.#check(offset, 8, 4);
    this.#checkWord(offset, low);
    this.#checkWord(offset, high);
    this.#write(offset, 4, low >>> 0);
    this.#write(offset + 4, 4, high >>> 0);
  }

  // ---- several words

  /** Read one register again and again: a FIFO. @bsd #Y bus_space_read_multi_4 */
  readMulti4(offset: Bytes, to: Uint32Array, at = 0, count: number = to.length - at): void {
    this.#check(offset, 4, 4);
    this.#checkWords(to, at, count);
    for (let i = 0; i < count; i++) to[at + i] = this.#read(offset, 4);
  }

  /** Write one register again and again. @bsd #Y bus_space_write_multi_4 */
  writeMulti4(offset: Bytes, from: Uint32Array, at = 0, count: number = from.length - at): void {
    this.#check(offset, 4, 4);
    this.#checkWords(from, at, count);
    for (let i = 0; i < count; i++) this.#write(offset, 4, from[at + i]);
  }

  /** Read registers in a row. @bsd #Y bus_space_read_region_4 */
  readRegion4(offset: Bytes, to: Uint32Array, at = 0, count: number = to.length - at): void {
    this.#checkWords(to, at, count);
    this.#check(offset, count * 4, 4);
    for (let i = 0; i < count; i++) to[at + i] = this.#read(offset + i * 4, 4);
  }

  /** Write registers in a row. @bsd #Y bus_space_write_region_4 */
  writeRegion4(offset: Bytes, from: Uint32Array, at = 0, count: number = from.length - at): void {
    this.#checkWords(from, at, count);
    this.#check(offset, count * 4, 4);
    for (let i = 0; i < count; i++) this.#write(offset + i * 4, 4, from[at + i]);
  }

  /** Write `value` to `count` registers in a row. => `value` as `write4`. @bsd #Y bus_space_set_region_4 */
  setRegion4(offset: Bytes, value: number, count: number): void {
    if (!isWhole(count)) panic(`bus_space ${this.window.name}: ${count} words`);
    this.#check(offset, count * 4, 4);
    this.#checkWord(offset, value);
    for (let i = 0; i < count; i++) this.#write(offset + i * 4, 4, value >>> 0);
  }

  /**
   * Accesses before it are seen before those after it. Registers need none; with BARRIER_WRITE
   * combined stores to RAM arrive. => `flags`: BARRIER_READ, BARRIER_WRITE or both.
   * @bsd #Y bus_space_barrier
   */
  barrier(offset: Bytes, length: Bytes, flags: number): void {
    const inside = isWhole(offset) && isWhole(length) && offset + length <= this.size;
    if (!(inside && isWhole(flags) && flags <= BOTH)) {
      panic(
        `bus_space ${this.window.name}: barrier at ${offset}+${length}, flags ${flags}, in ${hex(this.size)}`,
      );
    }
    if ((flags & WRITE) !== 0 && this.#cpu !== null) this.#cpu.drain();
  }

  // ---- accesses and checks

  /** => the offset was checked. */
  #read(offset: Bytes, size: number): number {
    const value = this.#handler.mmioRead(this.start + offset, size);
    // The completion of a read does not pass what the device wrote before it.
    if (this.#port !== null) this.#port.flush();
    if (!(value >= -0x8000_0000 && value <= 0xffff_ffff && value === Math.floor(value))) {
      panic(`bus_space ${this.window.name}: the device answers ${value} at ${hex(offset)}`);
    }
    return value;
  }

  /** => offset and value were checked. */
  #write(offset: Bytes, size: number, value: number): void {
    if (this.#cpu !== null) this.#cpu.drain();
    this.#handler.mmioWrite(this.start + offset, size, value);
  }

  /** [`offset`, `offset + size`) lies in this space, at a multiple of `align` in the window. */
  #check(offset: Bytes, size: Bytes, align: number): void {
    if (!this.#mapping.live) {
      panic(`bus_space ${this.window.name}: offset ${offset}, but the window is unmapped`);
    }
    // A fraction leaves a remainder too.
    if (!(offset >= 0 && offset + size <= this.size && (this.start + offset) % align === 0)) {
      panic(
        `bus_space ${this.window.name}: offset ${offset} size ${size} in a window of ${hex(this.size)}`,
      );
    }
  }

  #checkValue(offset: Bytes, value: number, low: number, high: number): void {
    if (!(value >= low && value <= high && value === Math.floor(value))) {
      panic(`bus_space ${this.window.name}: ${value} does not fit at ${hex(offset)}`);
    }
  }

  #checkWord(offset: Bytes, value: number): void {
    this.#checkValue(offset, value, -0x8000_0000, 0xffff_ffff);
  }

  #checkWords(words: Uint32Array, at: number, count: number): void {
    if (!(words instanceof Uint32Array)) {
      panic(`bus_space ${this.window.name}: words in an array that is no Uint32Array`);
    }
    if (!(isWhole(at) && isWhole(count) && at + count <= words.length)) {
      panic(`bus_space ${this.window.name}: ${count} words at ${at} of ${words.length}`);
    }
  }
}
