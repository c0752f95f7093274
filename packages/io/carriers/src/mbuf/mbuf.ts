/**
 * mbuf: one link of a chain of network data.
 *
 * A packet is a chain through `next`; its first mbuf carries PKTHDR and the packet's own fields.
 * The bytes of an mbuf lie in its own storage, in external storage that others may share, or, for an
 * unmapped one, in a list of frames with a header and a trailer in kernel memory. This file has the
 * objects only: who makes and frees them is the pool (pool.ts), and bus_dma sees them through walk.ts.
 *
 * Invariant: EXT says that `ext` or `pages` describe the storage, EXTPG that it is `pages`; then `data`
 * is no address but the number of bytes that were removed from the front of all parts.
 *
 * Follows sys/sys/mbuf.h and mbuf(9).
 */
import type { Bits, Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { bitset, formatBits, hex, NO_FRAME } from "@physio/kern";

// scratch: it has no bytes to share
const NOTHING = new Uint8Array(0);

/** Values of sys/sys/mbuf.h. */
export const MbufFlag = bitset<"MbufFlag">()({
  EXT: 0x0001, //         the bytes are in external storage
  PKTHDR: 0x0002, //      first of a packet: the packet's fields are valid
  EOR: 0x0004, //         end of a record
  RDONLY: 0x0008, //      nobody may write the bytes
  BCAST: 0x0010, //       the packet was sent to a link-level broadcast address
  MCAST: 0x0020, //       ... or to a multicast address
  PROMISC: 0x0040, //     the packet is not for this host
  VLANTAG: 0x0080, //     `vlanTag` is valid
  EXTPG: 0x0100, //       unmapped: the bytes are in `pages`
  TSTMP: 0x0400, //       `timestamp` is valid
  TSTMP_HPREC: 0x0800, // ... and precise
  PROTO1: 0x2000, //      free for the protocol that has the packet
  PROTO2: 0x4000,
  PROTO3: 0x8000,
});
export type MbufFlag = Bits<"MbufFlag">;

/** What an mbuf is for. FREE marks one that is in the pool. @bsd #Y MT_DATA */
export const MbufType = Object.freeze({ FREE: 0, DATA: 1, SONAME: 8, CONTROL: 14 } as const);
export type MbufType = (typeof MbufType)[keyof typeof MbufType];

/** What external storage is. Values of EXT_*. */
export const ExtKind = Object.freeze({
  CLUSTER: 1, //     2 KiB of the pool
  SFBUF: 2, //       pages of a file
  JUMBO_PAGE: 3, //  4 KiB of the pool
  JUMBO_9K: 4, //    9 KiB of the pool
  JUMBO_16K: 5, //   16 KiB of the pool
  RX_RING: 8, //     a receive ring's own buffer
  DRIVER: 252, //    a network driver's own buffer
  MODULE: 253, //    somebody else's
  DISPOSABLE: 254, // freed by nobody
} as const);
export type ExtKind = (typeof ExtKind)[keyof typeof ExtKind];

/** A run of kernel memory that begins or ends an unmapped mbuf. */
export interface ExtRange {
  readonly va: VirtAddr;
  readonly len: Bytes;
}

/** Who knows the addresses of frames: PhysMem. */
export interface FrameAddresses {
  addrOf(frame: Frame): PhysAddr;
}

/**
 * The parts of an unmapped mbuf, in order: header, frames, trailer. The bytes of the first frame
 * begin at `firstOffset`, the last frame has `lastLength` of them, the others are whole.
 *
 * With a single frame only `lastLength` counts.   @bsd #Y struct mbuf_ext_pgs
 */
export interface ExtPages {
  /** Whose frames they are. */
  readonly memory: FrameAddresses;
  readonly header: ExtRange;
  readonly frames: readonly Frame[];
  readonly firstOffset: Bytes;
  readonly lastLength: Bytes;
  readonly trailer: ExtRange;
}

/** Told when nobody uses external storage any more. => `ext` is the pool's again when it returns. */
export type ExtFree = (ext: MbufExt) => void;

/**
 * The two ranges of a storage that were read last, as the host's arrays, for the next time: see bytes.ts.
 * A view whose memory the host has taken away has no bytes, and is of no range.
 */
export class HostView {
  /** Kernel address of the first byte of `view`; −1: there is none. */
  start: VirtAddr;
  view: Uint8Array;
  olderStart: VirtAddr;
  older: Uint8Array;

  constructor() {
    this.start = -1;
    this.view = NOTHING;
    this.olderStart = -1;
    this.older = NOTHING;
  }
}

/**
 * External storage, shared by all mbufs whose `ext` it is.
 *
 * Invariant: `refs` is the number of those mbufs.   @bsd #Y struct m_ext
 */
export class MbufExt {
  /** Kernel address of the first byte; 0 for unmapped storage. */
  buf: VirtAddr;
  size: Bytes;
  refs: number;
  kind: ExtKind;
  /** Null for storage of the pool, and for storage that nobody frees. */
  free: ExtFree | null;
  /** For `free`. */
  arg: unknown;
  /** The pool's: frame of the first byte, NO_FRAME where the storage may be scattered. */
  frame: Frame;
  host: HostView | null;
  /** The pool's: link of its free list. */
  link: MbufExt | null;

  constructor() {
    this.buf = 0;
    this.size = 0;
    this.refs = 0;
    this.kind = ExtKind.DISPOSABLE;
    this.free = null;
    this.arg = null;
    this.frame = NO_FRAME;
    this.host = null;
    this.link = null;
  }
}

/** @bsd #P[no tags, no send tag] struct mbuf, struct pkthdr */
export class Mbuf {
  /** Next mbuf of the packet. */
  next: Mbuf | null;
  /** Next packet of a queue. */
  nextPacket: Mbuf | null;
  /** Kernel address of the first byte; when unmapped, bytes removed from the front. */
  data: VirtAddr;
  /** Bytes of this mbuf. */
  len: Bytes;
  flags: MbufFlag;
  type: MbufType;
  ext: MbufExt | null;
  pages: ExtPages | null;

  // Of the packet, valid with PKTHDR.
  /** Bytes of the whole chain. */
  packetLength: Bytes;
  /** The interface that received it. */
  receiver: unknown;
  flowId: number;
  hashType: number;
  csumFlags: number;
  csumData: number;
  vlanTag: number;
  /** Bytes of a segment when the device is to cut the packet. */
  tsoSegmentSize: Bytes;
  timestamp: number;

  /** The pool's: address and frame of the mbuf's own 256 bytes; −1 and NO_FRAME for an mbuf that no pool made. */
  storage: VirtAddr;
  storageFrame: Frame;
  host: HostView | null;

  constructor() {
    this.next = null;
    this.nextPacket = null;
    this.data = 0;
    this.len = 0;
    this.flags = 0;
    this.type = MbufType.DATA;
    this.ext = null;
    this.pages = null;
    this.packetLength = 0;
    this.receiver = null;
    this.flowId = 0;
    this.hashType = 0;
    this.csumFlags = 0;
    this.csumData = 0;
    this.vlanTag = 0;
    this.tsoSegmentSize = 0;
    this.timestamp = 0;
    this.storage = -1;
    this.storageFrame = NO_FRAME;
    this.host = null;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const where = this.pages === null ? hex(this.data) : `${this.pages.frames.length} frames`;
    const packet =
      (this.flags & MbufFlag.PKTHDR) === 0 ? "" : `, packet of ${this.packetLength} bytes`;
    return `Mbuf(${where}+${this.len}, ${formatBits(MbufFlag, this.flags)}${packet})`;
  }
}
