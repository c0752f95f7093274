/**
 * The report of who waits for what and who holds it.
 *
 * Made when a thread that somebody waits for can never run again, or on demand. A thread is a line
 * with what its wait channel says of itself; below it, further in, come the threads that have to do
 * something first (`waitOwners`). A thread on the way down to itself is a cycle. Roots are the
 * thread asked about, then threads that no line has named yet, those first that nobody waits for.
 * Threads with nothing to do share one line at the end.
 */
import type { DescribesWait, Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

const channelOf = (thread: Thread): Partial<DescribesWait> =>
  thread.state === ThreadState.ASLEEP ? ((thread.channel ?? {}) as Partial<DescribesWait>) : {};

const ownersOf = (thread: Thread): Thread[] => [...(channelOf(thread).waitOwners?.() ?? [])];

const nameOf = (thread: Thread): string => `thread ${thread.id} "${thread.name}"`;

function stateOf(thread: Thread): string {
  if (thread.state === ThreadState.DEAD) return "has ended";
  if (thread.state === ThreadState.RUNNING) return "runs";
  if (thread.state === ThreadState.RUNNABLE) return "is runnable";
  const until = thread.timeout.pending ? ` until ${thread.timeout.time} ns` : "";
  const what = channelOf(thread).describeWait?.();
  return `sleeps on "${thread.waitMessage}"${until}${what === undefined ? "" : `: ${what}`}`;
}

/** The lines of a report as they come. */
class WaitTree {
  readonly lines: string[];
  readonly #seen: Set<Thread>;
  /** From the root down to the thread at hand. */
  readonly #path: Thread[];

  constructor() {
    this.lines = [];
    this.#seen = new Set();
    this.#path = [];
  }

  has(thread: Thread): boolean {
    return this.#seen.has(thread);
  }

  add(thread: Thread): void {
    const indent = "  ".repeat(this.#path.length + 1);
    if (this.#seen.has(thread)) {
      const again = this.#path.includes(thread) ? " again: a cycle" : ": see above";
      this.lines.push(`${indent}-> ${nameOf(thread)}${again}`);
      return;
    }
    this.#seen.add(thread);
    this.lines.push(`${indent}${nameOf(thread)} ${stateOf(thread)}`);
    this.#path.push(thread);
    for (const owner of ownersOf(thread)) this.add(owner);
    this.#path.pop();
  }
}

/** Who waits for what, from `first` down and then all others: a line each, joined. */
export function waitReport(threads: Iterable<Thread>, first: Thread | null = null): string {
  const tree = new WaitTree();
  if (first !== null) tree.add(first);
  const all = [...threads];
  const idle = all.filter((thread) => channelOf(thread).idleWait === true && !tree.has(thread));
  const others = all.filter((thread) => !idle.includes(thread));
  const awaited = new Set(others.filter((t) => !tree.has(t)).flatMap(ownersOf));
  for (const thread of others) if (!tree.has(thread) && !awaited.has(thread)) tree.add(thread);
  for (const thread of others) if (!tree.has(thread)) tree.add(thread); // nothing but cycles
  const left = idle.filter((thread) => !tree.has(thread));
  if (left.length > 0) tree.lines.push(`  idle: ${left.map(nameOf).join(", ")}`);
  return tree.lines.join("\n");
}

/** `deadlock: …` and who waits for what. */
export function deadlockReport(threads: Iterable<Thread>, stuck: Thread): string {
  const why = `"${stuck.name}" cannot go on`;
  return `deadlock: ${why}; nothing is runnable and no event is due\n${waitReport(threads, stuck)}`;
}
