/**
 * Replays a recorded scenario: performs its operations and compares every outcome.
 *
 * Nothing is skipped: an operation that cannot be done is a difference like any other. A step whose
 * outcome differs does not end the scenario, so that the report shows what follows from it; a panic
 * of ours does, and so does any other exception.
 */
import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BUS_DMA_LOCK, BusDma, createTag, Sync } from "@physio/busdma";
import type { Errno, VirtAddr } from "@physio/kern";
import { ErrnoError, errnoName, MAXADDR } from "@physio/kern";
import { bioOf, ccbOf, chainOf, framesOf, memdescOf, uioOf } from "./carriers.ts";
import type { Failure } from "./difference.ts";
import { differences } from "./difference.ts";
import { rejects } from "./filters.ts";
import { lengthOf, pattern, ScenarioMachine } from "./machine.ts";
import { codeOfThrown } from "./panics.ts";
import type { FilterRule, Limit, Op, Outcome, Range, Scenario } from "./vectors.ts";

const limitOf = (n: Limit): number => (n === "MAXADDR" ? MAXADDR : n);
const shown = (n: number): Limit => (n === MAXADDR ? "MAXADDR" : n);
const errorName = (error: Errno): string | null => (error === 0 ? null : errnoName(error));
const segmentsOf = (segs: SegList): Range[] =>
  segs.toArray().map((s): Range => [s.addr as number, s.len]);

function bitsOf(family: Readonly<Record<string, number>>, names: readonly string[] = []): number {
  return names.reduce((sum, name) => {
    if (family[name] === undefined) throw new Error(`no flag ${name}`);
    return sum | family[name];
  }, 0);
}

class Replay {
  readonly #machine: ScenarioMachine;
  readonly #tags: Map<string, DmaTag>;
  readonly #maps: Map<string, DmaMap>;
  /** Where the memory is that a map came with. */
  readonly #memory: Map<string, VirtAddr>;
  /** Segments of each map's last successful load. */
  readonly #loaded: Map<string, Range[]>;
  /** Maps whose next callback unloads them. */
  readonly #unloadNext: Set<string>;
  #events: unknown[];
  #zones: unknown[];

  constructor(scenario: Scenario) {
    this.#machine = new ScenarioMachine(scenario);
    this.#tags = new Map();
    this.#maps = new Map();
    this.#memory = new Map();
    this.#loaded = new Map();
    this.#unloadNext = new Set();
    this.#events = [];
    this.#zones = [];
  }

  /** Do one operation. @returns its outcome in the shape of `expect`, and whether it was the last. */
  perform(op: Op): { outcome: Outcome; over: boolean } {
    const { memory, cacheCalls } = this.#machine;
    this.#events = [];
    cacheCalls.length = 0;
    memory.begin(op.supply ?? null);
    if (op.unloadInCallback === true) this.#unloadNext.add(op.map);
    let outcome: Outcome;
    let over = false;
    try {
      outcome = this.#operation(op);
      const zones = this.#showZones();
      if (differences(this.#zones, zones).length > 0) outcome.zones = zones;
      this.#zones = zones;
      if (cacheCalls.length > 0) outcome.cache = [...cacheCalls];
    } catch (error) {
      const code = codeOfThrown(error);
      outcome = code === null ? { exception: String(error) } : { panic: code };
      over = true;
    }
    if (this.#events.length > 0) outcome.events = this.#events;
    return { outcome, over };
  }

  #operation(op: Op): Outcome {
    switch (op.op) {
      case "tag_create":
        return this.#edge(() => this.#createTag(op));
      case "tag_destroy":
        return this.#destroyed(op.tag, this.#tags, this.#tag(op.tag).destroy());
      case "map_create":
        return this.#edge(() => this.#createMap(op));
      case "map_destroy":
        return this.#destroyed(op.map, this.#maps, this.#map(op.map).destroy());
      case "dmamem_alloc":
        return this.#allocMemory(op);
      case "dmamem_free":
        return this.#freeMemory(op);
      case "sync":
        this.#map(op.map).sync(bitsOf(Sync, op.operations));
        return {};
      case "unload":
        this.#unload(op.map);
        return {};
      case "run_deferred":
        this.#machine.sched.pump();
        return {};
      case "is_identity": {
        const tag = this.#tag(op.tag);
        return { identity: tag.backend.isIdentity(tag, op.pa, op.len) };
      }
      case "load_mbuf_sg":
      case "load_page_list":
        return this.#loadList(op);
      default:
        return op.op.startsWith("load_") ? this.#load(op) : this.#bytes(op);
    }
  }

  #tag(name: string): DmaTag {
    const tag = this.#tags.get(name);
    if (tag === undefined) throw new Error(`there is no tag ${name}`);
    return tag;
  }

  #map(name: string): DmaMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw new Error(`there is no map ${name}`);
    return map;
  }

  #edge(create: () => Outcome): Outcome {
    try {
      return { error: null, ...create() };
    } catch (error) {
      if (error instanceof ErrnoError) return { error: error.code };
      throw error;
    }
  }

  #destroyed(name: string, among: Map<string, unknown>, error: Errno): Outcome {
    if (error === 0) among.delete(name);
    return { error: errorName(error) };
  }

  // ---- tags and maps

  #createTag(op: Op): Outcome {
    const lock = (which: number) =>
      this.#events.push({ lock: which === BUS_DMA_LOCK ? "acquire" : "release", tag: op.tag });
    const parent = op.parent === null ? null : this.#tag(op.parent);
    const tag = createTag(this.#machine.context, parent, {
      alignment: op.alignment,
      boundary: op.boundary,
      lowAddr: limitOf(op.lowaddr),
      highAddr: limitOf(op.highaddr),
      maxSize: limitOf(op.maxsize),
      segments: op.nsegments,
      maxSegSize: limitOf(op.maxsegsz),
      flags: bitsOf(BusDma, op.flags),
      lock: op.lock === null ? null : lock,
      filter: op.filter === null ? null : (rule, addr) => Number(rejects(rule as FilterRule, addr)),
      filterArg: op.filter,
    });
    this.#tags.set(op.tag, tag);
    return {
      effective: {
        alignment: tag.alignment,
        boundary: tag.boundary,
        lowaddr: shown(tag.lowAddr),
        highaddr: shown(tag.highAddr),
        maxsize: shown(tag.maxSize),
        nsegments: tag.segments,
        maxsegsz: shown(tag.maxSegSize),
        mayBounce: (tag.md as { couldBounce: boolean }).couldBounce,
      },
    };
  }

  #createMap(op: Op): Outcome {
    const map = this.#tag(op.tag).createMap(bitsOf(BusDma, op.flags));
    this.#maps.set(op.map, map);
    return { trivial: map.md === null };
  }

  #allocMemory(op: Op): Outcome {
    const memory = this.#tag(op.tag).allocMem(bitsOf(BusDma, op.flags));
    const { request } = this.#machine.memory;
    if (memory === null) return { error: "ENOMEM", request };
    const { va, misaligned } = memory.memory;
    this.#maps.set(op.map, memory.map);
    this.#memory.set(op.map, va);
    const warning = misaligned ? { warning: "dmamem-misaligned" } : {};
    return { error: null, va, trivial: memory.map.md === null, request, ...warning };
  }

  #freeMemory(op: Op): Outcome {
    const map = this.#map(op.map);
    this.#tag(op.tag).freeMem(this.#memory.get(op.map) ?? 0, map);
    this.#maps.delete(op.map);
    return { freedWith: this.#machine.memory.freedWith };
  }

  #unload(name: string): void {
    this.#map(name).unload();
    this.#loaded.delete(name);
  }

  // ---- loads

  #load(op: Op): Outcome {
    const map = this.#map(op.map);
    const machine = this.#machine;
    const flags = bitsOf(BusDma, op.flags);
    const callback = (_arg: null, segs: SegList, count: number, error: Errno) =>
      this.#calledBack(op, segs, count, {}, error);
    const callback2 = (_arg: null, segs: SegList, count: number, mapSize: number, error: Errno) =>
      this.#calledBack(op, segs, count, { mapSize }, error);
    const loaded = (): Errno => {
      switch (op.op) {
        case "load_buffer":
          return map.load(op.va, op.len, callback, null, flags);
        case "load_mbuf":
          return map.loadMbuf(chainOf(machine, op.mbufs, op.packetLength), callback2, null, flags);
        case "load_uio":
          return map.loadUio(uioOf(machine, op.uio), callback2, null, flags);
        case "load_bio":
          return map.loadBio(bioOf(machine, op.bio), callback, null, flags);
        case "load_ccb":
          return map.loadCcb(ccbOf(machine, op.ccb), callback, null, flags);
        case "load_mem":
          return map.loadMem(memdescOf(machine, op.mem), callback, null, flags);
        default:
          throw new Error(`no operation ${op.op}`);
      }
    };
    return { error: errorName(loaded()) };
  }

  /** A load without a callback: its segments are in a list of the caller's. */
  #loadList(op: Op): Outcome {
    const map = this.#map(op.map);
    const machine = this.#machine;
    const flags = bitsOf(BusDma, op.flags);
    const segs = this.#tag(op.tag).segList();
    const error =
      op.op === "load_mbuf_sg"
        ? map.loadMbufSg(chainOf(machine, op.mbufs, op.packetLength), segs, flags)
        : map.loadPagesSg(framesOf(machine, op.pages), op.offset, op.len, segs, flags);
    if (error !== 0) return { error: errorName(error) };
    const segments = segmentsOf(segs);
    this.#loaded.set(op.map, segments);
    return { error: null, segments };
  }

  /** The callback of a load. */
  #calledBack(op: Op, segs: SegList, count: number, size: object, error: Errno): void {
    const segments = segmentsOf(segs);
    if (count !== segments.length) throw new Error(`${count} segments announced`);
    this.#events.push({ callback: op.map, error: errorName(error), segments, ...size });
    if (error === 0) this.#loaded.set(op.map, segments);
    if (this.#unloadNext.delete(op.map)) this.#unload(op.map);
  }

  // ---- bytes

  #bytes(op: Op): Outcome {
    const machine = this.#machine;
    const segments = this.#loaded.get(op.map) ?? [];
    const length = lengthOf(segments);
    switch (op.op) {
      case "fill":
        machine.write(machine.runs(op.space, op.addr, op.len), pattern(op.seed, op.len));
        return {};
      case "checksum":
        return { crc32: machine.checksum(machine.runs(op.space, op.addr, op.len)) };
      case "device_write":
        machine.write(segments, pattern(op.seed, length));
        return { length };
      case "device_read":
        return { crc32: machine.checksum(segments), length };
      default:
        throw new Error(`no operation ${op.op}`);
    }
  }

  #showZones(): unknown[] {
    return this.#machine.pool.zones.map((zone) => {
      zone.check();
      return {
        alignment: zone.alignment,
        lowaddr: shown(zone.lowAddr),
        total: zone.total,
        free: zone.free,
        reserved: zone.reserved,
        active: zone.active,
        bounced: zone.totalBounced,
        deferred: zone.totalDeferred,
      };
    });
  }
}

/** How an outcome differs from the recorded one; an exception that is no panic of ours always does. */
function compare(expected: Outcome, outcome: Outcome): string[] {
  if ("exception" in outcome) return [`threw ${outcome.exception}`];
  // Which kernels check it is about the original: here every panic stops the machine.
  const { debugOnly: _, ...rest } = expected;
  return differences(rest, outcome);
}

/** Perform a scenario. @returns its failing steps; none: it passes. */
export function replay(scenario: Scenario): Failure[] {
  const { ops } = scenario;
  let run: Replay;
  try {
    run = new Replay(scenario);
  } catch (error) {
    return [{ step: 0, op: "machine", lines: [`cannot be built: ${error as Error}`] }];
  }
  const failures: Failure[] = [];
  for (const [step, op] of ops.entries()) {
    const { outcome, over } = run.perform(op);
    const lines = compare(op.expect, outcome);
    const left = ops.length - step - 1;
    if (over && left > 0) lines.push(`the machine stopped ${left} steps before the end`);
    if (lines.length > 0) failures.push({ step, op: op.op, lines });
    if (over) break;
  }
  return failures;
}
