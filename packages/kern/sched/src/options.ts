/**
 * What a scheduler is made with. Read once, by its constructor.
 */
import type { Trace } from "@physio/trace";
import type { Choices, RandomSource } from "./choices.ts";

export interface SchedulerOptions {
  /** Gets its clock from this scheduler, and serves no other one. */
  readonly trace?: Trace;
  /** Chooses by chance; ignored with `choices`. */
  readonly random?: RandomSource;
  /** Absent, as well as `random`: first come, first served. */
  readonly choices?: Choices;
}
