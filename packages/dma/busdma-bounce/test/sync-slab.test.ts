/** The slab of the sync lists: many lists over one against lists of plain objects; what it takes. */
import { SegList } from "@physio/busdma";
import { SyncList, SyncRoom, SyncSlab } from "@physio/busdma-bounce";
import { Panic } from "@physio/kern";
import { expect, test } from "vitest";

const SEED = Number(process.env.PHYSIO_SEED ?? 1);

/** What a list says of its entries. */
const entries = (list: SyncList) =>
  Array.from({ length: list.count }, (_, i) => [list.where(i), list.length(i)]);

function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
}

test(`lists over one slab keep apart, and give all of it back (seed ${SEED})`, () => {
  const draw = random(SEED);
  const slab = new SyncSlab();
  const lists = Array.from({ length: 12 }, () => new SyncList(new SyncRoom(slab, 200)));
  const models: [number, number][][] = lists.map(() => []);
  const segs = new SegList(64);
  let next = 0;
  // Every piece begins where none ended, so that none is joined; some lengths need more than 32 bits.
  const piece = (): [number, number] => {
    next += 8192;
    return [2 ** 40 + next, draw(9) === 0 ? 2 ** 33 : 4096];
  };
  for (let step = 0; step < 4000; step++) {
    const [list, model] = [lists[step % 12], models[step % 12]];
    const what = draw(8);
    if (what < 2) {
      list.clear();
      model.length = 0;
    } else if (what < 5 && model.length < 200) {
      const [at, length] = piece();
      expect(list.append(-1, at, length, true)).toBe(1);
      model.push([-1 - at, length]);
    } else {
      segs.count = draw(Math.min(64, 201 - model.length));
      for (let i = 0; i < segs.count; i++) {
        const [at, length] = piece();
        segs.addr[i] = at;
        segs.len[i] = length;
        model.push([-1 - at, length]);
      }
      expect(list.appendSegments(-1, segs, true)).toBe(true);
    }
    if (step % 50 < 12) expect(entries(list), `step ${step}`).toEqual(model);
    slab.check();
  }
  for (const list of lists) list.clear();
  expect(slab.used).toBe(0);
  slab.check();
});

test("a list takes a row of 12 bytes for each entry, one for itself, and a quarter more at most", () => {
  const slab = new SyncSlab();
  const one = new SyncList(new SyncRoom(slab, Number.POSITIVE_INFINITY));
  expect(slab.used).toBe(0);
  for (let n = 1; n <= 1000; n++) {
    expect(one.append(-1, n * 8192, 4096, true)).toBe(1);
    expect(slab.used).toBeLessThanOrEqual(1.5 * n + 1);
  }
  one.clear();
  const segs = new SegList(1000);
  for (let n = 1; n <= 1000; n++) {
    segs.count = n;
    segs.addr[n - 1] = n * 8192;
    segs.len[n - 1] = 4096;
    one.appendSegments(-1, segs, true);
    expect(slab.used).toBeLessThanOrEqual(1.25 * n + 1);
    if (n === 16) expect(slab.used).toBe(17);
    one.clear();
  }
  expect(slab.used).toBe(0);
});

test("lengths that do not fit 32 bits are kept, grow, and are forgotten", () => {
  const slab = new SyncSlab();
  const room = new SyncRoom(slab, 4);
  const list = new SyncList(room);
  const GiB = 2 ** 30;
  list.append(0, 0, 3 * GiB, true);
  list.append(3 * GiB, 3 * GiB, GiB - 2, true);
  expect(entries(list)).toEqual([[0, 4 * GiB - 2]]);
  for (const [from, length] of [
    [4 * GiB - 2, 1],
    [4 * GiB - 1, 1],
    [4 * GiB, 2 ** 44],
  ]) {
    list.append(from, from, length, true);
    expect(entries(list)).toEqual([[0, from + length]]);
  }
  list.append(-1, 1, 5, true); // moves to a larger run
  expect(entries(list)).toEqual([
    [0, 4 * GiB + 2 ** 44],
    [-2, 5],
  ]);
  list.clear();
  expect(slab.huge?.size).toBe(0);
  const again = new SyncList(room);
  again.append(-1, 7, 2 ** 32 - 1, true);
  again.append(-1, 1, 2 ** 32 - 2, true);
  expect(entries(again)).toEqual([
    [-8, 2 ** 32 - 1],
    [-2, 2 ** 32 - 2],
  ]);
});

test("no segments take nothing, and a tag of one segment has room for one", () => {
  const slab = new SyncSlab();
  const list = new SyncList(new SyncRoom(slab, 1));
  const segs = new SegList(2);
  expect([list.appendSegments(0, segs, true), slab.used]).toEqual([true, 0]);
  segs.addr.set([0, 8192]);
  segs.len.set([4096, 4096]);
  segs.count = 2;
  expect(list.appendSegments(-1, segs, true)).toBe(false);
  expect(entries(list)).toEqual([[-1, 4096]]);
  list.clear();
  list.clear();
  expect(slab.used).toBe(0);
});

test("check panics on a run that was given twice, or written over", () => {
  const twice = new SyncSlab();
  const run = twice.take(4);
  twice.give(run);
  twice.give(run);
  expect(() => twice.check()).toThrow(Panic);
  const over = new SyncSlab();
  over.give(over.take(2));
  over.where[0] = 99;
  expect(() => over.check()).toThrow(Panic);
  const size = new SyncSlab();
  size.give(size.take(2));
  size.length[0] = 0;
  expect(() => size.check()).toThrow(Panic);
});
