/**
 * Tail queues: random operations against arrays, with every link checked, and the misuse that they
 * can see.
 */

import type { StailqEntry, TailqEntry } from "@physio/kern";
import { Panic, Stailq, Tailq } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

class Single implements StailqEntry<Single> {
  next: Single | null = null;
}

class Double implements TailqEntry<Double> {
  next: Double | null = null;
  prev: Double | null = null;
}

/** The list's elements by its links; the ends and the length must agree. */
function walkSingle(list: Stailq<Single>): Single[] {
  const out: Single[] = [];
  for (let at = list.first; at !== null; at = at.next) out.push(at);
  expect(list.length).toBe(out.length);
  expect(list.last).toBe(out.at(-1) ?? null);
  return out;
}

/** The same for a Tailq, forwards and backwards. */
function walkDouble(list: Tailq<Double>): Double[] {
  const out = [...list];
  const back: Double[] = [];
  for (let at = list.last; at !== null; at = at.prev) back.unshift(at);
  expect(list.length).toBe(out.length);
  expect(back).toEqual(out);
  expect(back.every((element, i) => element === out[i])).toBe(true);
  return out;
}

const same = (a: readonly object[], b: readonly object[]): boolean =>
  a.length === b.length && a.every((element, i) => element === b[i]);

const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(1000)), { maxLength: 120 });

test("a Stailq behaves like an array with push, shift and concat", () => {
  fc.assert(
    fc.property(steps, (ops) => {
      const lists = [new Stailq<Single>(), new Stailq<Single>()];
      const models: Single[][] = [[], []];
      for (const [op, pick] of ops) {
        const i = pick % 2;
        if (op <= 2) {
          const element = new Single();
          lists[i].insertTail(element);
          models[i].push(element);
        } else if (op <= 4) {
          const head = lists[i].removeHead();
          expect(head).toBe(models[i].shift() ?? null);
          if (head !== null) expect(head.next).toBe(null);
        } else {
          lists[i].concat(lists[1 - i]);
          models[i].push(...models[1 - i].splice(0));
        }
        expect(same(walkSingle(lists[0]), models[0])).toBe(true);
        expect(same(walkSingle(lists[1]), models[1])).toBe(true);
      }
    }),
    { numRuns: 60, ...SEED },
  );
});

test("a Tailq behaves like an array with splice", () => {
  fc.assert(
    fc.property(steps, (ops) => {
      const list = new Tailq<Double>();
      const model: Double[] = [];
      for (const [op, pick] of ops) {
        const at = model.length === 0 ? 0 : pick % model.length;
        const element = new Double();
        if (op === 0) {
          list.insertHead(element);
          model.unshift(element);
        } else if (op === 1) {
          list.insertTail(element);
          model.push(element);
        } else if (op <= 3) {
          list.insertBefore(model[at] ?? null, element);
          model.splice(at, 0, element);
        } else if (model.length > 0) {
          const [gone] = model.splice(at, 1);
          list.remove(gone);
          expect([gone.next, gone.prev]).toEqual([null, null]);
        }
        expect(same(walkDouble(list), model)).toBe(true);
      }
    }),
    { numRuns: 60, ...SEED },
  );
});

test("a walk over a Tailq may remove the element just given", () => {
  const list = new Tailq<Double>();
  const all = Array.from({ length: 9 }, () => new Double());
  for (const element of all) list.insertTail(element);
  const seen: Double[] = [];
  for (const element of list) {
    seen.push(element);
    if (seen.length % 3 !== 0) list.remove(element);
  }
  expect(same(seen, all)).toBe(true);
  expect(same(walkDouble(list), [all[2], all[5], all[8]])).toBe(true);
});

test("an element may leave one list and join another", () => {
  const from = new Tailq<Double>();
  const to = new Tailq<Double>();
  const element = new Double();
  from.insertTail(element);
  from.remove(element);
  to.insertHead(element);
  expect([from.length, to.length, from.first, to.first]).toEqual([0, 1, null, element]);
});

describe("misuse panics", () => {
  const chain = <T>(list: { insertTail(element: T): void }, make: () => T): T[] => {
    const elements = [make(), make(), make()];
    for (const element of elements) list.insertTail(element);
    return elements;
  };

  for (const i of [0, 1, 2]) {
    test(`inserting element ${i} of 3 again`, () => {
      const stailq = new Stailq<Single>();
      const singles = chain(stailq, () => new Single());
      expect(() => stailq.insertTail(singles[i])).toThrow(Panic);
      const tailq = new Tailq<Double>();
      const doubles = chain(tailq, () => new Double());
      expect(() => tailq.insertTail(doubles[i])).toThrow(Panic);
      expect(() => tailq.insertHead(doubles[i])).toThrow(Panic);
      expect(() => new Tailq<Double>().insertTail(doubles[i])).toThrow("is on a list");
      expect([walkSingle(stailq).length, walkDouble(tailq).length]).toEqual([3, 3]);
    });
  }

  test("inserting the only element again", () => {
    const tailq = new Tailq<Double>();
    const stailq = new Stailq<Single>();
    const double = new Double();
    const single = new Single();
    tailq.insertTail(double);
    stailq.insertTail(single);
    expect(() => tailq.insertHead(double)).toThrow("Tailq: element is on a list");
    expect(() => stailq.insertTail(single)).toThrow("Stailq: element is on a list");
  });

  test("removing what is on no list, or twice", () => {
    const list = new Tailq<Double>();
    const [first, middle] = chain(list, () => new Double());
    expect(() => list.remove(new Double())).toThrow("Tailq: element is not on this list");
    list.remove(middle);
    expect(() => list.remove(middle)).toThrow(Panic);
    list.remove(first);
    expect(() => list.remove(first)).toThrow(Panic);
    expect(walkDouble(list).length).toBe(1);
  });
});
