/**
 * The report of who waits for what and who holds it.
 *
 * Made when a thread that somebody waits for can never run again, or on demand. A thread is a line
 * with what its wait channel says of itself; below it, further in, come the threads that have to do
 * something first (`waitOwners`). A thread on the way down to itself is a cycle. Roots are the
 * thread asked about, then threads that no line has named yet, those first that nobody waits for.
 * Threads with nothing to do share one line at the end.
 *
 * However many threads there are, the report is made and is short: the walk keeps its own stack, and
 * threads further in than DEPTH_MAX or after LINES_MAX lines are counted and not named.
 */
import type { DescribesWait, Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

/** The deepest level of threads that are named; a cycle is told of below it, too. */
const DEPTH_MAX = 64;
/** Lines with threads, and names in the line of the idle ones. */
const LINES_MAX = 256;
const NAMES_MAX = 64;

const channelOf = (thread: Thread): Partial<DescribesWait> =>
  thread.state === ThreadState.ASLEEP ? ((thread.channel ?? {}) as Partial<DescribesWait>) : {};

const ownersOf = (thread: Thread): Iterable<Thread> => channelOf(thread).waitOwners?.() ?? [];

const nameOf = (thread: Thread): string => `thread ${thread.id} "${thread.name}"`;

function stateOf(thread: Thread): string {
  if (thread.state === ThreadState.DEAD) return "has ended";
  if (thread.state === ThreadState.RUNNING) return "runs";
  if (thread.state === ThreadState.RUNNABLE) return "is runnable";
  const until = thread.timeout.pending ? ` until ${thread.timeout.time} ns` : "";
  const what = channelOf(thread).describeWait?.();
  return `sleeps on "${thread.waitMessage}"${until}${what === undefined ? "" : `: ${what}`}`;
}

/** A thread on the way down, and those that it waits for which have not been looked at. */
interface Step {
  readonly thread: Thread;
  readonly owners: Iterator<Thread>;
}

/** The lines of a report as they come. */
class WaitTree {
  readonly lines: string[];
  readonly #seen: Set<Thread>;
  /** From the root down to the thread at hand. */
  readonly #steps: Step[];
  readonly #path: Set<Thread>;
  /** Threads too far in, since the last line. */
  #deep: number;

  constructor() {
    this.lines = [];
    this.#seen = new Set();
    this.#steps = [];
    this.#path = new Set();
    this.#deep = 0;
  }

  get full(): boolean {
    return this.lines.length >= LINES_MAX;
  }

  has(thread: Thread): boolean {
    return this.#seen.has(thread);
  }

  /** A line for `root` and for each thread below it. No effect when the report is full. */
  add(root: Thread): void {
    this.#enter(root);
    for (let step = this.#steps.at(-1); step !== undefined; step = this.#steps.at(-1)) {
      const next = step.owners.next();
      if (next.done === true || this.full) {
        this.#steps.pop();
        this.#path.delete(step.thread);
      } else if (this.#seen.has(next.value)) this.#refer(next.value);
      else this.#enter(next.value);
    }
    this.#tellDeep();
  }

  /** => `thread` is named by no line. */
  #enter(thread: Thread): void {
    if (this.full) return;
    this.#seen.add(thread);
    if (this.#steps.length >= DEPTH_MAX) this.#deep++;
    else this.#say(`${nameOf(thread)} ${stateOf(thread)}`);
    this.#steps.push({ thread, owners: ownersOf(thread)[Symbol.iterator]() });
    this.#path.add(thread);
  }

  /** Another thread waits for `thread`, too; far in, that is told of a cycle only. */
  #refer(thread: Thread): void {
    const cycle = this.#path.has(thread);
    if (!cycle && this.#steps.length >= DEPTH_MAX) return;
    this.#say(`-> ${nameOf(thread)}${cycle ? " again: a cycle" : ": see above"}`);
  }

  #say(words: string): void {
    this.#tellDeep();
    const depth = Math.min(this.#steps.length, DEPTH_MAX);
    this.lines.push("  ".repeat(depth + 1) + words);
  }

  #tellDeep(): void {
    if (this.#deep > 0) this.lines.push(`${"  ".repeat(DEPTH_MAX + 1)}… ${this.#deep} more`);
    this.#deep = 0;
  }
}

/** The threads that the channels of `threads` name, each channel asked once. */
function awaitedBy(threads: readonly Thread[]): Set<Thread> {
  const channels = new Set<unknown>();
  const awaited = new Set<Thread>();
  for (const thread of threads) {
    const { channel } = thread;
    if (channel !== null && channels.has(channel)) continue;
    channels.add(channel);
    for (const owner of ownersOf(thread)) awaited.add(owner);
  }
  return awaited;
}

function namesOf(threads: readonly Thread[]): string {
  const names = threads.slice(0, NAMES_MAX).map(nameOf).join(", ");
  const more = threads.length - NAMES_MAX;
  return more > 0 ? `${names}, … ${more} more` : names;
}

/** Who waits for what, from `first` down and then all others: a line each, joined. */
export function waitReport(threads: Iterable<Thread>, first: Thread | null = null): string {
  const tree = new WaitTree();
  if (first !== null) tree.add(first);
  const idle: Thread[] = [];
  const others: Thread[] = [];
  for (const thread of threads) {
    const isIdle = channelOf(thread).idleWait === true && !tree.has(thread);
    (isIdle ? idle : others).push(thread);
  }
  const awaited = awaitedBy(others.filter((thread) => !tree.has(thread)));
  for (const thread of others) if (!tree.has(thread) && !awaited.has(thread)) tree.add(thread);
  for (const thread of others) if (!tree.has(thread)) tree.add(thread); // nothing but cycles
  const unnamed = others.filter((thread) => !tree.has(thread)).length;
  if (unnamed > 0) tree.lines.push(`  … ${unnamed} more`);
  const left = idle.filter((thread) => !tree.has(thread));
  if (left.length > 0) tree.lines.push(`  idle: ${namesOf(left)}`);
  return tree.lines.join("\n");
}

/** `deadlock: …` and who waits for what. */
export function deadlockReport(threads: Iterable<Thread>, stuck: Thread): string {
  const why = `"${stuck.name}" cannot go on`;
  return `deadlock: ${why}; nothing is runnable and no event is due\n${waitReport(threads, stuck)}`;
}
