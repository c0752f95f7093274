/** Copies of chains, and their bytes written and read: tables of shapes before and after. */
import type { Mbuf } from "@physio/carriers/mbuf";
import { M_COPYALL, MbufPool } from "@physio/carriers/mbuf";
import { MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import { Bench, expectChain, expectPanic, offsetOf, pattern } from "./mbuf-fixture.ts";

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

test("copies are counted", () => {
  const b = new Bench();
  const m = b.chain("p100 c500");
  const n = b.pool.copym(m, 0, M_COPYALL);
  expect([b.pool.copies, b.pool.copiedBytes]).toEqual([1, 100]);
  b.pool.freem(n);
  b.pool.freem(m);
});

test("on a machine whose caches do not snoop all bytes go through the CPU's cache", () => {
  const mem = new PhysMem({ banks: [{ base: 2 ** 33, size: MiB }] });
  const other = new PhysMem({ banks: [{ base: 0, size: MiB }] });
  const Port = new Kmem(other).cpu.constructor as new (
    memory: PhysMem,
    cache: { line: number; random: { next(): number } },
  ) => Kmem["cpu"];
  const kmem = new Kmem(mem, { cpu: new Port(mem, { line: 64, random: { next: () => 0 } }) });
  const pool = new MbufPool({ kmem });
  const m = pool.devget(pattern(5000), 0, 5000)!;
  const copy = pool.pullup(pool.dup(m)!, 100)!;
  expect(pool.append(copy, 300, pattern(300, 5000))).toBe(true);
  const to = new Uint8Array(5300);
  pool.copydata(copy, 0, 5300, to);
  expect(to).toEqual(pattern(5300));
  const first = new Uint8Array(64);
  kmem.read(copy.data, first);
  expect(first).toEqual(pattern(64));
  // The CPU's stores have not all reached memory.
  kmem.cpu.invalidate(kmem.pmap.extract(copy.data), 64);
  pool.copydata(copy, 0, 64, first);
  expect(first).not.toEqual(pattern(64));
  pool.freem(m);
  pool.freem(copy);
  pool.check([]);
  kmem.cpu.check();
});

test("memory that was lent and has moved since is read where it is now", () => {
  // As WebAssembly.Memory does it: growing leaves the old buffer without bytes.
  const lender = { buffer: new ArrayBuffer(MiB) };
  const mem = new PhysMem({ banks: [{ base: 0, size: MiB, adopt: lender }] });
  const pool = new MbufPool({ kmem: new Kmem(mem) });
  const m = pool.devget(pattern(1500), 0, 1500)!;
  const to = new Uint8Array(1500);
  pool.copydata(m, 0, 1500, to);
  lender.buffer = structuredClone(lender.buffer, { transfer: [lender.buffer] });
  pool.copydata(m, 0, 1500, to.fill(0));
  expect(to).toEqual(pattern(1500));
  pool.freem(m);
});
