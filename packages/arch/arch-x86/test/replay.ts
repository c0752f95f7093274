/**
 * Replays recorded bus_dma scenarios and compares every outcome.
 *
 * A scenario is covered when all its operations and carriers exist here; the others are counted by
 * what is missing. Only a Panic of ours answers a recorded panic: any other exception leaves.
 */
import { isDeepStrictEqual } from "node:util";
import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BUS_DMA_LOCK, BusDma, createTag, SEED, Sync } from "@physio/busdma";
import type { Memdesc } from "@physio/carriers";
import { Bio, BioFlag } from "@physio/carriers";
import type { Errno } from "@physio/kern";
import { ErrnoError, errnoName, MAXADDR, PAGE_SIZE, Panic } from "@physio/kern";
import type { Run } from "./scenario-machine.ts";
import { pattern, ScenarioMachine } from "./scenario-machine.ts";
import type { BioSpec, Limit, MemSpec, Op, Scenario } from "./vectors.ts";

type Outcome = Record<string, unknown>;

const OPS = new Set(
  (
    "tag_create tag_destroy map_create map_destroy load_buffer load_bio load_mem load_page_list " +
    "sync unload run_deferred is_identity fill checksum device_write device_read"
  ).split(" "),
);
const CARRIERS = new Set(["VADDR", "PADDR", "VLIST", "PLIST", "BIO"]);

/** What our panics say, by the recorded code. */
const PANICS: Readonly<Record<string, RegExp>> = {
  "vlist-offset-past-segment": /^vlist: offset/,
  "default-lock-called": /without a lock function/,
  "bounce-copy-size-mismatch": /a page that was not recorded/,
  "page-list-chunk-overrun": /overruns the transfer/,
  "alignment-not-power-of-two": /alignment .* is not a power of 2/,
  "boundary-not-power-of-two": /boundary .* is not a power of 2/,
};

/** What a scenario uses that does not exist here; empty when it is covered. */
export function missing(scenario: Scenario): Set<string> {
  const kinds = new Set<string>();
  for (const op of scenario.ops) {
    if (!OPS.has(op.op)) kinds.add(op.op);
    if (op.op === "tag_create" && op.filter !== null) kinds.add("filter");
    if (op.op === "load_mem" && !CARRIERS.has(op.mem.type)) kinds.add(`load_mem ${op.mem.type}`);
  }
  return kinds;
}

const limitOf = (n: Limit): number => (n === "MAXADDR" ? MAXADDR : n);
const shown = (n: number): Limit => (n === MAXADDR ? "MAXADDR" : n);
const errorName = (error: Errno): string | null => (error === 0 ? null : errnoName(error));
const bitsOf = (family: Readonly<Record<string, number>>, names: readonly string[]): number =>
  names.reduce((sum, name) => sum | family[name], 0);
const ranges = (list: readonly (readonly [number, number])[]) =>
  list.map(([base, length]) => ({ base, length }));

class Replay {
  readonly #machine: ScenarioMachine;
  readonly #tags: Map<string, DmaTag>;
  readonly #maps: Map<string, DmaMap>;
  readonly #loaded: Map<string, Run[]>;
  #events: unknown[];
  #zones: unknown[];

  constructor(scenario: Scenario) {
    this.#machine = new ScenarioMachine(scenario.machine, SEED);
    this.#tags = new Map();
    this.#maps = new Map();
    this.#loaded = new Map();
    this.#events = [];
    this.#zones = [];
  }

  /** Do one operation. @returns its outcome in the shape of `expect`. */
  perform(op: Op): Outcome {
    this.#events = [];
    let outcome: Outcome;
    try {
      outcome = this.#operation(op);
    } catch (error) {
      if (!(error instanceof Panic)) throw error;
      outcome = { panic: error.message };
    }
    if (this.#events.length > 0) outcome.events = this.#events;
    const zones = this.#showZones();
    if (!isDeepStrictEqual(zones, this.#zones)) outcome.zones = zones;
    this.#zones = zones;
    return outcome;
  }

  #operation(op: Op): Outcome {
    switch (op.op) {
      case "tag_create":
        return this.#edge(() => this.#createTag(op));
      case "tag_destroy":
        return { error: errorName(this.#tag(op).destroy()) };
      case "map_create":
        return this.#edge(() => {
          const map = this.#tag(op).createMap();
          this.#maps.set(op.map, map);
          return { trivial: map.md === null };
        });
      case "map_destroy":
        return { error: errorName(this.#map(op).destroy()) };
      case "sync":
        this.#map(op).sync(bitsOf(Sync, op.operations));
        return {};
      case "unload":
        this.#unload(op.map);
        return {};
      case "run_deferred":
        this.#machine.sched.pump();
        return {};
      case "is_identity": {
        const tag = this.#tag(op);
        return { identity: tag.backend.isIdentity(tag, op.pa, op.len) };
      }
      default:
        return op.op.startsWith("load_") ? this.#load(op) : this.#bytes(op);
    }
  }

  #tag(op: Op): DmaTag {
    return this.#tags.get(op.tag)!;
  }

  #map(op: Op): DmaMap {
    return this.#maps.get(op.map)!;
  }

  #edge(create: () => Outcome): Outcome {
    try {
      return { error: null, ...create() };
    } catch (error) {
      if (error instanceof ErrnoError) return { error: error.code };
      throw error;
    }
  }

  #createTag(op: Op): Outcome {
    const lock = (which: number) =>
      this.#events.push({ lock: which === BUS_DMA_LOCK ? "acquire" : "release", tag: op.tag });
    const tag = createTag(
      this.#machine.context,
      op.parent === null ? null : this.#tags.get(op.parent)!,
      {
        alignment: op.alignment,
        boundary: op.boundary,
        lowAddr: limitOf(op.lowaddr),
        highAddr: limitOf(op.highaddr),
        maxSize: limitOf(op.maxsize),
        segments: op.nsegments,
        maxSegSize: limitOf(op.maxsegsz),
        flags: bitsOf(BusDma, op.flags),
        ...(op.lock === null ? {} : { lock }),
      },
    );
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

  #unload(name: string): void {
    this.#maps.get(name)!.unload();
    this.#loaded.delete(name);
  }

  // ---- loads

  #load(op: Op): Outcome {
    const map = this.#map(op);
    const flags = bitsOf(BusDma, op.flags ?? []);
    if (op.op === "load_page_list") return this.#loadPageList(op, map);
    const callback = (_arg: null, segs: SegList, count: number, error: Errno) => {
      const segments = segs.toArray().map((s): Run => [s.addr as number, s.len]);
      if (count !== segments.length) throw new Error(`${count} segments announced`);
      this.#events.push({ callback: op.map, error: errorName(error), segments });
      if (error === 0) this.#loaded.set(op.map, segments);
      if (op.unloadInCallback === true) this.#unload(op.map);
    };
    const answer = () => {
      if (op.op === "load_buffer") return map.load(op.va, op.len, callback, null, flags);
      if (op.op === "load_bio") return map.loadBio(this.#bio(op.bio), callback, null, flags);
      return map.loadMem(this.#memdesc(op.mem), callback, null, flags);
    };
    return { error: errorName(answer()) };
  }

  /** The page-by-page helper is a physical list of pages without a callback, never deferred. */
  #loadPageList(op: Op, map: DmaMap): Outcome {
    const list: { base: number; length: number }[] = [];
    for (let done = 0, i = 0; done < op.len; i++) {
      const offset = i === 0 ? op.offset : 0;
      const length = Math.min(op.len - done, PAGE_SIZE - offset);
      list.push({ base: op.pages[i] + offset, length });
      done += length;
    }
    let outcome: Outcome = {};
    const callback = (_arg: null, segs: SegList, _count: number, error: Errno) => {
      const segments = segs.toArray().map((s): Run => [s.addr as number, s.len]);
      outcome = error === 0 ? { error: null, segments } : { error: errnoName(error) };
      if (error === 0) this.#loaded.set(op.map, segments);
    };
    map.loadMem({ kind: "plist", list }, callback, null, BusDma.NOWAIT);
    return outcome;
  }

  #memdesc(mem: MemSpec): Memdesc {
    switch (mem.type) {
      case "VADDR":
        return { kind: "vaddr", va: mem.va!, length: mem.len! };
      case "PADDR":
        return { kind: "paddr", pa: mem.pa!, length: mem.len! };
      case "BIO":
        return { kind: "bio", bio: this.#bio(mem.bio!) };
      default:
        return { kind: mem.type === "VLIST" ? "vlist" : "plist", list: ranges(mem.list!) };
    }
  }

  #bio(spec: BioSpec): Bio {
    const bio = new Bio();
    bio.bcount = spec.bcount;
    bio.maOffset = spec.offset ?? 0;
    if (spec.kind === "mapped") bio.data = spec.va!;
    if (spec.kind === "unmapped") {
      bio.flags = BioFlag.UNMAPPED;
      bio.ma = spec.pages!.map((pa) => this.#machine.mem.frameOf(pa));
    }
    if (spec.kind === "vlist") {
      bio.flags = BioFlag.VLIST;
      bio.vlist = ranges(spec.list!);
    }
    return bio;
  }

  // ---- bytes

  #bytes(op: Op): Outcome {
    const machine = this.#machine;
    const segments = this.#loaded.get(op.map) ?? [];
    const length = segments.reduce((sum, [, len]) => sum + len, 0);
    switch (op.op) {
      case "fill":
        machine.write(machine.runs(op.space, op.addr, op.len), pattern(op.seed, op.len));
        return {};
      case "checksum":
        return { crc32: machine.checksum(machine.runs(op.space, op.addr, op.len)) };
      case "device_write":
        machine.write(segments, pattern(op.seed, length));
        return { length };
      default:
        return { crc32: machine.checksum(segments), length };
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

/** The recorded outcome, with a recorded panic in our words when `got` says the same. */
function wanted(expect: Outcome, got: Outcome): Outcome {
  const { debugOnly: _, ...rest } = expect;
  const says = PANICS[String(rest.panic)];
  if (says?.test(String(got.panic))) rest.panic = got.panic;
  return rest;
}

/** Perform a covered scenario. @returns null, or the first outcome that differs. */
export function replay(scenario: Scenario): Outcome | null {
  const run = new Replay(scenario);
  for (const [index, op] of scenario.ops.entries()) {
    const got = run.perform(op);
    const want = wanted(op.expect, got);
    if (!isDeepStrictEqual(got, want)) return { id: scenario.id, index, op: op.op, want, got };
    if ("panic" in got) break;
  }
  return null;
}
