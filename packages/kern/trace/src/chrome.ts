/**
 * The trace as Chrome trace JSON, which Perfetto and chrome://tracing open.
 *
 * One process, one track a thread (0 is the hardware). Single events are instants on the track of
 * the thread that ran; spans (a transfer, a command) are asynchronous pairs on tracks of their own,
 * because they begin in one thread and end in another. Times are virtual microseconds. Follows the
 * Trace Event Format.
 */
import { formatBits } from "@physio/kern";
import { Ktr } from "./event.ts";
import type { Trace, TraceEntry } from "./trace.ts";

/** One event of the format; fields by their names there. */
export interface ChromeEvent {
  readonly name: string;
  readonly ph: "M" | "i" | "b" | "e";
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly cat?: string;
  readonly id?: string;
  readonly s?: "t";
  readonly args: Readonly<Record<string, number | string>>;
}

export interface ChromeTrace {
  readonly displayTimeUnit: "ns";
  readonly traceEvents: readonly ChromeEvent[];
  readonly otherData: Readonly<Record<string, number | string>>;
}

const PHASES = Object.freeze({ instant: "i", begin: "b", end: "e" } as const);
const PID = 1;

/** Name of the one class of an event: `BUF`. */
const className = (cls: Ktr): string => formatBits(Ktr, cls).replace(/^.*<|>$/g, "");

function convert({ time, thread, event, args }: TraceEntry): ChromeEvent {
  const named = Object.fromEntries(event.args.map((name, i) => [name, args[i]]));
  const common = { name: event.name, pid: PID, tid: thread, ts: time / 1000, args: named };
  const cat = className(event.cls);
  const ph = PHASES[event.phase];
  if (ph === "i") return { ...common, ph, cat, s: "t" };
  return { ...common, ph, cat, id: `${event.name} ${args[0]}` };
}

function metadata(name: string, tid: number, value: string): ChromeEvent {
  return { name, ph: "M", pid: PID, tid, args: { name: value } };
}

/** Convert what the ring holds. @param processName name of the machine */
export function chromeTrace(trace: Trace, processName = "physio"): ChromeTrace {
  const entries = trace.entries();
  const seen = new Set(entries.map((entry) => entry.thread));
  const names = [...trace.threadNames].filter(([id]) => seen.has(id));
  return {
    displayTimeUnit: "ns",
    traceEvents: [
      metadata("process_name", 0, processName),
      ...names.map(([id, name]) => metadata("thread_name", id, name)),
      ...entries.map(convert),
    ],
    otherData: { recorded: trace.recorded, kept: entries.length, hash: trace.hash() },
  };
}
