/**
 * A schedule: the choices of one run, in order.
 *
 * Kept as three columns of small numbers. As JSON it is one line of text: `t3:1` is the second of
 * three threads, `e2:0` the first of two events, and `*n` after it says that the same was chosen n
 * times in a row. Made by `recordingChoices`, read by `replayChoices`.
 */
import { Errno, ErrnoError, panic } from "@physio/kern";

/** What `toJSON` gives and `fromJSON` takes. */
export interface ScheduleJson {
  readonly version: 1;
  readonly choices: string;
}

const LETTERS = "te"; // by ChoiceKind
const WORD = /^([te])(\d{1,9}):(\d{1,9})(?:\*(\d{1,9}))?$/;

/** Choices that any text may stand for; a longer text, one for each of its characters. A bound for `*n`. */
const MOST = 1_000_000;

export class Schedule {
  readonly #kinds: number[];
  readonly #counts: number[];
  readonly #chosen: number[];

  constructor() {
    this.#kinds = [];
    this.#counts = [];
    this.#chosen = [];
  }

  /** Choices. */
  get length(): number {
    return this.#kinds.length;
  }

  /** Append a choice. => `chosen` < `count`, `count` > 1 */
  add(kind: number, count: number, chosen: number): void {
    if (!(count > 1 && chosen >= 0 && chosen < count && (kind === 0 || kind === 1))) {
      panic(`Schedule: alternative ${chosen} of ${count}, kind ${kind}`);
    }
    this.#kinds.push(kind);
    this.#counts.push(count);
    this.#chosen.push(chosen);
  }

  /** What choice `at` was among: a ChoiceKind. => `at` < `length`, here and below */
  kindAt(at: number): number {
    return this.#kinds[at];
  }

  /** How many alternatives it had. */
  countAt(at: number): number {
    return this.#counts[at];
  }

  /** Which one was taken. */
  chosenAt(at: number): number {
    return this.#chosen[at];
  }

  toJSON(): ScheduleJson {
    const words: string[] = [];
    for (let at = 0, end = 0; at < this.length; at = end) {
      end = at + 1;
      while (end < this.length && this.#same(at, end)) end++;
      const word = `${LETTERS[this.#kinds[at]]}${this.#counts[at]}:${this.#chosen[at]}`;
      words.push(end - at > 1 ? `${word}*${end - at}` : word);
    }
    return { version: 1, choices: words.join(" ") };
  }

  /**
   * => the text stands for at most a million choices, or for at most as many as it has characters.
   * @throws {ErrnoError} EINVAL: `json` is not what `toJSON` gives, or stands for more choices.
   */
  static fromJSON(json: unknown): Schedule {
    const { version, choices } = (json ?? {}) as Partial<Record<keyof ScheduleJson, unknown>>;
    if (version !== 1 || typeof choices !== "string") {
      throw new ErrnoError(Errno.EINVAL, `Schedule: version ${version}, choices ${typeof choices}`);
    }
    const schedule = new Schedule();
    const most = Math.max(MOST, choices.length);
    for (const word of choices === "" ? [] : choices.split(" ")) schedule.#addWord(word, most);
    return schedule;
  }

  #addWord(word: string, most: number): void {
    const parts = WORD.exec(word);
    const [kind, count, chosen, times] =
      parts === null
        ? [0, 0, 0, 0]
        : [LETTERS.indexOf(parts[1]), Number(parts[2]), Number(parts[3]), Number(parts[4] ?? 1)];
    if (!(count > 1 && chosen < count && times > 0)) {
      throw new ErrnoError(Errno.EINVAL, `Schedule: "${word.slice(0, 40)}" is no choice`);
    }
    if (!(this.length + times <= most)) {
      throw new ErrnoError(Errno.EINVAL, `Schedule: "${word}" after ${this.length}, over ${most}`);
    }
    for (let n = 0; n < times; n++) this.add(kind, count, chosen);
  }

  #same(a: number, b: number): boolean {
    return (
      this.#kinds[a] === this.#kinds[b] &&
      this.#counts[a] === this.#counts[b] &&
      this.#chosen[a] === this.#chosen[b]
    );
  }
}
