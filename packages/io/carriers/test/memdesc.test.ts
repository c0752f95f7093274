/**
 * memdesc and bio: every kind of carrier gives its ranges in order, and an error ends the walk.
 */

import type { Memdesc, MemSink } from "@physio/carriers";
import { Bio, BioFlag, biodone, memdescLength, walkMemdesc } from "@physio/carriers";
import { Errno, Panic } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";

/** Writes down what it is given; the call number `stopAt` answers EFBIG. */
class Recorder implements MemSink {
  readonly calls: string[];
  readonly #stopAt: number;

  constructor(stopAt = -1) {
    this.calls = [];
    this.#stopAt = stopAt;
  }

  #note(call: string): Errno {
    this.calls.push(call);
    return this.calls.length - 1 === this.#stopAt ? Errno.EFBIG : Errno.OK;
  }

  virtual(va: number, length: number): Errno {
    return this.#note(`v ${va}+${length}`);
  }

  physical(pa: number, length: number): Errno {
    return this.#note(`p ${pa}+${length}`);
  }

  pages(ma: readonly number[], offset: number, length: number): Errno {
    return this.#note(`m ${ma.join(",")} @${offset}+${length}`);
  }
}

function bioOf(fields: Partial<Bio>): Bio {
  return Object.assign(new Bio(), fields);
}

const list = [
  { base: 1000, length: 10 },
  { base: 2000, length: 20 },
  { base: 3000, length: 30 },
];

const cases: { name: string; mem: Memdesc; length: number; calls: string[] }[] = [
  { name: "vaddr", mem: { kind: "vaddr", va: 5, length: 7 }, length: 7, calls: ["v 5+7"] },
  { name: "paddr", mem: { kind: "paddr", pa: 5, length: 7 }, length: 7, calls: ["p 5+7"] },
  {
    name: "vlist",
    mem: { kind: "vlist", list },
    length: 60,
    calls: ["v 1000+10", "v 2000+20", "v 3000+30"],
  },
  {
    name: "plist",
    mem: { kind: "plist", list },
    length: 60,
    calls: ["p 1000+10", "p 2000+20", "p 3000+30"],
  },
  { name: "empty vlist", mem: { kind: "vlist", list: [] }, length: 0, calls: [] },
  {
    name: "plist with an empty range",
    mem: { kind: "plist", list: [{ base: 9, length: 0 }] },
    length: 0,
    calls: ["p 9+0"],
  },
  {
    name: "vmpages",
    mem: { kind: "vmpages", ma: [4, 9], offset: 12, length: 5000 },
    length: 5000,
    calls: ["m 4,9 @12+5000"],
  },
  {
    name: "mapped bio",
    mem: { kind: "bio", bio: bioOf({ data: 77, bcount: 512, maOffset: 9 }) },
    length: 512,
    calls: ["v 77+512"],
  },
  {
    name: "unmapped bio",
    mem: {
      kind: "bio",
      bio: bioOf({ flags: BioFlag.UNMAPPED, ma: [3, 1], maOffset: 100, bcount: 4096 }),
    },
    length: 4096,
    calls: ["m 3,1 @100+4096"],
  },
  {
    name: "vlist bio from an offset, cut to bcount",
    mem: {
      kind: "bio",
      bio: bioOf({ flags: BioFlag.VLIST, vlist: list, maOffset: 4, bcount: 30 }),
    },
    length: 30,
    calls: ["v 1004+6", "v 2000+20", "v 3000+4"],
  },
  {
    name: "vlist bio that ends with its first range",
    mem: { kind: "bio", bio: bioOf({ flags: BioFlag.VLIST, vlist: list, bcount: 10 }) },
    length: 10,
    calls: ["v 1000+10"],
  },
];

for (const c of cases) {
  test(`walkMemdesc: ${c.name}`, () => {
    const sink = new Recorder();
    expect(walkMemdesc(c.mem, sink)).toBe(Errno.OK);
    expect(sink.calls).toEqual(c.calls);
    expect(memdescLength(c.mem)).toBe(c.length);
  });

  test(`walkMemdesc: ${c.name}: the first error ends the walk and is the answer`, () => {
    for (let stop = 0; stop < c.calls.length; stop++) {
      const sink = new Recorder(stop);
      expect(walkMemdesc(c.mem, sink)).toBe(Errno.EFBIG);
      expect(sink.calls).toEqual(c.calls.slice(0, stop + 1));
    }
  });
}

test("walkMemdesc: an offset past the first range of a vlist panics", () => {
  for (const maOffset of [10, 11, 25]) {
    const bio = bioOf({ flags: BioFlag.VLIST, vlist: list, maOffset, bcount: 20 });
    expect(() => walkMemdesc({ kind: "bio", bio }, new Recorder())).toThrow(Panic);
  }
});

test("walkMemdesc: an empty range inside of a vlist panics", () => {
  const holed = [list[0], { base: 5, length: 0 }, list[1]];
  const sink = new Recorder();
  expect(() => walkMemdesc({ kind: "vlist", list: holed }, sink)).toThrow(Panic);
  expect(sink.calls).toEqual(["v 1000+10"]);
});

test("walkMemdesc: a vlist bio gives exactly the bytes [offset, offset + bcount) of its list", () => {
  const property = fc.property(
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
    fc.nat(1000),
    fc.nat(1000),
    (lengths, a, b) => {
      const vlist = lengths.map((length, i) => ({ base: i * 100, length }));
      const all = vlist.flatMap((v) => Array.from({ length: v.length }, (_, i) => v.base + i));
      const maOffset = a % lengths[0];
      const bcount = b % (all.length - maOffset + 1);
      const got: number[] = [];
      const sink = new Recorder();
      sink.virtual = (va, length) => {
        for (let i = 0; i < length; i++) got.push(va + i);
        return Errno.OK;
      };
      const bio = bioOf({ flags: BioFlag.VLIST, vlist, maOffset, bcount });
      expect(walkMemdesc({ kind: "bio", bio }, sink)).toBe(Errno.OK);
      expect(got).toEqual(all.slice(maOffset, maOffset + bcount));
    },
  );
  fc.assert(property, { seed: 2, numRuns: 300 });
});

test("biodone tells the maker once and sets DONE", () => {
  const told: Bio[] = [];
  const bio = bioOf({ done: (b) => told.push(b) });
  biodone(bio);
  expect(told).toEqual([bio]);
  expect(bio.flags).toBe(BioFlag.DONE);
  expect(() => biodone(bio)).toThrow(Panic);
  expect(told.length).toBe(1);
});

test("biodone marks a bio with an error", () => {
  const bio = bioOf({ flags: BioFlag.UNMAPPED, error: Errno.EIO, done: () => {} });
  biodone(bio);
  expect(bio.flags).toBe(BioFlag.UNMAPPED | BioFlag.DONE | BioFlag.ERROR);
});

test("biodone without anybody to tell panics", () => {
  expect(() => biodone(new Bio())).toThrow(Panic);
});
