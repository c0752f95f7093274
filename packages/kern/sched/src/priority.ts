/**
 * Priorities: numbers from 0 to 255, and lower is better.
 *
 * The numbers and the names are those of FreeBSD's sys/sys/priority.h (release 9): interrupt threads
 * 0–63, threads of the kernel 64–127, realtime 128–159, timeshare 160–223, idle 224–255. There are
 * 64 run queues, so differences below 4 do not count. A thread that sleeps may name the priority that
 * it shall have from its wakeup on; the names of the kernel band say what it waited for.
 *
 * Follows sys/sys/priority.h and the constants of sys/sys/runq.h.
 */
import { panic } from "@physio/kern";

/** Run queues, and priorities that share one. @bsd #Y sys/sys/runq.h RQ_NQS, RQ_PPQ */
export const RUN_QUEUES = 64;
export const PRIORITIES_A_QUEUE = 4;

/** @bsd #Y sys/sys/priority.h */
export const Priority = Object.freeze({
  // Interrupt threads, 0–63: they run before everybody else.
  REALTIME: 0, // the clock
  AV: 4, //       audio and video
  NET: 16, //     network devices
  DISK: 20, //    disks
  ITHD: 20, //    an interrupt thread of which nothing else is said
  TTY: 24, //     terminals
  DULL: 32, //    devices that are in no hurry
  SOFT: 36, //    software interrupts
  // Threads of the kernel, 64–127.
  PSWP: 64, //    swapping
  PVM: 68, //     waits for memory
  PINOD: 72, //   waits for an inode
  PRIBIO: 76, //  waits for block I/O
  PVFS: 80, //    waits in a file system
  PZERO: 84, //   no preference
  KERN: 84, //    the same: what `spawn` gives
  PSOCK: 88, //   waits for a socket
  PWAIT: 92, //   waits for a child
  PLOCK: 100, //  waits for a lock
  PPAUSE: 104, // pauses
  // Threads of user processes.
  RTPRIO: 128, //    realtime, 128–159
  TIMESHARE: 160, // timeshare, 160–223
  IDLE: 224, //      when nobody else wants to run, 224–255
} as const);

/** Panics unless `priority` is a whole number from 0 to 255. */
export function checkPriority(priority: number, who: string): void {
  if (!(Number.isInteger(priority) && priority >= 0 && priority <= 255)) {
    panic(`thread "${who}": priority ${priority}, not a whole number from 0 to 255`);
  }
}
