/**
 * A slow and obvious arena, and random operations that compare it with a real one.
 *
 * The model is a sorted list of used ranges. After each call it judges: what was given obeys the
 * constraints by their definition, lies in a span and overlaps nothing; BEST took a smallest gap,
 * NEXT the lowest place from its cursor on; a failure had no place in any gap.
 */
import { MAXADDR, Panic } from "@physio/kern";
import type { ArenaOptions, ArenaSource, Constraints } from "@physio/vmem";
import { Arena, Fit } from "@physio/vmem";
import { expect } from "vitest";

export const Q = 16;
export const UNITS = 1024;

/** Spans in units: two that touch, a gap of 56, two more. */
const SPANS = [
  [0, 300],
  [300, 212],
  [568, 200],
  [768, 256],
];

export interface RunOptions {
  readonly seed: number;
  readonly operations: number;
  /** Lowest address. */
  readonly base: number;
  /** The largest cached size, in quanta; 0: no caches. */
  readonly caches: number;
  /** Whether spans come from a parent arena. */
  readonly imports: boolean;
}

type Range = [start: number, size: number];

/** Evenly distributed whole numbers below `n`, named by a seed. */
export function dice(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % n;
  };
}

/** A source that notes what it gave, and whether it refused since it was last asked. */
class WatchedSource implements ArenaSource {
  readonly spans: Range[] = [];
  refused = false;
  imports = 0;
  readonly #inner: ArenaSource;

  constructor(inner: ArenaSource) {
    this.#inner = inner;
  }

  import(size: number): number {
    const start = this.#inner.import(size);
    if (start < 0) this.refused = true;
    else {
      this.imports++;
      this.spans.push([start, size]);
      this.spans.sort((a, b) => a[0] - b[0]);
    }
    return start;
  }

  release(start: number, size: number): void {
    const i = this.spans.findIndex((span) => span[0] === start);
    expect(this.spans[i]).toEqual([start, size]);
    this.spans.splice(i, 1);
    this.#inner.release(start, size);
  }
}

/** Whether `at` obeys the constraints, by their definition. */
export function obeys(at: number, size: number, c: Constraints): boolean {
  const last = at + size - 1;
  const { align = Q, phase = 0, nocross = 0, min = 0, max = MAXADDR } = c;
  const whole = nocross === 0 || Math.floor(at / nocross) === Math.floor(last / nocross);
  return at >= min && last <= max && (at - phase) % align === 0 && whole;
}

/** The lowest place from `from` on in the gap, or −1: every multiple of the quantum is tried. */
function lowest([start, size]: Range, length: number, c: Constraints, from: number): number {
  for (let at = start; at + length <= start + size; at += Q) {
    if (at >= from && obeys(at, length, c)) return at;
  }
  return -1;
}

class Run {
  readonly o: RunOptions;
  readonly roll: (n: number) => number;
  readonly it: Arena;
  readonly parent: Arena | null;
  readonly source: WatchedSource | null;
  /** Used ranges in address order, and the same in no order with the sizes that were asked for. */
  readonly used: Range[] = [];
  readonly live: Range[] = [];
  held = 0;
  cursor = 0;
  freed = 0;
  step = 0;

  constructor(o: RunOptions) {
    this.o = o;
    this.roll = dice(o.seed);
    this.parent = o.imports ? new Arena("parent", Q) : null;
    this.source = this.parent === null ? null : new WatchedSource(Arena.from(this.parent));
    const options: ArenaOptions = {
      quantumCacheMax: o.caches * Q,
      ...(this.source === null ? {} : { source: this.source, importSize: 48 * Q }),
    };
    this.it = new Arena("child", Q, options);
    this.it.onFree(() => this.freed++);
    for (const i of [2, 0, 3, 1]) {
      (this.parent ?? this.it).add(o.base + SPANS[i][0] * Q, SPANS[i][1] * Q);
    }
  }

  /** Where ranges may lie: spans that were added and touch are one. */
  spans(): Range[] {
    if (this.source !== null) return this.source.spans;
    const { base } = this.o;
    return [
      [base, 512 * Q],
      [base + 568 * Q, 456 * Q],
    ];
  }

  /** What is between the used ranges, or with caches the free segments. */
  gaps(): Range[] {
    const gaps: Range[] = [];
    if (this.o.caches > 0) {
      for (const seg of this.it.segments()) if (seg.free) gaps.push([seg.start, seg.size]);
      return gaps;
    }
    let i = 0;
    for (const [start, size] of this.spans()) {
      let at = start;
      for (; i < this.used.length && this.used[i][0] < start + size; i++) {
        if (this.used[i][0] > at) gaps.push([at, this.used[i][0] - at]);
        at = this.used[i][0] + this.used[i][1];
      }
      if (start + size > at) gaps.push([at, start + size - at]);
    }
    return gaps;
  }

  /** Index of the first used range at or above `at`. */
  indexOf(at: number): number {
    let low = 0;
    let high = this.used.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (this.used[mid][0] < at) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  fail(what: string): never {
    return expect.fail(`seed ${this.o.seed} step ${this.step}: ${what}`);
  }

  /** Random constraints, some of which cannot be met. */
  drawConstraints(size: number): Constraints {
    const { roll } = this;
    const align = Q * 2 ** roll(6);
    const low = roll(UNITS * Q);
    const c: { -readonly [K in keyof Constraints]: Constraints[K] } = {};
    if (roll(2) === 0) c.align = align;
    if (c.align !== undefined && roll(2) === 0) c.phase = Q * roll(align / Q);
    if (roll(3) === 0) c.nocross = 2 ** (Math.ceil(Math.log2(size)) + roll(3));
    if (roll(3) === 0) c.min = this.o.base + low;
    if (roll(3) === 0) c.max = this.o.base + low + roll(UNITS * Q - low) + size;
    if (roll(2) === 0) c.fit = ([Fit.BEST, Fit.NEXT] as const)[roll(2)];
    return c;
  }

  allocate(): void {
    const { roll, it } = this;
    const size = 1 + roll(roll(8) === 0 ? 100 * Q : 12 * Q);
    const length = Math.ceil(size / Q) * Q;
    const plain = roll(2) === 0;
    const c = plain ? {} : this.drawConstraints(length);
    const exact = c.fit === Fit.BEST || c.fit === Fit.NEXT;
    const before = exact ? this.gaps() : [];
    const spans = this.source === null ? 0 : this.source.imports;
    if (this.source !== null) this.source.refused = false;
    const { align = 0, phase, nocross, min, max, fit } = c;
    const at = plain
      ? it.alloc(size)
      : roll(2) === 0
        ? it.alloc(size, c)
        : it.xalloc(size, align, phase, nocross, min, max, fit);
    const what = `${size} ${JSON.stringify(c)}`;
    if (at < 0) {
      this.judgeFailure(length, c, plain, what);
      return;
    }
    this.judgePlace(at, length, c, what);
    const imported = this.source !== null && this.source.imports > spans;
    if (exact && !imported) this.judgeFit(before, at, length, c, what);
    if (c.fit === Fit.NEXT) this.cursor = at + length;
    this.used.splice(this.indexOf(at), 0, [at, length]);
    this.live.push([at, size]);
    this.held += length;
  }

  judgePlace(at: number, length: number, c: Constraints, what: string): void {
    const i = this.indexOf(at);
    const clear =
      (i === this.used.length || at + length <= this.used[i][0]) &&
      (i === 0 || this.used[i - 1][0] + this.used[i - 1][1] <= at);
    const inSpan = this.spans().some(([s, n]) => at >= s && at + length <= s + n);
    if (!clear || !inSpan || !obeys(at, length, c)) this.fail(`${what} was put at ${at}`);
  }

  judgeFit(before: Range[], at: number, length: number, c: Constraints, what: string): void {
    const fitting = before.filter((gap) => lowest(gap, length, c, 0) >= 0);
    if (fitting.length === 0 && this.o.caches > 0) return; // empty slabs were given up
    if (c.fit === Fit.BEST) {
      const least = Math.min(...fitting.map((gap) => gap[1]));
      const gap = before.find(([s, n]) => at >= s && at < s + n);
      if (gap?.[1] !== least) this.fail(`${what} went to a gap of ${gap?.[1]}, least ${least}`);
      return;
    }
    const fromCursor = before.map((gap) => lowest(gap, length, c, this.cursor));
    const fromBelow = before.map((gap) => lowest(gap, length, c, 0));
    const expected = [...fromCursor, ...fromBelow].find((place) => place >= 0);
    if (at !== expected) this.fail(`${what} was put at ${at}, from ${this.cursor} on ${expected}`);
  }

  judgeFailure(length: number, c: Constraints, plain: boolean, what: string): void {
    const place = this.gaps().find((gap) => lowest(gap, length, c, 0) >= 0);
    if (place !== undefined) this.fail(`${what} fits at ${place[0]}+${place[1]}`);
    const { phase = 0, nocross = 0, min, max } = c;
    const limited = min !== undefined || max !== undefined;
    const never = nocross !== 0 && (phase % nocross) + length > nocross;
    if (this.source !== null && !limited && !never && !this.source.refused) {
      this.fail(`${what} failed and nothing was imported`);
    }
    if (this.o.caches === 0) return;
    for (const { start, size, pieceSize } of this.it.segments()) {
      if (pieceSize === 0) continue;
      const pieces = this.indexOf(start + size) - this.indexOf(start);
      if (pieces === 0) this.fail(`${what} failed beside an empty slab at ${start}`);
      const room = pieces < Math.floor(size / pieceSize);
      if (plain && pieceSize === length && room) this.fail(`${what} failed beside a piece`);
    }
  }

  free(): void {
    const { roll, it, live } = this;
    const i = roll(live.length);
    const [at, size] = live[i];
    const length = Math.ceil(size / Q) * Q;
    if (roll(500) === 0) {
      expect(() => it.free(at, length + 1)).toThrow(`with size ${length + 1}, allocated ${length}`);
      if (length > Q) expect(() => it.free(at + Q, size)).toThrow(Panic);
    }
    live[i] = live[live.length - 1];
    live.pop();
    const freed = this.freed;
    it.free(at, size);
    if (this.freed !== freed + 1) this.fail(`onFree came ${this.freed - freed} times`);
    this.used.splice(this.indexOf(at), 1);
    this.held -= length;
    if (roll(500) === 0) expect(() => it.free(at, size)).toThrow(`free of ${at}, which is not`);
  }

  judgeSums(): void {
    const total = this.spans().reduce((sum, span) => sum + span[1], 0);
    const sums = [this.it.allocated, this.it.total];
    expect(sums, `seed ${this.o.seed} step ${this.step}`).toEqual([this.held, total]);
    const gaps = this.gaps();
    const largest = gaps.reduce((most, gap) => Math.max(most, gap[1]), 0);
    expect(this.it.maxFree).toBe(largest);
    const free = gaps.reduce((sum, gap) => sum + gap[1], 0);
    expect(free + this.it.cached).toBe(this.it.freeSize);
    this.it.check();
    this.parent?.check();
  }

  /** Free everything: the arena is as it was in the beginning. */
  finish(): void {
    for (const [at, size] of this.live) this.it.free(at, size);
    this.it.drainCaches();
    this.it.check();
    const total = this.parent === null ? 968 * Q : 0;
    expect([this.it.allocated, this.it.cached, this.it.total]).toEqual([0, 0, total]);
    const whole = this.parent ?? this.it;
    expect([whole.allocated, whole.maxFree]).toEqual([0, 512 * Q]);
    whole.check();
  }
}

/** `operations` random calls; fails on the first that the model does not agree with. */
export function randomRun(options: RunOptions): void {
  const run = new Run(options);
  for (; run.step < options.operations; run.step++) {
    const shrinking = run.step % 4000 >= 2000;
    if (run.live.length > 0 && run.roll(100) < (shrinking ? 55 : 40)) run.free();
    else run.allocate();
    if (run.it.allocated !== run.held) run.fail(`${run.it.allocated} allocated, not ${run.held}`);
    if (options.caches > 0 && run.roll(1000) === 0) run.it.drainCaches();
    if (run.step % 10_000 === 0) run.judgeSums();
  }
  run.judgeSums();
  run.finish();
}
