/**
 * Tag templates, and bus_dma by its own names.
 */
import type { DmaMap, DmaTag, LockOp } from "@physio/busdma";
import { BUS_SPACE_UNRESTRICTED, BusDma, createTag, dfltLock, TagTemplate } from "@physio/busdma";
import * as bsd from "@physio/busdma/bsd";
import { Bio, CamFlag, Ccb, Uio, UioRw, Xpt } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, MAXADDR, PAGE_SIZE, Panic } from "@physio/kern";
import { Mutex, Scheduler } from "@physio/sched";
import { expect, test } from "vitest";
import { PlainMachine } from "./machine.ts";

const rootOf = (machine: PlainMachine) => createTag(machine.context, null, { lowAddr: 0xff_ffff });

test("a fresh template makes a tag without limits of its own", () => {
  const root = rootOf(new PlainMachine());
  const tag = new TagTemplate(root).tag();
  expect(tag.parent).toBe(root);
  expect([tag.alignment, tag.boundary, tag.maxSize, tag.segments, tag.maxSegSize]).toEqual([
    1,
    0,
    MAXADDR,
    BUS_SPACE_UNRESTRICTED,
    MAXADDR,
  ]);
  expect([tag.lowAddr, tag.lock]).toEqual([0xff_ffff, dfltLock]);
});

test("fill sets what it names, and a template may be used again", () => {
  const template = new TagTemplate(rootOf(new PlainMachine()));
  const first = template.fill({ maxSize: 8192, segments: 2 }).tag();
  const second = template.fill({ segments: 3 }).tag();
  expect([first.maxSize, first.segments]).toEqual([8192, 2]);
  expect([second.maxSize, second.segments]).toEqual([8192, 3]);
});

test("clone takes everything of a tag and puts the copy beside it", () => {
  const root = rootOf(new PlainMachine());
  const tag = root.child({
    alignment: 4,
    boundary: 4096,
    maxSize: 8192,
    segments: 7,
    maxSegSize: 512,
    filter: () => 0,
    filterArg: 5,
    flags: BusDma.COHERENT,
    lock: () => {},
    domain: 1,
  });
  const copy = new TagTemplate(tag).clone(tag).tag();
  const shown = (t: DmaTag) => [
    t.parent,
    t.alignment,
    t.boundary,
    t.lowAddr,
    t.highAddr,
    t.maxSize,
    t.segments,
    t.maxSegSize,
    t.filter,
    t.filterArg,
    t.filterParent,
    t.flags,
    t.lock,
    t.domain,
  ];
  expect(shown(copy)).toEqual(shown(tag));
});

test("the clone of a tag that inherits its filter inherits it as well", () => {
  const filtered = rootOf(new PlainMachine()).child({ filter: () => 1 });
  const heir = filtered.child({});
  const copy = new TagTemplate(heir).clone(heir).tag();
  expect([copy.filter, copy.filterParent]).toEqual([heir.filter, heir.filterParent]);
});

test("a template that makes no sense is EINVAL when its tag is made", () => {
  const template = new TagTemplate(rootOf(new PlainMachine())).fill({ alignment: 3 });
  expect(() => template.tag()).toThrow("EINVAL");
});

// ---- by their own names

function driver() {
  const machine = new PlainMachine();
  const root = rootOf(machine);
  const dmat = bsd.box<DmaTag>();
  const map = bsd.box<DmaMap>();
  const create = (alignment: number, maxsize: number, nsegments = 4) =>
    bsd.bus_dma_tag_create(
      root,
      alignment,
      0,
      bsd.BUS_SPACE_MAXADDR_32BIT,
      bsd.BUS_SPACE_MAXADDR,
      null,
      null,
      maxsize,
      nsegments,
      PAGE_SIZE,
      0,
      null,
      null,
      dmat,
    );
  return { machine, root, dmat, map, create };
}

test("a tag and a map by their own names: 0 or an errno, results in boxes", () => {
  const { root, dmat, map, create } = driver();
  expect(create(3, 8192)).toBe(Errno.EINVAL);
  expect(dmat.value).toBe(null);
  expect(create(4, 8192)).toBe(Errno.OK);
  const tag = dmat.value!;
  expect([tag.parent, tag.alignment, tag.maxSize, tag.segments, tag.maxSegSize]).toEqual([
    root,
    4,
    8192,
    4,
    PAGE_SIZE,
  ]);
  expect(bsd.bus_dmamap_create(tag, 0, map)).toBe(Errno.OK);
  expect(bsd.bus_dma_tag_destroy(tag)).toBe(Errno.EBUSY);
  expect(bsd.bus_dmamap_destroy(tag, map.value!)).toBe(Errno.OK);
  expect(bsd.bus_dma_tag_destroy(tag)).toBe(Errno.OK);
});

test("every load by its own name", () => {
  const { machine, dmat, map, create } = driver();
  create(1, 8192);
  const tag = dmat.value!;
  bsd.bus_dmamap_create(tag, 0, map);
  const m = map.value!;
  const va = machine.kmem.allocContig(PAGE_SIZE, {});
  const got: unknown[] = [];
  const one = (who: string, _segs: unknown, count: number, error: Errno) =>
    got.push([who, count, error]);
  const two = (who: string, _segs: unknown, count: number, size: number, error: Errno) =>
    got.push([who, count, size, error]);
  const bio = Object.assign(new Bio(), { data: va, bcount: 8 });
  const ccb = Object.assign(new Ccb(Xpt.ATA_IO, CamFlag.DIR_IN), { va, length: 8 });
  const mbuf = Object.assign(new Mbuf(), {
    data: va,
    len: 8,
    flags: MbufFlag.PKTHDR,
    packetLength: 8,
  });
  const uio = new Uio(UioRw.READ, machine.kmem.space, [{ base: va, length: 8 }], 0);
  bsd.bus_dmamap_load(tag, m, va, 8, one, "buf", bsd.BUS_DMA_NOWAIT);
  bsd.bus_dmamap_load_bio(tag, m, bio, one, "bio", 0);
  bsd.bus_dmamap_load_ccb(tag, m, ccb, one, "ccb", 0);
  bsd.bus_dmamap_load_mem(tag, m, { kind: "vaddr", va, length: 8 }, one, "mem", 0);
  bsd.bus_dmamap_load_mbuf(tag, m, mbuf, two, "mbuf", 0);
  bsd.bus_dmamap_load_uio(tag, m, uio, two, "uio", 0);
  expect(got).toEqual([
    ["buf", 1, 0],
    ["bio", 1, 0],
    ["ccb", 1, 0],
    ["mem", 1, 0],
    ["mbuf", 1, 8, 0],
    ["uio", 1, 8, 0],
  ]);
  const nsegs = bsd.box<number>();
  const segs = tag.segList();
  expect(bsd.bus_dmamap_load_mbuf_sg(tag, m, mbuf, segs, nsegs, 0)).toBe(Errno.OK);
  expect([nsegs.value, segs.count]).toEqual([1, 1]);
  machine.calls.length = 0;
  bsd.bus_dmamap_sync(tag, m, bsd.BUS_DMASYNC_PREREAD | bsd.BUS_DMASYNC_PREWRITE);
  bsd.bus_dmamap_unload(tag, m);
  expect(machine.calls).toEqual(["sync 5", "unload"]);
});

test("a map of another tag panics", () => {
  const { dmat, map, create } = driver();
  create(1, 8192);
  bsd.bus_dmamap_create(dmat.value!, 0, map);
  create(1, 4096);
  expect(() => bsd.bus_dmamap_unload(dmat.value!, map.value!)).toThrow(Panic);
});

test("memory by its own names", () => {
  const { machine, dmat, map, create } = driver();
  create(1, 8192);
  const vaddr = bsd.box<number>();
  const free = machine.mem.freeFrames;
  expect(bsd.bus_dmamem_alloc(dmat.value!, vaddr, bsd.BUS_DMA_ZERO, map)).toBe(Errno.OK);
  expect(machine.mem.freeFrames).toBe(free - 2);
  expect(() => bsd.bus_dmamap_destroy(dmat.value!, map.value!)).toThrow(Panic);
  bsd.bus_dmamem_free(dmat.value!, vaddr.value!, map.value!);
  expect(machine.mem.freeFrames).toBe(free);
  create(1, 2 ** 40);
  expect(bsd.bus_dmamem_alloc(dmat.value!, vaddr, 0, map)).toBe(Errno.ENOMEM);
  expect([vaddr.value, map.value]).toEqual([null, null]);
});

test("lock functions with their argument", () => {
  const { root } = driver();
  const mutex = new Mutex(new Scheduler(), "driver");
  const calls: unknown[] = [];
  const own = (arg: unknown, op: LockOp) => calls.push([arg, op]);
  const tagWith = (lockfunc: bsd.bus_dma_lock_t | null, arg: unknown): DmaTag => {
    const dmat = bsd.box<DmaTag>();
    const error = bsd.bus_dma_tag_create(
      ...([root, 1, 0, MAXADDR, MAXADDR, null, null, 100, 1, 100, 0, lockfunc, arg, dmat] as const),
    );
    expect(error).toBe(Errno.OK);
    return dmat.value!;
  };
  tagWith(own, "softc").lock(bsd.BUS_DMA_LOCK);
  expect(calls).toEqual([["softc", bsd.BUS_DMA_LOCK]]);
  const locked = tagWith(bsd.busdma_lock_mutex, mutex);
  locked.lock(bsd.BUS_DMA_LOCK);
  expect([mutex.owned, locked.lock.mutex]).toEqual([true, mutex]);
  bsd.busdma_lock_mutex(mutex, bsd.BUS_DMA_UNLOCK);
  bsd.busdma_lock_mutex(mutex, bsd.BUS_DMA_LOCK);
  locked.lock(bsd.BUS_DMA_UNLOCK);
  expect(mutex.owned).toBe(false);
  expect(tagWith(bsd.dflt_lock, null).lock).toBe(dfltLock);
  expect(() => bsd.dflt_lock(null, bsd.BUS_DMA_LOCK)).toThrow(Panic);
});

test("templates by their own names", () => {
  const { root, dmat } = driver();
  const t = bsd.box<TagTemplate>();
  bsd.bus_dma_template_init(t, root);
  bsd.bus_dma_template_fill(t.value!, { maxSize: 512 });
  expect(bsd.bus_dma_template_tag(t.value!, dmat)).toBe(Errno.OK);
  expect(dmat.value!.maxSize).toBe(512);
  bsd.bus_dma_template_clone(t.value!, dmat.value!);
  bsd.bus_dma_template_fill(t.value!, { boundary: 3 });
  expect(bsd.bus_dma_template_tag(t.value!, dmat)).toBe(Errno.EINVAL);
});
