/**
 * The mbufs of one machine: who makes them, shares their storage, frees them, and works on chains.
 *
 * Nothing here waits: where memory or a limit is short the answer is null, and nothing was taken. A
 * function that takes a chain and gives one back owns it meanwhile; which ones free it on failure is
 * said with each. Bytes are in the machine's memory; the objects are used again and again, so a get
 * and a free make no garbage.
 *
 * Invariant (`check`): every mbuf in use has its own memory; `refs` of external storage counts its
 * mbufs; the counters say what is in use. Follows mbuf(9), kern_mbuf.c and uipc_mbuf.c.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { checkPool } from "./audit.ts";
import { chainLength, fixPacketLength } from "./chain.ts";
import { collapse, defrag } from "./compact.ts";
import { copym, copypacket, dup, unshare } from "./copy.ts";
import { append, apply, copyback, copydata, devget } from "./data.ts";
import { adj, cat, catPacket, prepend, pullup, split } from "./edit.ts";
import { get2, getm } from "./get.ts";
import type { Mbuf, MbufFlag } from "./mbuf.ts";
import { MbufType } from "./mbuf.ts";
import { MbufStore } from "./store.ts";

export class MbufPool extends MbufStore {
  // ---- get: get.ts; one mbuf: store.ts

  /** The smallest mbuf that has room for `size` bytes. @returns null: short, or more than 4 KiB. @bsd #P[never waits] m_get2 */
  get2(size: Bytes, type: MbufType = MbufType.DATA, flags: MbufFlag = 0): Mbuf | null {
    return get2(this, size, type, flags);
  }

  /**
   * A chain of empty mbufs with room for `length` bytes, behind the chain `m` if there is one.
   * `flags`: PKTHDR for a new chain's first mbuf, EOR for the last.
   * @returns `m`, or the new chain (null when `length` is 0); null: short, `m` is as it was.   @bsd #P[never waits] m_getm2
   */
  getm(
    m: Mbuf | null,
    length: Bytes,
    type: MbufType = MbufType.DATA,
    flags: MbufFlag = 0,
  ): Mbuf | null {
    return getm(this, m, length, type, flags);
  }

  // ---- chains: edit.ts

  /** Make room for `length` bytes, at most MHLEN, before the data, and count them in. @returns the chain, maybe with a new mbuf in front; null: short, the chain is freed. @bsd #Y M_PREPEND, m_prepend */
  prepend(m: Mbuf, length: Bytes): Mbuf | null {
    return prepend(this, m, length);
  }

  /** Put the first `length` bytes into one mbuf. @returns the chain; null: fewer bytes, more than MHLEN, or short: the chain is freed. @bsd #Y m_pullup */
  pullup(m: Mbuf, length: Bytes): Mbuf | null {
    return pullup(this, m, length);
  }

  /** Cut `length` bytes off the front, or −`length` off the end; more than there are: all. @bsd #Y m_adj */
  adj(m: Mbuf, length: number): void {
    adj(this, m, length);
  }

  /** Put chain `n` behind chain `m`; small mbufs are copied into room behind the last. The packet's length is for the caller. @bsd #Y m_cat */
  cat(m: Mbuf, n: Mbuf): void {
    cat(this, m, n);
  }

  /** The same with packets: `m` becomes one packet of both. @bsd #Y m_catpkt */
  catPacket(m: Mbuf, n: Mbuf): void {
    catPacket(this, m, n);
  }

  /** Cut the chain after `length` bytes. @returns the rest, a packet if `m` is one; null: nothing is behind, or short, and nothing changed. @bsd #Y m_split */
  split(m: Mbuf, length: Bytes): Mbuf | null {
    return split(this, m, length);
  }

  // ---- chains: copy.ts, compact.ts

  /** A copy of `length` bytes from `offset` on, or M_COPYALL; external storage is shared, so treat it as read-only. @returns null: short, or no bytes. @bsd #Y m_copym */
  copym(m: Mbuf, offset: Bytes, length: Bytes): Mbuf | null {
    return copym(this, m, offset, length);
  }

  /** The same for a whole packet, mbuf by mbuf, with the room before its data. @returns null: short. @bsd #Y m_copypacket */
  copypacket(m: Mbuf): Mbuf | null {
    return copypacket(this, m);
  }

  /** A writable copy of a packet with no shared storage. @returns null: short. @bsd #Y m_dup */
  dup(m: Mbuf): Mbuf | null {
    return dup(this, m);
  }

  /** Replace the mbufs of the chain that are not writable by copies. @returns the chain; null: short, the chain is freed. @bsd #Y m_unshare */
  unshare(m: Mbuf): Mbuf | null {
    return unshare(this, m);
  }

  /** The packet in as few mbufs and clusters as can be. @returns the new packet, the old one is freed; null: short, the old one is as it was. @bsd #Y m_defrag */
  defrag(m: Mbuf): Mbuf | null {
    return defrag(this, m);
  }

  /** Join neighbours until the packet has at most `maxMbufs` mbufs. @returns `m`; null: it cannot be done or short, `m` has the same bytes as before in maybe fewer mbufs. @bsd #Y m_collapse */
  collapse(m: Mbuf, maxMbufs: number): Mbuf | null {
    return collapse(this, m, maxMbufs);
  }

  // ---- bytes: data.ts

  /** Copy `length` bytes from `offset` of the chain to `to[at…]`. Panics when the chain is shorter. @bsd #Y m_copydata */
  copydata(m: Mbuf, offset: Bytes, length: Bytes, to: Uint8Array, at = 0): void {
    copydata(this, m, offset, length, to, at);
  }

  /** Write `length` bytes of `from[at…]` at `offset` of the chain, which grows as needed; a gap is zeros. @returns false: short, less was written. Panics on bytes that are not writable. @bsd #Y m_copyback */
  copyback(m: Mbuf, offset: Bytes, length: Bytes, from: Uint8Array, at = 0): boolean {
    return copyback(this, m, offset, length, from, at);
  }

  /** Write `length` bytes of `from[at…]` behind the chain, which grows. @returns false: short, less was written. @bsd #Y m_append */
  append(m: Mbuf, length: Bytes, from: Uint8Array, at = 0): boolean {
    return append(this, m, length, from, at);
  }

  /** Call `f(arg, va, length)` for each run of kernel memory with bytes of the range, until it returns something else than 0. @returns that, or 0. @bsd #Y m_apply */
  apply<A>(
    m: Mbuf,
    offset: Bytes,
    length: Bytes,
    f: (arg: A, va: VirtAddr, length: Bytes) => number,
    arg: A,
  ): number {
    return apply(this, m, offset, length, f, arg);
  }

  /** A packet with the `length` bytes `from[at…]` of a device, `offset` bytes into the first mbuf's room. @returns null: short, or an offset above MHLEN. @bsd #Y m_devget */
  devget(
    from: Uint8Array,
    at: number,
    length: Bytes,
    offset: Bytes = 0,
    receiver: unknown = null,
  ): Mbuf | null {
    return devget(this, from, at, length, offset, receiver);
  }

  /** Bytes of the chain. @bsd #Y m_length */
  length(m: Mbuf | null): Bytes {
    return chainLength(m);
  }

  /** Set the packet's length to what the chain has. @returns it. @bsd #Y m_fixhdr */
  fixhdr(m: Mbuf): Bytes {
    return fixPacketLength(m);
  }

  /** Walk all mbufs and panic on a broken invariant; with `held`, also on an mbuf in use that no chain or queue of these has: a leak. */
  check(held?: readonly Mbuf[]): void {
    checkPool(this, held);
  }
}
