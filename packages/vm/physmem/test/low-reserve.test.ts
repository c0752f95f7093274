/** The low reserve: what plain requests leave below 16 MiB and 4 GiB, and who may take it. */
import {
  Errno,
  GiB,
  MAXADDR,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  MiB,
  NO_FRAME,
  PAGE_SIZE,
  TiB,
} from "@physio/kern";
import type { BankConfig, LowReserve } from "@physio/physmem";
import { AllocClass, ANY_DOMAIN, domainSet, PhysMem } from "@physio/physmem";
import { describe, expect, test } from "vitest";

const { NORMAL, SYSTEM, INTERRUPT } = AllocClass;
const frames = (n: number) => n * PAGE_SIZE;

/** 32 frames that 24 bits reach, 64 for 32 bits, 16 above; 4 and 8 are held back. */
const BANKS: BankConfig[] = [
  { base: 0, size: frames(32) },
  { base: 2 * GiB, size: frames(64) },
  { base: 2 ** 40, size: frames(16) },
];
const bench = (lowReserve: LowReserve = [4, 8]) => new PhysMem({ banks: BANKS, lowReserve });
const all = (take: () => number): number[] => {
  const taken: number[] = [];
  for (let f = take(); f !== NO_FRAME; f = take()) taken.push(f);
  return taken;
};

describe("how large it is", () => {
  const cases: [name: string, banks: BankConfig[], reserve: [number, number]][] = [
    ["nothing on a machine of 1023 frames", [{ base: 0, size: frames(1023) }], [0, 0]],
    ["1/64 of 1024 frames below 16 MiB", [{ base: 0, size: frames(1024) }], [16, 0]],
    ["1/64 of each reach", [{ base: 0, size: 18 * MiB }], [64, 8]],
    ["at most 256 frames", [{ base: MiB, size: 3 * GiB }], [60, 256]],
    ["nothing above 4 GiB", [{ base: 4 * GiB, size: TiB }], [0, 0]],
  ];
  for (const [name, banks, reserve] of cases) {
    test(name, () => {
      expect(new PhysMem({ banks }).lowReserve).toEqual(reserve);
    });
  }

  test("what is asked for, or all there is", () => {
    expect(bench([0, 0]).lowReserve).toEqual([0, 0]);
    expect(bench([5, 1000]).lowReserve).toEqual([5, 64]);
  });

  const bad = [[1], [1, 2, 3], [-1, 0], [0.5, 0], [0, Number.NaN], ["1", 2], 7, null];
  for (const lowReserve of bad as unknown as LowReserve[]) {
    test(`${JSON.stringify(lowReserve)} is refused`, () => {
      expect(() => bench(lowReserve)).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(() => bench(lowReserve)).toThrow(`a low reserve of ${String(lowReserve)} frames`);
    });
  }

  test("the domains hold it together, by their size", () => {
    const banks = [0, 1, 2].map((domain) => ({
      base: domain * MiB,
      size: frames(10 + domain),
      domain,
    }));
    const mem = new PhysMem({ banks, lowReserve: [7, 0] });
    const left = [0, 1, 2].map((d) => mem.freeFramesIn(d) - mem.freeFramesIn(d, SYSTEM));
    expect([mem.lowReserve, left]).toEqual([
      [7, 0],
      [2, 2, 3],
    ]);
    expect(mem.freeFramesIn(1, INTERRUPT)).toBe(11);
    expect(() => mem.freeFramesIn(1, 3)).toThrow("class 3: EINVAL");
    expect(all(() => mem.allocFrame()).length).toBe(26);
    expect([0, 1, 2].map((d) => mem.freeFramesIn(d))).toEqual(left);
  });
});

describe("who may have it", () => {
  for (const cls of [NORMAL, SYSTEM]) {
    test(`single frames of class ${cls} leave it, and INTERRUPT takes it`, () => {
      const mem = bench();
      expect(all(() => mem.allocFrame(ANY_DOMAIN, cls)).length).toBe(112 - 12);
      expect([mem.freeFrames, mem.freeFramesIn(0, cls)]).toEqual([12, 0]);
      expect(all(() => mem.allocFrame(ANY_DOMAIN, INTERRUPT)).length).toBe(12);
      mem.check();
    });
  }

  test("requests with `high` take it", () => {
    const mem = bench();
    all(() => mem.allocFrame());
    for (const high of [MAXADDR, MAXADDR + 1, 2 ** 53 - 1])
      expect(mem.allocContig(1, { high })).toBe(NO_FRAME);
    const low = mem.allocContig(4, { high: MAXADDR_24BIT });
    const mid = mem.allocContig(8, { high: MAXADDR_32BIT });
    expect([mem.addrOf(low), mem.addrOf(mid), mem.freeFrames]).toEqual([
      frames(28),
      2 * GiB + frames(56),
      0,
    ]);
    mem.check();
  });

  test("ranges without `high` leave it, of class INTERRUPT they do not", () => {
    const mem = bench();
    expect(mem.allocContig(57)).toBe(NO_FRAME);
    expect(mem.addrOf(mem.allocContig(56))).toBe(2 * GiB);
    expect(mem.addrOf(mem.allocContig(28))).toBe(0);
    expect(mem.addrOf(mem.allocContig(16))).toBe(2 ** 40);
    expect(mem.allocContig(1)).toBe(NO_FRAME);
    expect(mem.addrOf(mem.allocContig(8, {}, INTERRUPT))).toBe(2 * GiB + frames(56));
    mem.check();
  });

  for (const border of [16 * MiB, 4 * GiB]) {
    test(`a range across ${border} takes of both sides what they may give`, () => {
      const banks = [{ base: border - 4 * MiB, size: 8 * MiB }];
      const mem = new PhysMem({ banks, lowReserve: border === 4 * GiB ? [0, 1000] : [1000, 1000] });
      const above = border === 4 * GiB ? 1024 : 24;
      expect(mem.allocContig(24 + above + 1)).toBe(NO_FRAME);
      const frame = mem.allocContig(24 + above);
      expect(mem.addrOf(frame)).toBe(border - frames(24));
      expect([mem.allocContig(1), mem.allocFrame()]).toEqual([NO_FRAME, NO_FRAME]);
      mem.freeFrame(frame, 24 + above);
      mem.check();
      expect(mem.allocContig(2048, { low: border - 4 * MiB, high: border + 4 * MiB - 1 })).not.toBe(
        NO_FRAME,
      );
    });
  }

  test("a policy goes on where a domain has nothing but its reserve", () => {
    const banks = [0, 1].map((domain) => ({ base: domain * MiB, size: frames(8), domain }));
    const mem = new PhysMem({ banks, lowReserve: [8, 0] });
    const asked: number[] = [];
    mem.pressure.onReclaim((wanted) => {
      asked.push(wanted);
      return 0;
    });
    const policy = domainSet.prefer(0);
    const domains = Array.from({ length: 8 }, () => mem.domainOf(policy.allocFrame(mem)));
    expect([domains.join(""), asked]).toEqual(["00001111", []]);
    expect([policy.allocFrame(mem), asked]).toEqual([NO_FRAME, [1]]);
    expect(policy.allocFrame(mem, INTERRUPT)).not.toBe(NO_FRAME);
  });
});

describe("pressure", () => {
  test("is about what plain requests may have", () => {
    const mem = bench();
    mem.pressure.setMarks({ reserved: 0, min: 4, target: 8 });
    const told: string[] = [];
    mem.pressure.onShortage(() => told.push(`short at ${mem.freeFrames}`));
    mem.pressure.onRelief(() => told.push(`relief at ${mem.freeFrames}`));
    const held = Array.from({ length: 97 }, () => mem.allocFrame());
    expect(told).toEqual(["short at 15"]);
    mem.freeFrame(held.pop()!);
    expect(told).toEqual(["short at 15", "relief at 16"]);
    for (let i = 0; i < 3; i++) mem.freeFrame(held.pop()!);
    expect(mem.allocContig(8, { high: MAXADDR_32BIT })).not.toBe(NO_FRAME);
    expect(told).toEqual(["short at 15", "relief at 16"]); // 7 are left, and the target was not reached
  });

  test("the low reserve that others took is no shortage", () => {
    const mem = bench();
    mem.pressure.setMarks({ reserved: 0, min: 4, target: 4 });
    const told: number[] = [];
    mem.pressure.onShortage(() => told.push(mem.freeFrames));
    const taken = [
      mem.allocContig(32, { high: MAXADDR_24BIT }),
      mem.allocContig(64, { high: MAXADDR_32BIT }),
    ];
    expect([told, mem.freeFrames]).toEqual([[], 16]);
    Array.from({ length: 12 }, () => mem.allocFrame());
    expect([told, mem.freeFrames]).toEqual([[], 4]);
    mem.allocFrame();
    expect(told).toEqual([3]);
    mem.freeFrame(taken[0], 4); // refills the reserve, and is no relief
    expect([mem.pressure.short, mem.freeFramesIn(0, SYSTEM)]).toEqual([true, 3]);
    mem.freeFrame(taken[0] + 4, 1);
    expect(mem.pressure.short).toBe(false);
  });

  test("the target can be all frames but the reserve", () => {
    const set = (target: number) => () =>
      bench().pressure.setMarks({ reserved: 0, min: 0, target });
    expect(set(100)).not.toThrow();
    expect(set(101)).toThrow("marks 0 <= 0 <= 101 of 100 frames: EINVAL");
  });

  test("hooks are asked until the reserve is there again and a frame above it", () => {
    const mem = bench();
    const held = all(() => mem.allocFrame());
    held.sort((a, b) => b - a); // the lowest are given first
    expect(mem.allocContig(4, { high: MAXADDR_24BIT })).not.toBe(NO_FRAME);
    const wants: number[] = [];
    mem.pressure.onReclaim((wanted) => {
      wants.push(wanted);
      for (let i = 0; i < wanted; i++) mem.freeFrame(held.pop()!);
      return wanted;
    });
    expect(mem.addrOf(mem.allocFrame())).toBeLessThan(16 * MiB);
    expect([wants, mem.freeFrames]).toEqual([[1, 2, 4], 8 + 7 - 1]);
    mem.check();
  });
});
