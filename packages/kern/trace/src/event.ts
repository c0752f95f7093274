/**
 * Trace events and their classes.
 *
 * An event is a constant of the module that records it: a class bit, a name and the names of its
 * numeric arguments. Its identity is a hash of class and name, so a recorded stream means the same
 * in every process. Follows ktr(9) and NetBSD's UVMHIST in purpose.
 *
 * Anyone defines events; `Trace.record` takes them.
 */
import type { Bits } from "@physio/kern";
import { bitset } from "@physio/kern";

/** What may be traced; `Trace.mask` selects. @bsd #P[classes of the parts that exist here] sys/sys/ktr.h */
export const Ktr = bitset<"Ktr">()({
  SCHED: 0x001, //  thread switches, wakeups
  VM: 0x002, //     page allocation and state
  UBC: 0x004, //    getpages and putpages, like ubchist
  BUF: 0x008, //    bufs: start, done, cache hits
  BUSDMA: 0x010, // every bus_dma call
  BOUNCE: 0x020, // reservation, deferral, copies
  DEV: 0x040, //    driver and device: doorbells, commands, interrupts
  FAULT: 0x080, //  bus faults
  VFS: 0x100, //    mounts and lookups
  ALL: 0x1ff,
});
export type Ktr = Bits<"Ktr">;

/** FNV-1a over the UTF-16 units of `text`, 32 bits. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Whether an event stands alone, or begins or ends a span that its first argument identifies. */
export type TracePhase = "instant" | "begin" | "end";

/** One kind of event. Make it with `traceEvent` or `traceSpan` at module level. */
export class TraceEvent {
  readonly cls: Ktr;
  readonly name: string;
  readonly phase: TracePhase;
  /** Names of the arguments in the order of `record`, at most four. */
  readonly args: readonly string[];
  /** Stable over processes: a hash of the class and the name. */
  readonly id: number;

  constructor(cls: Ktr, name: string, phase: TracePhase, args: readonly string[]) {
    this.cls = cls;
    this.name = name;
    this.phase = phase;
    this.args = args;
    this.id = hashText(`${cls}:${name}:${phase}`);
  }
}

/** Define an event: `traceEvent(Ktr.BUF, "biodone", "blkno", "bcount", "error")`. */
export function traceEvent(cls: Ktr, name: string, ...args: readonly string[]): TraceEvent {
  return new TraceEvent(cls, name, "instant", args);
}

/**
 * Define a span: a pair of events with one name. Their first argument tells spans that are open at
 * the same time apart: `traceSpan(Ktr.BUF, "transfer", ["blkno", "bcount"], ["blkno", "error"])`.
 */
export function traceSpan(
  cls: Ktr,
  name: string,
  begin: readonly string[],
  end: readonly string[],
): { readonly begin: TraceEvent; readonly end: TraceEvent } {
  return {
    begin: new TraceEvent(cls, name, "begin", begin),
    end: new TraceEvent(cls, name, "end", end),
  };
}
