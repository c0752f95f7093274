/**
 * The memory of mbufs and clusters: what is cut from kernel memory, what is kept for the next one.
 *
 * A free mbuf keeps its 256 bytes and a free cluster its memory, on a list of bounded length, so a
 * get and a free in steady state are a few stores; what is beyond the bound, and all of it when
 * memory runs short, goes back to kernel memory. Follows the zones of kern_mbuf.c.
 *
 * The lists are stacks in arrays: a link of the objects' own would be three stores of pointers for a get
 * and a free, each of which the host's collector wants to hear of, and this is one (3 mbufs with 2
 * clusters: 32 ns by links).
 *
 * Invariant (`check`): the first `cached` of a list are free, each once, and they and what is in use is
 * what the zone of kernel memory has given out. More memory is taken only when the list is empty, so
 * what has memory never exceeds the peak, nor the limit: a get from the list looks at neither.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, isWhole, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { Kmem, Zone } from "@physio/pmap";
import type { ExtKind } from "./mbuf.ts";
import { Mbuf, MbufExt, MbufType } from "./mbuf.ts";
import { MSIZE } from "./space.ts";

const FREE = MbufType.FREE;

/** Figures of one kind of memory. Counts, not bytes. */
export class MbufCounters {
  /** Handed out at most at one time, and since boot. */
  peak: number;
  allocated: number;
  /** Times that there was none: the limit, or memory. */
  failures: number;
  /** That have memory: in use, or free and kept; and free and kept. */
  made: number;
  cached: number;
  /** Most that may be in use. */
  readonly limit: number;

  constructor(limit: number) {
    this.peak = 0;
    this.allocated = 0;
    this.failures = 0;
    this.made = 0;
    this.cached = 0;
    this.limit = limit;
  }

  /** Handed out now. */
  get inUse(): number {
    return this.made - this.cached;
  }
}

/** @throws {ErrnoError} EINVAL: `limit` is no count. */
function countersFor(name: string, limit: number | undefined): MbufCounters {
  const most = limit ?? Number.MAX_SAFE_INTEGER;
  if (!isWhole(most)) throw new ErrnoError(Errno.EINVAL, `mbuf: limit of ${most} ${name}`);
  return new MbufCounters(most);
}

/** Frame of kernel memory that is mapped. */
function frameAt(kmem: Kmem, va: VirtAddr): Frame {
  const frame = kmem.pmap.frameAt(va);
  if (frame === NO_FRAME) panic(`mbuf: ${hex(va)} is not mapped`);
  return frame;
}

/** Mbufs with the 256 bytes that each of them has. */
export class MbufZone {
  readonly counters: MbufCounters;
  /** All objects there ever were, for the walk. */
  readonly all: Mbuf[];
  readonly zone: Zone;
  readonly #kmem: Kmem;
  readonly #cacheMax: number;
  /** Free mbufs with memory, `counters.cached` of them; what is behind them is of no use. */
  readonly #free: Mbuf[];
  /** Free objects without, by `next`. */
  #bare: Mbuf | null;

  constructor(kmem: Kmem, limit: number | undefined, cacheMax: number) {
    this.counters = countersFor("mbufs", limit);
    this.all = [];
    this.zone = kmem.zone("mbuf", MSIZE, { align: MSIZE });
    this.#kmem = kmem;
    this.#cacheMax = cacheMax;
    this.#free = [];
    this.#bare = null;
  }

  /** A mbuf with nothing in it. => `type` is for the caller, and none is FREE. @returns null: the limit, or no memory. */
  alloc(): Mbuf | null {
    const { counters } = this;
    const last = counters.cached - 1;
    if (last < 0) return this.#allocMore();
    counters.cached = last;
    counters.allocated++;
    return this.#free[last];
  }

  /** => `m` is in use, its `ext` and `pages` given back. */
  free(m: Mbuf): void {
    const { counters } = this;
    m.type = FREE;
    m.next = null;
    m.nextPacket = null;
    m.len = 0;
    m.flags = 0;
    m.receiver = null;
    const { cached } = counters;
    this.#free[cached] = m;
    counters.cached = cached + 1;
    if (cached >= this.#cacheMax) this.#drop();
  }

  /** Give back the memory of all free mbufs. */
  drain(): void {
    while (this.counters.cached > 0) this.#drop();
    this.#free.length = 0;
    this.zone.reclaim();
  }

  check(): void {
    const { counters, zone } = this;
    const listed = new Set(this.#free.slice(0, counters.cached));
    for (const m of listed) {
      if (m.type !== FREE || m.storage < 0) {
        panic(`mbuf: the list of free mbufs is broken at ${hex(m.storage)}`);
      }
    }
    if (listed.size !== counters.cached || zone.used !== counters.made) {
      panic(
        `mbuf: ${zone.used} in the zone, ${counters.inUse} in use, ${counters.cached} kept, ${listed.size} listed`,
      );
    }
  }

  /** The list is empty. */
  #allocMore(): Mbuf | null {
    const { counters } = this;
    const m = counters.inUse < counters.limit ? this.#make() : null;
    if (m === null) {
      counters.failures++;
      return null;
    }
    counters.allocated++;
    counters.peak = Math.max(counters.peak, counters.inUse);
    return m;
  }

  #make(): Mbuf | null {
    const m = this.#bare ?? new Mbuf();
    if (m === this.#bare) this.#bare = m.next;
    else this.all.push(m);
    m.type = FREE;
    m.next = null;
    const va = this.zone.alloc();
    if (va < 0) {
      m.next = this.#bare;
      this.#bare = m;
      return null;
    }
    m.storage = va;
    m.storageFrame = frameAt(this.#kmem, va);
    this.counters.made++;
    return m;
  }

  /** Give back the memory of the last of the list. */
  #drop(): void {
    const m = this.#free[--this.counters.cached];
    this.counters.made--;
    this.zone.free(m.storage);
    m.storage = -1;
    m.storageFrame = NO_FRAME;
    m.host = null;
    m.next = this.#bare;
    this.#bare = m;
  }
}

/** Clusters of one size, each with the object that counts its users. */
export class ClusterZone {
  readonly counters: MbufCounters;
  readonly kind: ExtKind;
  readonly size: Bytes;
  readonly #name: string;
  readonly #kmem: Kmem;
  readonly #cacheMax: number;
  /** Null for sizes above a page: those are runs of frames. */
  readonly #zone: Zone | null;
  /** Free clusters, as with mbufs. */
  readonly #free: MbufExt[];

  constructor(kmem: Kmem, kind: ExtKind, size: Bytes, limit: number | undefined, cacheMax: number) {
    this.#name = `mbuf-cluster-${size}`;
    this.counters = countersFor(this.#name, limit);
    this.kind = kind;
    this.size = size;
    this.#kmem = kmem;
    this.#cacheMax = cacheMax;
    this.#zone = size <= PAGE_SIZE ? kmem.zone(this.#name, size, { align: size }) : null;
    this.#free = [];
  }

  /** A cluster with one user. @returns null: the limit, or no memory. */
  alloc(): MbufExt | null {
    const { counters } = this;
    const last = counters.cached - 1;
    if (last < 0) return this.#allocMore();
    counters.cached = last;
    counters.allocated++;
    const ext = this.#free[last];
    ext.refs = 1;
    return ext;
  }

  /** => nobody uses it. */
  free(ext: MbufExt): void {
    const { counters } = this;
    const { cached } = counters;
    this.#free[cached] = ext;
    counters.cached = cached + 1;
    if (cached >= this.#cacheMax) this.#drop();
  }

  /** Give back the memory of all free clusters. */
  drain(): void {
    while (this.counters.cached > 0) this.#drop();
    this.#free.length = 0;
    this.#zone?.reclaim();
  }

  check(): void {
    const { counters } = this;
    const listed = new Set(this.#free.slice(0, counters.cached));
    for (const ext of listed) {
      if (ext.refs !== 0 || ext.size !== this.size) {
        panic(`mbuf: the list of ${this.#name} is broken at ${hex(ext.buf)}`);
      }
    }
    const used = this.#zone === null ? counters.made : this.#zone.used;
    if (listed.size !== counters.cached || used !== counters.made) {
      panic(
        `mbuf: ${this.#name}: ${used} made, ${counters.inUse} in use, ${counters.cached} kept, ${listed.size} listed`,
      );
    }
  }

  /** The list is empty. */
  #allocMore(): MbufExt | null {
    const { counters } = this;
    const ext = counters.inUse < counters.limit ? this.#make() : null;
    if (ext === null) {
      counters.failures++;
      return null;
    }
    ext.refs = 1;
    counters.allocated++;
    counters.peak = Math.max(counters.peak, counters.inUse);
    return ext;
  }

  #make(): MbufExt | null {
    const va = this.#zone === null ? this.#contig() : this.#zone.alloc();
    if (va < 0) return null;
    const ext = new MbufExt();
    ext.buf = va;
    ext.size = this.size;
    ext.kind = this.kind;
    ext.frame = frameAt(this.#kmem, va);
    this.counters.made++;
    return ext;
  }

  #contig(): VirtAddr {
    try {
      return this.#kmem.allocContig(this.size, {});
    } catch (error) {
      // No kernel addresses: as short as no memory.
      if (error instanceof ErrnoError && error.errno === Errno.ENOMEM) return -1;
      throw error;
    }
  }

  /** Give back the memory of the last of the list. */
  #drop(): void {
    const ext = this.#free[--this.counters.cached];
    this.counters.made--;
    if (this.#zone === null) this.#kmem.free(ext.buf, this.size);
    else this.#zone.free(ext.buf);
  }
}
