/**
 * The chip of the examples `deferred-storage` and `bsd-driver`: a disk that takes command blocks.
 *
 * A command block lies in memory and has words: operation, first byte on the medium, number of
 * segments, status, then address and length of each segment. A write of its bus address to DOORBELL
 * queues it; the disk works on one at a time, 10 µs each, writes DONE to the status and interrupts.
 * All addresses are 32-bit bus addresses, and the disk moves bytes through its port only.
 */
import type { HardwareSlot } from "@physio/bus";
import type { MmioHandler } from "@physio/membus";

export const DISK = Object.freeze({
  DOORBELL: 0, // the only register
  WINDOW: 4096,
  /** A command block: bytes, and word numbers in it. */
  BLOCK: 64,
  OPERATION: 0,
  START: 1,
  COUNT: 2,
  STATUS: 3,
  SEGMENTS: 4,
  MAX_SEGMENTS: 6,
  READ: 1, //  medium to memory
  WRITE: 2, // memory to medium
  DONE: 1,
});

const COMMAND_TIME = 10_000;

export class DiskHardware implements MmioHandler {
  readonly medium: Uint8Array;
  readonly #slot: HardwareSlot;
  readonly #work: ReturnType<HardwareSlot["sched"]["event"]>;
  readonly #queue: number[];

  constructor(slot: HardwareSlot, size: number) {
    this.medium = new Uint8Array(size);
    this.#slot = slot;
    this.#work = slot.sched.event(() => this.#next());
    this.#queue = [];
  }

  mmioRead(): number {
    return this.#queue.length;
  }

  mmioWrite(offset: number, _size: number, value: number): void {
    if (offset !== DISK.DOORBELL) return;
    this.#queue.push(value);
    if (this.#queue.length === 1) this.#slot.sched.after(this.#work, COMMAND_TIME);
  }

  /** Carry out the first command of the queue. */
  #next(): void {
    const { port, intr, sched } = this.#slot;
    const block = this.#queue.shift() ?? 0;
    const word = (n: number) => port.read32(block + n * 4);
    let at = word(DISK.START);
    for (let i = 0; i < word(DISK.COUNT); i++) {
      const address = word(DISK.SEGMENTS + 2 * i);
      const length = word(DISK.SEGMENTS + 2 * i + 1);
      const part = this.medium.subarray(at, at + length);
      if (word(DISK.OPERATION) === DISK.READ) port.write(address, part);
      else port.read(address, part);
      at += length;
    }
    port.write32(block + DISK.STATUS * 4, DISK.DONE);
    if (this.#queue.length > 0) sched.after(this.#work, COMMAND_TIME);
    intr.raise();
  }
}
