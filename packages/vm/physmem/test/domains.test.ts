/** Domains: whose frames a request gets, and the policies that choose one. */
import { Errno, GiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { BankConfig } from "@physio/physmem";
import { AllocClass, ANY_DOMAIN, domainSet, PhysMem } from "@physio/physmem";
import { describe, expect, test } from "vitest";

const PAGES = 8;
const bank = (base: number, domain: number): BankConfig => ({
  base,
  size: PAGES * PAGE_SIZE,
  domain,
});

/** Two domains with memory above and below 4 GiB. */
const four = () =>
  new PhysMem({
    banks: [bank(64 * MiB, 0), bank(128 * MiB, 1), bank(4 * GiB, 1), bank(8 * GiB, 0)],
  });

const all = (take: () => number): number[] => {
  const frames: number[] = [];
  for (let f = take(); f !== NO_FRAME; f = take()) frames.push(f);
  return frames;
};

test("any domain: the highest reach first, in it the lowest domain", () => {
  const mem = four();
  const frames = all(() => mem.allocFrame());
  const expected = [8 * GiB, 4 * GiB, 64 * MiB, 128 * MiB].flatMap((base) =>
    Array.from({ length: PAGES }, (_, i) => base + i * PAGE_SIZE),
  );
  expect(frames.map((f) => mem.addrOf(f))).toEqual(expected);
  mem.check();
});

test("a domain is strict, for a frame and for a range", () => {
  const mem = four();
  expect(mem.addrOf(mem.allocContig(3, { domain: 1 }))).toBe(4 * GiB);
  const frames = all(() => mem.allocFrame(1));
  expect(frames.length).toBe(2 * PAGES - 3);
  expect(new Set(frames.map((f) => mem.domainOf(f)))).toEqual(new Set([1]));
  expect([mem.allocContig(1, { domain: 1 }), mem.freeFrames]).toEqual([NO_FRAME, 2 * PAGES]);
  expect([mem.domain(0), mem.domain(1)]).toEqual([
    { totalFrames: 2 * PAGES, freeFrames: 2 * PAGES },
    { totalFrames: 2 * PAGES, freeFrames: 0 },
  ]);
  mem.freeFrame(frames[0]);
  expect([mem.freeFramesIn(1), mem.allocFrame(1)]).toEqual([1, frames[0]]);
  mem.check();
});

test("domains are counted up to the highest, and one may have no memory", () => {
  const mem = new PhysMem({ banks: [bank(0, 2), bank(MiB, 7)] });
  expect([mem.domainCount, mem.domain(3)]).toEqual([8, { totalFrames: 0, freeFrames: 0 }]);
  expect([mem.allocFrame(3), mem.allocContig(1, { domain: 3 })]).toEqual([NO_FRAME, NO_FRAME]);
  expect(mem.banks.map(({ domain }) => domain)).toEqual([2, 7]);
  expect(new PhysMem({ banks: [{ base: 0, size: MiB }] }).domainCount).toBe(1);
});

describe("what is refused", () => {
  for (const domain of [-1, 8, 0.5, Number.NaN]) {
    test(`a bank of domain ${domain}`, () => {
      const make = () => new PhysMem({ banks: [bank(0, domain)] });
      expect(make).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(make).toThrow(`has domain ${domain}`);
    });
  }

  for (const domain of [2, -2, 0.5, 0.25, Number.NaN]) {
    test(`domain ${domain} of two`, () => {
      const mem = four();
      const einval = expect.objectContaining({ errno: Errno.EINVAL });
      expect(() => mem.allocFrame(domain)).toThrow(einval);
      expect(() => mem.domain(domain)).toThrow(einval);
      expect(() => mem.freeFramesIn(domain)).toThrow(einval);
      expect(() => mem.freeBlocks(domain, 0)).toThrow(einval);
      expect(() => domainSet.fixed(domain).allocFrame(mem)).toThrow(einval);
      expect(() => domainSet.prefer(domain).allocFrame(mem)).toThrow(einval);
    });
  }

  test("the domain of a frame that does not exist", () => {
    for (const frame of [-1, PAGES, 2 ** 20, Number.NaN])
      expect(() => new PhysMem({ banks: [bank(0, 1)] }).domainOf(frame)).toThrow("does not exist");
  });
});

describe("policies", () => {
  const domains = (mem: PhysMem, frames: readonly number[]) =>
    frames.map((f) => mem.domainOf(f)).join("");

  test("fixed takes from its domain only", () => {
    const mem = four();
    const policy = domainSet.fixed(1);
    expect(
      domains(
        mem,
        all(() => policy.allocFrame(mem)),
      ),
    ).toBe("1".repeat(16));
  });

  test("prefer goes on with the domains behind it", () => {
    const mem = new PhysMem({ banks: [bank(0, 0), bank(MiB, 1), bank(2 * MiB, 2)] });
    const policy = domainSet.prefer(1);
    expect(
      domains(
        mem,
        all(() => policy.allocFrame(mem)),
      ),
    ).toBe("1".repeat(8) + "2".repeat(8) + "0".repeat(8));
  });

  test("round robin goes on where it was, and leaves out a domain that is empty", () => {
    const mem = new PhysMem({ banks: [bank(0, 0), bank(MiB, 1), bank(2 * MiB, 2)] });
    for (let i = 0; i < 6; i++) mem.allocFrame(1);
    const policy = domainSet.roundRobin();
    expect(
      domains(
        mem,
        all(() => policy.allocFrame(mem)),
      ),
    ).toBe(`012012${"02".repeat(6)}`);
    const two = new PhysMem({ banks: [bank(0, 0), bank(MiB, 1)] });
    expect(
      domains(
        two,
        all(() => policy.allocFrame(two)),
      ),
    ).toBe("01".repeat(8));
  });

  test("the hooks for reclaiming are asked only when no domain has a frame", () => {
    const mem = four();
    const held = all(() => mem.allocFrame(0));
    const asked: number[] = [];
    mem.pressure.onReclaim((wanted) => {
      asked.push(wanted);
      mem.freeFrame(held.pop()!);
      return 1;
    });
    const policy = domainSet.prefer(0);
    for (let i = 0; i < 2 * PAGES; i++) expect(mem.domainOf(policy.allocFrame(mem))).toBe(1);
    expect(asked).toEqual([]);
    expect(mem.domainOf(policy.allocFrame(mem))).toBe(0);
    expect(asked).toEqual([1]);
  });

  test("the class of a request goes with it", () => {
    const mem = four();
    mem.pressure.setMarks({ reserved: 31, min: 31, target: 31 });
    const policy = domainSet.roundRobin();
    expect(policy.allocFrame(mem, AllocClass.NORMAL)).not.toBe(NO_FRAME);
    expect(policy.allocFrame(mem, AllocClass.NORMAL)).toBe(NO_FRAME);
    expect(mem.allocFrame(ANY_DOMAIN, AllocClass.INTERRUPT)).not.toBe(NO_FRAME);
  });
});
