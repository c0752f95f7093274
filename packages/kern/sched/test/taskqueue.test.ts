/** Task queues: small runs by hand, the waits, and broken contracts. */
import { Errno, ErrnoError, Panic } from "@physio/kern";
import type { Sleeps, TaskHandler, TaskQueueOptions } from "@physio/sched";
import { Scheduler, Task, TaskQueue, TimeoutTask } from "@physio/sched";
import { describe, expect, test } from "vitest";

/** A task queue, and tasks that log what they do. */
function bench(options: TaskQueueOptions = {}) {
  const sched = new Scheduler();
  const queue = new TaskQueue(sched, "q", options);
  const log: string[] = [];
  const say = (words: string) => log.push(`${sched.now} ${words}`);
  /** A plain task. */
  const plain = (name: string, priority = 0) =>
    new Task(priority, (pending) => void say(`${name} x${pending}`));
  /** A task that sleeps for `time` ns. */
  const slow = (name: string, time: number, priority = 0) =>
    new Task(priority, function* (pending): Sleeps<void> {
      say(`${name} x${pending}`);
      yield* sched.pause(name, time);
      say(`${name} done`);
    });
  return { sched, queue, log, say, plain, slow };
}

describe("tasks run", () => {
  test("best priority first, first come, first served within one, and are told how often", () => {
    const { sched, queue, log, plain } = bench();
    const tasks = [plain("a", 1), plain("b", 9), plain("c", 1), plain("d", 255), plain("e", 9)];
    for (const task of tasks) queue.enqueue(task);
    queue.enqueue(tasks[0]);
    queue.enqueue(tasks[0]);
    queue.check();
    expect([queue.length, tasks[0].pending]).toEqual([5, 3]);
    sched.pump();
    expect(log).toEqual(["0 d x1", "0 b x1", "0 e x1", "0 a x3", "0 c x1"]);
    expect([queue.length, queue.busy, tasks[0].pending]).toEqual([0, 0, 0]);
  });

  test("when hardware events and other handlers enqueue them", () => {
    const { sched, queue, log, say, plain } = bench();
    const second = plain("second");
    const first = new Task(0, () => {
      say("first");
      queue.enqueue(second);
    });
    sched.after(
      sched.event(() => queue.enqueue(first)),
      10,
    );
    sched.pump();
    expect(log).toEqual(["10 first", "10 second x1"]);
  });

  test("again if they are enqueued while they run", () => {
    const { sched, queue, log, say } = bench();
    const task: Task = new Task(0, (pending) => {
      say(`run x${pending}`);
      if (log.length > 2) return;
      queue.enqueue(task);
      queue.enqueue(task);
    });
    queue.enqueue(task);
    sched.pump();
    expect(log).toEqual(["0 run x1", "0 run x2", "0 run x2"]);
  });

  test("one after the other in one thread, beside each other in two", () => {
    const expected = [
      ["0 a x1", "10 a done", "10 b x1", "20 b done", "20 c x1"],
      ["0 a x1", "0 b x1", "10 a done", "10 c x1", "10 b done"],
    ];
    for (const threads of [1, 2]) {
      const { sched, queue, log, slow, plain } = bench({ threads });
      sched.pump(); // the threads are idle
      for (const task of [slow("a", 10), slow("b", 10), plain("c")]) queue.enqueue(task);
      sched.pump();
      expect(log).toEqual(expected[threads - 1]);
    }
  });

  test("twice at one time if they sleep and there is a second thread", () => {
    const { sched, queue, log, slow } = bench({ threads: 2 });
    const task = slow("a", 10);
    queue.enqueue(task);
    sched.after(
      sched.event(() => queue.enqueue(task)),
      4,
    );
    sched.after(
      sched.event(() => expect([task.running, queue.busy, queue.cancel(task)]).toEqual([2, 2, 16])),
      6,
    );
    sched.pump();
    expect(log).toEqual(["0 a x1", "4 a x1", "10 a done", "14 a done"]);
  });

  test("in threads that are members, and nobody else is", () => {
    const { sched, queue } = bench({ threads: 3 });
    const seen: boolean[] = [];
    queue.enqueue(new Task(0, () => void seen.push(queue.member(sched.current!))));
    sched.pump();
    const outsider = function* (): Sleeps<boolean> {
      yield* sched.preempt();
      return queue.member(sched.current!);
    };
    expect([...seen, sched.runSync(outsider())]).toEqual([true, false]);
    expect(sched.threads().map((thread) => thread.name)).toEqual([
      "q taskq 0",
      "q taskq 1",
      "q taskq 2",
    ]);
  });

  test("as plain ones whatever a plain handler returns", () => {
    const { sched, queue, log, plain } = bench();
    const results = [7, null, "text", [], { next: null }, () => {}];
    for (const result of results) queue.enqueue(new Task(0, (() => result) as TaskHandler));
    queue.enqueue(plain("last"));
    sched.pump();
    expect(log).toEqual(["0 last x1"]);
  });
});

describe("cancel", () => {
  test("takes a pending task back and gives the count; nothing else changes", () => {
    const { sched, queue, log, plain } = bench();
    const [a, b] = [plain("a"), plain("b")];
    expect([queue.cancel(a), a.cancelled]).toEqual([Errno.OK, 0]);
    for (const task of [a, b, a]) queue.enqueue(task);
    expect([queue.cancel(a), a.cancelled, a.pending]).toEqual([Errno.OK, 2, 0]);
    expect([queue.cancel(a), a.cancelled]).toEqual([Errno.OK, 0]);
    sched.pump();
    expect(log).toEqual(["0 b x1"]);
  });

  test("says EBUSY when the handler runs, and takes back what is pending besides", () => {
    const { sched, queue, log, slow } = bench();
    const a = slow("a", 10);
    queue.enqueue(a);
    sched.after(
      sched.event(() => {
        queue.enqueue(a);
        expect([queue.cancel(a), a.cancelled, queue.cancel(a), a.cancelled]).toEqual([
          Errno.EBUSY,
          1,
          Errno.EBUSY,
          0,
        ]);
      }),
      5,
    );
    sched.pump();
    expect(log).toEqual(["0 a x1", "10 a done"]);
    expect(queue.cancel(a)).toBe(Errno.OK);
  });

  test("lets those go on who drain the task", () => {
    const { sched, queue, plain } = bench();
    const a = plain("a");
    queue.block();
    queue.enqueue(a);
    sched.after(
      sched.event(() => expect(queue.cancel(a)).toBe(Errno.OK)),
      5,
    );
    sched.runSync(queue.drain(a));
    expect(sched.now).toBe(5);
  });
});

describe("who waits", () => {
  test("for a task, waits until it is neither pending nor run", () => {
    const { sched, queue, slow } = bench();
    const [a, b] = [slow("a", 10), slow("b", 10)];
    for (const task of [b, a]) queue.enqueue(task);
    sched.after(
      sched.event(() => queue.enqueue(a)),
      15,
    );
    sched.runSync(queue.drain(a));
    expect([sched.now, a.running, a.pending]).toEqual([30, 0, 0]);
    sched.runSync(queue.drain(new Task(0, () => {}))); // never enqueued
    expect(sched.now).toBe(30);
  });

  test("for everything so far, does not wait for what comes later, however urgent", () => {
    const { sched, queue, log, slow } = bench();
    for (const task of [slow("a", 10), slow("b", 10)]) queue.enqueue(task);
    const later = slow("later", 10, 255);
    sched.after(
      sched.event(() => queue.enqueue(later)),
      5,
    );
    sched.runSync(queue.drainAll());
    expect([sched.now, later.pending + later.running]).toEqual([20, 1]);
    queue.check();
    sched.pump();
    expect(log.at(-1)).toBe("30 later done");
    sched.runSync(queue.drainAll());
    expect(sched.now).toBe(30);
  });

  test("for quiet, waits for what comes later as well", () => {
    const { sched, queue, slow } = bench({ threads: 2 });
    queue.enqueue(slow("a", 10));
    const later = slow("later", 10);
    sched.after(
      sched.event(() => queue.enqueue(later)),
      5,
    );
    sched.runSync(queue.quiesce());
    expect([sched.now, queue.length, queue.busy]).toEqual([15, 0, 0]);
  });

  test("twice for everything, has two rounds on the list", () => {
    const { sched, queue, log, plain } = bench();
    const ends: string[] = [];
    const waiter = function* (name: string): Sleeps<void> {
      yield* queue.drainAll();
      ends.push(`${name} after ${log.length}`);
    };
    queue.block();
    for (const name of "ab") {
      queue.enqueue(plain(`${name}1`, 1));
      queue.enqueue(plain(`${name}2`, 2));
      sched.spawn(name, waiter(name));
      sched.pump();
      queue.check();
    }
    queue.enqueue(plain("c9", 9));
    queue.unblock();
    sched.pump();
    expect(log.map((line) => line.slice(2, 4))).toEqual(["a2", "a1", "b2", "b1", "c9"]);
    expect(ends).toEqual(["a after 5", "b after 5"]); // one thread runs plain tasks in one go
  });

  test("for a task that cannot go on, is told which thread runs it", () => {
    const { sched, queue } = bench();
    const stuck = new Task(0, function* (): Sleeps<void> {
      yield* sched.sleep({}, "never");
    });
    const behind = new Task(0, () => {});
    for (const task of [stuck, behind]) queue.enqueue(task);
    const report = (wait: Sleeps<void>) => {
      try {
        return sched.runSync(wait);
      } catch (error) {
        return (error as Panic).message.split("\n").slice(1, 3);
      }
    };
    const below = '    thread 1 "q taskq" sleeps on "never"';
    const what = 'a task of task queue "q", pending';
    expect(report(queue.drain(stuck))).toEqual([
      `  thread 2 "main" sleeps on "tq_drain": ${what} 0, running 1`,
      below,
    ]);
    expect(report(queue.drain(behind))).toEqual([
      `  thread 3 "main" sleeps on "tq_drain": ${what} 1, running 0`,
      below,
    ]);
    expect(report(queue.drainAll())).toEqual([
      '  thread 4 "main" sleeps on "tq_drainall": the tasks of task queue "q"',
      below,
    ]);
  });

  test("in vain is told what for", () => {
    const { sched, queue, plain } = bench();
    const a = plain("a");
    queue.block();
    queue.enqueue(a);
    const words = /sleeps on "tq_drain": a task of task queue "q", pending 1, running 0/;
    expect(() => sched.runSync(queue.drain(a))).toThrow(words);
    expect(() => sched.runSync(queue.quiesce())).toThrow(
      /sleeps on "tq_quiesce": the tasks of task queue "q"\n.*\n {2}idle: thread 1 "q taskq"$/,
    );
  });
});

describe("a blocked queue", () => {
  test("starts nothing until it is unblocked; what runs goes on", () => {
    const { sched, queue, log, slow, plain } = bench({ threads: 2 });
    queue.enqueue(slow("a", 10));
    sched.after(
      sched.event(() => {
        queue.block();
        for (const name of "bcd") queue.enqueue(name === "d" ? plain(name) : slow(name, 10));
      }),
      5,
    );
    sched.pump();
    expect([queue.blocked, queue.length, log]).toEqual([true, 3, ["0 a x1", "10 a done"]]);
    queue.unblock();
    queue.unblock();
    queue.check();
    sched.pump();
    expect(log.slice(2)).toEqual(["10 b x1", "10 c x1", "20 b done", "20 d x1", "20 c done"]);
  });

  test("leaves its threads asleep", () => {
    const { sched, queue, plain } = bench();
    sched.pump();
    const { switches } = sched;
    queue.block();
    queue.enqueue(plain("a"));
    sched.pump();
    expect(sched.switches).toBe(switches);
  });

  test("that is blocked again before its threads have run starts nothing", () => {
    const { sched, queue, log, plain } = bench();
    queue.enqueue(plain("a"));
    queue.block();
    sched.pump();
    expect(log).toEqual([]);
    queue.unblock();
    sched.pump();
    expect(log).toEqual(["0 a x1"]);
  });
});

describe("a timeout task", () => {
  const timed = () => {
    const all = bench();
    const timeout = new TimeoutTask(all.queue, 3, (pending) => void all.say(`run x${pending}`));
    return { ...all, timeout };
  };

  test("is enqueued when its time has come; arming it anew moves it", () => {
    const { sched, queue, log, timeout } = timed();
    queue.enqueueTimeout(timeout, 10);
    expect([timeout.armed, timeout.task.pending, timeout.task.priority]).toEqual([true, 0, 3]);
    queue.enqueueTimeout(timeout, 30);
    sched.pump();
    expect([timeout.armed, log]).toEqual([false, ["30 run x1"]]);
    queue.enqueueTimeout(timeout, 10);
    queue.enqueueTimeout(timeout, 0);
    expect(timeout.armed).toBe(false);
    sched.pump();
    expect(log.slice(1)).toEqual(["30 run x1"]);
  });

  test("counts up its task if that is pending already", () => {
    const { sched, queue, log, timeout } = timed();
    queue.block();
    queue.enqueue(timeout.task);
    queue.enqueueTimeout(timeout, 10);
    sched.pump();
    queue.unblock();
    sched.pump();
    expect(log).toEqual(["10 run x2"]);
  });

  test("can be called off before its time and after it", () => {
    const { sched, queue, log, timeout } = timed();
    queue.block();
    const cancelled = () => [queue.cancelTimeout(timeout), timeout.task.cancelled];
    expect(cancelled()).toEqual([Errno.OK, 0]);
    queue.enqueueTimeout(timeout, 10);
    expect(cancelled()).toEqual([Errno.OK, 1]);
    queue.enqueueTimeout(timeout, 10);
    sched.pump();
    queue.enqueueTimeout(timeout, 10);
    expect(cancelled()).toEqual([Errno.OK, 2]);
    queue.unblock();
    sched.pump();
    expect([log, sched.now]).toEqual([[], 10]);
  });

  test("is drained by calling off its time and waiting for its task", () => {
    const { sched, queue, timeout } = timed();
    queue.enqueueTimeout(timeout, 1000);
    queue.enqueue(timeout.task);
    sched.runSync(queue.drainTimeout(timeout));
    expect([sched.now, timeout.armed, timeout.task.pending]).toEqual([0, false, 0]);
  });

  test("belongs to its queue", () => {
    const { sched, queue, timeout } = timed();
    const other = new TaskQueue(sched, "other");
    expect(() => other.enqueueTimeout(timeout, 1)).toThrow(
      'taskqueue "other": a timeout of task queue "q"',
    );
    expect(() => other.cancelTimeout(timeout)).toThrow(Panic);
    expect(() => sched.runSync(other.drainTimeout(timeout))).toThrow(Panic);
    for (const delay of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => queue.enqueueTimeout(timeout, delay)).toThrow(
        `taskqueue "q": a task in ${delay} ns`,
      );
    }
    expect(timeout.armed).toBe(false);
  });
});

describe("shutdown", () => {
  test("runs what is left, also what its handlers add, and ends the threads", () => {
    const { sched, queue, log, slow, plain } = bench({ threads: 2 });
    const last = plain("last");
    queue.block();
    queue.enqueue(slow("a", 10));
    queue.enqueue(
      new Task(0, function* (): Sleeps<void> {
        yield* sched.pause("wait", 20);
        queue.enqueue(last);
      }),
    );
    sched.runSync(queue.shutdown());
    expect(log).toEqual(["0 a x1", "10 a done", "20 last x1"]);
    expect([sched.threads(), queue.length]).toEqual([[], 0]);
  });

  test("is final", () => {
    const { sched, queue, plain } = bench();
    const timeout = new TimeoutTask(queue, 0, () => {});
    queue.enqueueTimeout(timeout, 5);
    expect(() => sched.runSync(queue.shutdown())).toThrow('"q": shut down with 1 timeouts');
    sched.pump();
    sched.runSync(queue.shutdown());
    const a = plain("a");
    expect(() => queue.enqueue(a)).toThrow('taskqueue "q": enqueue after shutdown');
    expect(() => queue.enqueueTimeout(timeout, 5)).toThrow(Panic);
    expect(() => queue.block()).toThrow(Panic);
    expect(() => sched.runSync(queue.shutdown())).toThrow('taskqueue "q": shut down twice');
    expect(a.pending).toBe(0);
  });
});

describe("a broken contract panics:", () => {
  test("a task on two queues", () => {
    const { sched, queue, plain } = bench();
    const other = new TaskQueue(sched, "other");
    const a = plain("a");
    queue.block();
    queue.enqueue(a);
    for (const action of [() => other.enqueue(a), () => other.cancel(a)]) {
      expect(action).toThrow('taskqueue "other": given a task of task queue "q", pending 1');
    }
    expect(() => sched.runSync(other.drain(a))).toThrow(Panic);
    queue.unblock();
    sched.pump();
    expect(other.cancel(a)).toBe(Errno.OK); // now it is free
    other.enqueue(a);
    sched.pump();
    expect(a.queue).toBe(other);
  });

  test("waiting for oneself", () => {
    for (const wait of [
      (queue: TaskQueue, task: Task) => queue.drain(task),
      (queue: TaskQueue) => queue.drainAll(),
      (queue: TaskQueue) => queue.quiesce(),
      (queue: TaskQueue) => queue.shutdown(),
    ]) {
      const { sched, queue } = bench();
      const task: Task = new Task(0, () => wait(queue, task));
      queue.enqueue(task);
      expect(() => sched.pump()).toThrow(/a task drains itself|by its own thread/);
    }
  });

  test("waiting outside of a thread", () => {
    const { queue, plain } = bench();
    const a = plain("a");
    queue.enqueue(a);
    for (const wait of [queue.drain(a), queue.drainAll(), queue.quiesce(), queue.shutdown()]) {
      expect(() => wait.next()).toThrow(Panic);
    }
  });
});

test("numbers out of range are refused, with the value", () => {
  const sched = new Scheduler();
  for (const priority of [-1, 256, 0.5, Number.NaN]) {
    expect(() => new Task(priority, () => {})).toThrow(
      `task: priority ${priority} is not from 0 to 255: EINVAL`,
    );
  }
  for (const threads of [0, -1, 257, 1.5, Number.NaN]) {
    expect(() => new TaskQueue(sched, "q", { threads })).toThrow(ErrnoError);
  }
  expect(sched.threads()).toEqual([]);
});
