/**
 * Choices: where a run of the machine could have gone on in another way.
 *
 * There are two: which of the runnable threads of the best priority runs, and which of the events
 * that are due at the same time happens first. Alternative 0 is the one that came first. A source of
 * choices is asked only when there are at least two alternatives, so what it answers, together with
 * the program, is the run.
 *
 * Called by the scheduler and its clock only; the sources are given to the scheduler.
 */
import { panic } from "@physio/kern";
import { Schedule } from "./schedule.ts";

/** Where random numbers come from: whole numbers, evenly from 0 to 2^32 − 1. */
export interface RandomSource {
  next(): number;
}

export const ChoiceKind = Object.freeze({ THREAD: 0, EVENT: 1 } as const);
export type ChoiceKind = (typeof ChoiceKind)[keyof typeof ChoiceKind];

export interface Choices {
  /** Choose among `count` alternatives. => `count` > 1. @returns a whole number below `count`. */
  choose(kind: ChoiceKind, count: number): number;
}

/** First come, first served: what the scheduler does when it is given nothing. */
export function firstComeChoices(): Choices {
  return { choose: () => 0 };
}

/** Chance: a seed of `random` names the run. */
export function seededChoices(random: RandomSource): Choices {
  return { choose: (_kind, count) => random.next() % count };
}

/** Choices as another source makes them, and the schedule that they add up to. */
export interface RecordingChoices extends Choices {
  readonly schedule: Schedule;
}

/** Choose as `inner` does and write the choices down. */
export function recordingChoices(inner: Choices): RecordingChoices {
  const schedule = new Schedule();
  return {
    schedule,
    choose(kind, count) {
      const chosen = inner.choose(kind, count);
      schedule.add(kind, count, chosen);
      return chosen;
    },
  };
}

/** Choices from a schedule, and how far it has been replayed. */
export interface ReplayChoices extends Choices {
  /** Choices taken so far. */
  readonly position: number;
  /** Panic unless all choices of the schedule have been taken. */
  assertDone(): void;
}

const among = (kind: number, count: number): string =>
  kind === ChoiceKind.THREAD ? `${count} runnable threads` : `${count} events due`;

class Replay implements ReplayChoices {
  position: number;
  readonly #schedule: Schedule;

  constructor(schedule: Schedule) {
    this.position = 0;
    this.#schedule = schedule;
  }

  choose(kind: ChoiceKind, count: number): number {
    const at = this.position;
    const schedule = this.#schedule;
    if (at >= schedule.length) {
      const end = at === 0 ? "is empty" : `ends after choice ${at - 1}`;
      panic(`the schedule ${end}, and there are ${among(kind, count)}`);
    }
    if (schedule.kindAt(at) !== kind || schedule.countAt(at) !== count) {
      const expected = among(schedule.kindAt(at), schedule.countAt(at));
      panic(`the schedule has ${expected} at choice ${at}, there are ${among(kind, count)}`);
    }
    this.position++;
    return schedule.chosenAt(at);
  }

  assertDone(): void {
    const { length } = this.#schedule;
    if (this.position !== length) {
      panic(`the schedule has ${length} choices, and ${this.position} were taken`);
    }
  }
}

/**
 * Choose as `schedule` says. Panics at the first choice that the schedule does not have: another
 * kind, another number of alternatives, or one more. Choices are counted from 0.
 */
export function replayChoices(schedule: Schedule): ReplayChoices {
  return new Replay(schedule);
}
