/**
 * What the mbuf tests share: a machine with a pool, chains made from a short notation, and the bytes
 * of a chain as bus_dma sees them.
 *
 * A chain is written as words, one for each mbuf: an optional kind, then its bytes.
 *   p packet header (before the kind) · c cluster · s cluster that another mbuf shares · r read-only
 *   x external memory of a driver · u unmapped · j 4 KiB cluster
 * "p54 c500 20" is a packet of three mbufs. `@n` puts the data n bytes into the storage.
 * The bytes of a chain count up from 0, modulo 251.
 */
import type { ExtPages, Mbuf } from "@physio/carriers/mbuf";
import {
  chainLength,
  isWritable,
  MbufFlag,
  MbufPool,
  MbufType,
  MJUMPAGESIZE,
  storageStart,
  walkMbuf,
} from "@physio/carriers/mbuf";
import { Errno, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { afterEach, expect } from "vitest";

const { PKTHDR, EXT, EXTPG, RDONLY } = MbufFlag;
const open = new Set<Bench>();

export const pattern = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) % 251);

export class Bench {
  readonly mem: PhysMem;
  readonly kmem: Kmem;
  readonly pool: MbufPool;
  /** Chains that the test holds beside those that it frees itself: freed at the end. */
  readonly aside: Mbuf[];
  /** Pieces of external storage that were given back. */
  freed: number;
  readonly #frames: number;

  constructor(
    limits: ConstructorParameters<typeof MbufPool>[0]["limits"] = {},
    size = 4 * MiB,
    bases = [2 ** 33],
  ) {
    this.mem = new PhysMem({ banks: bases.map((base) => ({ base, size })) });
    this.kmem = new Kmem(this.mem);
    this.kmem.reclaim();
    this.#frames = this.mem.freeFrames;
    this.pool = new MbufPool({ kmem: this.kmem, limits });
    this.aside = [];
    this.freed = 0;
    open.add(this);
  }

  /** Free what is held aside; then nothing is in use, and all memory goes back. */
  close(): void {
    open.delete(this);
    for (const m of this.aside) this.pool.freem(m);
    this.pool.check([]);
    this.pool.reclaim();
    this.kmem.reclaim();
    this.pool.check([]);
    this.kmem.check();
    for (const zone of this.kmem.zones) expect([zone.name, zone.used]).toEqual([zone.name, 0]);
    expect(this.mem.freeFrames).toBe(this.#frames);
  }

  /** Make a chain from the notation. */
  chain(words: string): Mbuf {
    let first: Mbuf | null = null;
    let last: Mbuf | null = null;
    let at = 0;
    for (const word of words.split(" ")) {
      const [, p, kind, digits, offset] = /^(p?)([csrxuj]?)(\d+)(?:@(\d+))?$/.exec(word)!;
      const m = this.#one(kind, Number(digits), p === "p" ? PKTHDR : 0, Number(offset ?? 0));
      this.#write(m, pattern(m.len, at));
      at += m.len;
      if (last === null) first = m;
      else last.next = m;
      last = m;
    }
    if ((first!.flags & PKTHDR) !== 0) first!.packetLength = at;
    return first!;
  }

  /** The notation of a chain: without offsets, shared clusters as s. */
  words(m: Mbuf | null): string {
    const list: string[] = [];
    for (let at = m; at !== null; at = at.next) list.push(this.#word(at));
    return list.join(" ");
  }

  /** The bytes of a chain, by the walk of bus_dma. */
  bytes(m: Mbuf | null): Uint8Array {
    const all = new Uint8Array(chainLength(m));
    let at = 0;
    const error = walkMbuf(m, {
      virtual: (va, length) => {
        this.kmem.read(va, all.subarray(at, at + length));
        at += length;
        return Errno.OK;
      },
      physical: (pa, length) => {
        expect(this.mem.read(pa, all, at, length)).toBe(Errno.OK);
        at += length;
        return Errno.OK;
      },
    });
    expect([error, at]).toEqual([Errno.OK, all.length]);
    return all;
  }

  /** Unmapped storage: 30 bytes of header, frames from offset 100 on, 40 bytes of trailer, as far as `length` goes. */
  pages(length: number): ExtPages {
    const header = Math.min(30, length);
    const trailer = Math.min(40, length - header);
    let left = length - header - trailer;
    const frames: number[] = [];
    let lastLength = 0;
    while (left > 0) {
      lastLength = Math.min(left, frames.length === 0 ? PAGE_SIZE - 100 : PAGE_SIZE);
      frames.push(this.mem.allocFrame());
      left -= lastLength;
    }
    return {
      memory: this.mem,
      header: { va: header > 0 ? this.kmem.alloc(64) : 0, len: header },
      frames,
      firstOffset: 100,
      lastLength,
      trailer: { va: trailer > 0 ? this.kmem.alloc(64) : 0, len: trailer },
    };
  }

  freePages(pages: ExtPages): void {
    this.freed++;
    if (pages.header.len > 0) this.kmem.free(pages.header.va, 64);
    if (pages.trailer.len > 0) this.kmem.free(pages.trailer.va, 64);
    for (const frame of pages.frames) this.mem.freeFrame(frame);
  }

  #one(kind: string, length: number, flags: MbufFlag, offset: number): Mbuf {
    const { pool } = this;
    const plain = kind === "" || kind === "x" || kind === "u";
    const size = kind === "j" ? MJUMPAGESIZE : 2048;
    const m = plain
      ? flags === 0
        ? pool.get()!
        : pool.gethdr()!
      : pool.getjcl(MbufType.DATA, flags, size)!;
    if (kind === "x") {
      const bytes = 8192;
      const va = this.kmem.alloc(bytes);
      pool.extadd(m, va, bytes, (ext) => {
        this.freed++;
        this.kmem.free(ext.buf, bytes);
      });
    }
    if (kind === "u") {
      const pages = this.pages(length);
      pool.extaddPages(m, pages, () => this.freePages(pages));
    }
    if (kind !== "u") m.data += offset;
    if (kind === "s") {
      const n = pool.get()!;
      pool.share(n, m);
      this.aside.push(n);
    }
    if (kind === "r") m.flags |= RDONLY;
    m.len = length;
    return m;
  }

  /** Write the bytes of one mbuf by the walk's ranges. */
  #write(m: Mbuf, from: Uint8Array): void {
    let at = 0;
    walkMbuf(m, {
      virtual: (va, length) => {
        this.kmem.write(va, from.slice(at, at + length));
        at += length;
        return Errno.OK;
      },
      physical: (pa, length) => {
        expect(this.mem.write(pa, from, at, length)).toBe(Errno.OK);
        at += length;
        return Errno.OK;
      },
    });
  }

  #word(m: Mbuf): string {
    const p = (m.flags & PKTHDR) === 0 ? "" : "p";
    if ((m.flags & EXTPG) !== 0) return `${p}u${m.len}`;
    if ((m.flags & EXT) === 0) return `${p}${m.len}`;
    const { ext } = m;
    if (ext!.size > MJUMPAGESIZE) return `${p}x${m.len}`;
    if (ext!.size === MJUMPAGESIZE) return `${p}j${m.len}`;
    if ((m.flags & RDONLY) !== 0) return `${p}r${m.len}`;
    return `${p}${isWritable(m) ? "c" : "s"}${m.len}`;
  }
}

afterEach(() => {
  for (const bench of open) bench.close();
});

/** How far into its storage the data of a mapped mbuf lies. */
export const offsetOf = (m: Mbuf): number => m.data - storageStart(m);

/** `action` panics with a text that has all of `words`. */
export function expectPanic(action: () => unknown, ...words: string[]): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof Panic)) throw error;
    for (const word of words) expect(error.message).toContain(word);
    return;
  }
  expect.fail("nothing was thrown");
}

/** The chain has this shape, these bytes, and its packet says so. Then it is freed. */
export function expectChain(b: Bench, m: Mbuf | null, words: string, bytes: Uint8Array): void {
  expect(b.words(m)).toBe(words);
  expect(b.bytes(m)).toEqual(bytes);
  if (m !== null && (m.flags & PKTHDR) !== 0) expect(m.packetLength).toBe(bytes.length);
  b.pool.check();
  b.pool.freem(m);
}
