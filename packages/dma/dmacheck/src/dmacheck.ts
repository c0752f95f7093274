/**
 * dmacheck: a bus_dma backend that wraps another one and names a driver's first wrong call.
 *
 * Put between a machine's backend and its tags, it hears of every call of every map, and through the
 * memory bus of every access by devices and by the CPU. It changes nothing that a correct driver can
 * see; the segments that a callback got are overwritten when the callback has returned.
 *
 * Every checked map has a state in its `md`, so the short ways of maps that never bounce are not
 * taken. The inner backend finds its own state there: it is swapped in for the time of each call,
 * and stays while a map waits, as the pool looks at it.
 */
import type { DmaTag } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import { defineBackend } from "@physio/busdma/impl";
import type { Bytes, Nanoseconds } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { CpuPort, Membus } from "@physio/membus";
import type { CheckedMap } from "./checked-map.ts";
import { Phase } from "./checked-map.ts";
import { Checker } from "./checker.ts";
import type { Creator, Finding } from "./finding.ts";
import { formatFinding } from "./finding.ts";
import type { RecorderOptions } from "./recorder.ts";
import { Recorder } from "./recorder.ts";

const EINPROGRESS: Errno = Errno.EINPROGRESS;

export interface DmacheckOptions extends RecorderOptions {
  /** Whose devices are watched, and whose clock counts. */
  readonly membus: Membus;
  /** The port of the kernel's code; default `membus.cpu`. */
  readonly cpu?: CpuPort;
}

/** A mapping that is loaded. */
export interface LiveMap {
  readonly map: number;
  readonly owner: string | null;
  readonly creator: Creator;
  readonly loadedAt: Nanoseconds;
  readonly bytes: Bytes;
  readonly segments: number;
}

export interface Dmacheck {
  /** Use this one in place of the inner one. */
  readonly backend: DmaBackend;
  /** What was found, oldest first: the first finding only, unless `all`. */
  readonly findings: readonly Finding[];
  /** All findings that were not ignored, kept or not. */
  readonly count: number;
  /** `tag` and the tags below it belong to the driver `owner`: the name of its device's port. */
  own(tag: DmaTag, owner: string): void;
  /** Findings in words, and by driver how many maps exist and are loaded. */
  report(): string;
  /** The mappings that are loaded now. */
  live(): LiveMap[];
  /** Take the watchers off the bus; maps go on being checked. */
  detach(): void;
}

/** Wrap `inner`. => its tags and maps are all made through the wrapper. */
export function dmacheck(inner: DmaBackend, options: DmacheckOptions): Dmacheck {
  const { membus, cpu = membus.cpu } = options;
  const { now } = membus;
  const recorder = new Recorder(options, now);
  const checker = new Checker(recorder, now, membus.ports);
  membus.watcher = checker.accesses;
  cpu.watcher = checker.accesses;
  return {
    backend: wrap(inner, checker),
    findings: recorder.findings,
    get count() {
      return recorder.count;
    },
    own: (tag, owner) => checker.own(tag, owner),
    report: () => report(checker),
    live: () => checker.accesses.live.map(describe),
    detach: () => {
      if (membus.watcher === checker.accesses) membus.watcher = null;
      if (cpu.watcher === checker.accesses) cpu.watcher = null;
    },
  };
}

function wrap(inner: DmaBackend, checker: Checker): DmaBackend {
  return defineBackend({
    name: `${inner.name}, checked`,
    ...making(inner, checker),
    ...loading(inner, checker),
    ...using(inner, checker),
  });
}

type Making =
  | "tagCreate"
  | "tagDestroy"
  | "tagBusy"
  | "mapCreate"
  | "mapDestroy"
  | "memAlloc"
  | "memFree";

/** Tags, maps and memory come and go. */
function making(inner: DmaBackend, checker: Checker): Pick<DmaBackend, Making> {
  const { accesses } = checker;
  return {
    tagCreate: (tag) => inner.tagCreate(tag),
    tagDestroy: (tag) => {
      checker.destroyingTag(tag);
      inner.tagDestroy(tag);
    },
    tagBusy: (tag) => checker.destroyingTag(tag),
    mapCreate: (tag, map, flags) => checker.made(tag, map, inner.mapCreate(tag, map, flags)),
    mapDestroy: (tag, map) => {
      const checked = checker.find(map);
      checker.destroying(checked);
      map.md = checked.inner;
      const error = inner.mapDestroy(tag, map);
      checked.inner = map.md;
      if (error === Errno.OK) checker.gone(checked);
      else map.md = checked;
      return error;
    },
    memAlloc: (tag, map, flags) => {
      accesses.inside++;
      try {
        const memory = inner.memAlloc(tag, map, flags);
        if (memory !== null) map.md = checker.made(tag, map, map.md);
        return memory;
      } finally {
        accesses.inside--;
      }
    },
    memFree: (tag, memory, map) => {
      const checked = checker.find(map);
      checker.destroying(checked);
      checker.gone(checked);
      map.md = checked.inner;
      accesses.inside++;
      try {
        inner.memFree(tag, memory, map);
      } finally {
        accesses.inside--;
      }
    },
  };
}

/** Loads, up to the end of their callbacks. */
function loading(
  inner: DmaBackend,
  checker: Checker,
): Pick<DmaBackend, "loadBuffer" | "loadPhys" | "loadPages" | "complete" | "delivered"> {
  return {
    loadBuffer: (tag, map, pmap, va, len, flags, segs) => {
      const checked = checker.loading(map);
      checked.addVirtual(pmap, va, len);
      map.md = checked.inner;
      const error = inner.loadBuffer(tag, map, pmap, va, len, flags, segs);
      return loaded(checker, checked, error);
    },
    loadPhys: (tag, map, pa, len, flags, segs) => {
      const checked = checker.loading(map);
      checked.addPhysical(pa, len);
      map.md = checked.inner;
      return loaded(checker, checked, inner.loadPhys(tag, map, pa, len, flags, segs));
    },
    loadPages: (tag, map, ma, offset, len, flags, segs) => {
      const checked = checker.loading(map);
      checked.addPages(ma, offset, len);
      map.md = checked.inner;
      return loaded(checker, checked, inner.loadPages(tag, map, ma, offset, len, flags, segs));
    },
    complete: (tag, map, segs, error) => {
      const checked = checker.find(map);
      if (checked.inner !== null) {
        map.md = checked.inner;
        inner.complete(tag, map, segs, error);
        checked.inner = map.md;
      }
      map.md = checked;
      checker.complete(checked, segs, error);
    },
    delivered: (_tag, map, segs) => checker.delivered(map, segs),
  };
}

/** What is done with a map that is loaded. */
function using(
  inner: DmaBackend,
  checker: Checker,
): Pick<DmaBackend, "sync" | "unload" | "isIdentity"> {
  return {
    sync: (tag, map, ops) => {
      const checked = checker.find(map);
      checker.syncing(checked, ops);
      if (checked.inner !== null) within(checker, checked, () => inner.sync(tag, map, ops));
    },
    unload: (tag, map) => {
      const checked = checker.find(map);
      checker.unloading(checked);
      if (checked.inner !== null) within(checker, checked, () => inner.unload(tag, map));
      checker.unloaded(checked);
    },
    isIdentity: (tag, pa, len) => inner.isIdentity(tag, pa, len),
  };
}

/** The inner backend has taken a range. A map that waits keeps the inner state for the pool to see. */
function loaded(checker: Checker, checked: CheckedMap, error: Errno): Errno {
  const { map } = checked;
  checked.inner = map.md;
  if (error === EINPROGRESS) checker.waits(checked);
  else map.md = checked;
  return error;
}

/** A call of the inner backend that copies and maintains: what the CPU does in it is not the driver's doing. => the map has a state of its: else it would not be called. */
function within(checker: Checker, checked: CheckedMap, call: () => void): void {
  const { map } = checked;
  const { accesses } = checker;
  map.md = checked.inner;
  accesses.inside++;
  try {
    call();
  } finally {
    accesses.inside--;
    checked.inner = map.md;
    if (checked.phase !== Phase.WAITING) map.md = checked;
  }
}

const describe = (map: CheckedMap): LiveMap => ({
  map: map.id,
  owner: map.owner,
  creator: map.creator,
  loadedAt: map.loadedAt,
  bytes: map.states.total,
  segments: map.segCount,
});

/** Findings, then what each driver has. */
function report(checker: Checker): string {
  const { findings, count } = checker.recorder;
  const parts = findings.map(formatFinding);
  if (count > findings.length) parts.push(`and ${count - findings.length} more`);
  if (count === 0) parts.push("dmacheck: no findings");
  const owners = new Map<string, { maps: number; loaded: number }>();
  for (const map of checker.maps) {
    const name = map.owner ?? "(no name)";
    const sums = owners.get(name) ?? { maps: 0, loaded: 0 };
    sums.maps++;
    if (map.liveAt >= 0) sums.loaded++;
    owners.set(name, sums);
  }
  for (const [name, { maps, loaded: live }] of owners) {
    parts.push(`${name}: ${maps} maps, ${live} loaded`);
  }
  return parts.join("\n");
}
