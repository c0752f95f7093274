/**
 * Random operations on a few chains against the obvious model: a chain is its bytes.
 *
 * A function may fail only when the pool counted a failure meanwhile, and then does what the manual
 * says with the chain. At the end of each case all mbufs are freed and the walk finds none.
 */
import type { Mbuf } from "@physio/carriers/mbuf";
import { isWritable, M_COPYALL, MbufFlag, MbufType, MHLEN } from "@physio/carriers/mbuf";
import { expect, test } from "vitest";
import { Bench } from "./mbuf-fixture.ts";

const { PKTHDR } = MbufFlag;
const CASES = process.env.PHYSIO_ALL === undefined ? 4_000 : 20_000; // CI sets it
const FIRST = Number(process.env.PHYSIO_SEED ?? 1);

/** Evenly distributed whole numbers below `n`, named by a seed. */
function dice(seed: number): (n: number) => number {
  let state = Math.imul(seed, 0x9e3779b9) | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const once = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
    return ((twice ^ (twice >>> 16)) >>> 0) % n;
  };
}

interface Model {
  m: Mbuf;
  bytes: Uint8Array;
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

class World {
  readonly b: Bench;
  readonly roll: (n: number) => number;
  readonly seed: number;
  chains: Model[];
  #failures: number;

  constructor(b: Bench, seed: number) {
    this.b = b;
    this.seed = seed;
    this.roll = dice(seed);
    this.chains = [];
    this.#failures = 0;
  }

  step(): void {
    this.#failures = this.#countFailures();
    if (this.chains.length === 0 || (this.chains.length < 4 && this.roll(3) === 0)) {
      this.#make();
      return;
    }
    const at = this.roll(this.chains.length);
    const before = this.chains[at];
    const after = OPS[this.roll(OPS.length)](this, before);
    this.chains = this.chains.filter((c) => c !== before);
    if (after !== null) this.keep(after.m, after.bytes);
  }

  /** Hold a chain, which has these bytes. */
  keep(m: Mbuf, bytes: Uint8Array): void {
    this.same(m, bytes);
    this.chains.push({ m, bytes });
  }

  same(m: Mbuf, bytes: Uint8Array): void {
    const seen = this.b.bytes(m);
    if (Buffer.compare(seen, bytes) !== 0) {
      expect([this.seed, this.b.words(m), seen]).toEqual([this.seed, "", bytes]);
    }
    if ((m.flags & PKTHDR) !== 0 && m.packetLength !== bytes.length) {
      expect.fail(`seed ${this.seed}: packet of ${m.packetLength}, not ${bytes.length} bytes`);
    }
  }

  /** `result` says that something was short: the pool must have noticed. @returns null for the caller to return. */
  short(): null {
    if (this.#countFailures() === this.#failures)
      expect.fail(`seed ${this.seed}: failed for no reason`);
    return null;
  }

  random(length: number): Uint8Array {
    const first = this.roll(256);
    const step = 1 + 2 * this.roll(100);
    return Uint8Array.from({ length }, (_, i) => first + i * step);
  }

  /** Small, about a cluster, or more. */
  size(): number {
    const range = [20, 200, 600, 2500, 6000][this.roll(5)];
    return this.roll(range);
  }

  /** An offset in a chain: its ends are as likely as all between. */
  offset(bytes: Uint8Array): number {
    return [0, bytes.length, this.roll(bytes.length + 1), this.roll(bytes.length + 1)][
      this.roll(4)
    ];
  }

  finish(): void {
    for (const { m } of this.chains) this.same(m, this.chains.find((c) => c.m === m)!.bytes);
    this.b.pool.check(this.chains.map((c) => c.m));
    for (const { m } of this.chains) this.b.pool.freem(m);
    const { mbufs, clusters, jumbo4k } = this.b.pool.counters;
    if (mbufs.inUse + clusters.inUse + jumbo4k.inUse + this.b.pool.external !== 0) {
      expect.fail(`seed ${this.seed}: ${mbufs.inUse} mbufs, ${clusters.inUse} clusters leaked`);
    }
  }

  #make(): void {
    const { pool } = this.b;
    const bytes = this.random(this.size());
    const kind = this.roll(4);
    if (kind === 0) {
      const pages = this.b.pages(bytes.length);
      const m = pool.gethdr();
      if (m === null) {
        this.b.freePages(pages);
        this.short();
        return;
      }
      pool.extaddPages(m, pages, () => this.b.freePages(pages));
      m.packetLength = bytes.length;
      this.keep(m, this.b.bytes(m));
      return;
    }
    if (kind === 1) {
      const m = pool.getm(null, Math.max(bytes.length, 1), MbufType.DATA, this.roll(2) * PKTHDR);
      if (m === null) this.short();
      else this.keep(m, new Uint8Array(0));
      return;
    }
    const m = pool.devget(bytes, 0, bytes.length, this.roll(MHLEN));
    if (m === null) this.short();
    else this.keep(m, bytes);
  }

  #countFailures(): number {
    const { mbufs, clusters, jumbo4k } = this.b.pool.counters;
    return mbufs.failures + clusters.failures + jumbo4k.failures;
  }
}

/** Each takes a chain out of the world and gives it back, or null when it is freed. */
type Op = (w: World, c: Model) => Model | null;

const OPS: readonly Op[] = [
  (w, { m, bytes }) => {
    const add = w.roll(MHLEN + 1);
    const n = w.b.pool.prepend(m, add);
    if (n === null) return w.short();
    return { m: n, bytes: joined(w.b.bytes(n).subarray(0, add), bytes) };
  },
  (w, { m, bytes }) => {
    const count = w.roll(MHLEN + 10);
    const n = w.b.pool.pullup(m, count);
    if (n === null) return count > bytes.length || count > MHLEN ? null : w.short();
    if (n.len < count || (count > 0 && !isWritable(n)))
      expect.fail(`seed ${w.seed}: pullup to ${n.len}`);
    return { m: n, bytes };
  },
  (w, { m, bytes }) => {
    const by = w.roll(2) === 0 ? w.size() : w.offset(bytes);
    w.b.pool.adj(m, by);
    return { m, bytes: bytes.subarray(Math.min(by, bytes.length)) };
  },
  (w, { m, bytes }) => {
    const by = w.roll(2) === 0 ? w.size() : w.offset(bytes);
    w.b.pool.adj(m, -by);
    return { m, bytes: bytes.subarray(0, Math.max(bytes.length - by, 0)) };
  },
  (w, { m, bytes }) => {
    const offset = w.offset(bytes);
    const all = w.roll(3) === 0;
    const count = all ? bytes.length - offset : w.roll(bytes.length - offset + 1);
    const n = w.b.pool.copym(m, offset, all ? M_COPYALL : count);
    if (n !== null) w.keep(n, bytes.subarray(offset, offset + count));
    else if (count > 0) w.short();
    return { m, bytes };
  },
  (w, c) => {
    if ((c.m.flags & PKTHDR) === 0) return c;
    const n = w.roll(2) === 0 ? w.b.pool.copypacket(c.m) : w.b.pool.dup(c.m);
    if (n === null) w.short();
    else w.keep(n, c.bytes);
    return c;
  },
  (w, c) => {
    if ((c.m.flags & PKTHDR) === 0) return c;
    const n = w.b.pool.defrag(c.m);
    if (n === null) w.short();
    return { m: n ?? c.m, bytes: c.bytes };
  },
  (w, c) => {
    const most = 1 + w.roll(5);
    const n = w.b.pool.collapse(c.m, most);
    let count = 0;
    for (let at: Mbuf | null = c.m; at !== null; at = at.next) count++;
    if ((n === null) !== count > most) expect.fail(`seed ${w.seed}: collapse to ${count} mbufs`);
    return c;
  },
  (w, { m, bytes }) => {
    const n = w.b.pool.unshare(m);
    if (n === null) return w.short();
    for (let at: Mbuf | null = n; at !== null; at = at.next) {
      if (!isWritable(at)) expect.fail(`seed ${w.seed}: unshare left ${w.b.words(n)}`);
    }
    const offset = w.roll(bytes.length + 300);
    const add = w.random(w.roll(400));
    const done = w.b.pool.copyback(n, offset, add.length, add);
    if (!done) {
      w.short();
      return { m: n, bytes: w.b.bytes(n) };
    }
    const all = new Uint8Array(Math.max(bytes.length, offset + add.length));
    all.set(bytes);
    all.set(add, offset);
    return { m: n, bytes: all };
  },
  (w, { m, bytes }) => {
    const at = w.offset(bytes);
    const packet = (m.flags & PKTHDR) !== 0;
    const n = w.b.pool.split(m, at);
    if (n === null) {
      if (at < bytes.length || packet) w.short();
      return { m, bytes };
    }
    w.keep(n, bytes.subarray(at));
    return { m, bytes: bytes.subarray(0, at) };
  },
  (w, c) => {
    const other = w.chains.find((x) => x !== c);
    if (other === undefined) return c;
    w.chains = w.chains.filter((x) => x !== other);
    if ((c.m.flags & other.m.flags & PKTHDR) !== 0) w.b.pool.catPacket(c.m, other.m);
    else {
      w.b.pool.cat(c.m, other.m);
      if ((c.m.flags & PKTHDR) !== 0) w.b.pool.fixhdr(c.m);
    }
    return { m: c.m, bytes: joined(c.bytes, other.bytes) };
  },
  (w, { m, bytes }) => {
    const add = w.random(w.size());
    if (w.b.pool.append(m, add.length, add)) return { m, bytes: joined(bytes, add) };
    w.short();
    return { m, bytes: joined(bytes, add).subarray(0, w.b.pool.length(m)) };
  },
  (w, { m, bytes }) => {
    const offset = w.offset(bytes);
    const to = new Uint8Array(w.roll(bytes.length - offset + 1));
    w.b.pool.copydata(m, offset, to.length, to);
    if (Buffer.compare(to, bytes.subarray(offset, offset + to.length)) !== 0) {
      expect.fail(`seed ${w.seed}: copydata of ${to.length} from ${offset}`);
    }
    return { m, bytes };
  },
  (w, { m }) => {
    w.b.pool.freem(m);
    return null;
  },
];

test(`${CASES} cases of random operations keep every byte and leak nothing`, () => {
  const roomy = new Bench();
  const tight = new Bench({ mbufs: 12, clusters: 5, jumbo4k: 1 });
  for (let seed = FIRST; seed < FIRST + CASES; seed++) {
    const w = new World(seed % 3 === 0 ? tight : roomy, seed);
    const steps = 2 + w.roll(8);
    try {
      for (let i = 0; i < steps; i++) w.step();
      w.finish();
    } catch (error) {
      throw new Error(`PHYSIO_SEED=${seed}`, { cause: error });
    }
  }
  const { mbufs, clusters } = roomy.pool.counters;
  expect([mbufs.failures, clusters.failures]).toEqual([0, 0]);
  expect(tight.pool.counters.mbufs.failures).toBeGreaterThan(CASES / 100);
}, 120_000);
