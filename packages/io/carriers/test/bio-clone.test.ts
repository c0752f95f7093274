/** Clones of a bio: what they have of their parent, and how it is answered when all of them are. */
import { Bio, BioCommand, BioFlag, biodone, cloneBio, cloneDone } from "@physio/carriers";
import { Errno, Panic } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = Number(process.env.PHYSIO_SEED ?? 1);

interface Told {
  readonly bio: Bio;
  readonly answers: [Errno, number, string][];
}

function parentOf(bcount: number, flags = 0): Told {
  const answers: Told["answers"] = [];
  const bio = new Bio();
  bio.command = BioCommand.WRITE;
  bio.flags = flags;
  bio.offset = 8192;
  bio.bcount = bcount;
  bio.done = (b) => answers.push([b.error, b.resid, String(b.flags & BioFlag.ERROR)]);
  return { bio, answers };
}

function clonesOf(bio: Bio, lengths: readonly number[]): Bio[] {
  let at = bio.offset;
  return lengths.map((length) => {
    const clone = cloneBio(bio);
    clone.offset = at;
    clone.bcount = length;
    clone.done = cloneDone;
    at += length;
    return clone;
  });
}

function answer(bio: Bio, error: Errno = Errno.OK, resid = 0): void {
  bio.error = error;
  bio.resid = resid;
  biodone(bio);
}

describe("a clone", () => {
  test("has the bytes, the memory and the command of its parent, and nothing of its answer", () => {
    const { bio } = parentOf(4096, BioFlag.UNMAPPED | BioFlag.VLIST);
    Object.assign(bio, { data: 77, ma: [3, 5], maOffset: 9, vlist: [{ base: 1, length: 2 }] });
    Object.assign(bio, { caller: "a", driver: "b", error: Errno.EIO, resid: 5 });
    const clone = cloneBio(bio);
    const { command, flags, offset, bcount, data, ma, maOffset, vlist } = bio;
    expect(clone).toMatchObject({ command, flags, offset, bcount, data, ma, maOffset, vlist });
    expect([clone.error, clone.resid, clone.caller, clone.driver]).toEqual([0, 0, null, null]);
    expect([clone.parent, clone.done, bio.children, bio.inbed]).toEqual([bio, null, 1, 0]);
  });

  test("of a request that is done panics", () => {
    const { bio } = parentOf(512);
    answer(bio);
    expect(() => cloneBio(bio)).toThrow(Panic);
  });

  test("of a clone answers up to the first request", () => {
    const { bio, answers } = parentOf(1024);
    const [half, rest] = clonesOf(bio, [512, 512]);
    const [quarter] = clonesOf(half, [512]);
    answer(quarter, Errno.EIO, 512);
    expect(answers).toEqual([]);
    answer(rest);
    expect(answers).toEqual([[Errno.EIO, 512, "1"]]);
  });
});

describe("a parent", () => {
  test("is answered once, with the last of its clones", () => {
    const { bio, answers } = parentOf(3072);
    const clones = clonesOf(bio, [1024, 1024, 1024]);
    for (const i of [2, 0]) answer(clones[i]);
    expect([bio.children, bio.inbed, bio.completed, answers.length]).toEqual([3, 2, 2048, 0]);
    answer(clones[1]);
    expect(answers).toEqual([[Errno.OK, 0, "0"]]);
  });

  test("keeps the first error, not the last, and counts what was not transferred", () => {
    const { bio, answers } = parentOf(3072);
    const clones = clonesOf(bio, [1024, 1024, 1024]);
    answer(clones[1], Errno.ENOSPC, 1024);
    answer(clones[0], Errno.EIO, 512);
    answer(clones[2]);
    expect(answers).toEqual([[Errno.ENOSPC, 1536, "1"]]);
  });

  test("of which no clone has a part keeps that part as its residual", () => {
    const { bio, answers } = parentOf(3072);
    for (const clone of clonesOf(bio, [1024, 1024])) answer(clone);
    expect(answers).toEqual([[Errno.OK, 1024, "0"]]);
  });

  test("panics on an answer too many, on bytes that it does not have, and on a stranger's", () => {
    const { bio } = parentOf(1024);
    const [clone] = clonesOf(bio, [1024]);
    answer(clone);
    expect(() => cloneDone(clone)).toThrow("done already");
    const [wide, other] = clonesOf(parentOf(1024).bio, [1025, 1]);
    expect(() => answer(wide)).toThrow("1025 of 1024");
    expect(other.parent?.children).toBe(2);
    expect(() => cloneDone(new Bio())).toThrow("nobody's clone");
  });

  test("gets, whatever the order, the first error and the sum of what was left", () => {
    const part = fc.record({
      length: fc.integer({ min: 1, max: 8 }).map((n) => n * 512),
      error: fc.constantFrom(Errno.OK, Errno.OK, Errno.EIO, Errno.ENOSPC),
      order: fc.nat(),
    });
    const property = fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
      const { bio, answers } = parentOf(parts.reduce((sum, p) => sum + p.length, 0));
      const clones = clonesOf(
        bio,
        parts.map((p) => p.length),
      );
      const order = parts.map((p, i) => ({ ...p, clone: clones[i] }));
      order.sort((a, b) => a.order - b.order);
      for (const { clone, error, length } of order) {
        expect(answers.length).toBe(0);
        answer(clone, error, error === Errno.OK ? 0 : length);
      }
      const failed = order.filter((p) => p.error !== Errno.OK);
      const left = failed.reduce((sum, p) => sum + p.length, 0);
      expect(answers).toEqual([
        [failed[0]?.error ?? Errno.OK, left, failed.length > 0 ? "1" : "0"],
      ]);
    });
    fc.assert(property, { seed: SEED, numRuns: 200 });
  });
});
