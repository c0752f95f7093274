export type { Event } from "./events.ts";
export { Mutex } from "./mutex.ts";
export type { RwMode } from "./rwlock.ts";
export { RW_READER, RW_WRITER, RwLock } from "./rwlock.ts";
export type { RandomSource, SchedulerOptions } from "./scheduler.ts";
export { Scheduler } from "./scheduler.ts";
export { SoftIntr } from "./softintr.ts";
export type { DescribesWait, Sleep, Sleeps, Thread, WaitChannel } from "./thread.ts";
export { Priority, ThreadState } from "./thread.ts";
