/** Credentials: ids, membership, equality by value, and what is refused. */
import { inspect } from "node:util";
import { ErrnoError } from "@physio/kern";
import type { CredentialsOptions, Sleeps } from "@physio/sched";
import { Credentials, ROOT_CRED, Scheduler } from "@physio/sched";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

describe("credentials", () => {
  test("take the real user from the effective one, and no groups, when not told otherwise", () => {
    const cred = Credentials.of({ uid: 1001, gid: 100 });
    expect([cred.uid, cred.ruid, cred.gid, cred.groups]).toEqual([1001, 1001, 100, []]);
    expect(Credentials.of({ uid: 0, ruid: 1001, gid: 0 }).ruid).toBe(1001);
  });

  test("of the kernel are user 0 and group 0", () => {
    expect([ROOT_CRED.uid, ROOT_CRED.ruid, ROOT_CRED.gid]).toEqual([0, 0, 0]);
    expect(ROOT_CRED.isRoot).toBe(true);
  });

  test("are root by the effective user, not by the real one", () => {
    expect(Credentials.of({ uid: 0, ruid: 7, gid: 7 }).isRoot).toBe(true);
    expect(Credentials.of({ uid: 7, ruid: 0, gid: 0 }).isRoot).toBe(false);
  });

  test("keep groups ascending, once each, without the effective one", () => {
    const cred = Credentials.of({ uid: 1, gid: 20, groups: [1000, 5, 20, 5, 100] });
    expect(cred.groups).toEqual([5, 100, 1000]);
    expect([5, 20, 100, 1000].map((gid) => cred.isMember(gid))).toEqual([true, true, true, true]);
    expect([0, 6, 1].map((gid) => cred.isMember(gid))).toEqual([false, false, false]);
  });

  test("cannot be changed, and do not follow a change of the options", () => {
    const groups = [3, 4];
    const cred = Credentials.of({ uid: 1, gid: 2, groups });
    groups.push(5);
    expect(cred.groups).toEqual([3, 4]);
    expect(Object.isFrozen(cred) && Object.isFrozen(cred.groups)).toBe(true);
    expect(() => Object.assign(cred, { uid: 0 })).toThrow(TypeError);
  });

  test("print their ids", () => {
    const options = { uid: 1, ruid: 2, gid: 3, groups: [5, 4] };
    expect(inspect(Credentials.of(options))).toBe("Credentials(uid 1 ruid 2 gid 3 groups 4,5)");
    expect(inspect(ROOT_CRED)).toBe("Credentials(uid 0 gid 0)");
  });
});

test("a thread acts with the credentials of its maker, the first ones with the kernel's", () => {
  const sched = new Scheduler();
  const user = Credentials.of({ uid: 1001, gid: 100 });
  sched.kernelCred = ROOT_CRED;
  const seen: unknown[] = [];
  const leaf = function* (): Sleeps<void> {
    seen.push(sched.current?.cred);
    yield* sched.preempt();
  };
  const main = function* (): Sleeps<void> {
    sched.spawn("kernel's", leaf());
    sched.current!.cred = user;
    sched.spawn("user's", leaf());
    yield* sched.pause("both", 1);
  };
  sched.runSync(main());
  expect(seen).toEqual([ROOT_CRED, user]);
});

describe("two credentials", () => {
  const id = fc.nat(3);
  const drawn = fc.record({ uid: id, ruid: id, gid: id, groups: fc.array(fc.nat(5)) });
  /** The definition: the same users, and the same answer for every group. */
  const same = (a: CredentialsOptions, b: CredentialsOptions) =>
    a.uid === b.uid &&
    a.ruid === b.ruid &&
    a.gid === b.gid &&
    [0, 1, 2, 3, 4, 5].every(
      (gid) => [a.gid, ...a.groups!].includes(gid) === [b.gid, ...b.groups!].includes(gid),
    );

  test("are equal if and only if their values are", () => {
    const fields = ["uid", "ruid", "gid", "groups"] as const;
    fc.assert(
      fc.property(drawn, drawn, fc.constantFrom(...fields), (a, b, field) => {
        const near = { ...a, [field]: b[field] };
        expect(Credentials.of(a).equals(Credentials.of(near))).toBe(same(a, near));
        expect(Credentials.of(a).equals(Credentials.of(b))).toBe(same(a, b));
        expect(Credentials.of(a).equals(Credentials.of({ ...a }))).toBe(true);
      }),
      { numRuns: 500, ...SEED },
    );
  });
});

describe("bad ids", () => {
  const LAST = 0xffff_fffe;
  const bad = [-1, 0.5, LAST + 1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY];

  test("are refused, with the value", () => {
    const good = { uid: 1, gid: 1 };
    for (const id of bad) {
      const all: CredentialsOptions[] = [
        { ...good, uid: id },
        { ...good, ruid: id },
        { ...good, gid: id },
        { ...good, groups: [4, id] },
      ];
      for (const options of all) {
        expect(() => Credentials.of(options)).toThrow(ErrnoError);
        expect(() => Credentials.of(options)).toThrow(`${id} is not from 0 to 2^32 - 2: EINVAL`);
      }
    }
  });

  test("begin behind the largest good one", () => {
    const cred = Credentials.of({ uid: LAST, gid: LAST, groups: [LAST - 1] });
    expect([cred.uid, cred.isMember(LAST - 1)]).toEqual([LAST, true]);
  });

  test("are not the only limit: there are at most 1023 groups", () => {
    const groups = Array.from({ length: 1024 }, (_, i) => i);
    expect(() => Credentials.of({ uid: 1, gid: 1, groups })).toThrow("1024 groups, at most 1023");
    expect(Credentials.of({ uid: 1, gid: 5000, groups: groups.slice(1) }).groups.length).toBe(1023);
  });
});
