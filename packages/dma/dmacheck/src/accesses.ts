/**
 * What devices and the CPU do to memory, held against the mappings that are live.
 *
 * The memory bus tells of each access before it happens. A device's access must lie in mappings, and
 * for each byte the sync of its direction must have been said; the CPU's accesses are looked at where
 * they touch a client's memory. Each costs a walk over the live mappings.
 *
 * Rules 3, 5 and 9.
 */
import type { BusAddr, Bytes, Nanoseconds, PhysAddr } from "@physio/kern";
import type { AccessWatcher, DevicePort } from "@physio/membus";
import {
  ARMED,
  BY_CPU_READ,
  BY_CPU_WRITE,
  BY_DEVICE_READ,
  BY_DEVICE_WRITE,
  CPU_WROTE,
  DEVICE_READ,
  DEVICE_WROTE,
} from "./byte-states.ts";
import type { CheckedMap } from "./checked-map.ts";
import type { Deed, Risk } from "./finding.ts";
import { isPoison, isPoisonLow, poisonedBy } from "./poison.ts";
import type { Recorder } from "./recorder.ts";
import { loadOf, partOf } from "./recorder.ts";

export class Accesses implements AccessWatcher {
  /** Mappings that are loaded. */
  readonly live: CheckedMap[];
  /** Bus_dma itself is at work: what the CPU does is not the driver's doing. */
  inside: number;
  readonly #recorder: Recorder;
  readonly #now: () => Nanoseconds;
  readonly #ports: readonly DevicePort[];
  /** Maps that exist, by number. */
  readonly #maps: ReadonlyMap<number, CheckedMap>;
  /** The last load whose segments were poisoned. */
  lastPoisoned: CheckedMap | null;

  constructor(
    recorder: Recorder,
    now: () => Nanoseconds,
    ports: readonly DevicePort[],
    maps: ReadonlyMap<number, CheckedMap>,
  ) {
    this.live = [];
    this.inside = 0;
    this.#recorder = recorder;
    this.#now = now;
    this.#ports = ports;
    this.#maps = maps;
    this.lastPoisoned = null;
  }

  add(map: CheckedMap): void {
    map.liveAt = this.live.length;
    this.live.push(map);
  }

  drop(map: CheckedMap): void {
    if (map.liveAt < 0) return;
    const last = this.live.pop()!;
    if (last !== map) {
      this.live[map.liveAt] = last;
      last.liveAt = map.liveAt;
    }
    map.liveAt = -1;
  }

  // ---- devices

  /** A device is about to read or write. */
  device(port: DevicePort, address: BusAddr, length: Bytes, write: boolean): void {
    if (!(address >= 0) || isPoison(address)) {
      this.#stale(port, address, length, write);
      return;
    }
    const end = address + length;
    for (let at = address; at < end; ) {
      const next = this.#deviceRun(port, at, end, write);
      if (next < 0) {
        if (isPoisonLow(at)) this.#stale(port, at, end - at, write);
        else this.#stray(port, at, end - at, write);
        return;
      }
      at = next;
    }
  }

  /** Charge the first part of [`at`, `end`) to a mapping that allows it, or else to the first that holds it. @returns its end; −1: no mapping holds `at`. */
  #deviceRun(port: DevicePort, at: BusAddr, end: BusAddr, write: boolean): BusAddr {
    let found: CheckedMap | null = null;
    let segment = -1;
    for (const map of this.live) {
      if (at < map.busLow || at >= map.busEnd || this.#isOthers(map, port)) continue;
      const i = map.segmentAt(at);
      if (i < 0) continue;
      if (found === null) {
        found = map;
        segment = i;
      }
      const n = map.byteAt(i, at);
      const stop = n + Math.min(end, map.segmentEnd(i)) - at;
      if (wrongForDevice(map, n, stop, write) < 0) {
        found = map;
        segment = i;
        break;
      }
    }
    if (found === null) return -1;
    const next = Math.min(end, found.segmentEnd(segment));
    const n = found.byteAt(segment, at);
    this.#charge(port, found, n, n + next - at, write);
    return next;
  }

  /** A mapping of a driver whose device has a port, another one. */
  #isOthers(map: CheckedMap, port: DevicePort): boolean {
    const { owner } = map;
    return owner !== null && owner !== port.name && this.#ports.some((p) => p.name === owner);
  }

  #charge(port: DevicePort, map: CheckedMap, n: Bytes, stop: Bytes, write: boolean): void {
    const wrong = wrongForDevice(map, n, stop, write);
    if (wrong >= 0) {
      const verb = write ? "writes" : "reads";
      const [mask, wanted] = write ? [ARMED, 0] : [CPU_WROTE, CPU_WROTE];
      const risk = partOf(map, wrong, map.states.alike(wrong, stop, mask, wanted));
      const what = `${port.name} ${verb} ${stop - n} bytes of map ${map.id}`;
      const before = write ? beforePreRead(map) : beforePreWrite(map);
      this.#recorder.record(write ? "no-preread" : "no-prewrite", what, before, risk, map);
    }
    map.states.apply(n, stop, write ? BY_DEVICE_WRITE : BY_DEVICE_READ);
    if (write) map.deviceWriteAt = this.#now();
    else map.deviceReadAt = this.#now();
  }

  #stale(port: DevicePort, address: BusAddr, length: Bytes, write: boolean): void {
    const map = this.#maps.get(poisonedBy(address)) ?? this.lastPoisoned;
    const what = `${port.name} ${write ? "writes" : "reads"} ${length} bytes at a segment of a callback that is over`;
    const against = map === null ? null : loadOf(map);
    this.#recorder.record(
      "stale-segments",
      what,
      against,
      { space: "bus", address, length },
      map,
      port.name,
    );
  }

  #stray(port: DevicePort, address: BusAddr, length: Bytes, write: boolean): void {
    const what = `${port.name} ${write ? "writes" : "reads"} ${length} bytes that it has no mapping of`;
    const risk: Risk = { space: "bus", address, length };
    // What was here last tells most: a map of this device that was unloaded too early.
    const last = this.#lastAt(port, address);
    const against: Deed | null =
      last === null ? null : { what: `unload of map ${last.id}`, time: last.unloadedAt };
    this.#recorder.record("stray-access", what, against, risk, last, port.name);
  }

  /** The map whose last mapping held `address`, and ended last. */
  #lastAt(port: DevicePort, address: BusAddr): CheckedMap | null {
    let last: CheckedMap | null = null;
    for (const map of this.#maps.values()) {
      if (map.unloadedAt < 0 || map.liveAt >= 0 || this.#isOthers(map, port)) continue;
      if (address < map.busLow || address >= map.busEnd || map.segmentAt(address) < 0) continue;
      if (last === null || map.unloadedAt >= last.unloadedAt) last = map;
    }
    return last;
  }

  // ---- the CPU

  /** The CPU is about to read or write. */
  cpu(pa: PhysAddr, length: Bytes, write: boolean): void {
    if (this.inside > 0 || this.live.length === 0) return;
    const end = pa + length;
    for (const map of this.live) {
      if (!map.mayTouch(pa, end)) continue;
      let n = 0;
      for (let i = 0; i < map.runCount; i++) {
        const begin = map.runStart(i);
        const size = map.runLength(i);
        if (begin >= 0 && begin < end && begin + size > pa) {
          const from = n + Math.max(pa - begin, 0);
          const stop = Math.min(n + Math.min(end - begin, size), map.states.total);
          if (from < stop) this.#cpuRun(map, from, stop, write, Math.max(pa, begin));
        }
        n += size;
      }
    }
  }

  /** Bytes `from` to `stop` of the mapping, which are at `pa`. */
  #cpuRun(map: CheckedMap, from: Bytes, stop: Bytes, write: boolean, pa: PhysAddr): void {
    this.#owed(map, from, stop, write, pa, DEVICE_WROTE);
    if (write) this.#owed(map, from, stop, write, pa, DEVICE_READ);
    map.states.apply(from, stop, write ? BY_CPU_WRITE : BY_CPU_READ);
    if (write) map.cpuWriteAt = this.#now();
  }

  /** The CPU comes to bytes that still have the bit of a device's access. */
  #owed(
    map: CheckedMap,
    from: Bytes,
    stop: Bytes,
    write: boolean,
    pa: PhysAddr,
    bit: number,
  ): void {
    const { states } = map;
    const first = states.find(from, stop, bit, bit);
    if (first < 0) return;
    const length = states.alike(first, stop, bit, bit);
    const risk: Risk = { space: "phys", address: pa + first - from, length };
    const what = `the CPU ${write ? "writes" : "reads"} ${stop - from} bytes of map ${map.id}`;
    const wrote = bit === DEVICE_WROTE;
    const against: Deed = {
      what: `the device ${wrote ? "wrote to" : "read from"} map ${map.id}`,
      time: wrote ? map.deviceWriteAt : map.deviceReadAt,
    };
    this.#recorder.record(wrote ? "no-postread" : "no-postwrite", what, against, risk, map);
  }
}

/** The first byte of [`n`, `stop`) that the device must not touch so, or −1. */
const wrongForDevice = (map: CheckedMap, n: Bytes, stop: Bytes, write: boolean): Bytes =>
  write ? map.states.find(n, stop, ARMED, 0) : map.states.find(n, stop, CPU_WROTE, CPU_WROTE);

/** What made a PREWRITE due. */
function beforePreWrite(map: CheckedMap): Deed {
  if (map.cpuWriteAt < 0) return loadOf(map);
  return { what: `the CPU wrote to map ${map.id}`, time: map.cpuWriteAt };
}

/** What made a PREREAD due. */
function beforePreRead(map: CheckedMap): Deed {
  const { cpuWriteAt, postReadAt, preReadAt } = map;
  if (preReadAt < 0 || (cpuWriteAt < 0 && postReadAt < 0)) return loadOf(map);
  if (cpuWriteAt > postReadAt) return beforePreWrite(map);
  return { what: `sync of map ${map.id} with POSTREAD`, time: postReadAt };
}
