/**
 * Backends with one fault each: what the test-kit must catch.
 *
 * A fault is put into the table of a good backend, as a mistake in one slot would be.
 */
import type { DmaTag, SegList } from "@physio/busdma";
import { BusDma, Sync } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import { defineBackend } from "@physio/busdma/impl";
import type { BackendUnderTest, MakeBackend } from "@physio/busdma/testing";
import { Errno, PAGE_SIZE } from "@physio/kern";

type Fault = (good: DmaBackend) => Partial<DmaBackend>;

/** The good load, and then something done to its segments. */
const afterLoad =
  (work: (segs: SegList, tag: DmaTag) => void): Fault =>
  (good) => ({
    loadBuffer: (tag, map, pmap, va, len, flags, segs) => {
      const error = good.loadBuffer(tag, map, pmap, va, len, flags, segs);
      if (error === Errno.OK) work(segs, tag);
      return error;
    },
  });

const withoutOp =
  (op: Sync): Fault =>
  (good) => ({ sync: (tag, map, ops) => good.sync(tag, map, ops - (ops & op)) });

/** Needs a machine whose caches devices do not snoop. */
export const CACHE_FAULTS: Readonly<Record<string, Fault>> = Object.freeze({
  "PREREAD does nothing": (good) => ({
    sync: (tag, map, ops) => {
      if (ops !== Sync.PREREAD) good.sync(tag, map, ops);
    },
  }),
});

export const FAULTS: Readonly<Record<string, Fault>> = Object.freeze({
  "PREWRITE does nothing": withoutOp(Sync.PREWRITE),
  "POSTREAD does nothing": withoutOp(Sync.POSTREAD),
  "sync does one operation of two": (good) => ({
    sync: (tag, map, ops) => good.sync(tag, map, (ops & Sync.PREWRITE) !== 0 ? Sync.PREWRITE : ops),
  }),
  "unload keeps everything": () => ({ unload: () => undefined }),
  "unload copies data back": (good) => ({
    unload: (tag, map) => {
      good.sync(tag, map, Sync.POSTREAD);
      good.unload(tag, map);
    },
  }),
  "a load that failed keeps its pages": () => ({ complete: () => undefined }),
  "a map with bounce pages can be destroyed": () => ({ mapDestroy: () => Errno.OK }),
  "isIdentity is always true": () => ({ isIdentity: () => true }),
  "isIdentity looks at the first page only": (good) => ({
    isIdentity: (tag, pa, len) => good.isIdentity(tag, pa, Math.min(len, PAGE_SIZE)),
  }),
  "segments grow past maxSegSize": afterLoad((segs, tag) => {
    const [a, b] = segs.len;
    if (segs.count < 2 || segs.addr[0] + a !== segs.addr[1] || a !== tag.maxSegSize) return;
    segs.len[0] = a + 1;
    segs.len[1] = b - 1;
    segs.addr[1] += 1;
  }),
  "the last byte is forgotten": afterLoad((segs) => {
    if (segs.count > 0) segs.len[segs.count - 1] -= 1;
  }),
  "two segments change places": afterLoad((segs) => {
    if (segs.count < 2) return;
    for (const column of [segs.addr, segs.len]) {
      const [first, second] = column;
      column[0] = second;
      column[1] = first;
    }
  }),
  "NOWAIT is not heard": (good) => ({
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      good.loadBuffer(tag, map, pmap, va, len, flags - (flags & BusDma.NOWAIT), segs),
  }),
  "nobody ever waits": (good) => ({
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      good.loadBuffer(tag, map, pmap, va, len, flags | BusDma.NOWAIT, segs),
  }),
  "a page list starts at offset 0": (good) => ({
    loadPages: (tag, map, ma, _offset, len, flags, segs) =>
      good.loadPages(tag, map, ma, 0, len, flags, segs),
  }),
  "physical loads do not bounce": (good) => ({
    loadPhys: (tag, map, pa, len, _flags, segs) => {
      if (map.md === null) return good.loadPhys(tag, map, pa, len, _flags, segs);
      if (segs.count === segs.capacity) return Errno.EFBIG;
      segs.addr[segs.count] = pa as number;
      segs.len[segs.count++] = len;
      return Errno.OK;
    },
  }),
  "there is never any memory": () => ({ memAlloc: () => null }),
  "memory does not keep its tag": (good) => ({
    memAlloc: (tag, map, flags) => {
      const memory = good.memAlloc(tag, map, flags);
      if (memory !== null) tag.mapCount--;
      return memory;
    },
    memFree: (tag, memory, map) => {
      tag.mapCount++;
      good.memFree(tag, memory, map);
    },
  }),
  "memory is never given back": () => ({
    memFree: (tag) => {
      tag.mapCount--;
    },
  }),
});

/** `make` with a fault in its backends. */
export function broken(make: MakeBackend, fault: Fault): MakeBackend {
  return (spec): BackendUnderTest => {
    const unit = make(spec);
    const good = unit.context.backend;
    const backend = defineBackend({ ...good, ...fault(good) });
    return { ...unit, context: { ...unit.context, backend } };
  };
}
