/**
 * Posted writes: writes that a device has sent and that are still on their way to RAM.
 *
 * A device does not wait for its writes. They travel in order, each no longer than 256 bytes and
 * within one page, and arrive after a latency, when a later write finds the queue full, or when
 * something that may not pass them pushes them: the port says what. Addresses were translated and
 * found to be RAM when the write was posted.
 *
 * Strict FIFO; nothing is reordered, merged or dropped. Nothing is allocated after construction.
 * Only a device port owns one.
 */
import type { Bytes, Frame, Nanoseconds, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, isWhole, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { DataCache } from "./data-cache.ts";
import { storeBytes } from "./page-bytes.ts";

/** What membus needs of a scheduler: device events on the machine's clock. */
export interface EventClock {
  /** The time; `after` counts from it. */
  readonly now: Nanoseconds;
  event(action: () => void): object;
  after(event: object, delay: Nanoseconds): void;
}

export interface PostedConfig {
  /** Writes that the queue holds, 1 to 65536; a write of more than 256 bytes takes several places. */
  readonly depth: number;
  /** How long a write is on its way, unless it is pushed. */
  readonly latency: Nanoseconds;
}

const PAYLOAD = 256;
const MAX_DEPTH = 65_536;
const PAGE = PAGE_SIZE;

export class PostedWrites {
  /** Writes on their way. */
  count: number;
  readonly #mem: PhysMem;
  readonly #snooped: DataCache | null;
  readonly #clock: EventClock;
  readonly #depth: number;
  readonly #latency: Nanoseconds;
  /** The ring: `count` places from `#head` on. */
  readonly #frame: Int32Array;
  readonly #offset: Int32Array;
  readonly #size: Int32Array;
  readonly #due: Float64Array;
  readonly #bytes: Uint8Array;
  #head: number;
  readonly #event: object;
  #pending: boolean;

  /** `snooped`: the cache that writes of a coherent device go through, or null. @throws {ErrnoError} EINVAL: a queue that makes no sense, no clock. */
  constructor(
    mem: PhysMem,
    snooped: DataCache | null,
    clock: EventClock | null,
    config: PostedConfig,
    who: string,
  ) {
    const { depth, latency } = config;
    const sane = isWhole(depth) && depth > 0 && depth <= MAX_DEPTH && isWhole(latency);
    if (!sane || clock === null) {
      const why = clock === null ? "without a scheduler" : `${depth} deep, latency ${latency} ns`;
      throw new ErrnoError(Errno.EINVAL, `membus: port ${who}: posted writes ${why}`);
    }
    this.count = 0;
    this.#mem = mem;
    this.#snooped = snooped;
    this.#clock = clock;
    this.#depth = depth;
    this.#latency = latency;
    this.#frame = new Int32Array(depth);
    this.#offset = new Int32Array(depth);
    this.#size = new Int32Array(depth);
    this.#due = new Float64Array(depth);
    this.#bytes = new Uint8Array(depth * PAYLOAD);
    this.#head = 0;
    this.#event = clock.event(() => this.#arrive());
    this.#pending = false;
  }

  /** Send bytes on their way; a full queue first delivers its oldest. => the range is RAM, `from` has the bytes. */
  post(pa: PhysAddr, from: Uint8Array, at: number, length: Bytes): void {
    const due = this.#clock.now + this.#latency;
    for (let done = 0; done < length; ) {
      const offset = pageOffset(pa + done);
      const run = Math.min(length - done, PAYLOAD, PAGE - offset);
      if (this.count === this.#depth) this.#deliver();
      const place = this.#placeOf(this.count++);
      const to = place * PAYLOAD;
      this.#frame[place] = this.#mem.frameOf(pa + done);
      this.#offset[place] = offset;
      this.#size[place] = run;
      this.#due[place] = due;
      for (let i = 0; i < run; i++) this.#bytes[to + i] = from[at + done + i];
      done += run;
    }
    if (!this.#pending) this.#wait(this.#latency);
  }

  /** Deliver all of them now. */
  flush(): void {
    while (this.count > 0) this.#deliver();
  }

  #placeOf(index: number): number {
    const place = this.#head + index;
    return place < this.#depth ? place : place - this.#depth;
  }

  /** The oldest write reaches RAM. */
  #deliver(): void {
    const place = this.#head;
    const frame: Frame = this.#frame[place];
    const size = this.#size[place];
    if (this.#snooped !== null) this.#snooped.snoop(frame, this.#offset[place], size, true);
    storeBytes(this.#mem, frame, this.#offset[place], this.#bytes, place * PAYLOAD, size);
    this.#head = this.#placeOf(1);
    this.count--;
  }

  /** The event: deliver what is due, wait for the rest. */
  #arrive(): void {
    const { now } = this.#clock;
    this.#pending = false;
    while (this.count > 0 && this.#due[this.#head] <= now) this.#deliver();
    if (this.count > 0) this.#wait(this.#due[this.#head] - now);
  }

  #wait(delay: Nanoseconds): void {
    this.#pending = true;
    this.#clock.after(this.#event, delay);
  }
}
