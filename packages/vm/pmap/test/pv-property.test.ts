/** Four pmaps and 24 frames against a list of mappings: short runs that shrink, and long ones. */
import { Errno, ErrnoError, PAGE_SIZE } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import { Enter, VA_LIMIT } from "@physio/pmap";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BANKS_24, bench, dice, SEED } from "./fixture.ts";
import type { Mapping } from "./pv-model.ts";
import { everything, everythingOf, PvModel } from "./pv-model.ts";

const { WIRED, UNCACHED, WRITE_COMBINING } = Enter;

/** Pages in a row around the edges of the table's levels, near 2^48, and at 0. */
const BASES = [0, 2 ** 9 - 2, 2 ** 22 - 2, 2 ** 31 - 2, 2 ** 36 - 6];
/** The kernel's pmap ends where the direct map begins. */
const pageIn = (pmap: number, at: number, off: number) =>
  pmap === 0 && BASES[at] > 2 ** 35 ? 2 ** 35 - 6 + off : BASES[at] + off;
const FLAGS = [0, 0, WIRED, UNCACHED, WRITE_COMBINING, WIRED | UNCACHED];
const ATTRS = [0, UNCACHED, WRITE_COMBINING];

/** Four pmaps, 24 frames and the model of them. */
class Run {
  readonly b = bench({ banks: BANKS_24 });
  readonly frames = Array.from({ length: 24 }, () => this.b.frame());
  readonly spaces: Pmap[];
  readonly model = new PvModel();
  readonly touched: [number, number][] = [];

  constructor() {
    const { pmaps } = this.b;
    this.spaces = [pmaps.kernel, ...["a", "b", "c"].map((name) => pmaps.create(name))];
    for (let pmap = 0; pmap < 4; pmap++) {
      for (let at = 0; at < BASES.length; at++) {
        for (let off = 0; off < 6; off++) this.touched.push([pmap, pageIn(pmap, at, off)]);
      }
    }
  }

  /** One operation on both. All numbers come out of `roll`. */
  step(roll: (n: number) => number): void {
    const p = roll(4);
    const at = roll(BASES.length);
    const page = pageIn(p, at, roll(4));
    const count = 1 + roll(2);
    const frame = this.frames[roll(24)];
    const op = roll(16);
    if (op < 6) this.enter(op < 4, p, page, frame, 1 + roll(7), FLAGS[roll(FLAGS.length)]);
    else if (op < 12) this.range(op, p, page, count, roll(8), ATTRS[roll(3)]);
    else if (op < 15) this.frame(op, frame, roll(8), ATTRS[roll(3)]);
    else if (p !== 0 && roll(4) === 0) this.destroy(p);
  }

  enter(managed: boolean, p: number, page: number, frame: number, prot: number, flags: number) {
    const space = this.spaces[p];
    const mapping: Mapping = {
      pmap: p,
      page,
      frame,
      prot,
      managed,
      wired: !managed || (flags & WIRED) !== 0,
      attr: flags & (UNCACHED | WRITE_COMBINING),
    };
    let errno: Errno = Errno.OK;
    try {
      if (managed) space.enter(page * PAGE_SIZE, frame, prot, flags);
      else space.kenter(page * PAGE_SIZE, frame, prot, flags);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      errno = error.errno;
    }
    expect(errno).toBe(this.model.put(mapping) ? Errno.OK : Errno.EBUSY);
  }

  range(op: number, p: number, page: number, count: number, prot: number, attr: number): void {
    const { model } = this;
    const space = this.spaces[p];
    const [va, length] = [page * PAGE_SIZE, count * PAGE_SIZE];
    const some = model.in(p, page, count);
    if (op === 6) {
      space.remove(va, length);
      model.drop(some);
    } else if (op < 9) {
      space.protect(va, length, prot);
      model.protect(some, prot);
    } else if (op < 11) {
      if (some.length < count || some.some((m) => !m.wired)) return;
      space.unwire(va, length);
      for (const m of some) m.wired = false;
    } else {
      if (some.length < count) return;
      space.changeAttr(va, length, attr);
      for (const m of some) m.attr = attr;
    }
  }

  frame(op: number, frame: number, prot: number, attr: number): void {
    const { model } = this;
    if (op < 14) {
      this.b.pmaps.pageProtect(frame, prot);
      model.protect(model.of(frame), prot);
    } else {
      this.b.pmaps.setAttr(frame, attr);
      for (const m of model.of(frame)) m.attr = attr;
    }
  }

  destroy(p: number): void {
    const { pmaps } = this.b;
    this.spaces[p].remove(0, VA_LIMIT);
    pmaps.destroy(this.spaces[p]);
    this.spaces[p] = pmaps.create(`again ${p}`);
    this.model.drop(this.model.mappings.filter((m) => m.pmap === p));
  }

  compare(): void {
    const { b, spaces, frames, touched, model } = this;
    const seen = everything(b.pmaps, spaces, frames, touched);
    expect(seen).toEqual(everythingOf(model, spaces, frames, touched));
    expect(b.pmaps.pv.count).toBe(model.mappings.filter((m) => m.managed).length);
  }
}

test("every operation agrees with a list of mappings, step by step", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 40 }), (numbers) => {
      const run = new Run();
      numbers.forEach((number, i) => {
        run.step(dice(number));
        run.compare();
        if (i % 4 === 0) run.b.pmaps.check();
      });
      run.b.end();
    }),
    { numRuns: 40, ...SEED },
  );
});

test("30,000 operations agree with a list of mappings", () => {
  fc.assert(
    fc.property(fc.nat(), (number) => {
      const run = new Run();
      const roll = dice(number);
      for (let i = 0; i < 10_000; i++) {
        run.step(roll);
        if (i % 200 === 0) run.compare();
        if (i % 500 === 0) run.b.pmaps.check();
      }
      run.compare();
      run.b.end();
    }),
    { numRuns: 3, ...SEED },
  );
});
