/**
 * Transfers beside the plain loads: d, a packet of three mbufs into a list of the driver's, and e,
 * 64 KiB that are bounced both ways; and the copies of e alone beside those of the host.
 */
import type { DmaMap, SegList } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import type { Mbuf } from "@physio/carriers/mbuf";
import { MbufFlag, MbufPool, MbufType } from "@physio/carriers/mbuf";
import type { Bytes } from "@physio/kern";
import type { Machine } from "@physio/machine";
import { machine, pc32BitDma } from "@physio/machine";
import type { Case } from "./cases.ts";
import { makeCase } from "./cases.ts";
import type { LoadCase, Sum } from "./scene.ts";
import { scatteredRange, TAG, take } from "./scene.ts";

const KiB64 = 65536;
/** The packet of case d: a header, and the rest in two clusters. */
const PARTS: readonly Bytes[] = Object.freeze([54, 1000, 446]);
const REACH = 2 ** 32 - 1;
const PACKETS = 40_000;
const BOUNCES = 400;

/** A packet of three mbufs. */
export function makePacket(pool: MbufPool): Mbuf {
  const first = pool.gethdr(MbufType.DATA)!;
  first.next = pool.getcl(MbufType.DATA, 0)!;
  first.next.next = pool.getcl(MbufType.DATA, 0)!;
  let m: Mbuf | null = first;
  for (const length of PARTS) {
    m!.len = length;
    m = m!.next;
  }
  pool.fixhdr(first);
  return first;
}

function packetLoop(map: DmaMap, m: Mbuf, segs: SegList, sum: Sum, n: number): void {
  for (let i = 0; i < n; i++) {
    if (map.loadMbufSg(m, segs, 0) !== 0) throw new Error("a packet does not load");
    sum.total += segs.count + segs.len[segs.count - 1];
    map.unload();
  }
}

/** Case d of a machine. @throws when it does not give three segments. */
export function packetCase(m: Machine, sum: Sum): Case {
  const packet = makePacket(new MbufPool({ kmem: m.kmem }));
  if ((packet.flags & MbufFlag.PKTHDR) === 0) throw new Error("case d is no packet");
  const tag = m.dmaTag.child(TAG);
  const map = tag.createMap();
  const segs = tag.segList();
  packetLoop(map, packet, segs, sum, 1);
  if (segs.count !== PARTS.length) throw new Error(`case d gives ${segs.count} segments`);
  return makeCase("d", PACKETS, (n) => packetLoop(map, packet, segs, sum, n));
}

/** Load, sync both ways, unload. */
export function bounceLoop(c: LoadCase, sum: Sum, n: number): void {
  const map = c.at[0];
  const va = c.at[1];
  const { length } = c;
  for (let i = 0; i < n; i++) {
    map.load(va, length, take, sum, 0);
    map.sync(Sync.PREWRITE);
    map.sync(Sync.POSTREAD);
    map.unload();
  }
}

/** 64 KiB in 16 pages out of reach, and a zone of as many bounce pages, on a machine of their own. */
export function bouncedRange(): LoadCase {
  const m = machine(pc32BitDma({}));
  const va = scatteredRange(m, 16);
  m.kmem.write(va, new Uint8Array(KiB64).fill(7));
  const map = m.dmaTag.child({ ...TAG, lowAddr: REACH }).createMap();
  map.load(va, KiB64, take, { total: 0 }, 0);
  const [zone] = m.bouncePool.zones;
  if (!(zone.active === 16 && zone.total === 16)) throw new Error("case e is not bounced");
  map.unload();
  return { name: "e", at: [map, va], length: KiB64, segments: 1 };
}

export function bounceCase(sum: Sum): Case {
  const c = bouncedRange();
  return makeCase("e", BOUNCES, (n) => bounceLoop(c, sum, n));
}

/** The copies of case e, and 64 KiB between two arrays of the host: each copies that much an operation. */
export function copyCases(sum: Sum): Case[] {
  const c = bouncedRange();
  const map = c.at[0];
  map.load(c.at[1], c.length, take, sum, 0);
  const [to, from] = [new Uint8Array(KiB64).fill(1), new Uint8Array(KiB64).fill(2)];
  return [
    makeCase("copy out", 2 * BOUNCES, (n) => {
      for (let i = 0; i < n; i++) map.sync(Sync.PREWRITE);
    }),
    makeCase("copy in", 2 * BOUNCES, (n) => {
      for (let i = 0; i < n; i++) map.sync(Sync.POSTREAD);
    }),
    makeCase("memcpy", 2 * BOUNCES, (n) => {
      for (let i = 0; i < n; i++) to.set(from);
    }),
  ];
}
