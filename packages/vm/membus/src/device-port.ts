/**
 * Device ports: how a device sees memory.
 *
 * A port takes bus addresses, finds the RAM that they mean for its device (route.ts), and moves
 * bytes to and from it. An access that leaves the reach, the bridge's window, the translation or the
 * RAM moves nothing and is recorded as a fault. A port is the only way by which the model of a chip
 * (`hw.ts`) touches memory, so a driver that hands it a wrong or stale address sees what it would
 * see on the board. It goes to RAM, never to the CPU's combining buffers, and past the CPU's cache unless
 * the port is `coherent`: then what is dirty in the cache reaches RAM before the device looks, and lines
 * that it writes leave the cache.
 *
 * A port with `posted` sends its writes on their way (posted.ts); reads by the same port never pass
 * them.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  hex,
  isWhole,
  MAXADDR,
  PAGE_SIZE,
  pageOffset,
  panic,
} from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { Ktr, traceEvent } from "@physio/trace";
import type { DataCache } from "./data-cache.ts";
import type { BusFault, FaultReason } from "./fault.ts";
import type { Membus } from "./membus.ts";
import { loadBytes, storeBytes } from "./page-bytes.ts";
import type { PostedConfig } from "./posted.ts";
import { PostedWrites } from "./posted.ts";
import type { InboundWindow, Translation } from "./route.ts";
import { Route } from "./route.ts";

export interface DevicePortConfig {
  readonly name: string;
  /** Highest bus address that the device can put on the bus; default: what `width` allows. */
  readonly highest?: BusAddr;
  /** Address lines of the device, 1 to 52; default 52. */
  readonly width?: number;
  /** The only bus addresses that a bridge passes, and what they mean; absent: all, themselves. */
  readonly window?: InboundWindow;
  /** Number by which the device names itself to a translation (PCI: bus, device, function); default 0. */
  readonly requester?: number;
  /** Takes what leaves the bridge; absent: nothing stands there. */
  readonly translation?: Translation;
  /**
   * Whether the device snoops the CPU's cache, on a machine that has a model of one; default false. On
   * other machines every device is coherent.
   */
  readonly coherent?: boolean;
  /** Writes travel in a queue; absent: a write is in RAM when it returns. */
  readonly posted?: PostedConfig;
}

const KEPT_FAULTS = 64;
const FAULT = traceEvent(Ktr.FAULT, "bus fault", "address", "length", "write");
const MAX_WIDTH = 52;
// This module's own names: the compiler folds them.
const OK = Errno.OK;
const PAGE = PAGE_SIZE;
/** Up to so many bytes, words and descriptors, a loop replaces the view that `set` needs (read32: 60 ns and no garbage, for 107 ns and 88 bytes). */
const SHORT = 64;

/** Highest address of the device. @throws {ErrnoError} EINVAL: the numbers make no sense, or contradict. */
function reachOf({ name, highest, width, requester = 0, coherent }: DevicePortConfig): BusAddr {
  const lines = width ?? MAX_WIDTH;
  const reach = highest ?? 2 ** lines - 1;
  const sane = isWhole(lines) && lines >= 1 && lines <= MAX_WIDTH;
  // Without `width`, an address beyond all memory is a device that reaches everything.
  const agrees = isWhole(reach) && (width === undefined || reach < 2 ** lines);
  if (!sane || !agrees || !isWhole(requester)) {
    throw new ErrnoError(
      Errno.EINVAL,
      `membus: port ${name}: highest address ${highest}, width ${width}, requester ${requester}`,
    );
  }
  if (typeof name !== "string" || (coherent !== undefined && typeof coherent !== "boolean")) {
    throw new ErrnoError(
      Errno.EINVAL,
      `membus: port ${String(name)}: coherent ${String(coherent)}`,
    );
  }
  return Math.min(reach, MAXADDR);
}

export class DevicePort {
  readonly name: string;
  readonly highest: BusAddr;
  readonly requester: number;
  /** Whether it sees what the CPU stores, and the CPU what it writes, without maintenance. */
  readonly coherent: boolean;
  /** The first faults, oldest first; `faultCount` counts all of them. */
  readonly faults: BusFault[];
  faultCount: number;
  bytesRead: Bytes;
  bytesWritten: Bytes;
  readonly #bus: Membus;
  readonly #mem: PhysMem;
  readonly #route: Route;
  /** The cache that the device snoops, or null. */
  readonly #snooped: DataCache | null;
  readonly #posted: PostedWrites | null;
  readonly #word: Uint8Array;

  /** @throws {ErrnoError} EINVAL: numbers that make no sense or contradict. */
  constructor(bus: Membus, config: DevicePortConfig) {
    const { name, requester = 0, window = null, translation = null, posted = null } = config;
    const { coherent = false } = config;
    this.name = name;
    this.highest = reachOf(config);
    this.requester = requester;
    this.coherent = bus.cpu.coherent || coherent;
    this.faults = [];
    this.faultCount = 0;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.#bus = bus;
    this.#mem = bus.mem;
    this.#route = new Route(bus.mem, name, this.highest, requester, window);
    this.#route.translation = translation;
    this.#snooped = coherent ? bus.cpu.cache : null;
    this.#posted =
      posted === null ? null : new PostedWrites(bus.mem, this.#snooped, bus.sched, posted, name);
    this.#word = new Uint8Array(4);
  }

  /** What addresses pass through on their way to RAM, or null. */
  get translation(): Translation | null {
    return this.#route.translation;
  }

  /** An IOMMU attaches or leaves; posted writes were translated before. @throws {ErrnoError} EINVAL: its granule is not a power of 2. */
  set translation(translation: Translation | null) {
    this.#route.translation = translation;
  }

  /**
   * The device reads memory into `to`, after its posted writes have arrived.
   * => `to` has room from `at` on. @returns OK; EFAULT: a fault is recorded, nothing was moved.
   */
  read(address: BusAddr, to: Uint8Array, at = 0, length: Bytes = to.length - at): Errno {
    this.#route.asked[0] = address;
    return this.#read(to, at, length);
  }

  /**
   * The device writes `from` into memory, now or, with `posted`, on its way.
   * => `from` has the bytes from `at` on. @returns OK; EFAULT: a fault is recorded, nothing was moved.
   */
  write(address: BusAddr, from: Uint8Array, at = 0, length: Bytes = from.length - at): Errno {
    this.#route.asked[0] = address;
    return this.#write(from, at, length);
  }

  /** One little-endian 32-bit word; all ones after a fault, as from an unanswered bus cycle. */
  read32(address: BusAddr): number {
    const word = this.#word;
    this.#route.asked[0] = address;
    if (this.#read(word, 0, 4) !== OK) return 0xffff_ffff;
    return (word[0] | (word[1] << 8) | (word[2] << 16) | (word[3] << 24)) >>> 0;
  }

  /** Write one little-endian 32-bit word: −2^31 to 2^32 − 1. @returns OK; EFAULT: as `write`. */
  write32(address: BusAddr, value: number): Errno {
    if (!(Number.isInteger(value) && value >= -0x8000_0000 && value <= 0xffff_ffff)) {
      panic(`${this.name}: write32 of ${value} to ${hex(address)}`);
    }
    const word = this.#word;
    word[0] = value & 0xff;
    word[1] = (value >>> 8) & 0xff;
    word[2] = (value >>> 16) & 0xff;
    word[3] = value >>> 24;
    this.#route.asked[0] = address;
    return this.#write(word, 0, 4);
  }

  /** Posted writes arrive now. A device does this before a message that must not pass them (MSI). */
  flush(): void {
    if (this.#posted !== null) this.#posted.flush();
  }

  /** Posted writes on their way; one of more than 256 bytes, or across a page, counts as several. */
  get postedWrites(): number {
    return this.#posted === null ? 0 : this.#posted.count;
  }

  /** `read` at `asked[0]` of the route: a column, since a call that is not inlined boxes an address (16 to 32 bytes a read). */
  #read(to: Uint8Array, at: number, length: Bytes): Errno {
    this.#checkLength(at, length);
    if (length === 0) return OK;
    if (this.#posted !== null) this.#posted.flush();
    this.#checkAccess(to, at, length);
    const route = this.#route;
    const { watcher } = this.#bus;
    if (watcher !== null) watcher.device(this, route.asked[0], length, false);
    const refused = route.resolve(length, false);
    if (refused !== null) return this.#fault("read", length, refused);
    let done = at;
    for (let i = 0; i < route.count; i++) {
      const size = route.size[i];
      const frame = this.#mem.frameOf(route.address[i]);
      const offset = pageOffset(route.address[i]);
      if (this.#snooped !== null) this.#snooped.snoop(frame, offset, size, false);
      if (size <= SHORT && offset + size <= PAGE) {
        loadBytes(this.#mem, frame, offset, to, done, size);
      } else this.#mem.readFrames(frame, offset, to, done, size);
      done += size;
    }
    this.bytesRead += length;
    return OK;
  }

  /** `write` at `asked[0]` of the route. */
  #write(from: Uint8Array, at: number, length: Bytes): Errno {
    this.#checkLength(at, length);
    if (length === 0) return OK;
    this.#checkAccess(from, at, length);
    const route = this.#route;
    const { watcher } = this.#bus;
    if (watcher !== null) watcher.device(this, route.asked[0], length, true);
    const refused = route.resolve(length, true);
    if (refused !== null) return this.#fault("write", length, refused);
    let done = at;
    for (let i = 0; i < route.count; i++) {
      const size = route.size[i];
      if (this.#posted !== null) this.#posted.post(route.address[i], from, done, size);
      else {
        const frame = this.#mem.frameOf(route.address[i]);
        const offset = pageOffset(route.address[i]);
        if (this.#snooped !== null) this.#snooped.snoop(frame, offset, size, true);
        if (size <= SHORT && offset + size <= PAGE) {
          storeBytes(this.#mem, frame, offset, from, done, size);
        } else this.#mem.writeFrames(frame, offset, from, done, size);
      }
      done += size;
    }
    this.bytesWritten += length;
    return OK;
  }

  #checkLength(at: number, length: Bytes): void {
    if (!(isWhole(at) && isWhole(length))) panic(`${this.name}: ${length} bytes at ${at}`);
  }

  /** Before anybody is asked: a translation's answers lie in columns of the port. */
  #checkAccess(bytes: Uint8Array, at: number, length: Bytes): void {
    const address = this.#route.asked[0];
    if (Number.isNaN(address)) panic(`${this.name}: ${length} bytes at address NaN`);
    if (!(at + length <= bytes.length)) {
      panic(`${this.name}: ${hex(address)}+${length} at ${at} of an array of ${bytes.length}`);
    }
  }

  #fault(direction: "read" | "write", length: Bytes, reason: FaultReason): Errno {
    const address: BusAddr = this.#route.asked[0];
    const { name: port, requester } = this;
    const { trace, onFault } = this.#bus;
    this.faultCount++;
    trace.record(FAULT, address, length, direction === "write" ? 1 : 0);
    if (this.faults.length < KEPT_FAULTS || onFault !== null) {
      const time = this.#bus.now();
      const granule = reason === "not translated" ? this.#route.refusedGranule : undefined;
      const fault = { port, requester, direction, address, length, reason, granule, time };
      if (this.faults.length < KEPT_FAULTS) this.faults.push(fault);
      if (onFault !== null) onFault(fault);
    }
    return Errno.EFAULT;
  }
}
