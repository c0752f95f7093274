/**
 * The walk over all mbufs of a pool: for tests, and for a machine that verifies itself.
 */
import { hex, panic } from "@physio/kern";
import type { Mbuf, MbufExt } from "./mbuf.ts";
import { MbufFlag, MbufType } from "./mbuf.ts";
import { storageSize, storageStart } from "./space.ts";
import type { MbufStore } from "./store.ts";
import { extPagesLength } from "./walk.ts";
import type { ClusterZone } from "./zones.ts";

const { EXT, EXTPG } = MbufFlag;

/** Panic on a broken invariant; with `held`, also on an mbuf in use that is not to be reached from there. */
export function checkPool(pool: MbufStore, held: readonly Mbuf[] | undefined): void {
  pool.mbufs.check();
  const users = new Map<MbufExt, number>();
  const followed = new Set<Mbuf>();
  let inUse = 0;
  for (const m of pool.mbufs.all) {
    if (m.type === MbufType.FREE) continue;
    inUse++;
    checkMbuf(m);
    if (m.ext !== null) users.set(m.ext, (users.get(m.ext) ?? 0) + 1);
    if (m.next === null) continue;
    if (followed.has(m.next)) panic(`mbuf: ${hex(m.next.storage)} follows two mbufs`);
    followed.add(m.next);
  }
  const counted = pool.mbufs.counters.inUse;
  if (inUse !== counted) panic(`mbuf: ${inUse} in use, counted ${counted}`);
  let own = 0;
  for (const zone of [pool.clusters, pool.jumbo4k, pool.jumbo9k, pool.jumbo16k]) {
    own += checkClusters(zone, users);
  }
  if (users.size - own !== pool.external) {
    panic(`mbuf: ${users.size - own} pieces of external storage, counted ${pool.external}`);
  }
  for (const [ext, count] of users) {
    if (ext.refs !== count) {
      panic(`mbuf: storage at ${hex(ext.buf)} has ${count} users, counted ${ext.refs}`);
    }
  }
  if (held !== undefined) checkLeaks(pool, held);
}

/** @returns clusters of this kind in use. */
function checkClusters(zone: ClusterZone, users: ReadonlyMap<MbufExt, number>): number {
  zone.check();
  let inUse = 0;
  for (const ext of users.keys()) if (ext.kind === zone.kind) inUse++;
  if (inUse !== zone.counters.inUse) {
    panic(`mbuf: ${inUse} clusters of ${zone.size} bytes, counted ${zone.counters.inUse}`);
  }
  return inUse;
}

function checkMbuf(m: Mbuf): void {
  const external = (m.flags & EXT) !== 0;
  const unmapped = (m.flags & EXTPG) !== 0;
  if (external !== (m.ext !== null) || unmapped !== (m.pages !== null) || (unmapped && !external)) {
    panic(`mbuf: flags ${hex(m.flags)} of ${hex(m.storage)} do not suit its storage`);
  }
  if (m.next !== null && m.next.type === MbufType.FREE) {
    panic(`mbuf: ${hex(m.storage)} is followed by a free one`);
  }
  const start = m.pages === null ? storageStart(m) : 0;
  const size = m.pages === null ? storageSize(m) : extPagesLength(m.pages);
  if (!(m.storage >= 0 && m.len >= 0 && m.data >= start && m.data + m.len <= start + size)) {
    panic(`mbuf: data ${hex(m.data)}+${m.len} outside of ${hex(start)}+${size}`);
  }
}

function checkLeaks(pool: MbufStore, held: readonly Mbuf[]): void {
  const reached = new Set<Mbuf>();
  for (const head of held) {
    for (let packet: Mbuf | null = head; packet !== null; packet = packet.nextPacket) {
      for (let m: Mbuf | null = packet; m !== null; m = m.next) {
        if (reached.has(m)) panic(`mbuf: ${hex(m.storage)} is held twice`);
        reached.add(m);
        if (m.type === MbufType.FREE) panic(`mbuf: ${hex(m.storage)} is held and free`);
      }
    }
  }
  for (const m of pool.mbufs.all) {
    if (m.type !== MbufType.FREE && !reached.has(m)) {
      panic(`mbuf: ${hex(m.storage)} with ${m.len} bytes is leaked`);
    }
  }
}
