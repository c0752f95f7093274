/**
 * Getting and freeing mbufs, and the storage that they share.
 *
 * This half of the pool knows nothing of chains but `next`. A get and a free are a few stores; storage
 * is counted by the mbufs that have it and goes back when the last of them is freed. Follows
 * kern_mbuf.c.
 *
 * Invariant: see pool.ts.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { hex, panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import { MbufBytes } from "./bytes.ts";
import { checkLength, clearPacket } from "./chain.ts";
import type { ExtFree, ExtPages, Mbuf } from "./mbuf.ts";
import { ExtKind, MbufExt, MbufFlag, MbufType } from "./mbuf.ts";
import {
  DATA_AT,
  MCLBYTES,
  MJUM9BYTES,
  MJUM16BYTES,
  MJUMPAGESIZE,
  PACKET_DATA_AT,
} from "./space.ts";
import { extPagesLength } from "./walk.ts";
import type { MbufCounters } from "./zones.ts";
import { ClusterZone, MbufZone } from "./zones.ts";

// This module's own names: the compiler folds them.
const EXT = MbufFlag.EXT;
const PKTHDR = MbufFlag.PKTHDR;
const RDONLY = MbufFlag.RDONLY;
const EXTPG = MbufFlag.EXTPG;
const FREE = MbufType.FREE;
const { CLUSTER, JUMBO_PAGE, JUMBO_9K, JUMBO_16K } = ExtKind;
const AT = DATA_AT;
const PACKET_AT = PACKET_DATA_AT;

/** Most that may be in use of each kind; default: as many as memory holds. */
export interface MbufLimits {
  readonly mbufs?: number;
  readonly clusters?: number;
  readonly jumbo4k?: number;
  readonly jumbo9k?: number;
  readonly jumbo16k?: number;
}

export interface MbufPoolOptions {
  readonly kmem: Kmem;
  readonly limits?: MbufLimits;
  /** Bytes that `pullup` moves to the front when they are there; default 60. @bsd #Y max_protohdr */
  readonly protocolHeader?: Bytes;
  /** Bytes that `devget` leaves for a link header before a small packet; default 16. @bsd #Y max_linkhdr */
  readonly linkHeader?: Bytes;
}

/** Free ones of each kind that keep their memory: two rings' worth of the usual ones, a little of the large. */
const KEEP = Object.freeze({ mbufs: 2048, clusters: 1024, jumbo4k: 64, jumbo9k: 8, jumbo16k: 8 });

export class MbufStore {
  readonly kmem: Kmem;
  readonly protocolHeader: Bytes;
  readonly linkHeader: Bytes;
  /** => for this folder. */
  readonly bytes: MbufBytes;
  readonly mbufs: MbufZone;
  readonly clusters: ClusterZone;
  readonly jumbo4k: ClusterZone;
  readonly jumbo9k: ClusterZone;
  readonly jumbo16k: ClusterZone;
  /** Pieces of external storage in use that are not the pool's. */
  external: number;
  #spareExt: MbufExt | null;

  /** @throws {ErrnoError} EINVAL: a limit that is no count. */
  constructor({ kmem, limits = {}, protocolHeader = 60, linkHeader = 16 }: MbufPoolOptions) {
    checkLength("protocol header of", protocolHeader);
    checkLength("link header of", linkHeader);
    this.kmem = kmem;
    this.protocolHeader = protocolHeader;
    this.linkHeader = linkHeader;
    this.bytes = new MbufBytes(kmem);
    this.mbufs = new MbufZone(kmem, limits.mbufs, KEEP.mbufs);
    this.clusters = new ClusterZone(kmem, CLUSTER, MCLBYTES, limits.clusters, KEEP.clusters);
    this.jumbo4k = new ClusterZone(kmem, JUMBO_PAGE, MJUMPAGESIZE, limits.jumbo4k, KEEP.jumbo4k);
    this.jumbo9k = new ClusterZone(kmem, JUMBO_9K, MJUM9BYTES, limits.jumbo9k, KEEP.jumbo9k);
    this.jumbo16k = new ClusterZone(kmem, JUMBO_16K, MJUM16BYTES, limits.jumbo16k, KEEP.jumbo16k);
    this.external = 0;
    this.#spareExt = null;
    kmem.mem.pressure.onReclaim(() => this.reclaim());
  }

  // ---- get

  /** An empty mbuf. @returns null: short. @bsd #P[never waits] m_get */
  get(type: MbufType = MbufType.DATA): Mbuf | null {
    const m = this.mbufs.alloc();
    if (m === null) return null;
    m.type = type;
    m.data = m.storage + AT;
    return m;
  }

  /** An empty mbuf that begins a packet of 0 bytes. @returns null: short. @bsd #P[never waits] m_gethdr */
  gethdr(type: MbufType = MbufType.DATA): Mbuf | null {
    const m = this.mbufs.alloc();
    if (m === null) return null;
    m.type = type;
    m.flags = PKTHDR;
    m.data = m.storage + PACKET_AT;
    clearPacket(m);
    return m;
  }

  /** An empty mbuf with a cluster of 2 KiB; `flags`: PKTHDR or 0. @returns null: short. @bsd #P[never waits] m_getcl */
  getcl(type: MbufType = MbufType.DATA, flags: MbufFlag = 0): Mbuf | null {
    return this.#withCluster(this.clusters, type, flags);
  }

  /** The same with a cluster of 2, 4, 9 or 16 KiB. Panics on another `size`. @returns null: short. @bsd #P[never waits] m_getjcl */
  getjcl(type: MbufType, flags: MbufFlag, size: Bytes): Mbuf | null {
    return this.#withCluster(this.#zoneOf(size), type, flags);
  }

  /** Give the empty `m` a cluster of `size` bytes. @returns false: short, `m` is as it was. @bsd #P[never waits] m_clget, m_cljget */
  cljget(m: Mbuf, size: Bytes = MCLBYTES): boolean {
    assertBare(m, "cljget");
    return this.#attach(m, this.#zoneOf(size));
  }

  // ---- external storage

  /**
   * Give the empty `m` the kernel memory [`buf`, `buf + size`) as its storage; `data` is its start.
   * `free` is told when the last mbuf that shares it is freed. `flags`: RDONLY or 0.
   * => the memory stays mapped until then. `kind` is none of the pool's own.   @bsd #Y m_extadd
   */
  extadd(
    m: Mbuf,
    buf: VirtAddr,
    size: Bytes,
    free: ExtFree | null,
    arg: unknown = null,
    flags: MbufFlag = 0,
    kind: ExtKind = ExtKind.DRIVER,
  ): void {
    checkLength("external storage at", buf);
    checkLength("external storage of", size);
    this.#external(m, free, arg, kind);
    m.ext!.buf = buf;
    m.ext!.size = size;
    m.flags |= EXT | (flags & RDONLY);
    m.data = buf;
  }

  /** Make the empty `m` unmapped: its bytes are all of `pages`, and read-only. `free` as with `extadd`. @bsd #Y mb_alloc_ext_pgs */
  extaddPages(m: Mbuf, pages: ExtPages, free: ExtFree | null, arg: unknown = null): void {
    this.#external(m, free, arg, ExtKind.SFBUF);
    m.pages = pages;
    m.flags |= EXT | EXTPG | RDONLY;
    m.data = 0;
    m.len = extPagesLength(pages);
  }

  /** Let the empty `n` have the external storage of `m`, too, and begin where `m` does. => its `len` is for the caller. @bsd #Y mb_dupcl */
  share(n: Mbuf, m: Mbuf): void {
    assertBare(n, "share");
    const { ext } = m;
    if (!(ext !== null && ext.refs > 0)) panic(`mbuf: share of ${hex(m.data)}, not external`);
    ext.refs++;
    n.ext = ext;
    n.pages = m.pages;
    n.data = m.data;
    n.flags |= m.flags & (EXT | EXTPG | RDONLY);
  }

  // ---- free

  /** Free one mbuf. @returns the next of its chain. Panics when it is free already. @bsd #P[no tags] m_free */
  free(m: Mbuf): Mbuf | null {
    if (m.type === FREE || m.storageFrame < 0) {
      panic(`mbuf: free of one that is ${m.storage < 0 ? "no pool's" : "free"} already`);
    }
    const { next } = m;
    if (m.ext !== null) this.#dropExt(m);
    this.mbufs.free(m);
    return next;
  }

  /** Free a chain. @bsd #Y m_freem */
  freem(m: Mbuf | null): void {
    for (let at = m; at !== null; ) at = this.free(at);
  }

  /** Give back the memory of all that is free. @returns frames. @bsd #Y mb_reclaim */
  reclaim(): number {
    const { mem } = this.kmem;
    const before = mem.freeFrames;
    this.mbufs.drain();
    for (const zone of this.#clusterZones()) zone.drain();
    return mem.freeFrames - before;
  }

  // ---- figures

  /** By kind. */
  get counters(): Readonly<
    Record<"mbufs" | "clusters" | "jumbo4k" | "jumbo9k" | "jumbo16k", MbufCounters>
  > {
    return {
      mbufs: this.mbufs.counters,
      clusters: this.clusters.counters,
      jumbo4k: this.jumbo4k.counters,
      jumbo9k: this.jumbo9k.counters,
      jumbo16k: this.jumbo16k.counters,
    };
  }

  /** Copies that chain operations made from memory to memory, and their bytes. */
  get copies(): number {
    return this.bytes.copies;
  }

  get copiedBytes(): Bytes {
    return this.bytes.copiedBytes;
  }

  // ---- inside

  #zoneOf(size: Bytes): ClusterZone {
    switch (size) {
      case MCLBYTES:
        return this.clusters;
      case MJUMPAGESIZE:
        return this.jumbo4k;
      case MJUM9BYTES:
        return this.jumbo9k;
      case MJUM16BYTES:
        return this.jumbo16k;
      default:
        return panic(`mbuf: no clusters of ${size} bytes`);
    }
  }

  #clusterZones(): readonly ClusterZone[] {
    return [this.clusters, this.jumbo4k, this.jumbo9k, this.jumbo16k];
  }

  #withCluster(zone: ClusterZone, type: MbufType, flags: MbufFlag): Mbuf | null {
    const m = this.mbufs.alloc();
    if (m === null) return null;
    m.type = type;
    const ext = zone.alloc();
    if (ext === null) {
      this.mbufs.free(m);
      return null;
    }
    m.ext = ext;
    m.data = ext.buf;
    if ((flags & PKTHDR) === 0) {
      m.flags = EXT;
    } else {
      m.flags = EXT | PKTHDR;
      clearPacket(m);
    }
    return m;
  }

  #attach(m: Mbuf, zone: ClusterZone): boolean {
    const ext = zone.alloc();
    if (ext === null) return false;
    m.ext = ext;
    m.flags |= EXT;
    m.data = ext.buf;
    return true;
  }

  /** Storage that is not the pool's. */
  #external(m: Mbuf, free: ExtFree | null, arg: unknown, kind: ExtKind): void {
    assertBare(m, "extadd");
    if (isOwn(kind)) panic(`mbuf: extadd of kind ${kind}, which is the pool's own`);
    const ext = this.#spareExt ?? new MbufExt();
    this.#spareExt = ext.link;
    ext.link = null;
    ext.refs = 1;
    ext.kind = kind;
    ext.free = free;
    ext.arg = arg;
    m.ext = ext;
    this.external++;
  }

  /** One user less. @bsd #Y mb_free_ext */
  #dropExt(m: Mbuf): void {
    const ext = m.ext!;
    m.ext = null;
    m.pages = null;
    if (!(ext.refs > 0)) panic(`mbuf: storage at ${hex(ext.buf)} with ${ext.refs} users is freed`);
    ext.refs--;
    if (ext.refs > 0) return;
    if (ext.kind === CLUSTER) this.clusters.free(ext);
    else if (ext.kind === JUMBO_PAGE) this.jumbo4k.free(ext);
    else if (ext.kind === JUMBO_9K) this.jumbo9k.free(ext);
    else if (ext.kind === JUMBO_16K) this.jumbo16k.free(ext);
    else this.#dropForeign(ext);
  }

  #dropForeign(ext: MbufExt): void {
    if (ext.free !== null) ext.free(ext);
    this.external--;
    ext.buf = 0;
    ext.size = 0;
    ext.free = null;
    ext.arg = null;
    ext.link = this.#spareExt;
    this.#spareExt = ext;
  }
}

/** Panic unless `m` is in use, without bytes and without external storage. */
function assertBare(m: Mbuf, what: string): void {
  if (!(m.type !== FREE && m.storage >= 0 && m.len === 0 && m.ext === null)) {
    panic(`mbuf: ${what} on an mbuf with ${m.len} bytes, flags ${hex(m.flags)}`);
  }
}

function isOwn(kind: ExtKind): boolean {
  return kind === ExtKind.CLUSTER || (kind >= ExtKind.JUMBO_PAGE && kind <= ExtKind.JUMBO_16K);
}
