/**
 * Worker of the T8 rows: packets as chains of mbufs, and as lists of buffers of the package `bl`.
 *
 * A packet has 1500 bytes in three parts. It is built with room for them and freed; and what a
 * receiver does is timed alone: 14 bytes are cut off the front, and the rest is copied out.
 */
import type { Mbuf } from "@physio/carriers/mbuf";
import { MbufFlag, MbufPool, MbufType } from "@physio/carriers/mbuf";
import { machine, pc } from "@physio/machine";
import { BufferList, BufferListStream } from "bl";
import type { Rounds } from "./cases.ts";
import { makeCase, measureRounds, sink, warm } from "./cases.ts";
import { garbageOf } from "./garbage.ts";
import { bounceCase, packetCase } from "./transfer-cases.ts";

const BUILDS = 10_000;
const ROUNDS = 5;
const SLICES = 8;
/** Packets that wait to be received, and how often so many are. */
const BATCH = 256;
const BATCHES = 8;
const HEADER = 14;
const PAGE = 4096;
const LONG = 16;
const LENGTH = 1500;
const { PKTHDR } = MbufFlag;
const { DATA } = MbufType;

/** The packet, without a loop over its parts: that would leave an iterator behind. */
function buildPacket(pool: MbufPool): Mbuf {
  const first = pool.gethdr(DATA)!;
  first.len = 54;
  first.packetLength = LENGTH;
  const second = pool.getcl(DATA, 0)!;
  second.len = 1000;
  first.next = second;
  const third = pool.getcl(DATA, 0)!;
  third.len = 446;
  second.next = third;
  return first;
}

function buildChains(pool: MbufPool, n: number): void {
  for (let i = 0; i < n; i++) {
    const first = buildPacket(pool);
    sink.total += first.flags & PKTHDR;
    pool.freem(first);
  }
}

/** 64 KiB in buffers of 4 KiB. */
function buildLong(pool: MbufPool, n: number): void {
  for (let i = 0; i < n; i++) pool.freem(pool.getm(null, LONG * PAGE, DATA, PKTHDR));
}

function buildLongStreams(n: number): void {
  for (let i = 0; i < n; i++) {
    const list = new BufferListStream();
    for (let page = 0; page < LONG; page++) list.append(Buffer.allocUnsafe(PAGE));
    sink.total += list.length;
  }
}

interface List {
  readonly length: number;
  append(part: Buffer): unknown;
}

/** A packet's buffers, zeroed as the host's manual wants them. => `into` is empty. */
function fill<T extends List>(into: T): T {
  into.append(Buffer.alloc(54));
  into.append(Buffer.alloc(1000));
  into.append(Buffer.alloc(446));
  return into;
}

/** The same with whatever was in that memory, the first and the last cut from a buffer that many share. */
function fillUnsafe<T extends List>(into: T): T {
  into.append(Buffer.allocUnsafe(54));
  into.append(Buffer.allocUnsafe(1000));
  into.append(Buffer.allocUnsafe(446));
  return into;
}

function buildStreams(n: number): void {
  for (let i = 0; i < n; i++) sink.total += fill(new BufferListStream()).length;
}

function buildUnsafe(n: number): void {
  for (let i = 0; i < n; i++) sink.total += fillUnsafe(new BufferListStream()).length;
}

function buildUnsafeLists(n: number): void {
  for (let i = 0; i < n; i++) sink.total += fillUnsafe(new BufferList()).length;
}

/** Nanoseconds to receive one of a batch of packets; `make` and `drop` are not timed. */
function receiving<P>(make: () => P, receive: (packet: P) => void, drop: (packet: P) => void) {
  const packets: P[] = [];
  return (): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let batch = 0; batch < BATCHES * SLICES; batch++) {
      for (let i = 0; i < BATCH; i++) packets.push(make());
      const begin = performance.now();
      for (let i = 0; i < BATCH; i++) receive(packets[i]);
      best = Math.min(best, ((performance.now() - begin) * 1e6) / BATCH);
      for (const packet of packets) drop(packet);
      packets.length = 0;
    }
    return best;
  };
}

/** Ways to receive a packet, by name. */
function receivers(pool: MbufPool): Readonly<Record<string, () => number>> {
  const out = new Uint8Array(LENGTH);
  const buffer = Buffer.alloc(LENGTH);
  const receive = receiving(
    () => buildPacket(pool),
    (m) => {
      pool.adj(m, HEADER);
      pool.copydata(m, 0, LENGTH - HEADER, out);
    },
    (m) => pool.freem(m),
  );
  const copied = receiving(
    () => fill(new BufferList()),
    (l) => {
      l.consume(HEADER);
      l.copy(buffer, 0, 0, LENGTH - HEADER);
    },
    () => {},
  );
  const sliced = receiving(
    () => fill(new BufferList()),
    (l) => {
      l.consume(HEADER);
      sink.total += l.slice().length;
    },
    () => {},
  );
  return { receive, "receive, bl": copied, "receive, bl slice": sliced };
}

/** All ways, by turns. */
function receiveRounds(pool: MbufPool): Rounds {
  const ways = Object.entries(receivers(pool));
  const rounds: Rounds = Object.fromEntries(ways.map(([name]) => [name, []]));
  for (let round = -ROUNDS; round < ROUNDS; round++) {
    for (const [name, way] of ways) {
      const ns = way();
      if (round >= 0) rounds[name].push(ns); // the first ones are for the compiler
    }
  }
  return rounds;
}

export function measureChains(): Rounds {
  const m = machine(pc({}));
  const sum = { total: 0 };
  const pool = new MbufPool({ kmem: m.kmem });
  const cases = [
    makeCase("build", 4 * BUILDS, (n) => buildChains(pool, n)),
    makeCase("build, bl", BUILDS / 4, buildStreams),
    makeCase("build, bl unsafe", BUILDS, buildUnsafe),
    makeCase("build, bl unsafe list", BUILDS, buildUnsafeLists),
    makeCase("build long", BUILDS, (n) => buildLong(pool, n)),
    makeCase("build long, bl unsafe", BUILDS / 20, buildLongStreams),
  ];
  const others = [packetCase(m, sum), bounceCase(sum)];
  warm([...others, ...cases]);
  const received = receiveRounds(pool);
  const rounds = { ...received, ...measureRounds(cases, others, ROUNDS, SLICES) };
  pool.check();
  return rounds;
}

/** Bytes that a packet leaves behind: built, trimmed, copied out and freed. */
export function measureChainGarbage(): number {
  const pool = new MbufPool({ kmem: machine(pc({})).kmem });
  const out = new Uint8Array(LENGTH);
  const body = (n: number): void => {
    for (let i = 0; i < n; i++) {
      const m = buildPacket(pool);
      pool.adj(m, HEADER);
      pool.copydata(m, 0, LENGTH - HEADER, out);
      pool.freem(m);
    }
  };
  warm([makeCase("packet", 4 * BUILDS, body)]);
  const bytes = garbageOf(body, 4 * BUILDS);
  pool.check();
  return bytes;
}
