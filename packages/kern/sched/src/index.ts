export type { CalloutOptions } from "./callout.ts";
export { Callout, Softclock } from "./callout.ts";
export type { Choices, RandomSource, RecordingChoices, ReplayChoices } from "./choices.ts";
export {
  ChoiceKind,
  firstComeChoices,
  recordingChoices,
  replayChoices,
  seededChoices,
} from "./choices.ts";
export { CondVar } from "./condvar.ts";
export type { CredentialsOptions } from "./cred.ts";
export { Credentials, ROOT_CRED } from "./cred.ts";
export type { Event } from "./events.ts";
export type { MutexOptions } from "./mutex.ts";
export { Mutex } from "./mutex.ts";
export type { SchedulerOptions } from "./options.ts";
export type { OutsideCall } from "./outside.ts";
export { Priority } from "./priority.ts";
export type { RwMode } from "./rwlock.ts";
export { RW_READER, RW_WRITER, RwLock } from "./rwlock.ts";
export type { ScheduleJson } from "./schedule.ts";
export { Schedule } from "./schedule.ts";
export { Scheduler } from "./scheduler.ts";
export { SoftIntr } from "./softintr.ts";
export type { TaskHandler } from "./task.ts";
export { Task, TimeoutTask } from "./task.ts";
export type { TaskQueueOptions } from "./taskqueue.ts";
export { TaskQueue } from "./taskqueue.ts";
export type { DescribesWait, Sleep, Sleeps, Thread, WaitChannel } from "./thread.ts";
export { ThreadState } from "./thread.ts";
