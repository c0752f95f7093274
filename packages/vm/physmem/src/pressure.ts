/**
 * Memory pressure: what is held back, who is told when memory runs short, who gives frames back.
 *
 * Three marks in frames: below `reserved` only important requests get any (AllocClass), below `min`
 * memory is short, from `target` on it is plenty again. Follows vm_page_count_min, vm_wait and the
 * vm_lowmem event of sys/vm/vm_page.c and vm_pageout.c; a wait is the caller's own (`expect`).
 *
 * What the low reserve holds back (low-reserve.ts) does not count: the edges are about free frames that
 * a plain request may have.
 *
 * Shortage and relief are edges: each is told once, and memory must reach `target` before a shortage
 * is told again. A hook sees the allocator at rest and may allocate and free; what it causes is told
 * when the hooks that run have all returned. When one throws, the others are told all the same, and
 * what the first threw is thrown then; a Panic at once. A hook for reclaiming frees frames; an
 * allocation that fails inside of one asks nobody else.
 *
 * Invariant: `floors` and `edges` are what the allocator compares with, one comparison for each call.
 */
import type { Bits } from "@physio/kern";
import { bitset, Errno, ErrnoError, isWhole, Panic, panic } from "@physio/kern";
import type { AllocCounters } from "./report.ts";

/** How important a request is. Values of VM_ALLOC_* in sys/vm/vm_page.h. */
export const AllocClass = bitset<"AllocClass">()({
  NORMAL: 0, //    leaves the reserved frames alone
  INTERRUPT: 1, // may take the last frame
  SYSTEM: 2, //    may take half of the reserved frames
});
export type AllocClass = Bits<"AllocClass">;

/** In frames; reserved <= min <= target. All 0: no marks. */
export interface PressureMarks {
  readonly reserved: number;
  readonly min: number;
  readonly target: number;
}

/** What the allocator asks of a hook for reclaiming: frees about `wanted` frames, says how many it freed. */
export type ReclaimHook = (wanted: number) => number;

// Slots of `edges`.
/** With fewer free frames than this after an allocation, `settle` has something to do. */
export const SHORT_BELOW = 0;
/** With this many free frames or more after a free, `settle` has something to do. */
export const RELIEF_FROM = 1;
const NEVER = 2 ** 31 - 1;
/** Rounds of hooks that one allocation or free may cause: what causes more has no end. */
const ROUNDS_MOST = 1000;

/** Hooks in order of subscription. A change makes a new list, so one may be made while hooks run. */
class Hooks<F> {
  list: readonly { readonly call: F }[];

  constructor() {
    this.list = [];
  }

  /** @returns takes it out again. */
  add(call: F): () => void {
    if (typeof call !== "function") panic(`physmem: a hook is ${String(call)}, no function`);
    const entry = { call };
    this.list = [...this.list, entry];
    return () => {
      this.list = this.list.filter((e) => e !== entry);
    };
  }
}

export class Pressure {
  /** Free frames that each AllocClass leaves. */
  readonly floors: Int32Array;
  readonly edges: Int32Array;
  readonly #freeFrames: () => number;
  readonly #mostFrames: number;
  readonly #lowReserve: number;
  readonly #counters: AllocCounters;
  #marks: PressureMarks;
  readonly #onShortage: Hooks<() => void>;
  readonly #onRelief: Hooks<() => void>;
  readonly #onReclaim: Hooks<ReclaimHook>;
  /** Memory is short and nobody was told of relief yet. */
  #short: boolean;
  /** The next shortage is told. */
  #armed: boolean;
  /** Somebody waits for any frame. */
  #expected: boolean;
  /** Edges that were met and not told yet. */
  #owesShortage: boolean;
  #owesRelief: boolean;
  #telling: boolean;
  #reclaiming: boolean;

  /** `freeFrames` counts those that a plain request may have, which are at most `mostFrames`. */
  constructor(
    mostFrames: number,
    lowReserve: number,
    freeFrames: () => number,
    counters: AllocCounters,
  ) {
    this.floors = new Int32Array(3);
    this.edges = new Int32Array([0, NEVER]);
    this.#freeFrames = freeFrames;
    this.#mostFrames = mostFrames;
    this.#lowReserve = lowReserve;
    this.#counters = counters;
    this.#marks = { reserved: 0, min: 0, target: 0 };
    this.#onShortage = new Hooks();
    this.#onRelief = new Hooks();
    this.#onReclaim = new Hooks();
    this.#short = false;
    this.#armed = true;
    this.#expected = false;
    this.#owesShortage = false;
    this.#owesRelief = false;
    this.#telling = false;
    this.#reclaiming = false;
  }

  get marks(): PressureMarks {
    return this.#marks;
  }

  /** Whether a shortage was told and relief was not yet. @bsd #Y vm_page_count_min */
  get short(): boolean {
    return this.#short;
  }

  /**
   * Set the marks. A shortage that the new marks make is told at the next allocation.
   * @throws {ErrnoError} EINVAL: not whole numbers with reserved <= min <= target <= all frames but the low reserve.
   */
  setMarks(marks: PressureMarks): void {
    if (typeof marks !== "object" || (marks as unknown) === null)
      throw new ErrnoError(Errno.EINVAL, `physmem: marks ${String(marks as unknown)}`);
    const { reserved, min, target } = marks;
    const whole = isWhole(reserved) && isWhole(min) && isWhole(target);
    if (!whole || reserved > min || min > target || target > this.#mostFrames) {
      throw new ErrnoError(
        Errno.EINVAL,
        `physmem: marks ${reserved} <= ${min} <= ${target} of ${this.#mostFrames} frames`,
      );
    }
    this.#marks = { reserved, min, target };
    this.floors[AllocClass.NORMAL] = reserved;
    this.floors[AllocClass.SYSTEM] = Math.floor(reserved / 2);
    this.floors[AllocClass.INTERRUPT] = 0;
    this.#settle(false);
  }

  /** Tell `hook` when an allocation leaves fewer than `min` frames. @returns unsubscribes it. @bsd #P[edge] vm_lowmem */
  onShortage(hook: () => void): () => void {
    return this.#onShortage.add(hook);
  }

  /** Tell `hook` when `min` frames are free again after a shortage, or one is that somebody expects. @returns unsubscribes it. */
  onRelief(hook: () => void): () => void {
    return this.#onRelief.add(hook);
  }

  /** Ask `hook` for frames when an allocation would fail, in order of subscription. @returns unsubscribes it. */
  onReclaim(hook: ReclaimHook): () => void {
    return this.#onReclaim.add(hook);
  }

  /** The caller is about to wait for memory: the next free of any frame counts as relief. @bsd #P[the caller sleeps] vm_wait */
  expect(): void {
    this.#expected = true;
    this.#setEdges();
  }

  /** Ask the hooks for `wanted` frames until they have given them. @returns whether any gave some. */
  reclaim(wanted: number): boolean {
    const hooks = this.#onReclaim.list;
    if (this.#reclaiming || hooks.length === 0) return false;
    this.#reclaiming = true;
    this.#counters.reclaims++;
    let given = 0;
    try {
      for (let i = 0; i < hooks.length && given < wanted; i++) {
        const count = hooks[i].call(wanted - given);
        if (!isWhole(count)) panic(`physmem: a hook gave back ${count} frames of ${wanted}`);
        given += count;
      }
    } finally {
      this.#reclaiming = false;
    }
    return given > 0;
  }

  /** An allocation has left fewer frames than `edges[SHORT_BELOW]`. */
  afterAlloc(): void {
    if (!(this.#armed && this.#freeFrames() < this.#marks.min)) return;
    this.#armed = false;
    this.#short = true;
    this.#counters.shortages++;
    this.#setEdges();
    this.#owesShortage = true;
    this.#tell();
  }

  /** A free has left `edges[RELIEF_FROM]` frames or more. */
  afterFree(): void {
    this.#settle(true);
  }

  #settle(freed: boolean): void {
    const free = this.#freeFrames();
    const enough = free >= this.#marks.min;
    if ((this.#short && enough) || (this.#expected && freed)) this.#owesRelief = true;
    if (free >= this.#marks.target) this.#armed = true;
    if (enough) this.#short = false;
    if (freed) this.#expected = false;
    this.#setEdges();
    this.#tell();
  }

  /** Call the hooks; what they cause meanwhile is told in the next round. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    let thrown: { readonly error: unknown } | null = null;
    try {
      let rounds = 0;
      while (this.#owesShortage || this.#owesRelief) {
        const hooks = this.#owesShortage ? this.#onShortage.list : this.#onRelief.list;
        if (this.#owesShortage) this.#owesShortage = false;
        else this.#owesRelief = false;
        if (rounds++ === ROUNDS_MOST) this.#panicEndless();
        for (let i = 0; i < hooks.length; i++) {
          try {
            hooks[i].call();
          } catch (error) {
            if (error instanceof Panic) throw error;
            thrown ??= { error };
          }
        }
      }
    } finally {
      this.#telling = false;
    }
    if (thrown !== null) throw thrown.error;
  }

  #panicEndless(): never {
    const { reserved, min, target } = this.#marks;
    this.#owesShortage = false;
    this.#owesRelief = false;
    panic(
      `physmem: hooks for shortage and relief cause each other without end: ${ROUNDS_MOST} rounds, ${this.#freeFrames()} frames are free, marks ${reserved} <= ${min} <= ${target}`,
    );
  }

  #setEdges(): void {
    const { min, target } = this.#marks;
    // The allocator compares all free frames with these, so they may be met too early, never too late.
    this.edges[SHORT_BELOW] = this.#armed && min > 0 ? min + this.#lowReserve : 0;
    if (this.#expected) this.edges[RELIEF_FROM] = 0;
    else if (this.#short) this.edges[RELIEF_FROM] = min;
    else this.edges[RELIEF_FROM] = this.#armed ? NEVER : target;
  }
}
