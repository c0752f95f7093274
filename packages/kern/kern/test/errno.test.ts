/** Errno numbers, the exception that carries one, and panics. */

import { check, Errno, ErrnoError, errnoName, kassert, Panic, panic } from "@physio/kern";
import { describe, expect, test } from "vitest";

/** What `action` throws. */
function thrown(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("errno", () => {
  // From FreeBSD's intro(2); the numbers above 34 differ from Linux.
  const cases = [
    ["OK", 0],
    ["ENOENT", 2],
    ["EIO", 5],
    ["ENOMEM", 12],
    ["EFAULT", 14],
    ["EEXIST", 17],
    ["EINVAL", 22],
    ["EFBIG", 27],
    ["EAGAIN", 35],
    ["EINPROGRESS", 36],
    ["EOPNOTSUPP", 45],
    ["ETIMEDOUT", 60],
    ["ENAMETOOLONG", 63],
    ["EINTEGRITY", 97],
  ] as const;
  for (const [name, value] of cases) {
    test(`${name} is ${value}`, () => {
      expect(Errno[name]).toBe(value);
      expect(errnoName(value)).toBe(name);
    });
  }

  test("no two names share a number, and all are frozen", () => {
    const values = Object.values(Errno);
    expect(new Set(values).size).toBe(values.length);
    expect(Object.isFrozen(Errno)).toBe(true);
  });

  test("a number without a name prints as E<number>", () => {
    expect(errnoName(999)).toBe("E999");
  });
});

describe("ErrnoError", () => {
  test("carries number, code and what was attempted", () => {
    const error = new ErrnoError(Errno.EINVAL, "dmaTag: alignment 3 is not a power of 2");
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(Panic);
    expect([error.name, error.errno, error.code]).toEqual(["ErrnoError", 22, "EINVAL"]);
    expect(error.what).toBe("dmaTag: alignment 3 is not a power of 2");
    expect(error.message).toBe("dmaTag: alignment 3 is not a power of 2: EINVAL");
  });

  test("check lets OK pass and throws every other number", () => {
    check(Errno.OK, "nothing");
    const error = thrown(() => check(Errno.EFBIG, "load of 9 segments"));
    expect(error).toMatchObject({ errno: Errno.EFBIG, code: "EFBIG", what: "load of 9 segments" });
    expect(thrown(() => check(999, "odd"))).toMatchObject({ errno: 999, code: "E999" });
  });
});

describe("panic", () => {
  test("throws a Panic with its message", () => {
    const error = thrown(() => panic("page 7 is free twice"));
    expect(error).toBeInstanceOf(Panic);
    expect(error).toMatchObject({ name: "Panic", message: "page 7 is free twice" });
  });

  test("kassert panics exactly when its condition is false", () => {
    kassert(true, "never");
    expect(thrown(() => kassert(false, "count is 0"))).toEqual(new Panic("count is 0"));
  });
});
