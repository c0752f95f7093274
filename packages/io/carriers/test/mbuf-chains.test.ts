import { MbufFlag, MHLEN } from "@physio/carriers/mbuf";
import { describe, expect, test } from "vitest";
import { Bench, expectChain, expectPanic, offsetOf, pattern } from "./mbuf-fixture.ts";

const { PKTHDR, RDONLY, BCAST } = MbufFlag;

describe("adj", () => {
  const cases: [string, number, string, number, number][] = [
    // before, by, after, first byte, bytes
    ["p100", 0, "p100", 0, 100],
    ["p100", 14, "p86", 14, 86],
    ["p100", 100, "p0", 0, 0],
    ["p100", 500, "p0", 0, 0],
    ["p10 20 c500", 10, "p0 20 c500", 10, 520],
    ["p10 20 c500", 31, "p0 0 c499", 31, 499],
    ["p10 20 c500", 9999, "p0 0 c0", 0, 0],
    ["p100", -14, "p86", 0, 86],
    ["p100", -100, "p0", 0, 0],
    ["p100", -101, "p0", 0, 0],
    ["p10 20 c500", -500, "p10 20 c0", 0, 30],
    ["p10 20 c500", -501, "p10 19", 0, 29],
    ["p10 20 c500", -520, "p10", 0, 10],
    ["p10 20 c500", -525, "p5", 0, 5],
    ["p10 20 c500", -530, "p0", 0, 0],
    ["p10 20 c500", -9999, "p0", 0, 0],
    ["p0 0 20 0", -5, "p0 0 15", 0, 15],
    ["10 20", -25, "5", 0, 5],
    ["10 20", 25, "0 5", 25, 5],
    ["s100 u9000", 4000, "s0 u5100", 4000, 5100],
    ["u9000", -8999, "u1", 0, 1],
    ["ps100", 40, "ps60", 40, 60],
  ];
  for (const [before, by, after, from, count] of cases) {
    test(`of "${before}" by ${by} is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      b.pool.adj(m, by);
      expectChain(b, m, after, pattern(count, from));
    });
  }

  test("by no whole number panics", () => {
    const b = new Bench();
    const m = b.chain("p10");
    for (const bad of [Number.NaN, 0.5, Number.NEGATIVE_INFINITY]) {
      expectPanic(() => b.pool.adj(m, bad), `${bad}`);
    }
    b.pool.freem(m);
  });
});

describe("prepend", () => {
  const cases: [string, number, string][] = [
    ["p100@20", 14, "p114"],
    ["p50@20", 20, "p70"],
    ["p50@20", 21, "p21 50"],
    ["p100", 0, "p100"],
    ["p100", 14, "p14 100"],
    ["p0", MHLEN, `p${MHLEN} 0`],
    ["50", 224, "224 50"],
    ["pc100@14", 14, "pc114"],
    ["ps100@14", 14, "p14 s100"],
    ["pr100@14", 14, "p14 r100"],
    ["pu5000", 54, "p54 u5000"],
    ["px100@64", 64, "px164"],
  ];
  for (const [before, by, after] of cases) {
    test(`of ${by} bytes to "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.pool.prepend(b.chain(before), by)!;
      expect(b.words(m)).toBe(after);
      const bytes = b.bytes(m);
      expect(bytes.subarray(by)).toEqual(pattern(bytes.length - by));
      if ((m.flags & PKTHDR) !== 0) expect(m.packetLength).toBe(bytes.length);
      b.pool.freem(m);
    });
  }

  test("moves the packet's fields to the new mbuf, not what says that storage is read-only", () => {
    const b = new Bench();
    const old = b.chain("pr100");
    old.flags |= BCAST;
    Object.assign(old, { receiver: "em0", vlanTag: 7 });
    const m = b.pool.prepend(old, 14)!;
    expect([m.flags, m.receiver, m.vlanTag]).toEqual([PKTHDR | BCAST, "em0", 7]);
    expect([old.flags & (PKTHDR | RDONLY), old.receiver, old.packetLength]).toEqual([
      RDONLY,
      null,
      0,
    ]);
    // The data end where the storage ends, for the next header.
    expect(offsetOf(m)).toBe(152);
    b.pool.freem(m);
  });

  test("frees the chain when mbufs are short, and panics when no mbuf holds so much", () => {
    const b = new Bench({ mbufs: 2 });
    expect(b.pool.prepend(b.chain("p10 20"), 5)).toBe(null);
    expect(b.pool.counters.mbufs.inUse).toBe(0);
    const m = b.chain("p10");
    expectPanic(() => b.pool.prepend(m, Number.NaN), "NaN");
    const other = new Bench();
    const front = other.chain("p10");
    expectPanic(() => other.pool.prepend(front, MHLEN + 1), "169");
    for (const at of other.pool.mbufs.all) if (at.type !== 0) other.pool.free(at);
    b.pool.freem(m);
  });
});

describe("pullup", () => {
  const cases: [string, number, string][] = [
    ["p100", 40, "p100"],
    ["p100 c500", 100, "p100 c500"],
    ["p10 c500", 40, "p70 c440"], // 60 bytes more than was asked for come along
    ["p10 20 30 c500", 40, "p60 c500"],
    ["p10 0 0 100", 11, "p70 40"],
    ["p100 c500", 168, "p168 c432"],
    ["p100@30 c500", 138, "p138 c462"],
    ["p100@30 c500", 139, "p160 c440"], // no room behind: a new mbuf
    ["200 100", 224, "224 76"],
    ["c500", 40, "60 c440"], // external storage is always moved
    ["pc40 c500", 54, "p100 c440"],
    ["ps500 10", 20, "p60 s440 10"],
    ["pu5000", 100, "p100 u4900"],
    ["p30 u5000", 60, "p90 u4940"],
    ["p30", 30, "p30"],
    ["p0 10", 0, "p0 10"],
  ];
  for (const [before, count, after] of cases) {
    test(`of ${count} bytes of "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      const total = b.pool.length(m);
      expectChain(b, b.pool.pullup(m, count), after, pattern(total));
    });
  }

  for (const [before, count] of [
    ["p10 20", 31],
    ["p100", 101],
    ["pc500", 169],
    ["p10 c500", 169],
    ["c10 5", 20],
  ] as const) {
    test(`of ${count} bytes of "${before}" is null and frees the chain`, () => {
      const b = new Bench();
      expect(b.pool.pullup(b.chain(before), count)).toBe(null);
      expect(b.pool.counters.mbufs.inUse).toBe(0);
    });
  }

  test("frees the chain when mbufs are short", () => {
    const b = new Bench({ mbufs: 2 });
    expect(b.pool.pullup(b.chain("pc10 c500"), 40)).toBe(null);
    expect(b.pool.counters.mbufs.inUse).toBe(0);
  });
});

describe("split", () => {
  const cases: [string, number, string, string][] = [
    ["p100 c500", 0, "p0", "p100 c500"],
    ["p100 c500", 40, "p40", "p60 c500"],
    ["p100 c500", 100, "p100", "p0 c500"],
    ["p100 c500", 101, "p100 s1", "ps499"],
    ["p100 c500", 600, "p100 c500", "p0"],
    ["p10 200", 15, "p10 5", "p0 195"],
    ["p10 200", 50, "p10 40", "p160"],
    ["100 c500", 100, "100", "c500"],
    ["100 50", 120, "100 20", "30"],
    ["100", 100, "100", ""],
    ["100", 101, "100", ""],
    ["p100", 101, "p100", ""],
    ["pu5000", 70, "pu70", "pu4930"],
  ];
  for (const [before, at, head, tail] of cases) {
    test(`of "${before}" at ${at} is "${head}" and "${tail}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      m.receiver = "em0";
      const total = b.pool.length(m);
      const n = b.pool.split(m, at);
      expect([b.words(m), b.words(n)]).toEqual([head, tail]);
      if (n !== null && (n.flags & PKTHDR) !== 0) expect(n.receiver).toBe("em0");
      expectChain(b, n, tail, pattern(Math.max(total - at, 0), at));
      expect(b.bytes(m)).toEqual(pattern(Math.min(total, at)));
      if ((m.flags & PKTHDR) !== 0) expect(m.packetLength).toBe(Math.min(total, at));
      b.pool.freem(m);
    });
  }

  test("changes nothing when mbufs are short", () => {
    const b = new Bench({ mbufs: 3 });
    const m = b.chain("p10 200");
    expect(b.pool.split(m, 15)).toBe(null);
    expectChain(b, m, "p10 200", pattern(210));
    const n = b.chain("p10 20 20");
    expect(b.pool.split(n, 15)).toBe(null);
    expectChain(b, n, "p10 20 20", pattern(50));
  });
});

describe("cat", () => {
  for (const [one, two, after] of [
    ["p100", "50", "p150"],
    ["p100", "68", "p168"],
    ["p100", "69", "p100 69"],
    ["p10 20", "c30 c500 5", "p10 50 c500 5"],
    ["pc500", "100 c1448 1", "pc2048 1"],
    ["ps500", "10", "ps500 10"],
    ["p10", "u20", "p30"],
    ["pu100", "5", "pu100 5"],
    ["p168", "0", "p168"],
  ] as const) {
    test(`of "${one}" and "${two}" is "${after}"`, () => {
      const b = new Bench();
      const [m, n] = [b.chain(one), b.chain(two)];
      const bytes = Uint8Array.of(...b.bytes(m), ...b.bytes(n));
      b.pool.cat(m, n);
      b.pool.fixhdr(m);
      expectChain(b, m, after, bytes);
    });
  }

  test("of packets is one packet of both", () => {
    const b = new Bench();
    const [m, n] = [b.chain("p100"), b.chain("pc500 20")];
    b.pool.catPacket(m, n);
    expectChain(b, m, "p100 c500 20", Uint8Array.of(...pattern(100), ...pattern(520)));
    const [p, q] = [b.chain("p5"), b.chain("5")];
    expectPanic(() => b.pool.catPacket(p, q), "no packet header");
    b.pool.freem(p);
    b.pool.freem(q);
  });
});

describe("defrag and collapse", () => {
  for (const [before, after] of [
    ["p0", "p0"],
    ["p10 20 30", "p60"],
    ["p100 68", "p168"],
    ["p100 69", "pc169"],
    ["p54 c1000 c1000 1", "pc2048 7"],
    ["p54 s1000 u5000", "pc2048 c2048 c1958"],
    ["pc2048 s224", "pc2048 224"],
    ["pc2048 s225", "pc2048 c225"],
  ] as const) {
    test(`defrag of "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      m.packetLength = 0; // it is counted again
      m.receiver = "em0";
      const total = b.pool.length(m);
      const n = b.pool.defrag(m)!;
      expect(n.receiver).toBe("em0");
      expectChain(b, n, after, pattern(total));
    });
  }

  test("a defrag that is short leaves the packet as it was", () => {
    const b = new Bench({ clusters: 3 });
    const m = b.chain("p54 c1500 c1500");
    expect(b.pool.defrag(m)).toBe(null);
    expectChain(b, m, "p54 c1500 c1500", pattern(3054));
  });

  for (const [before, most, after] of [
    ["p10 20 30 40", 3, "p30 30 40"],
    ["p10 20 30 40", 4, "p10 20 30 40"],
    ["p10 20 30 40", 1, "p100"],
    ["p168 200 200 200", 3, "p168 c400 200"],
    ["p168 200 200 200", 2, "p168 c600"],
    ["p168 c1500 100 c1500", 3, "p168 c1600 c1500"],
    ["ps100 s100 s100 s100", 3, "ps100 c200 s100"],
    ["p168 u1000 u500 u100", 2, "p168 c1600"],
    ["p168 s1500 s548", 2, "p168 c2048"],
    ["p168 s1500 s549 s9", 3, "p168 s1500 c558"],
    ["pr100 0 5", 2, "pr100 5"],
  ] as const) {
    test(`collapse of "${before}" to ${most} is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      const total = m.packetLength;
      expect(b.pool.collapse(m, most)).toBe(m);
      expectChain(b, m, after, pattern(total));
    });
  }

  test("a collapse that cannot be done is null and keeps the bytes", () => {
    const b = new Bench({ clusters: 3 });
    const m = b.chain("p168 c1500 c1500 10");
    expect(b.pool.collapse(m, 2)).toBe(null);
    expectChain(b, m, "p168 c1500 c1510", pattern(3178));
    const n = b.chain("p168 200 200");
    const held = ["c1", "c1", "c1"].map((words) => b.chain(words));
    expect(b.pool.collapse(n, 2)).toBe(null);
    expectChain(b, n, "p168 200 200", pattern(568));
    for (const h of held) b.pool.freem(h);
    const one = b.chain("p1");
    for (const bad of [0, -1, 1.5, Number.NaN])
      expectPanic(() => b.pool.collapse(one, bad), `${bad}`);
    b.pool.freem(one);
  });
});

test("free gives the rest of the chain, length and fixhdr count it", () => {
  const b = new Bench();
  const m = b.chain("p10 0 c500");
  m.packetLength = 3;
  expect([b.pool.length(null), b.pool.length(m), b.pool.fixhdr(m), m.packetLength]).toEqual([
    0, 510, 510, 510,
  ]);
  const rest = b.pool.free(m);
  expect(b.words(rest)).toBe("0 c500");
  b.pool.freem(rest);
});
