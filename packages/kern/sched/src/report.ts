/**
 * The deadlock report: who waits for what.
 *
 * Made when a thread that somebody waits for can never run again. One line a thread, with what its
 * wait channel says of itself (a lock names its owner).
 */
import type { DescribesWait, Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

function line(thread: Thread): string {
  const who = `  thread ${thread.id} "${thread.name}"`;
  if (thread.state !== ThreadState.ASLEEP) return `${who} is runnable`;
  const asleep = `${who} sleeps on "${thread.waitMessage}"`;
  const channel = thread.channel as Partial<DescribesWait> | null;
  return channel?.describeWait === undefined ? asleep : `${asleep}: ${channel.describeWait()}`;
}

/** `deadlock: WHY` and a line for each live thread. */
export function deadlockReport(threads: Iterable<Thread>, why: string): string {
  return [
    `deadlock: ${why}; nothing is runnable and no event is due`,
    ...[...threads].map(line),
  ].join("\n");
}
