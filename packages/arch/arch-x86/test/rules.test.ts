/**
 * The rules of bus_dma that are easy to get wrong, by number, in seed and, where it differs, in fixed.
 * What a rule means in detail is in the other tests here. Rule 21 is arm64's, and tested there.
 */
import type { DmaSemantics } from "@physio/busdma";
import { BusDma, FIXED, SEED, Sync } from "@physio/busdma";
import type { DmaMemRequest } from "@physio/busdma/impl";
import { Bio, BioFlag, CamFlag, Ccb, Uio, UioRw, Xpt } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, MAXADDR, PAGE_SIZE, Panic } from "@physio/kern";
import { PmapSpace } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import { pattern } from "./bytes.ts";
import { SmallMachine, stateOf } from "./machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EBUSY, EFBIG, EINVAL, EINPROGRESS, ENOMEM } = Errno;
const NOWAIT = BusDma.NOWAIT;

const bio = (fields: Partial<Bio>) => Object.assign(new Bio(), fields);
const ccb = (code: number, flags: number, fields: Partial<Ccb>) =>
  Object.assign(new Ccb(code, flags), fields);

function packet(fields: Partial<Mbuf>): Mbuf {
  const m = Object.assign(new Mbuf(), fields);
  m.flags |= MbufFlag.PKTHDR;
  m.packetLength = m.len;
  return m;
}

function rules(semantics: DmaSemantics): void {
  const seed = semantics === SEED;
  const machineOf = (pages = 8) => new SmallMachine(pages, semantics);
  const lengths = (machine: SmallMachine) => machine.last().segs.map(([, length]) => length);

  test(`rule 1: maxSize is ${seed ? "not looked at by loads" : "the longest load: EINVAL to both"}`, () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: PAGE }).createMap();
    expect(machine.load(map, machine.buffer(2, false), PAGE + 1)).toBe(seed ? OK : EINVAL);
    expect(machine.last().error).toBe(seed ? OK : EINVAL);
  });

  test("rule 2: EFBIG goes to the callback only, ENOMEM to both", () => {
    const machine = machineOf();
    const note = machine.note("m");
    const va = machine.buffer(4, false);
    const tooSmall = machine.tag({ maxSize: 4 * PAGE, maxSegSize: PAGE, segments: 2 });
    const map = tooSmall.createMap();
    const length = 3 * PAGE;
    const carrier = bio({ data: va, bcount: length });
    const request = ccb(Xpt.SCSI_IO, CamFlag.DIR_IN, { va, length });
    const loads = [
      () => map.load(va, length, note, null),
      () => map.loadBio(carrier, note, null),
      () => map.loadCcb(request, note, null),
      () => map.loadMem({ kind: "vaddr", va, length }, note, null),
    ];
    for (const load of loads) {
      expect(load()).toBe(OK);
      expect(machine.last()).toMatchObject({ error: EFBIG, segs: [] });
      map.unload();
    }
    const few = machineOf(2);
    const other = few.tag({ maxSize: 2 * PAGE }).createMap();
    expect(few.load(other, few.buffer(1), PAGE)).toBe(OK);
    const third = other.tag.createMap();
    expect(few.load(third, few.buffer(2), 2 * PAGE, "m", NOWAIT)).toBe(ENOMEM);
    expect(few.last().error).toBe(ENOMEM);
  });

  test(`rule 3: EFBIG ${seed ? "keeps pages until unload, and counts after it: the next load goes unbounced" : "keeps nothing"}`, () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: 8 * PAGE, maxSegSize: PAGE, segments: 4 }).createMap();
    machine.pool.grow(stateOf(map).zone, 4);
    expect(machine.load(map, machine.buffer(6), 6 * PAGE)).toBe(OK);
    expect(machine.last().error).toBe(EFBIG);
    expect(machine.counts()).toEqual([seed ? [8, 2, 1, 5] : [8, 8, 0, 0]]);
    expect(map.destroy()).toBe(seed ? EBUSY : OK);
    map.unload();
    expect(machine.counts()).toEqual([seed ? [8, 7, 1, 0] : [8, 8, 0, 0]]);
    if (!seed) return;
    expect(machine.load(map, machine.buffer(2), 2 * PAGE)).toBe(OK);
    const reached = machine.last().segs.map(([addr]) => addr <= map.tag.lowAddr);
    expect(reached).toEqual([true, false]);
  });

  test("rule 4: maxSegSize applies to each page's chunk by itself", () => {
    const machine = machineOf();
    const map = machine.tag({ lowAddr: MAXADDR, maxSize: 4 * PAGE, maxSegSize: 3000 }).createMap();
    expect(machine.load(map, machine.buffer(3, false) + 10, 10_000)).toBe(OK);
    expect(lengths(machine)).toEqual([3000, 1086, 3000, 2914]);
  });

  test(`rule 5: an inherited boundary ${seed ? "leaves maxSegSize, and a chunk that begins on it is EFBIG" : "lowers maxSegSize"}`, () => {
    const machine = machineOf();
    const own = machine.tag({ lowAddr: MAXADDR, maxSize: PAGE, boundary: 1024 });
    expect(own.maxSegSize).toBe(1024);
    const child = own.child({ maxSize: PAGE });
    expect(child.maxSegSize).toBe(seed ? PAGE : 1024);
    expect(machine.load(child.createMap(), machine.buffer(1, false), PAGE)).toBe(OK);
    expect(machine.last().error).toBe(seed ? EFBIG : OK);
  });

  test(`rule 6: alignment is ${seed ? "not " : ""}inherited`, () => {
    const child = machineOf().tag({ maxSize: PAGE, alignment: 64 }).child({ maxSize: PAGE });
    expect(child.alignment).toBe(seed ? 1 : 64);
  });

  test(`rule 7: with an alignment a chunk ${seed ? "is rounded up past its page, and later ones bounce" : "ends with its page"}`, () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: 4 * PAGE, alignment: 64 }).createMap();
    expect(machine.load(map, machine.buffer(3, false) + 1, 3 * PAGE - 1)).toBe(OK);
    expect(stateOf(map).pages.count).toBe(seed ? 3 : 1);
  });

  test(`rule 8: that rounding ${seed ? "panics in the sync of a user's uio and the load of an unmapped bio" : "is gone: a user's uio and an unmapped bio work"}`, () => {
    const machine = machineOf();
    const { kmem, mem } = machine;
    const map = machine.tag({ maxSize: 4 * PAGE, alignment: 64 }).createMap();
    const user = kmem.pmaps.create("user");
    const ma = machine.frames(2, false);
    ma.forEach((frame, i) => {
      user.enter((16 + i) * PAGE, frame, 3);
    });
    const space = new PmapSpace(user, false, kmem.cpu);
    const iov = [{ base: 16 * PAGE + 1, length: PAGE + 100 }];
    const done = () => {};
    expect(map.loadUio(new Uio(UioRw.WRITE, space, iov, 0), done, null)).toBe(OK);
    const sync = () => map.sync(Sync.PREWRITE);
    if (seed) expect(sync).toThrow(Panic);
    else sync();
    map.unload();
    const unmapped = bio({ flags: BioFlag.UNMAPPED, ma: machine.frames(2), bcount: PAGE + 5 });
    const load = () => map.loadBio(unmapped, machine.note("m"), null);
    if (seed) expect(load).toThrow(Panic);
    else expect(load()).toBe(OK);
    expect(mem.isRam(mem.addrOf(ma[0]), PAGE)).toBe(true);
  });

  test("rule 9: a bounced segment begins its pool page, pages that adjoin coalesce; KEEP_PG_OFFSET keeps the offset", () => {
    const machine = machineOf();
    const plain = machine.tag({ maxSize: 2 * PAGE }).createMap();
    const keep = machine.tag({ maxSize: 2 * PAGE, flags: BusDma.KEEP_PG_OFFSET }).createMap();
    const va = machine.buffer(2);
    machine.load(plain, va, 2 * PAGE);
    expect(lengths(machine)).toEqual([2 * PAGE]);
    expect(machine.last().segs[0][0] % PAGE).toBe(0);
    plain.unload();
    machine.load(plain, va + 300, 100);
    expect(machine.last().segs[0][0] % PAGE).toBe(0);
    machine.load(keep, va + 300, 100);
    expect(machine.last().segs[0][0] % PAGE).toBe(300);
  });

  test("rule 10: the pool is a FIFO, unload appends the map's pages in their order", () => {
    const machine = machineOf(3);
    const map = machine.tag({ maxSize: 3 * PAGE, maxSegSize: PAGE }).createMap();
    const va = machine.buffer(3);
    const pagesOf = (n: number) => {
      machine.load(map, va, n * PAGE);
      map.unload();
      return machine.last().segs.map(([addr]) => addr);
    };
    const [a, b, c] = pagesOf(3);
    expect(pagesOf(2)).toEqual([a, b]);
    expect(pagesOf(3)).toEqual([c, a, b]);
  });

  test("rule 11: the head of a zone's queue keeps what it got and blocks the rest; one unload may serve several", () => {
    const machine = machineOf(4);
    const tag = machine.tag({ maxSize: 4 * PAGE });
    const [a, b, c, d] = Array.from({ length: 4 }, () => tag.createMap());
    const va = machine.buffer(4);
    expect(machine.load(a, va, 3 * PAGE, "a")).toBe(OK);
    expect(machine.load(b, va, 2 * PAGE, "b")).toBe(EINPROGRESS);
    expect(stateOf(b).reserved).toBe(1);
    expect(machine.load(c, va, PAGE, "c")).toBe(EINPROGRESS);
    expect(machine.load(d, va, PAGE, "d")).toBe(EINPROGRESS);
    a.unload();
    machine.sched.pump();
    expect(machine.order()).toEqual(["a", "b", "c", "d"]);
  });

  test(`rule 12: a list load that stalls midway ${seed ? "keeps pages, starts again with stale counts, and runs out of them" : "gives back what it took"}`, () => {
    const machine = machineOf(8);
    const tag = machine.tag({ maxSize: 8 * PAGE });
    const [a, b] = [tag.createMap(), tag.createMap()];
    const va = machine.buffer(6);
    expect(machine.load(a, va, 6 * PAGE, "a")).toBe(OK);
    const list = [
      { base: va, length: PAGE },
      { base: va + PAGE, length: 3 * PAGE },
    ];
    expect(b.loadMem({ kind: "vlist", list }, machine.note("b"), null)).toBe(EINPROGRESS);
    expect(stateOf(b).pages.count).toBe(seed ? 1 : 0);
    a.unload();
    machine.sched.pump();
    expect(machine.order()).toEqual(["a", "b"]);
    // In seed the first page is bounced twice, and the last one no more.
    expect(stateOf(b).pages.count).toBe(4);
    const direct = machine.last().segs.filter(([addr]) => addr > tag.lowAddr);
    expect(direct.length).toBe(seed ? 1 : 0);
  });

  test("rule 13: direct loads of packets and uios never wait, the memdesc forms can", () => {
    const machine = machineOf(2);
    const tag = machine.tag({ maxSize: 2 * PAGE });
    const [a, b] = [tag.createMap(), tag.createMap()];
    const va = machine.buffer(2);
    machine.load(a, va, 2 * PAGE);
    const m = packet({ data: va, len: 2 * PAGE });
    const uio = new Uio(UioRw.READ, machine.kmem.space, [{ base: va, length: PAGE }], 0);
    const done = () => {};
    expect(b.loadMbuf(m, done, null)).toBe(ENOMEM);
    expect(b.loadMbufSg(m, tag.segList())).toBe(ENOMEM);
    expect(b.loadUio(uio, done, null)).toBe(ENOMEM);
    expect(b.loadMem({ kind: "mbuf", mbuf: m }, machine.note("b"), null)).toBe(EINPROGRESS);
    a.unload();
    machine.sched.pump();
    b.unload();
    machine.load(a, va, 2 * PAGE);
    expect(b.loadMem({ kind: "uio", uio }, machine.note("b"), null)).toBe(EINPROGRESS);
  });

  test(`rule 14: total_bounced counts once a direction; PREWRITE|POSTREAD counts 2 and copies ${seed ? "one way" : "both"}`, () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: 2 * PAGE }).createMap();
    const va = machine.buffer(2);
    machine.load(map, va, 2 * PAGE);
    const [zone] = machine.pool.zones;
    map.sync(Sync.PREWRITE);
    expect(zone.totalBounced).toBe(1);
    machine.deviceWrite(machine.last().segs, pattern(3, 2 * PAGE));
    map.sync(Sync.PREWRITE | Sync.POSTREAD);
    expect(zone.totalBounced).toBe(3);
    expect(machine.clientRead(va, 1)[0]).toBe(seed ? 0 : pattern(3, 1)[0]);
    map.sync(Sync.PREREAD | Sync.POSTWRITE);
    expect(zone.totalBounced).toBe(3);
  });

  test("rule 15: a map adds min(pages of maxSize, segments), at least 1; pages of a failed one stay; above all RAM the cap is 8192", () => {
    const machine = machineOf(16);
    const tag = machine.tag({ maxSize: 4 * PAGE, segments: 2 });
    tag.createMap();
    expect(machine.pool.totalPages).toBe(2);
    tag.createMap();
    expect(machine.pool.totalPages).toBe(4);
    machine.tag({ maxSize: 1, segments: 2 }).createMap();
    expect(machine.pool.totalPages).toBe(5);
    const few = machineOf(1);
    expect(() => few.tag({ maxSize: 2 * PAGE }).createMap()).toThrow("ENOMEM");
    expect(few.counts()).toEqual([[1, 1, 0, 0]]);
    const wide = machineOf(16);
    const parent = wide.tag({ lowAddr: MAXADDR, alignment: 2, maxSize: PAGE });
    const child = parent.child({ maxSize: PAGE });
    for (let maps = 0; maps < 5; maps++) child.createMap();
    expect(wide.pool.totalPages).toBe(5);
  });

  test("rule 16: mapSize of a uio is its residual, even when that is longer than its ranges", () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: 8 * PAGE }).createMap();
    const base = machine.buffer(1, false);
    const uio = new Uio(UioRw.READ, machine.kmem.space, [{ base, length: 100 }], 0);
    uio.resid = 5000;
    const told: number[] = [];
    const done = (_: null, _segs: unknown, count: number, size: number) => told.push(count, size);
    expect(map.loadUio(uio, done, null)).toBe(OK);
    expect(told).toEqual([1, 5000]);
  });

  test("rule 17: DIR_NONE is looked at by loadCcb only, before the function code", () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: PAGE }).createMap();
    const none = ccb(Xpt.PATH_INQ, CamFlag.DIR_NONE, { length: 8 });
    expect(map.loadCcb(none, machine.note("m"), null)).toBe(OK);
    expect(machine.last()).toMatchObject({ error: OK, segs: [] });
    const load = () => map.loadMem({ kind: "ccb", ccb: none }, machine.note("m"), null);
    expect(load).toThrow(Panic);
  });

  test(`rule 18: the list of an ATA request counts as empty${seed ? "" : " (EINVAL)"}; a physical list goes past the transfer's length`, () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: 4 * PAGE }).createMap();
    const note = machine.note("m");
    const base = machine.buffer(2, false);
    const ata = { list: [{ base, length: PAGE }], listCount: 1, length: PAGE };
    const error = map.loadCcb(ccb(Xpt.ATA_IO, CamFlag.DIR_IN | CamFlag.DATA_SG, ata), note, null);
    expect(error).toBe(seed ? OK : EINVAL);
    expect(machine.last().segs).toEqual([]);
    const pa = machine.kmem.pmap.extract(base) as number;
    const physical = { list: [{ base: pa, length: 2 * PAGE }], listCount: 1, length: 10 };
    map.loadCcb(ccb(Xpt.SCSI_IO, CamFlag.DIR_IN | CamFlag.DATA_SG_PADDR, physical), note, null);
    expect(lengths(machine)).toEqual([2 * PAGE]);
  });

  test("rule 19: an unmapped mbuf of one page goes by the last page's length only", () => {
    const machine = machineOf();
    const map = machine.tag({ maxSize: 4 * PAGE }).createMap();
    const frames = machine.frames(1, false);
    const pages = {
      memory: machine.mem,
      header: { va: 0, len: 0 },
      frames,
      firstOffset: 100,
      lastLength: 200,
      trailer: { va: machine.buffer(1, false), len: 50 },
    };
    const m = packet({ len: 250, flags: MbufFlag.EXT | MbufFlag.EXTPG, pages });
    const segs = map.tag.segList();
    expect(map.loadMbufSg(m, segs)).toBe(OK);
    const trailer = machine.kmem.pmap.extract(pages.trailer.va);
    expect(segs.toArray()).toEqual([
      { addr: machine.mem.addrOf(frames[0]) + 100, len: 200 },
      { addr: trailer, len: 50 },
    ]);
  });

  test(`rule 20: after one page allocation of a tag ${seed ? "all its memory goes" : "small memory does not go"} to the page allocator`, () => {
    const freed: string[] = [];
    const va = new SmallMachine(1).buffer(1, false);
    const allocator = {
      alloc: ({ allocator: kind }: DmaMemRequest) => (kind === "small" ? va : va + PAGE),
      free: (_va: number, _size: number, how: string) => freed.push(how),
    };
    const machine = new SmallMachine(1, semantics, allocator);
    const tag = machine.tag({ lowAddr: MAXADDR, maxSize: 64 });
    tag.allocMem()?.free();
    const pages = tag.allocMem(BusDma.NOCACHE | NOWAIT);
    tag.allocMem()?.free();
    pages?.free();
    expect(freed).toEqual(["small", seed ? "pages" : "small", "pages"]);
  });
}

describe("seed", () => rules(SEED));
describe("fixed", () => rules(FIXED));
