/**
 * The list of a task queue: rounds, then priorities, then first come, first served.
 *
 *   [round 7: priority 9, 4, 4] [round 8: priority 200, 0]
 *
 * A round ends when somebody begins to wait for everything that is on the list; what is inserted
 * later, however urgent, goes behind. That is what the barrier task of sys/kern/subr_taskqueue.c is
 * for, without the task.
 *
 * Invariant: rounds ascend along the list, and priorities do not ascend within a round. Only
 * TaskQueue may call this.
 */
import { panic, Tailq } from "@physio/kern";
import type { Task } from "./task.ts";

const inOrder = (a: Task, b: Task): boolean =>
  a.round < b.round || (a.round === b.round && a.priority >= b.priority);

export class TaskList {
  /** The round in which tasks are inserted now. */
  round: number;
  readonly #tasks: Tailq<Task>;

  constructor() {
    this.round = 0;
    this.#tasks = new Tailq<Task>();
  }

  get length(): number {
    return this.#tasks.length;
  }

  get first(): Task | null {
    return this.#tasks.first;
  }

  /** => `task` is on no list. */
  insert(task: Task): void {
    task.round = this.round;
    let before = this.#tasks.last;
    while (before !== null && !inOrder(before, task)) before = before.prev;
    this.#tasks.insertBefore(before === null ? this.#tasks.first : before.next, task);
  }

  /** => `task` is on this list. */
  remove(task: Task): void {
    this.#tasks.remove(task);
  }

  /** Whether a task is left that was inserted in `round` or earlier. */
  hasRound(round: number): boolean {
    const first = this.#tasks.first;
    return first !== null && first.round <= round;
  }

  /** Panic unless the list is in order and its tasks are pending. */
  check(): void {
    for (const task of this.#tasks) {
      const next = task.next;
      if (!(task.pending > 0)) panic(`tasklist: a task with pending ${task.pending}`);
      if (!(task.round <= this.round && (next === null || inOrder(task, next)))) {
        panic(
          `tasklist: round ${task.round} priority ${task.priority} before round ${next?.round} priority ${next?.priority}, in round ${this.round}`,
        );
      }
    }
  }
}
