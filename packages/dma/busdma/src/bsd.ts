/**
 * bus_dma(9) by its own names and in its own argument order, for C drivers that are ported line by line.
 *
 * Thin functions over tags and maps. What C returns through a pointer is a box here: an object with
 * one field, made by `box()`. NULL is null; the functions that return int return an errno number, and
 * those of void nothing. A segment array is a SegList, its count a box.
 *
 * => a tag is used with its own maps only (else panic).
 */
import type { Bio, Ccb, Mbuf, Memdesc, Uio } from "@physio/carriers";
import type { BusAddr, Bytes, Errno, VirtAddr } from "@physio/kern";
import { Errno as E, ErrnoError, panic } from "@physio/kern";
import type { Mutex, Sleeps } from "@physio/sched";
import type { DmaFilter, TagOptions } from "./constraints.ts";
import { BusDma, Sync } from "./flags.ts";
import type { LockFunction, LockOp } from "./lock.ts";
import { BUS_DMA_LOCK, busdmaLockMutex, dfltLock } from "./lock.ts";
import type { DmaMap, LoadCallback, LoadCallback2 } from "./map.ts";
import type { SegList } from "./seg-list.ts";
import type { DmaContext, DmaTag } from "./tag.ts";
import { createTag } from "./tag.ts";
import { TagTemplate } from "./template.ts";

/** Where C would pass a pointer for a result. */
export interface Box<T> {
  value: T;
}

/** A box with nothing in it yet. */
export function box<T>(): Box<T | null> {
  return { value: null };
}

export type bus_dma_tag_t = DmaTag;
export type bus_dmamap_t = DmaMap;
export type bus_dmamap_callback_t<A> = LoadCallback<A>;
export type bus_dmamap_callback2_t<A> = LoadCallback2<A>;
export type bus_dma_filter_t = DmaFilter;
export type bus_dma_lock_t = (arg: unknown, op: LockOp) => void;
export type bus_dma_template_t = TagTemplate;

export const BUS_DMA_WAITOK = BusDma.WAITOK;
export const BUS_DMA_NOWAIT = BusDma.NOWAIT;
export const BUS_DMA_ALLOCNOW = BusDma.ALLOCNOW;
export const BUS_DMA_COHERENT = BusDma.COHERENT;
export const BUS_DMA_ZERO = BusDma.ZERO;
export const BUS_DMA_BUS1 = BusDma.BUS1;
export const BUS_DMA_BUS2 = BusDma.BUS2;
export const BUS_DMA_BUS3 = BusDma.BUS3;
export const BUS_DMA_BUS4 = BusDma.BUS4;
export const BUS_DMA_NOWRITE = BusDma.NOWRITE;
export const BUS_DMA_NOCACHE = BusDma.NOCACHE;
export const BUS_DMA_KEEP_PG_OFFSET = BusDma.KEEP_PG_OFFSET;
export const BUS_DMASYNC_PREREAD = Sync.PREREAD;
export const BUS_DMASYNC_POSTREAD = Sync.POSTREAD;
export const BUS_DMASYNC_PREWRITE = Sync.PREWRITE;
export const BUS_DMASYNC_POSTWRITE = Sync.POSTWRITE;
export {
  BUS_SPACE_MAXADDR,
  BUS_SPACE_MAXADDR_24BIT,
  BUS_SPACE_MAXADDR_32BIT,
  BUS_SPACE_UNRESTRICTED,
} from "./flags.ts";
export { BUS_DMA_LOCK, BUS_DMA_UNLOCK } from "./lock.ts";

/** @bsd #Y busdma_lock_mutex */
export function busdma_lock_mutex(arg: unknown, op: LockOp): void {
  const mutex = arg as Mutex;
  if (op === BUS_DMA_LOCK) mutex.enter();
  else mutex.exit();
}

/** @bsd #Y dflt_lock */
export function dflt_lock(_arg: unknown, _op: LockOp): never {
  return dfltLock();
}

/** `lockfunc` and its argument as the one function that a tag has. */
function lockOf(lockfunc: bus_dma_lock_t | null, lockfuncarg: unknown): LockFunction {
  if (lockfunc === null || lockfunc === dflt_lock) return dfltLock;
  if (lockfunc === busdma_lock_mutex) return busdmaLockMutex(lockfuncarg as Mutex);
  return (op) => lockfunc(lockfuncarg, op);
}

/** What a creation throws, as a number. */
function errnoOf(create: () => void): Errno {
  try {
    create();
    return E.OK;
  } catch (error) {
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

/** The map of a call. */
function mapOf(dmat: DmaTag, map: DmaMap): DmaMap {
  if (map.tag !== dmat) panic("bus_dma: a tag was given with the map of another one");
  return map;
}

/**
 * The tag of the device above is `parent`; `bus_get_dma_tag` of a machine gives it.
 * @returns 0; EINVAL; ENOMEM. @bsd #Y bus_dma_tag_create
 */
export function bus_dma_tag_create(
  parent: DmaTag | DmaContext,
  alignment: Bytes,
  boundary: Bytes,
  lowaddr: BusAddr,
  highaddr: BusAddr,
  filtfunc: DmaFilter | null,
  filtfuncarg: unknown,
  maxsize: Bytes,
  nsegments: number,
  maxsegsz: Bytes,
  flags: BusDma,
  lockfunc: bus_dma_lock_t | null,
  lockfuncarg: unknown,
  dmat: Box<DmaTag | null>,
): Errno {
  const options: TagOptions = {
    alignment,
    boundary,
    lowAddr: lowaddr,
    highAddr: highaddr,
    filter: filtfunc,
    filterArg: filtfuncarg,
    maxSize: maxsize,
    segments: nsegments,
    maxSegSize: maxsegsz,
    flags,
    lock: lockOf(lockfunc, lockfuncarg),
  };
  return errnoOf(() => {
    dmat.value = "context" in parent ? parent.child(options) : createTag(parent, null, options);
  });
}

/** @returns 0; EBUSY. @bsd #Y bus_dma_tag_destroy */
export function bus_dma_tag_destroy(dmat: DmaTag): Errno {
  return dmat.destroy();
}

/** @bsd #Y bus_dma_template_init */
export function bus_dma_template_init(t: Box<TagTemplate | null>, parent: DmaTag): void {
  t.value = new TagTemplate(parent);
}

/** @bsd #P[the key and value pairs are an options object] bus_dma_template_fill */
export function bus_dma_template_fill(t: TagTemplate, kv: TagOptions): void {
  t.fill(kv);
}

/** @bsd #Y bus_dma_template_clone */
export function bus_dma_template_clone(t: TagTemplate, dmat: DmaTag): void {
  t.clone(dmat);
}

/** @returns 0; EINVAL; ENOMEM. @bsd #Y bus_dma_template_tag */
export function bus_dma_template_tag(t: TagTemplate, dmat: Box<DmaTag | null>): Errno {
  return errnoOf(() => {
    dmat.value = t.tag();
  });
}

/** @returns 0; ENOMEM. @bsd #Y bus_dmamap_create */
export function bus_dmamap_create(dmat: DmaTag, flags: BusDma, mapp: Box<DmaMap | null>): Errno {
  return errnoOf(() => {
    mapp.value = dmat.createMap(flags);
  });
}

/** @returns 0; EBUSY. @bsd #Y bus_dmamap_destroy */
export function bus_dmamap_destroy(dmat: DmaTag, map: DmaMap): Errno {
  return mapOf(dmat, map).destroy();
}

/** @returns 0; EINPROGRESS; ENOMEM; EINVAL. @bsd #Y bus_dmamap_load */
export function bus_dmamap_load<A>(
  dmat: DmaTag,
  map: DmaMap,
  buf: VirtAddr,
  buflen: Bytes,
  callback: LoadCallback<A>,
  callback_arg: A,
  flags: BusDma,
): Errno {
  return mapOf(dmat, map).load(buf, buflen, callback, callback_arg, flags);
}

/** @returns as bus_dmamap_load. @bsd #Y bus_dmamap_load_bio */
export function bus_dmamap_load_bio<A>(
  dmat: DmaTag,
  map: DmaMap,
  bio: Bio,
  callback: LoadCallback<A>,
  callback_arg: A,
  flags: BusDma,
): Errno {
  return mapOf(dmat, map).loadBio(bio, callback, callback_arg, flags);
}

/** @returns as bus_dmamap_load. @bsd #Y bus_dmamap_load_ccb */
export function bus_dmamap_load_ccb<A>(
  dmat: DmaTag,
  map: DmaMap,
  ccb: Ccb,
  callback: LoadCallback<A>,
  callback_arg: A,
  flags: BusDma,
): Errno {
  return mapOf(dmat, map).loadCcb(ccb, callback, callback_arg, flags);
}

/** @returns as bus_dmamap_load. @bsd #Y bus_dmamap_load_mem */
export function bus_dmamap_load_mem<A>(
  dmat: DmaTag,
  map: DmaMap,
  mem: Memdesc,
  callback: LoadCallback<A>,
  callback_arg: A,
  flags: BusDma,
): Errno {
  return mapOf(dmat, map).loadMem(mem, callback, callback_arg, flags);
}

/** @returns 0; EFBIG; ENOMEM; EINVAL. @bsd #Y bus_dmamap_load_mbuf */
export function bus_dmamap_load_mbuf<A>(
  dmat: DmaTag,
  map: DmaMap,
  mbuf: Mbuf,
  callback: LoadCallback2<A>,
  callback_arg: A,
  flags: BusDma,
): Errno {
  return mapOf(dmat, map).loadMbuf(mbuf, callback, callback_arg, flags);
}

/** @returns as bus_dmamap_load_mbuf. @bsd #Y bus_dmamap_load_mbuf_sg */
export function bus_dmamap_load_mbuf_sg(
  dmat: DmaTag,
  map: DmaMap,
  mbuf: Mbuf,
  segs: SegList,
  nsegs: Box<number | null>,
  flags: BusDma,
): Errno {
  const error = mapOf(dmat, map).loadMbufSg(mbuf, segs, flags);
  nsegs.value = segs.count;
  return error;
}

/** @returns as bus_dmamap_load_mbuf. @bsd #Y bus_dmamap_load_uio */
export function bus_dmamap_load_uio<A>(
  dmat: DmaTag,
  map: DmaMap,
  uio: Uio,
  callback: LoadCallback2<A>,
  callback_arg: A,
  flags: BusDma,
): Errno {
  return mapOf(dmat, map).loadUio(uio, callback, callback_arg, flags);
}

/** @bsd #Y bus_dmamap_unload */
export function bus_dmamap_unload(dmat: DmaTag, map: DmaMap): void {
  mapOf(dmat, map).unload();
}

/** @bsd #Y bus_dmamap_sync */
export function bus_dmamap_sync(dmat: DmaTag, map: DmaMap, op: Sync): void {
  mapOf(dmat, map).sync(op);
}

/**
 * Never sleeps, whatever the flags: a function that sleeps is a generator here, `bus_dmamem_alloc_waitok`.
 * @returns 0; ENOMEM. @bsd #Y bus_dmamem_alloc
 */
export function bus_dmamem_alloc(
  dmat: DmaTag,
  vaddr: Box<VirtAddr | null>,
  flags: BusDma,
  mapp: Box<DmaMap | null>,
): Errno {
  const mem = dmat.allocMem(flags);
  vaddr.value = mem === null ? null : mem.memory.va;
  mapp.value = mem === null ? null : mem.map;
  return mem === null ? E.ENOMEM : E.OK;
}

/** bus_dmamem_alloc with BUS_DMA_WAITOK: asleep until there is memory. @returns 0; ENOMEM: more than the machine has. @bsd #Y bus_dmamem_alloc BUS_DMA_WAITOK */
export function* bus_dmamem_alloc_waitok(
  dmat: DmaTag,
  vaddr: Box<VirtAddr | null>,
  flags: BusDma,
  mapp: Box<DmaMap | null>,
): Sleeps<Errno> {
  try {
    const { memory, map } = yield* dmat.allocMemWait(flags);
    vaddr.value = memory.va;
    mapp.value = map;
    return E.OK;
  } catch (error) {
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

/** @bsd #Y bus_dmamem_free */
export function bus_dmamem_free(dmat: DmaTag, vaddr: VirtAddr, map: DmaMap): void {
  dmat.freeMem(vaddr, map);
}
