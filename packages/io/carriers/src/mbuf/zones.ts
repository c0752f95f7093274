/**
 * The memory of mbufs and clusters: what is cut from kernel memory, what is kept for the next one.
 *
 * A free mbuf keeps its 256 bytes and a free cluster its memory, on a list of bounded length, so a
 * get and a free in steady state are a few stores; what is beyond the bound, and all of it when
 * memory runs short, goes back to kernel memory. Follows the zones of kern_mbuf.c.
 *
 * Invariant (`check`): the list is as long as `cached` says, and what is in use and on the list is
 * what the zone of kernel memory has given out.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, isWhole, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { Kmem, Zone } from "@physio/pmap";
import type { ExtKind } from "./mbuf.ts";
import { Mbuf, MbufExt, MbufType } from "./mbuf.ts";
import { MSIZE } from "./space.ts";

const FREE = MbufType.FREE;
const DATA = MbufType.DATA;

/** Figures of one kind of memory. Counts, not bytes. */
export class MbufCounters {
  /** Handed out now, at most at one time, and since boot. */
  inUse: number;
  peak: number;
  allocated: number;
  /** Times that there was none: the limit, or memory. */
  failures: number;
  /** Free, and kept. */
  cached: number;
  /** Most that may be in use. */
  readonly limit: number;

  constructor(limit: number) {
    this.inUse = 0;
    this.peak = 0;
    this.allocated = 0;
    this.failures = 0;
    this.cached = 0;
    this.limit = limit;
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
  /** Free mbufs with memory, by `next`. */
  #head: Mbuf | null;
  /** Free objects without, by `next`. */
  #bare: Mbuf | null;

  constructor(kmem: Kmem, limit: number | undefined, cacheMax: number) {
    this.counters = countersFor("mbufs", limit);
    this.all = [];
    this.zone = kmem.zone("mbuf", MSIZE, { align: MSIZE });
    this.#kmem = kmem;
    this.#cacheMax = cacheMax;
    this.#head = null;
    this.#bare = null;
  }

  /** A mbuf of type DATA with nothing in it. @returns null: the limit, or no memory. */
  alloc(): Mbuf | null {
    const { counters } = this;
    const m = counters.inUse < counters.limit ? (this.#head ?? this.#make()) : null;
    if (m === null) {
      counters.failures++;
      return null;
    }
    if (m === this.#head) {
      this.#head = m.next;
      counters.cached--;
    }
    m.next = null;
    m.type = DATA;
    counters.allocated++;
    if (++counters.inUse > counters.peak) counters.peak = counters.inUse;
    return m;
  }

  /** => `m` is in use, its `ext` given back. */
  free(m: Mbuf): void {
    const { counters } = this;
    m.type = FREE;
    m.nextPacket = null;
    m.len = 0;
    m.flags = 0;
    m.pages = null;
    m.receiver = null;
    counters.inUse--;
    if (counters.cached >= this.#cacheMax) {
      this.#unbind(m);
      return;
    }
    m.next = this.#head;
    this.#head = m;
    counters.cached++;
  }

  /** Give back the memory of all free mbufs. */
  drain(): void {
    while (this.#head !== null) {
      const m = this.#head;
      this.#head = m.next;
      this.counters.cached--;
      this.#unbind(m);
    }
    this.zone.reclaim();
  }

  check(): void {
    const { counters, zone } = this;
    let listed = 0;
    for (let m = this.#head; m !== null; m = m.next) {
      if (m.type !== FREE || m.storage < 0 || ++listed > counters.cached) {
        panic(`mbuf: the list of free mbufs is broken at ${hex(m.storage)}`);
      }
    }
    if (listed !== counters.cached || zone.used !== counters.inUse + listed) {
      panic(`mbuf: ${zone.used} in the zone, ${counters.inUse} in use, ${listed} listed`);
    }
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
    return m;
  }

  #unbind(m: Mbuf): void {
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
  #head: MbufExt | null;

  constructor(kmem: Kmem, kind: ExtKind, size: Bytes, limit: number | undefined, cacheMax: number) {
    this.#name = `mbuf-cluster-${size}`;
    this.counters = countersFor(this.#name, limit);
    this.kind = kind;
    this.size = size;
    this.#kmem = kmem;
    this.#cacheMax = cacheMax;
    this.#zone = size <= PAGE_SIZE ? kmem.zone(this.#name, size, { align: size }) : null;
    this.#head = null;
  }

  /** A cluster with one user. @returns null: the limit, or no memory. */
  alloc(): MbufExt | null {
    const { counters } = this;
    const ext = counters.inUse < counters.limit ? (this.#head ?? this.#make()) : null;
    if (ext === null) {
      counters.failures++;
      return null;
    }
    if (ext === this.#head) {
      this.#head = ext.link;
      ext.link = null;
      counters.cached--;
    }
    ext.refs = 1;
    counters.allocated++;
    if (++counters.inUse > counters.peak) counters.peak = counters.inUse;
    return ext;
  }

  /** => nobody uses it. */
  free(ext: MbufExt): void {
    const { counters } = this;
    counters.inUse--;
    if (counters.cached >= this.#cacheMax) {
      this.#release(ext);
      return;
    }
    ext.link = this.#head;
    this.#head = ext;
    counters.cached++;
  }

  /** Give back the memory of all free clusters. */
  drain(): void {
    while (this.#head !== null) {
      const ext = this.#head;
      this.#head = ext.link;
      this.counters.cached--;
      this.#release(ext);
    }
    this.#zone?.reclaim();
  }

  check(): void {
    const { counters } = this;
    let listed = 0;
    for (let ext = this.#head; ext !== null; ext = ext.link) {
      if (ext.refs !== 0 || ext.size !== this.size || ++listed > counters.cached) {
        panic(`mbuf: the list of ${this.#name} is broken at ${hex(ext.buf)}`);
      }
    }
    const used = this.#zone === null ? counters.inUse + listed : this.#zone.used;
    if (listed !== counters.cached || used !== counters.inUse + listed) {
      panic(`mbuf: ${this.#name}: ${used} made, ${counters.inUse} in use, ${listed} listed`);
    }
  }

  #make(): MbufExt | null {
    const va = this.#zone === null ? this.#contig() : this.#zone.alloc();
    if (va < 0) return null;
    const ext = new MbufExt();
    ext.buf = va;
    ext.size = this.size;
    ext.kind = this.kind;
    ext.frame = frameAt(this.#kmem, va);
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

  #release(ext: MbufExt): void {
    if (this.#zone === null) this.#kmem.free(ext.buf, this.size);
    else this.#zone.free(ext.buf);
  }
}
