/**
 * The checker: what a driver does with its tags and maps, held against the rules.
 *
 * The backend in front of the inner one (dmacheck.ts) tells it of each call before and after. Rules
 * 1, 2, 4, 6, 7, 8 and 10, and what is lost by an unload, are looked at here; accesses in accesses.ts.
 */
import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import type { Errno, Nanoseconds } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import type { DevicePort } from "@physio/membus";
import { Accesses } from "./accesses.ts";
import {
  DEVICE_READ,
  DEVICE_WROTE,
  POSTREAD,
  POSTWRITE,
  PREREAD,
  PREWRITE,
} from "./byte-states.ts";
import { CheckedMap, Phase } from "./checked-map.ts";
import type { Creator, Deed, Risk } from "./finding.ts";
import { poison } from "./poison.ts";
import type { Recorder } from "./recorder.ts";
import { loadOf, partOf, wholeOf } from "./recorder.ts";
import type { RuleId } from "./rules.ts";

const { IDLE, LOADING, LOADED, WAITING, TOO_BIG, FAILED, NOTHING } = Phase;
const PRE = Sync.PREREAD | Sync.PREWRITE;
const POST = Sync.POSTREAD | Sync.POSTWRITE;

function syncOf(map: CheckedMap, ops: Sync): string {
  const named = Object.entries(Sync).filter(([, bit]) => (ops & bit) !== 0);
  return `sync of map ${map.id} with ${named.map(([name]) => name).join(" and ")}`;
}

const unloadOf = (map: CheckedMap): Deed =>
  map.unloadedAt < 0 ? map.creator : { what: `unload of map ${map.id}`, time: map.unloadedAt };

export class Checker {
  readonly recorder: Recorder;
  readonly accesses: Accesses;
  readonly #now: () => Nanoseconds;
  readonly #maps: Map<DmaMap, CheckedMap>;
  readonly #byId: Map<number, CheckedMap>;
  readonly #owners: WeakMap<DmaTag, string>;
  #made: number;

  constructor(recorder: Recorder, now: () => Nanoseconds, ports: readonly DevicePort[]) {
    this.recorder = recorder;
    this.#now = now;
    this.#maps = new Map();
    this.#byId = new Map();
    this.accesses = new Accesses(recorder, now, ports, this.#byId);
    this.#owners = new WeakMap();
    this.#made = 0;
  }

  get maps(): Iterable<CheckedMap> {
    return this.#maps.values();
  }

  /** `tag` and what is derived from it belong to the driver of this name. */
  own(tag: DmaTag, owner: string): void {
    this.#owners.set(tag, owner);
  }

  /** The name given to the tag or one above it, or the name of its lock's mutex. */
  ownerOf(tag: DmaTag): string | null {
    for (let at: DmaTag | null = tag; at !== null; at = at.parent) {
      const owner = this.#owners.get(at);
      if (owner !== undefined) return owner;
    }
    return tag.lock.mutex?.name ?? null;
  }

  // ---- maps

  /** `map` exists now; `inner` is the other backend's state of it. */
  made(tag: DmaTag, map: DmaMap, inner: unknown): CheckedMap {
    const id = this.#made++;
    const thread = tag.context.sched?.current?.name ?? "start-up";
    const what = `creation of map ${id}${map.ofMemory ? ", of DMA memory" : ""}`;
    const creator: Creator = { what, time: this.#now(), thread };
    const checked = new CheckedMap(id, map, inner, this.ownerOf(tag), creator);
    this.#maps.set(map, checked);
    this.#byId.set(id, checked);
    return checked;
  }

  find(map: DmaMap): CheckedMap {
    if (map.md instanceof CheckedMap) return map.md;
    return this.#maps.get(map) ?? panic("dmacheck: a map that was not made here");
  }

  /** The map is about to be destroyed, or its memory freed. */
  destroying(map: CheckedMap): void {
    const what = map.map.ofMemory
      ? `memory of map ${map.id} is freed`
      : `destruction of map ${map.id}`;
    if (map.phase === LOADED) {
      this.recorder.record("destroy-of-loaded", what, loadOf(map), wholeOf(map), map);
    } else if (map.phase === TOO_BIG) this.#efbigKept(map, what);
  }

  gone(map: CheckedMap): void {
    this.accesses.drop(map);
    this.#maps.delete(map.map);
    this.#byId.delete(map.id);
  }

  /** The tag is to be destroyed. */
  destroyingTag(tag: DmaTag): void {
    for (const map of this.#maps.values()) {
      if (map.map.tag !== tag) continue;
      const what = `destruction of the tag of map ${map.id}`;
      this.recorder.record("map-leak", what, map.creator, wholeOf(map), map);
    }
  }

  // ---- loads

  /** A range of a load comes. @returns the map, whose load has begun. */
  loading(map: DmaMap): CheckedMap {
    const checked = map.md instanceof CheckedMap ? map.md : this.find(map);
    if (checked.phase !== LOADING) this.#begin(checked);
    return checked;
  }

  #begin(map: CheckedMap): void {
    const { phase } = map;
    if (phase === LOADED || (phase === WAITING && map.map.waiting)) {
      const waits = { what: `load of map ${map.id}, which waits`, time: map.loadedAt };
      const against = phase === LOADED ? loadOf(map) : waits;
      this.recorder.record("load-of-loaded", `load of map ${map.id}`, against, wholeOf(map), map);
      this.accesses.drop(map);
    } else if (phase === TOO_BIG) this.#efbigKept(map, `load of map ${map.id}`);
    map.begin();
  }

  #efbigKept(map: CheckedMap, what: string): void {
    const against = { what: `load of map ${map.id} that ended with EFBIG`, time: map.loadedAt };
    this.recorder.record("efbig-kept", what, against, null, map);
  }

  waits(map: CheckedMap): void {
    map.phase = WAITING;
    map.loadedAt = this.#now();
  }

  /** A load has ended with `error`. */
  complete(map: CheckedMap, segs: SegList, error: Errno): void {
    if (map.phase !== LOADING) this.#begin(map); // it had no ranges
    map.completed = true;
    if (error === E.OK) {
      map.finish(segs, this.#now());
      this.accesses.add(map);
    } else {
      map.phase = error === E.EFBIG ? TOO_BIG : FAILED;
      map.loadedAt = this.#now();
    }
  }

  /** The callback of a load has returned; it may have loaded the map again, or destroyed it. */
  delivered(dmaMap: DmaMap, segs: SegList): void {
    const map = dmaMap.md instanceof CheckedMap ? dmaMap.md : null; // null: it waits, or is gone
    if (map === null) return;
    if (map.completed) map.completed = false;
    else if (map.phase === IDLE) map.phase = NOTHING;
    if (segs.count === 0) return;
    poison(segs, map.poison);
    this.accesses.lastPoisoned = map;
  }

  // ---- sync and unload

  syncing(map: CheckedMap, ops: Sync): void {
    if (map.phase !== LOADED) {
      if (map.phase === TOO_BIG) this.#efbigKept(map, syncOf(map, ops));
      else if (map.phase !== NOTHING) {
        this.recorder.record("not-loaded", syncOf(map, ops), unloadOf(map), null, map);
      }
      return;
    }
    if ((ops & PRE) !== 0 && (ops & POST) !== 0) {
      this.recorder.record("mixed-sync", syncOf(map, ops), null, wholeOf(map), map);
    }
    this.#syncStates(map, ops);
    if ((ops & PRE) !== 0) this.#checkOverlap(map, ops);
  }

  #syncStates(map: CheckedMap, ops: Sync): void {
    const { states } = map;
    const now = this.#now();
    if ((ops & Sync.POSTREAD) !== 0) {
      states.applyAll(POSTREAD);
      map.postReadAt = now;
      map.reading = false;
    }
    if ((ops & Sync.POSTWRITE) !== 0) {
      states.applyAll(POSTWRITE);
      map.postWriteAt = now;
      map.writing = false;
    }
    if ((ops & Sync.PREREAD) !== 0) {
      states.applyAll(PREREAD);
      map.preReadAt = now;
      map.reading = true;
    }
    if ((ops & Sync.PREWRITE) !== 0) {
      states.applyAll(PREWRITE);
      map.preWriteAt = now;
      map.writing = true;
    }
  }

  /** Memory that one device writes is in no other transfer. */
  #checkOverlap(map: CheckedMap, ops: Sync): void {
    const { live } = this.accesses;
    if (live.length === 1) return;
    for (const other of live) {
      if (other === map) continue;
      const clash = map.reading ? other.reading || other.writing : other.reading;
      const shared = clash ? map.sharedWith(other) : -1;
      if (shared < 0) continue;
      const time = Math.max(other.preReadAt, other.preWriteAt);
      const against = {
        what: `sync of map ${other.id} before a transfer of the same memory`,
        time,
      };
      const length = overlapOf(map, other, shared);
      const risk: Risk = { space: "phys", address: shared, length };
      this.recorder.record("overlap", syncOf(map, ops), against, risk, map);
      return;
    }
  }

  unloading(map: CheckedMap): void {
    const { phase } = map;
    if (phase === IDLE || phase === WAITING) {
      this.recorder.record("not-loaded", `unload of map ${map.id}`, unloadOf(map), null, map);
    }
    if (phase !== LOADED) return;
    if (map.deviceWriteAt >= 0)
      this.#unsynced(map, DEVICE_WROTE, "no-postread", "wrote to", map.deviceWriteAt);
    if (map.deviceReadAt >= 0)
      this.#unsynced(map, DEVICE_READ, "no-postwrite", "read from", map.deviceReadAt);
  }

  /** An unload finds bytes that still have the bit. */
  #unsynced(map: CheckedMap, bit: number, rule: RuleId, did: string, time: Nanoseconds): void {
    const { states } = map;
    const first = states.find(0, states.total, bit, bit);
    if (first < 0) return;
    const risk = partOf(map, first, states.alike(first, states.total, bit, bit));
    const against = { what: `the device ${did} map ${map.id}`, time };
    this.recorder.record(rule, `unload of map ${map.id}`, against, risk, map);
  }

  unloaded(map: CheckedMap): void {
    this.accesses.drop(map);
    map.phase = IDLE;
    map.unloadedAt = this.#now();
  }
}

/** Bytes that both share from `at` on, in their runs that hold it. */
function overlapOf(a: CheckedMap, b: CheckedMap, at: number): number {
  const endIn = (map: CheckedMap): number => {
    for (let i = 0; i < map.runCount; i++) {
      const begin = map.runStart(i);
      const end = begin + map.runLength(i);
      if (begin >= 0 && at >= begin && at < end) return end;
    }
    return at;
  };
  return Math.min(endIn(a), endIn(b)) - at;
}
