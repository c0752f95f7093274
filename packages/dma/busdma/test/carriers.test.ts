/**
 * Loads of mbufs, uios, ccbs and page lists: who is told what, with which length, and what is
 * written where.
 */
import type { DmaMap, SegList } from "@physio/busdma";
import { BusDma, createTag, FIXED, SEED, SegList as Segs } from "@physio/busdma";
import { Bio, CamFlag, Ccb, Uio, UioRw, Xpt } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { PlainMachine, Told } from "./machine.ts";

interface Told2 {
  readonly error: Errno;
  readonly segs: [number, number][];
  readonly mapSize: number;
}

function setUp(semantics = FIXED) {
  const machine = new PlainMachine(semantics);
  const tag = createTag(machine.context, null, { maxSize: 4 * PAGE_SIZE, segments: 4 });
  const va = machine.kmem.allocContig(4 * PAGE_SIZE, {});
  const results: Told2[] = [];
  const callback = (
    _arg: null,
    segs: SegList,
    count: number,
    mapSize: number,
    error: Errno,
  ): void => {
    const list = segs.toArray().map((s): [number, number] => [s.addr, s.len]);
    if (list.length !== count) throw new Error(`${count} segments announced`);
    results.push({ error, segs: list, mapSize });
  };
  const pa = machine.kmem.pmap.extract(va) as number;
  return { machine, tag, va, pa, map: tag.createMap(), told: new Told(), callback, results };
}

/** A packet of mbufs at [offset, length] of `va`. */
function packet(va: number, ...parts: [offset: number, length: number][]): Mbuf {
  let next: Mbuf | null = null;
  let packetLength = 0;
  for (const [offset, len] of parts.toReversed()) {
    next = Object.assign(new Mbuf(), { data: va + offset, len, next });
    packetLength += len;
  }
  return Object.assign(next!, { flags: MbufFlag.PKTHDR, packetLength });
}

const uioOf = (machine: PlainMachine, base: number, length: number): Uio =>
  new Uio(UioRw.READ, machine.kmem.space, [{ base, length }], 0);

type Form = (map: DmaMap, s: ReturnType<typeof setUp>) => Errno;
const neverWaiting: Record<string, Form> = {
  loadMbuf: (map, s) => map.loadMbuf(packet(s.va, [0, 100]), s.callback, null),
  loadUio: (map, s) => map.loadUio(uioOf(s.machine, s.va, 100), s.callback, null),
};

for (const [form, start] of Object.entries(neverWaiting)) {
  for (const error of [Errno.OK, Errno.EFBIG, Errno.ENOMEM] as Errno[]) {
    test(`${form}: errno ${error} goes to the caller and to the callback`, () => {
      const s = setUp();
      s.machine.script.push(error);
      expect(start(s.map, s)).toBe(error);
      const segs = error === Errno.OK ? [[s.pa, 100]] : [];
      expect(s.results).toEqual([{ error, segs, mapSize: error === Errno.OK ? 100 : 0 }]);
      expect(s.machine.calls).toEqual([`complete ${segs.length} ${error}`]);
    });
  }

  test(`${form} implies NOWAIT`, () => {
    const s = setUp();
    start(s.map, s);
    expect(s.machine.flags.every((flags) => (flags & BusDma.NOWAIT) !== 0)).toBe(true);
  });
}

test("a mapped mbuf's data carry LOAD_MBUF, those of a uio do not", () => {
  const s = setUp();
  s.map.loadMbuf(packet(s.va, [0, 10], [100, 10]), s.callback, null);
  s.map.loadUio(uioOf(s.machine, s.va, 100), s.callback, null);
  const marked = s.machine.flags.map((flags) => (flags & BusDma.LOAD_MBUF) !== 0);
  expect(marked).toEqual([true, true, false]);
});

test("mbufs that adjoin are one segment", () => {
  const s = setUp();
  s.map.loadMbuf(packet(s.va, [0, 100], [700, 0], [100, 50], [300, 1]), s.callback, null);
  expect(s.results[0].segs).toEqual([
    [s.pa, 150],
    [s.pa + 300, 1],
  ]);
});

test("loadMbuf: the length is the packet header's word, not the chain's", () => {
  const s = setUp();
  const m = packet(s.va, [0, 100]);
  m.packetLength = 77;
  s.map.loadMbuf(m, s.callback, null);
  expect(s.results[0].mapSize).toBe(77);
});

test("loadMbuf wants a packet header, loadMbufSg does not", () => {
  const s = setUp();
  const m = packet(s.va, [0, 100]);
  m.flags = 0;
  expect(() => s.map.loadMbuf(m, s.callback, null)).toThrow(Panic);
  const segs = s.tag.segList();
  expect(s.map.loadMbufSg(m, segs)).toBe(Errno.OK);
  expect(segs.toArray()).toEqual([{ addr: s.pa, len: 100 }]);
});

test("loadMbufSg writes the caller's list, calls nothing, and leaves it empty on an error", () => {
  const s = setUp();
  const segs = s.tag.segList();
  expect(segs.capacity).toBe(4);
  const m = packet(s.va, [0, 100], [200, 100], [400, 100]);
  expect(s.map.loadMbufSg(m, segs)).toBe(Errno.OK);
  expect([segs.count, s.results.length]).toEqual([3, 0]);
  const five = [0, 1, 2, 3, 4].map((i): [number, number] => [200 * i, 100]);
  expect(s.map.loadMbufSg(packet(s.va, ...five), segs)).toBe(Errno.EFBIG);
  expect(segs.count).toBe(0);
  expect(s.map.loadMbufSg(m, new Segs(2))).toBe(Errno.EFBIG);
  expect(() => s.map.loadMbufSg(m, new Segs(5))).toThrow(Panic);
});

test("a chain longer than maxSize, or empty, is EINVAL in fixed and loads in seed", () => {
  for (const [semantics, error] of [
    [FIXED, Errno.EINVAL],
    [SEED, Errno.OK],
  ] as const) {
    const s = setUp(semantics);
    const long = packet(s.va, [0, 3 * PAGE_SIZE], [0, PAGE_SIZE + 1]);
    expect(s.map.loadMbufSg(long, s.tag.segList())).toBe(error);
    expect(s.map.loadMbufSg(packet(s.va, [0, 0]), s.tag.segList())).toBe(error);
    expect(s.map.loadMbuf(long, s.callback, null)).toBe(error);
    expect(s.results.at(-1)?.error).toBe(error);
  }
});

test("loadUio tells the residual, also where the ranges are shorter", () => {
  const s = setUp();
  const uio = uioOf(s.machine, s.va, 100);
  uio.resid = 500;
  expect(s.map.loadUio(uio, s.callback, null)).toBe(Errno.OK);
  expect(s.results).toEqual([{ error: Errno.OK, segs: [[s.pa, 100]], mapSize: 500 }]);
});

test("a user uio is translated by its own pmap", () => {
  const s = setUp();
  const user = s.machine.userSpace();
  user.pmap.enter(0x4000, s.machine.kmem.pmap.frameAt(s.va + PAGE_SIZE), 1);
  const uio = new Uio(UioRw.WRITE, user, [{ base: 0x4010, length: 16 }], 0);
  expect(s.map.loadUio(uio, s.callback, null)).toBe(Errno.OK);
  expect(s.results[0].segs).toEqual([[s.pa + PAGE_SIZE + 16, 16]]);
});

test("loadCcb: a request without data has no segments, before anything else is looked at", () => {
  const s = setUp();
  for (const code of [Xpt.SCSI_IO, Xpt.PATH_INQ]) {
    const ccb = Object.assign(new Ccb(code, CamFlag.DIR_NONE), { va: s.va, length: 100 });
    expect(s.map.loadCcb(ccb, s.told.callback, null)).toBe(Errno.OK);
  }
  expect(s.told.results).toEqual([
    { error: Errno.OK, segs: [] },
    { error: Errno.OK, segs: [] },
  ]);
  expect(s.machine.calls).toEqual([]);
  const data = Object.assign(new Ccb(Xpt.SCSI_IO, CamFlag.DIR_NONE), { va: s.va, length: 100 });
  expect(s.map.loadMem({ kind: "ccb", ccb: data }, s.told.callback, null)).toBe(Errno.OK);
  expect(s.told.results[2].segs).toEqual([[s.pa, 100]]);
});

test("loadCcb waits, and is decoded again when it is resumed", () => {
  const s = setUp();
  const bio = Object.assign(new Bio(), { data: s.va, bcount: 64 });
  const ccb = Object.assign(new Ccb(Xpt.NVME_IO, CamFlag.DIR_IN | CamFlag.DATA_BIO), { bio });
  s.machine.script.push(Errno.EINPROGRESS);
  expect(s.map.loadCcb(ccb, s.told.callback, null)).toBe(Errno.EINPROGRESS);
  bio.bcount = 32;
  s.map.resumeLoad();
  expect(s.told.results).toEqual([{ error: Errno.OK, segs: [[s.pa, 32]] }]);
});

test("loadMem: mbufs and uios may wait there", () => {
  const s = setUp();
  for (const mem of [
    { kind: "mbuf", mbuf: packet(s.va, [0, 9]) },
    { kind: "uio", uio: uioOf(s.machine, s.va, 9) },
  ] as const) {
    s.machine.script.push(Errno.EINPROGRESS);
    expect(s.map.loadMem(mem, s.told.callback, null)).toBe(Errno.EINPROGRESS);
    s.map.resumeLoad();
  }
  expect(s.told.results.map((r) => r.segs)).toEqual([[[s.pa, 9]], [[s.pa, 9]]]);
});

test("loadPages takes the backend's form, loadPagesSg goes page by page", () => {
  const s = setUp();
  const first = s.machine.kmem.pmap.frameAt(s.va);
  const ma = [first, first + 2, first + 1];
  expect(s.map.loadPages(ma, 8, 16, s.told.callback, null)).toBe(Errno.OK);
  expect(s.told.results).toEqual([{ error: Errno.OK, segs: [[s.pa + 8, 16]] }]);
  const segs = s.tag.segList();
  expect(s.map.loadPagesSg(ma, 4000, 96 + 4096 + 10, segs)).toBe(Errno.OK);
  expect(segs.toArray()).toEqual([
    { addr: s.pa + 4000, len: 96 },
    { addr: s.pa + 2 * PAGE_SIZE, len: 4096 },
    { addr: s.pa + PAGE_SIZE, len: 10 },
  ]);
  s.machine.script.push(Errno.OK, Errno.ENOMEM);
  expect(s.map.loadPagesSg(ma, 0, 2 * PAGE_SIZE, segs)).toBe(Errno.ENOMEM);
  expect(segs.count).toBe(0);
});

test("a waiting map: fixed refuses what seed takes", () => {
  const fixed = setUp();
  fixed.machine.script.push(Errno.EINPROGRESS);
  fixed.map.load(fixed.va, 8, fixed.told.callback, null);
  const again = [
    () => fixed.map.unload(),
    () => fixed.map.load(fixed.va, 8, fixed.told.callback, null),
    () => fixed.map.loadMbufSg(packet(fixed.va, [0, 8]), fixed.tag.segList()),
    () => fixed.map.loadUio(uioOf(fixed.machine, fixed.va, 8), fixed.callback, null),
  ];
  for (const call of again) expect(call).toThrow(Panic);
  const seed = setUp(SEED);
  seed.machine.script.push(Errno.EINPROGRESS, Errno.EINPROGRESS);
  seed.map.load(seed.va, 8, seed.told.callback, null);
  seed.map.unload();
  expect(seed.map.load(seed.va, 16, seed.told.callback, null)).toBe(Errno.EINPROGRESS);
  seed.map.resumeLoad();
  expect(seed.told.results).toEqual([{ error: Errno.OK, segs: [[seed.pa, 16]] }]);
});

test("a negative length or NaN anywhere in a carrier is EINVAL in fixed", () => {
  for (const bad of [-1, Number.NaN]) {
    const s = setUp();
    const list = [
      { base: s.va, length: 100 },
      { base: s.va + 100, length: bad },
    ];
    const chain = packet(s.va, [0, 100], [100, bad]);
    const uio = new Uio(UioRw.READ, s.machine.kmem.space, list, 0);
    uio.resid = 100;
    expect(s.map.loadMbufSg(chain, s.tag.segList())).toBe(Errno.EINVAL);
    expect(s.map.loadMem({ kind: "vlist", list }, s.told.callback, null)).toBe(Errno.EINVAL);
    expect(s.map.loadUio(uio, s.callback, null)).toBe(Errno.EINVAL);
    expect(s.map.loadPages([], 0, bad, s.told.callback, null)).toBe(Errno.EINVAL);
    expect(() => s.map.loadPagesSg([], bad, 1, s.tag.segList())).toThrow(Panic);
  }
});
