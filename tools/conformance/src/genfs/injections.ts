/**
 * What a scenario makes fail, and what it lets happen in the middle of a step.
 *
 * Armed by `inject` steps; whoever can fail asks here. One-shot injections stay armed until they
 * strike or are cleared.
 */
import { Errno, errnoName } from "@physio/kern";
import type { FaultSpec, Step } from "./vectors.ts";

/** The errno of a name that a vector gives. */
export function errnoOf(name: string): Errno {
  const errno = (Errno as Record<string, Errno | undefined>)[name];
  if (errno === undefined || errno === Errno.OK) throw new Error(`no error ${name}`);
  return errno;
}

/** As outcomes show it. */
export const errorShown = (error: Errno): 0 | string => (error === Errno.OK ? 0 : errnoName(error));

/** An error at a place, for so many times; `times` counts down, and 0 from the start is for ever. */
interface Armed {
  readonly at: number;
  readonly error: Errno;
  readonly forever: boolean;
  times: number;
}

type Place = "io" | "bmap" | "rw";

export class Injections {
  readonly #armed: Record<Place, Armed[]>;
  #enospc: boolean;
  #journal: boolean;
  #transBusy: boolean;
  #kmem: boolean;
  /** Tests for "should yield" that are still true, and what another thread does meanwhile. */
  #yields: number;
  #fault: FaultSpec | null;
  /** The size that another thread gives the file in the next transaction start; −1: none. */
  #resize: number;

  constructor() {
    this.#armed = { io: [], bmap: [], rw: [] };
    this.#enospc = false;
    this.#journal = false;
    this.#transBusy = false;
    this.#kmem = false;
    this.#yields = 0;
    this.#fault = null;
    this.#resize = -1;
  }

  clear(): void {
    this.#armed.io = [];
    this.#armed.bmap = [];
    this.#armed.rw = [];
    this.#enospc = false;
    this.#journal = false;
    this.#transBusy = false;
    this.#kmem = false;
    this.#yields = 0;
    this.#fault = null;
    this.#resize = -1;
  }

  /** @returns whether `step` arms an injection of these: the others are the scene's. */
  arm(step: Step): boolean {
    switch (step.what) {
      case "io":
        return this.#add("io", step.blkno, step);
      case "bmap":
        return this.#add("bmap", step.lbn, step);
      case "rw":
        return this.#add("rw", step.off, step);
      case "enospc":
        this.#enospc = true;
        return true;
      case "wapbl":
        this.#journal = true;
        return true;
      case "fstransBusy":
        this.#transBusy = true;
        return true;
      case "kmemFail":
        this.#kmem = true;
        return true;
      case "yield":
        this.#yields = step.times;
        this.#fault = step.fault ?? null;
        return true;
      case "resizeInTrans":
        this.#resize = step.size;
        return true;
      default:
        return false;
    }
  }

  /** The error for an I/O that covers the device blocks [`first`, `end`). */
  ioError(first: number, end: number): Errno {
    return this.#strike("io", (at) => at >= first && at < end);
  }

  bmapError(lbn: number): Errno {
    return this.#strike("bmap", (at) => at === lbn);
  }

  rwError(offset: number): Errno {
    return this.#strike("rw", (at) => at === offset);
  }

  takeEnospc(): boolean {
    const armed = this.#enospc;
    this.#enospc = false;
    return armed;
  }

  takeJournalFailure(): boolean {
    const armed = this.#journal;
    this.#journal = false;
    return armed;
  }

  takeTransBusy(): boolean {
    const armed = this.#transBusy;
    this.#transBusy = false;
    return armed;
  }

  takeKmemFailure(): boolean {
    const armed = this.#kmem;
    this.#kmem = false;
    return armed;
  }

  get shouldYield(): boolean {
    return this.#yields > 0;
  }

  /** A preemption uses one test up. @returns what another thread does meanwhile: only once. */
  takePreemption(): FaultSpec | null {
    if (this.#yields > 0) this.#yields--;
    const fault = this.#fault;
    this.#fault = null;
    return fault;
  }

  /** @returns −1: nothing is to happen. */
  takeResize(): number {
    const size = this.#resize;
    this.#resize = -1;
    return size;
  }

  #add(place: Place, at: number, { error, times }: Step): true {
    this.#armed[place].push({ at, error: errnoOf(error), forever: times === 0, times });
    return true;
  }

  #strike(place: Place, matches: (at: number) => boolean): Errno {
    const armed = this.#armed[place];
    const index = armed.findIndex(({ at }) => matches(at));
    if (index < 0) return Errno.OK;
    const hit = armed[index];
    if (!hit.forever && --hit.times <= 0) armed.splice(index, 1);
    return hit.error;
  }
}
