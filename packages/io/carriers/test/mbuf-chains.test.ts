/** What the chain operations do to a chain: tables of shapes before and after, and the bytes. */
import type { Mbuf } from "@physio/carriers/mbuf";
import { M_COPYALL, MbufFlag, MHLEN } from "@physio/carriers/mbuf";
import { describe, expect, test } from "vitest";
import { Bench, expectPanic, offsetOf, pattern } from "./mbuf-fixture.ts";

const { PKTHDR, RDONLY, BCAST } = MbufFlag;

/** The chain has this shape, these bytes, and its packet says so. Then it is freed. */
function expectChain(b: Bench, m: Mbuf | null, words: string, bytes: Uint8Array): void {
  expect(b.words(m)).toBe(words);
  expect(b.bytes(m)).toEqual(bytes);
  if (m !== null && (m.flags & PKTHDR) !== 0) expect(m.packetLength).toBe(bytes.length);
  b.pool.check();
  b.pool.freem(m);
}

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

describe("copym", () => {
  const cases: [string, number, number, string][] = [
    ["p100 c500", 0, 600, "p100 s500"],
    ["p100 c500", 0, M_COPYALL, "p100 s500"],
    ["p100 c500", 0, 50, "p50"],
    ["p100 c500", 10, 50, "50"],
    ["p100 c500", 10, M_COPYALL, "90 s500"],
    ["p100 c500", 100, 20, "s20"],
    ["p100 c500", 150, 450, "s450"],
    ["p100 0 c500", 50, 100, "50 0 s50"],
    ["p100 c500", 0, 0, ""],
    ["p100 c500", 600, M_COPYALL, ""],
    ["p10 u5000", 5, 3000, "5 u2995"],
    ["x300", 100, 100, "x100"],
    ["r300", 0, 300, "r300"],
  ];
  for (const [before, offset, count, after] of cases) {
    test(`of ${count} bytes from ${offset} of "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      const total = Math.min(count, b.pool.length(m) - offset);
      const copy = b.pool.copym(m, offset, count);
      expectChain(b, copy, after, pattern(total, offset));
      expect([b.words(m), b.bytes(m).length]).toEqual([before, b.pool.length(m)]);
      b.pool.freem(m);
    });
  }

  test("past the end panics, and short of mbufs it is null with nothing taken", () => {
    const b = new Bench({ mbufs: 3 });
    const m = b.chain("p100 c500");
    expectPanic(() => b.pool.copym(m, 601, M_COPYALL), "shorter");
    expectPanic(() => b.pool.copym(m, 590, 11), "shorter");
    expectPanic(() => b.pool.copym(m, -1, 1), "-1");
    expectPanic(() => b.pool.copym(m, 0, Number.NaN), "NaN");
    expect(b.pool.copym(m, 0, 600)).toBe(null);
    expect([b.words(m), m.next!.ext!.refs]).toEqual(["p100 c500", 1]);
    b.pool.freem(m);
  });

  test("what was shared is writable again when the copy is freed", () => {
    const b = new Bench();
    const m = b.chain("pc500");
    const copy = b.pool.copym(m, 0, M_COPYALL);
    expect(b.words(m)).toBe("ps500");
    expectPanic(() => b.pool.copyback(m, 0, 1, Uint8Array.of(1)), "not writable");
    b.pool.freem(copy);
    expect(b.words(m)).toBe("pc500");
    expect(b.pool.copyback(m, 0, 1, Uint8Array.of(1))).toBe(true);
    b.pool.freem(m);
  });
});

describe("copies of a packet", () => {
  const before = "p50@30 c500@20 s300 u5000 x100";
  const cases = [
    {
      name: "copypacket",
      copy: (b: Bench, m: Mbuf) => b.pool.copypacket(m),
      after: "p50 s500 s300 u5000 x100",
    },
    { name: "dup", copy: (b: Bench, m: Mbuf) => b.pool.dup(m), after: "pc2048 c2048 c1854" },
  ];
  for (const { name, copy, after } of cases) {
    test(`${name} has the same bytes and fields`, () => {
      const b = new Bench();
      const m = b.chain(before);
      Object.assign(m, { receiver: "em0", flowId: 3, csumData: 4 });
      const n = copy(b, m)!;
      expect([n.receiver, n.flowId, n.csumData]).toEqual(["em0", 3, 4]);
      expectChain(b, n, after, pattern(5950));
      expectChain(b, m, before.replaceAll(/@\d+/g, ""), pattern(5950));
    });
  }

  test("copypacket keeps the room before the data", () => {
    const b = new Bench();
    const m = b.chain("p50@30 20@7");
    const n = b.pool.copypacket(m)!;
    expect([offsetOf(n), offsetOf(n.next!)]).toEqual([30, 0]);
    b.pool.freem(m);
    b.pool.freem(n);
  });

  for (const [words, copied] of [
    ["p0", "p0"],
    ["p168", "p168"],
    ["p100 69", "pc169"],
    ["ps100", "p100"],
    ["pr2048 100", "pc2048 100"],
  ] as const) {
    test(`dup of "${words}" is "${copied}"`, () => {
      const b = new Bench();
      const m = b.chain(words);
      expectChain(b, b.pool.dup(m), copied, b.bytes(m));
      b.pool.freem(m);
    });
  }

  test("of something that is no packet panic, and short of mbufs they are null", () => {
    const b = new Bench({ mbufs: 4 });
    const m = b.chain("p50 20 30");
    for (const copy of [b.pool.copypacket.bind(b.pool)]) expect(copy(m)).toBe(null);
    const n = b.pool.split(m, 50);
    b.pool.freem(n);
    const plain = b.chain("5");
    expectPanic(() => b.pool.dup(plain), "no packet header");
    expectPanic(() => b.pool.copypacket(plain), "no packet header");
    expectPanic(() => b.pool.defrag(plain), "no packet header");
    expectPanic(() => b.pool.fixhdr(plain), "no packet header");
    b.pool.freem(m);
    b.pool.freem(plain);
  });

  test("dup of a packet that lacks bytes panics", () => {
    const b = new Bench();
    const m = b.chain("p50");
    m.packetLength = 60;
    expectPanic(() => b.pool.dup(m), "lacks");
    for (const at of b.pool.mbufs.all) if (at.type !== 0) b.pool.free(at);
  });
});

describe("unshare", () => {
  for (const [before, after] of [
    ["p100 c500", "p100 c500"],
    ["ps500", "pc500"],
    ["p100 s500 20 s30 s2000", "p100 c550 c2000"],
    ["c500 20", "c520"],
    ["p100 20", "p100 20"],
    ["pr100 r100", "pc200"],
    ["pu5000 10", "pc2048 c2048 c914"],
    ["px100", "px100"],
    ["pr0", "pc0"],
  ] as const) {
    test(`of "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      const total = b.pool.length(m);
      expectChain(b, b.pool.unshare(m), after, pattern(total));
    });
  }

  test("frees the chain when clusters are short", () => {
    const b = new Bench({ clusters: 3 });
    expect(b.pool.unshare(b.chain("p10 s500 s2000"))).toBe(null);
    expect(b.pool.counters.mbufs.inUse).toBe(2);
    expect(b.pool.unshare(b.chain("pu5000"))).toBe(null);
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

describe("append and copyback", () => {
  for (const [before, count, after] of [
    ["p100", 50, "p150"],
    ["p100", 0, "p100"],
    ["p168", 10, "p168 10"],
    ["p10 c2000", 300, "p10 c2048 224 28"],
    ["ps100", 5, "ps100 5"],
    ["pu100", 5, "pu100 5"],
    ["x100", 8000, "x8100"],
  ] as const) {
    test(`append of ${count} bytes to "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      const total = b.pool.length(m);
      expect(b.pool.append(m, count, pattern(count + 3, total - 3), 3)).toBe(true);
      expectChain(b, m, after, pattern(total + count));
    });
  }

  for (const [before, offset, count, after] of [
    ["p100", 0, 0, "p100"],
    ["p100", 50, 20, "p100"],
    ["p100", 90, 20, "p110"],
    ["p100", 100, 200, "p168 132"],
    ["p100 50", 90, 40, "p100 50"],
    ["p100 0 50", 90, 40, "p100 0 50"],
    ["p10", 500, 10, "p168 224 118"],
    ["ps10", 20, 5, "ps10 15"],
    ["ps10 5", 10, 5, "ps10 5"],
    ["x10", 5000, 100, "x5100"],
    ["p10", 30, 0, "p30"],
  ] as const) {
    test(`copyback of ${count} bytes at ${offset} of "${before}" is "${after}"`, () => {
      const b = new Bench();
      const m = b.chain(before);
      const old = b.bytes(m);
      const bytes = new Uint8Array(Math.max(old.length, offset + count));
      bytes.set(old);
      bytes.set(new Uint8Array(count).fill(255), offset);
      expect(b.pool.copyback(m, offset, count, new Uint8Array(count + 1).fill(255), 1)).toBe(true);
      expectChain(b, m, after, bytes);
    });
  }

  test("short of mbufs they write what they can and say false", () => {
    const b = new Bench({ mbufs: 2 });
    const m = b.chain("p168");
    expect(b.pool.append(m, 300, pattern(300, 168))).toBe(false);
    expectChain(b, m, "p168 224", pattern(392));
    const n = b.chain("p168");
    expect(b.pool.copyback(n, 100, 500, pattern(500, 100))).toBe(false);
    expectChain(b, n, "p168 224", pattern(392));
    const gap = b.chain("p168 224");
    expect(b.pool.copyback(gap, 1000, 1, Uint8Array.of(9))).toBe(false);
    expectChain(b, gap, "p168 224", pattern(392));
  });

  test("an array that is too short, and lengths that are none, panic", () => {
    const b = new Bench();
    const m = b.chain("p100");
    const array = new Uint8Array(10);
    expectPanic(() => b.pool.append(m, 11, array), "11 bytes");
    expectPanic(() => b.pool.append(m, 5, array, 6), "at 6");
    expectPanic(() => b.pool.append(m, Number.NaN, array), "NaN");
    expectPanic(() => b.pool.copyback(m, -1, 1, array), "-1");
    expectPanic(() => b.pool.copydata(m, 0, 11, array), "11 bytes");
    expectPanic(() => b.pool.copydata(m, 95, 6, array), "shorter");
    expectPanic(() => b.pool.copydata(m, Number.NaN, 6, array), "NaN");
    expectPanic(() => b.pool.apply(m, 0, 101, () => 0, null), "shorter");
    b.pool.freem(m);
  });
});

describe("copydata and apply", () => {
  test("give every range of a mixed chain", () => {
    const b = new Bench();
    const m = b.chain("p54 c500 0 u9000 s20 x300");
    for (const [offset, count] of [
      [0, 9874],
      [53, 2],
      [554, 9000],
      [580, 10],
      [600, 5000],
      [9870, 4],
      [9874, 0],
    ] as const) {
      const to = new Uint8Array(count + 2);
      b.pool.copydata(m, offset, count, to, 1);
      expect(to).toEqual(Uint8Array.of(0, ...pattern(count, offset), 0));
      const seen: number[] = [];
      const result = b.pool.apply(
        m,
        offset,
        count,
        (list, va, length) => {
          const part = new Uint8Array(length);
          b.kmem.read(va, part);
          list.push(...part);
          return 0;
        },
        seen,
      );
      expect([result, Uint8Array.from(seen)]).toEqual([0, pattern(count, offset)]);
    }
    expect(b.pool.apply(m, 10, 1000, (_, __, length) => length, null)).toBe(44);
    expect(b.pool.apply(m, 560, 4000, (_, __, length) => length, null)).toBe(24);
    b.pool.freem(m);
  });
});

describe("devget", () => {
  for (const [length, offset, words, at] of [
    [0, 0, "p0", 16],
    [100, 0, "p100", 16],
    [152, 0, "p152", 16],
    [153, 0, "p153", 0],
    [168, 0, "p168", 0],
    [169, 0, "pc169", 0],
    [150, 2, "p150", 18],
    [160, 2, "p160", 2],
    [1500, 2, "pc1500", 2],
    [2048, 2, "pc2046 2", 2],
    [5000, 0, "pc2048 c2048 c904", 0],
    [20, 168, "pc20", 168],
  ] as const) {
    test(`of ${length} bytes ${offset} in is "${words}" from ${at}`, () => {
      const b = new Bench();
      const m = b.pool.devget(pattern(length + 5, 246), 5, length, offset, "em0")!;
      expect([m.receiver, offsetOf(m)]).toEqual(["em0", at]);
      expectChain(b, m, words, pattern(length));
    });
  }

  test("is null with nothing taken when clusters are short or the offset is too large", () => {
    const b = new Bench({ clusters: 1 });
    expect(b.pool.devget(pattern(3000), 0, 3000)).toBe(null);
    expect(b.pool.devget(pattern(10), 0, 10, 169)).toBe(null);
    expectPanic(() => b.pool.devget(pattern(10), 1, 10), "at 1");
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

test("copies are counted", () => {
  const b = new Bench();
  const m = b.chain("p100 c500");
  const n = b.pool.copym(m, 0, M_COPYALL);
  expect([b.pool.copies, b.pool.copiedBytes]).toEqual([1, 100]);
  b.pool.freem(n);
  b.pool.freem(m);
});
