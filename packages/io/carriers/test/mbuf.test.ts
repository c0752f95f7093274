/** mbufs and their pool: what a get gives, storage and who shares it, limits, shortage, the leak walk. */
import type { MbufPool } from "@physio/carriers/mbuf";
import {
  alignEnd,
  ExtKind,
  isWritable,
  leadingSpace,
  Mbuf,
  MbufFlag,
  MbufType,
  MCLBYTES,
  MHLEN,
  MJUM9BYTES,
  MJUM16BYTES,
  MJUMPAGESIZE,
  MLEN,
  storageSize,
  trailingSpace,
} from "@physio/carriers/mbuf";
import { ErrnoError, MiB, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { Bench, expectPanic, offsetOf, pattern } from "./mbuf-fixture.ts";

const { PKTHDR, EOR, RDONLY } = MbufFlag;
const { DATA, CONTROL } = MbufType;

describe("an mbuf from", () => {
  const cases: [string, (pool: MbufPool) => Mbuf | null, string, number][] = [
    ["get", (pool) => pool.get(), "0", MLEN],
    ["gethdr", (pool) => pool.gethdr(), "p0", MHLEN],
    ["getcl", (pool) => pool.getcl(), "c0", MCLBYTES],
    ["getcl for a packet", (pool) => pool.getcl(DATA, PKTHDR), "pc0", MCLBYTES],
    ["getjcl of 2 KiB", (pool) => pool.getjcl(DATA, 0, MCLBYTES), "c0", MCLBYTES],
    ["getjcl of 4 KiB", (pool) => pool.getjcl(DATA, PKTHDR, MJUMPAGESIZE), "pj0", MJUMPAGESIZE],
    ["getjcl of 9 KiB", (pool) => pool.getjcl(DATA, 0, MJUM9BYTES), "x0", MJUM9BYTES],
    ["getjcl of 16 KiB", (pool) => pool.getjcl(DATA, 0, MJUM16BYTES), "x0", MJUM16BYTES],
    ["get2 of 0", (pool) => pool.get2(0), "0", MLEN],
    ["get2 of 224", (pool) => pool.get2(224), "0", MLEN],
    ["get2 of 225", (pool) => pool.get2(225), "c0", MCLBYTES],
    ["get2 of 168 for a packet", (pool) => pool.get2(168, DATA, PKTHDR), "p0", MHLEN],
    ["get2 of 169 for a packet", (pool) => pool.get2(169, DATA, PKTHDR), "pc0", MCLBYTES],
    ["get2 of 2048", (pool) => pool.get2(2048), "c0", MCLBYTES],
    ["get2 of 2049", (pool) => pool.get2(2049), "j0", MJUMPAGESIZE],
    ["get2 of 4096 for a packet", (pool) => pool.get2(4096, DATA, PKTHDR), "pj0", MJUMPAGESIZE],
  ];
  for (const [name, get, words, size] of cases) {
    test(`${name} is empty, writable and has ${size} bytes of room`, () => {
      const b = new Bench();
      const m = get(b.pool)!;
      expect([b.words(m), storageSize(m), m.packetLength]).toEqual([words, size, 0]);
      expect([isWritable(m), leadingSpace(m), trailingSpace(m)]).toEqual([true, 0, size]);
      expect([m.type, m.next, m.nextPacket]).toEqual([DATA, null, null]);
      b.pool.check([m]);
      expect(b.pool.free(m)).toBe(null);
    });
  }

  test("get2 of more than a page is null, and an odd cluster size panics", () => {
    const { pool } = new Bench();
    expect(pool.get2(4097)).toBe(null);
    expectPanic(() => pool.getjcl(DATA, 0, 3000), "3000");
    expectPanic(() => pool.get2(-1), "-1");
    expectPanic(() => pool.get2(Number.NaN), "NaN");
    pool.freem(null);
    // The mbuf of the odd size was not taken.
    expect(pool.counters.mbufs.inUse).toBe(0);
  });

  test("a packet's data begins 88 bytes into its 256, others' 32", () => {
    const { pool } = new Bench();
    const m = pool.get()!;
    const p = pool.gethdr()!;
    expect([m.data - m.storage, p.data - p.storage]).toEqual([32, 88]);
    expect([m.storage % 256, p.storage % 256]).toEqual([0, 0]);
    pool.free(m);
    pool.free(p);
  });

  test("a packet comes with clean fields however the mbuf was used before", () => {
    const { pool } = new Bench();
    const m = pool.gethdr(CONTROL)!;
    Object.assign(m, { packetLength: 9, receiver: "em0", flowId: 1, csumFlags: 2, vlanTag: 3 });
    m.flags |= MbufFlag.BCAST | EOR;
    m.len = 5;
    pool.free(m);
    const n = pool.gethdr()!;
    expect(n).toBe(m);
    expect([n.packetLength, n.receiver, n.flowId, n.csumFlags, n.vlanTag]).toEqual([
      0,
      null,
      0,
      0,
      0,
    ]);
    expect([n.flags, n.len, n.type]).toEqual([PKTHDR, 0, DATA]);
    pool.free(n);
  });

  test("clusters above a page lie in a row in memory", () => {
    const { pool, kmem } = new Bench();
    for (const size of [MJUM9BYTES, MJUM16BYTES]) {
      const m = pool.getjcl(DATA, 0, size)!;
      const pa = kmem.pmap.extract(m.data);
      for (let at = 0; at < size; at += PAGE_SIZE) {
        expect(kmem.pmap.extract(m.data + at)).toBe(pa + at);
      }
      pool.free(m);
    }
  });
});

describe("getm for", () => {
  const cases: [number, number, string][] = [
    [0, 0, ""],
    [1, 0, "0"],
    [168, PKTHDR, "p0"],
    [169, PKTHDR, "pc0"],
    [168, 0, "0"],
    [169, 0, "c0"],
    [2048, PKTHDR, "pc0"],
    [2049, PKTHDR, "pj0"],
    [4097, PKTHDR, "pj0 0"],
    [9000, PKTHDR, "pj0 j0 c0"],
  ];
  for (const [length, flags, words] of cases) {
    test(`${length} bytes${flags === 0 ? "" : " of a packet"} is "${words}"`, () => {
      const b = new Bench();
      const m = b.pool.getm(null, length, DATA, flags | EOR);
      expect(b.words(m)).toBe(words);
      for (let at = m; at !== null; at = at.next)
        expect(at.flags & EOR).toBe(at.next === null ? EOR : 0);
      b.pool.freem(m);
    });
  }

  test("an existing chain goes behind it and makes no second packet", () => {
    const b = new Bench();
    const m = b.chain("p10 20");
    m.next!.flags |= EOR;
    expect(b.pool.getm(m, 300, DATA, PKTHDR)).toBe(m);
    expect([b.words(m), m.next!.flags & EOR]).toEqual(["p10 20 c0", 0]);
    b.pool.freem(m);
  });

  test("more clusters than there are falls back to smaller ones, then fails whole", () => {
    const b = new Bench({ jumbo4k: 1, clusters: 2 });
    const m = b.pool.getm(null, 8192, DATA, PKTHDR);
    expect(b.words(m)).toBe("pj0 c0 c0");
    expect(b.pool.getm(null, 4096)).toBe(null);
    const tail = b.chain("5");
    expect(b.pool.getm(tail, 300)).toBe(null);
    expect(b.words(tail)).toBe("5");
    b.pool.check([m!, tail]);
    b.pool.freem(m);
    b.pool.freem(tail);
  });
});

describe("external storage", () => {
  test("is given back once, when the last mbuf that shares it is freed", () => {
    const b = new Bench();
    const m = b.chain("px100");
    expect([isWritable(m), b.pool.external]).toEqual([true, 1]);
    const n = b.pool.get()!;
    b.pool.share(n, m);
    n.data += 10;
    n.len = 20;
    expect([m.ext!.refs, isWritable(m), isWritable(n), leadingSpace(n), trailingSpace(n)]).toEqual([
      2,
      false,
      false,
      0,
      0,
    ]);
    expect(b.bytes(n)).toEqual(pattern(20, 10));
    b.pool.free(m);
    expect([b.freed, isWritable(n), leadingSpace(n)]).toEqual([0, true, 10]);
    b.pool.free(n);
    expect([b.freed, b.pool.external]).toEqual([1, 0]);
  });

  test("can be read-only, and its free function has what the maker left there", () => {
    const { pool, kmem } = new Bench();
    const va = kmem.alloc(4096);
    const m = pool.get()!;
    const told: unknown[] = [];
    pool.extadd(
      m,
      va,
      4096,
      (ext) => told.push(ext.buf, ext.size, ext.arg, ext.kind),
      "me",
      RDONLY,
      ExtKind.RX_RING,
    );
    expect([isWritable(m), m.data, trailingSpace(m)]).toEqual([false, va, 0]);
    pool.free(m);
    expect(told).toEqual([va, 4096, "me", ExtKind.RX_RING]);
    kmem.free(va, 4096);
  });

  test("its free function may use the pool", () => {
    const { pool, kmem } = new Bench();
    const va = kmem.alloc(4096);
    const m = pool.get()!;
    const got: Mbuf[] = [];
    pool.extadd(m, va, 4096, () => {
      const n = pool.get()!;
      pool.extadd(n, va, 4096, null);
      got.push(n);
    });
    pool.free(m);
    pool.check(got);
    expect([got[0] === m, pool.external]).toEqual([false, 1]);
    pool.freem(got[0]);
    kmem.free(va, 4096);
  });

  test("a cluster for an mbuf that has none yet", () => {
    const b = new Bench({ clusters: 1 });
    const m = b.pool.gethdr()!;
    const n = b.pool.gethdr()!;
    expect([b.pool.cljget(m), b.pool.cljget(n), b.pool.cljget(n, MJUM9BYTES)]).toEqual([
      true,
      false,
      true,
    ]);
    expect([b.words(m), b.words(n)]).toEqual(["pc0", "px0"]);
    b.pool.freem(m);
    b.pool.freem(n);
  });

  test("for an mbuf with bytes, with storage, of the pool's kinds, or of none, panics", () => {
    const b = new Bench();
    const m = b.chain("10");
    const c = b.chain("c0");
    const n = b.chain("0");
    expectPanic(() => b.pool.extadd(m, 4096, 1, null), "extadd", "10 bytes");
    expectPanic(() => b.pool.extadd(c, 4096, 1, null), "extadd");
    expectPanic(() => b.pool.cljget(c), "cljget");
    expectPanic(() => b.pool.share(n, m), "not external");
    expectPanic(() => b.pool.share(c, c), "share");
    expectPanic(() => b.pool.extadd(n, Number.NaN, 1, null), "NaN");
    expectPanic(() => b.pool.extadd(n, 4096, -1, null), "-1");
    for (const kind of [1, 3, 4, 5] as ExtKind[]) {
      expectPanic(() => b.pool.extadd(n, 4096, 1, null, null, 0, kind), `kind ${kind}`);
    }
    expectPanic(() => b.pool.extadd(new Mbuf(), 4096, 1, null), "extadd");
    for (const x of [m, c, n]) b.pool.freem(x);
  });
});

describe("limits and shortage", () => {
  test("an mbuf above the limit is null and counts as a failure", () => {
    const { pool } = new Bench({ mbufs: 2 });
    const [a, b] = [pool.get()!, pool.gethdr()!];
    expect([pool.get(), pool.gethdr(), pool.getcl()]).toEqual([null, null, null]);
    const { inUse, peak, allocated, failures, limit } = pool.counters.mbufs;
    expect([inUse, peak, allocated, failures, limit]).toEqual([2, 2, 2, 3, 2]);
    pool.free(a);
    pool.free(b);
    expect([pool.counters.mbufs.inUse, pool.counters.mbufs.cached]).toEqual([0, 2]);
  });

  test("an mbuf whose cluster is not to be had goes back", () => {
    const { pool } = new Bench({ clusters: 0, jumbo9k: 0 });
    expect([pool.getcl(), pool.getjcl(DATA, PKTHDR, MJUM9BYTES)]).toEqual([null, null]);
    expect([pool.counters.mbufs.inUse, pool.counters.clusters.failures]).toEqual([0, 1]);
  });

  for (const bad of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`a limit of ${bad} is EINVAL`, () => {
      const { kmem } = new Bench();
      expect(() => new Bench({ clusters: bad }, MiB)).toThrow(ErrnoError);
      kmem.check();
    });
  }

  test("a machine without memory gives null, and all of it again after the frees", () => {
    const b = new Bench({}, 256 * 1024);
    const held: Mbuf[] = [];
    const sizes = [MJUM16BYTES, MJUM9BYTES, MJUMPAGESIZE, MCLBYTES];
    for (const size of sizes) {
      for (let m = b.pool.getjcl(DATA, 0, size); m !== null; m = b.pool.getjcl(DATA, 0, size))
        held.push(m);
    }
    for (let m = b.pool.get(); m !== null; m = b.pool.get()) held.push(m);
    expect(held.length).toBeGreaterThan(15);
    b.pool.check(held);
    const { counters } = b.pool;
    expect(counters.jumbo16k.failures).toBe(1);
    expect(Object.values(counters).reduce((sum, c) => sum + c.failures, 0)).toBe(5);
    for (const m of held) b.pool.free(m);
  });

  test("memory that free mbufs keep serves other kinds when it runs short", () => {
    const b = new Bench({}, 256 * 1024);
    const held: Mbuf[] = [];
    for (let m = b.pool.getcl(); m !== null; m = b.pool.getcl()) held.push(m);
    const clusters = held.length;
    for (const m of held) b.pool.free(m);
    expect(b.pool.counters.clusters.cached).toBe(clusters);
    const big = b.pool.getjcl(DATA, 0, MJUM16BYTES);
    expect([big === null, b.pool.counters.clusters.cached]).toEqual([false, 0]);
    b.pool.freem(big);
  });
});

test("a second free, and a free of an mbuf that no pool made, panic", () => {
  const { pool } = new Bench();
  const m = pool.get()!;
  pool.free(m);
  expectPanic(() => pool.free(m), "free already");
  expectPanic(() => pool.free(new Mbuf()), "no pool");
});

test("the walk finds a leak, two owners of one mbuf, and counts that do not agree", () => {
  const b = new Bench();
  const m = b.chain("p10 c20");
  b.pool.check([m]);
  b.pool.check();
  expectPanic(() => b.pool.check([]), "leaked");
  expectPanic(() => b.pool.check([m, m.next!]), "held twice");
  const n = b.chain("5");
  n.next = m.next;
  expectPanic(() => b.pool.check(), "follows two");
  n.next = null;
  m.next!.ext!.refs = 2;
  expectPanic(() => b.pool.check(), "users");
  m.next!.ext!.refs = 1;
  m.len = 300;
  expectPanic(() => b.pool.check(), "outside");
  m.len = 10;
  m.flags |= MbufFlag.EXT;
  expectPanic(() => b.pool.check(), "flags");
  m.flags &= ~MbufFlag.EXT;
  m.nextPacket = n;
  b.pool.check([m]);
  m.nextPacket = null;
  b.pool.freem(m);
  b.pool.freem(n);
});

test("an unmapped mbuf is read-only, has no room and shares its pages", () => {
  const b = new Bench();
  const m = b.chain("pu9000");
  expect([m.data, m.len, m.pages!.frames.length]).toEqual([0, 9000, 3]);
  expect([isWritable(m), storageSize(m), leadingSpace(m), trailingSpace(m)]).toEqual([
    false,
    0,
    0,
    0,
  ]);
  expect(b.bytes(m)).toEqual(pattern(9000));
  const n = b.pool.get()!;
  b.pool.share(n, m);
  n.len = 9000;
  b.pool.free(m);
  expect([b.freed, b.bytes(n).length]).toEqual([0, 9000]);
  b.pool.free(n);
  expect(b.freed).toBe(1);
});

test("alignEnd leaves room in front and panics on an mbuf in use", () => {
  const { pool } = new Bench();
  const m = pool.gethdr()!;
  alignEnd(m, 20);
  expect([offsetOf(m), trailingSpace(m)]).toEqual([144, 24]);
  m.len = 20;
  expectPanic(() => alignEnd(m, 20), "alignEnd");
  m.len = 0;
  expectPanic(() => alignEnd(m, 169), "169");
  pool.free(m);
});

test("the pool lives with addresses at the top of memory", () => {
  const b = new Bench({}, MiB, [2 ** 52 - MiB]);
  const m = b.chain("p54 c500 x300 u5000");
  expect(b.bytes(m)).toEqual(pattern(5854));
  const copy = b.pool.dup(m)!;
  expect(b.bytes(copy)).toEqual(pattern(5854));
  b.pool.freem(m);
  b.pool.freem(copy);
});
