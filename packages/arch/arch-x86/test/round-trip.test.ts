/**
 * Data through bounce pages: the device sees the client's bytes, the client the device's, and only
 * through the syncs that a driver must make.
 */
import type { DmaTag, TagOptions } from "@physio/busdma";
import { BusDma, FIXED, SEED, Sync } from "@physio/busdma";
import type { CamFlag as CamFlags, Memdesc } from "@physio/carriers";
import { Bio, BioFlag, CamFlag, Ccb, Uio, UioRw, Xpt } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import type { Frame } from "@physio/kern";
import { Errno, MAXADDR, PAGE_SIZE } from "@physio/kern";
import { PmapSpace, Prot } from "@physio/pmap";
import fc from "fast-check";
import { expect, test } from "vitest";
import { pattern } from "./bytes.ts";
import { REACH, SmallMachine } from "./machine.ts";

const PAGE = PAGE_SIZE;
const POOL = 16;
const stale = (n: number) => new Uint8Array(n);

/** Memory of `layout` (true: out of the device's reach), never two frames in a row. */
function scattered(machine: SmallMachine, layout: readonly boolean[]): Frame[] {
  return layout.map((high) => machine.frames(2, high)[0]);
}

test("a device gets the client's bytes with PREWRITE, and stale ones without", () => {
  const machine = new SmallMachine(POOL);
  const tag = machine.tag({ maxSize: 4 * PAGE });
  const map = tag.createMap();
  const va = machine.buffer(4) + 100;
  const bytes = pattern(1, 3 * PAGE);
  machine.kmem.write(va, bytes);
  expect(machine.load(map, va, bytes.length)).toBe(Errno.OK);
  const { segs } = machine.last();
  expect(machine.deviceRead(segs)).toEqual(stale(bytes.length));
  map.sync(Sync.PREREAD | Sync.POSTWRITE);
  expect(machine.deviceRead(segs)).toEqual(stale(bytes.length));
  map.sync(Sync.PREWRITE);
  expect(machine.deviceRead(segs)).toEqual(bytes);
  // What the client writes later does not pass by itself.
  machine.kmem.write(va, pattern(2, bytes.length));
  expect(machine.deviceRead(segs)).toEqual(bytes);
  machine.tearDown([map], [tag]);
});

test("a client gets the device's bytes with POSTREAD, and stale ones without", () => {
  const machine = new SmallMachine(POOL);
  const tag = machine.tag({ maxSize: 4 * PAGE });
  const map = tag.createMap();
  const va = machine.buffer(4) + 100;
  const bytes = pattern(3, 3 * PAGE);
  expect(machine.load(map, va, bytes.length)).toBe(Errno.OK);
  machine.deviceWrite(machine.last().segs, bytes);
  map.sync(Sync.PREREAD | Sync.POSTWRITE);
  expect(machine.clientRead(va, bytes.length)).toEqual(stale(bytes.length));
  map.sync(Sync.POSTREAD);
  expect(machine.clientRead(va, bytes.length)).toEqual(bytes);
  // The bytes before and behind the buffer were not touched.
  expect(machine.clientRead(va - 100, 100)).toEqual(stale(100));
  expect(machine.clientRead(va + bytes.length, 100)).toEqual(stale(100));
  machine.tearDown([map], [tag]);
});

test("unload without POSTREAD leaves the client's bytes as they were", () => {
  const machine = new SmallMachine(POOL);
  const tag = machine.tag({ maxSize: PAGE });
  const map = tag.createMap();
  const va = machine.buffer(1);
  expect(machine.load(map, va, PAGE)).toBe(Errno.OK);
  machine.deviceWrite(machine.last().segs, pattern(4, PAGE));
  map.unload();
  expect(machine.clientRead(va, PAGE)).toEqual(stale(PAGE));
  machine.tearDown([map], [tag]);
});

test("memory within reach is used as it is", () => {
  const machine = new SmallMachine(POOL);
  const tag = machine.tag({ maxSize: 4 * PAGE });
  const map = tag.createMap();
  const va = machine.buffer(4, false) + 100;
  expect(machine.load(map, va, 3 * PAGE)).toBe(Errno.OK);
  expect(machine.last().segs).toEqual([[machine.kmem.pmap.extract(va), 3 * PAGE]]);
  machine.deviceWrite(machine.last().segs, pattern(5, 3 * PAGE));
  expect(machine.clientRead(va, 3 * PAGE)).toEqual(pattern(5, 3 * PAGE));
  expect(machine.pool.zones[0].totalBounced).toBe(0);
  machine.tearDown([map], [tag]);
});

interface Memory {
  readonly va: number;
  readonly ma: readonly Frame[];
  readonly offset: number;
  readonly length: number;
}

/** Ranges of [offset, offset + length) that end at `cut` and at page ends. */
function pieces({ offset, length }: Memory, cut: number, pages: boolean): [number, number][] {
  const out: [number, number][] = [];
  for (let at = offset; at < offset + length; ) {
    let end = at < cut ? Math.min(cut, offset + length) : offset + length;
    if (pages) end = Math.min(end, at - (at % PAGE) + PAGE);
    out.push([at, end - at]);
    at = end;
  }
  return out;
}

const bio = (fields: Partial<Bio>): Memdesc => ({
  kind: "bio",
  bio: Object.assign(new Bio(), fields),
});

/** The same bytes, described in every way there is. */
const forms: Record<string, (m: Memory, machine: SmallMachine) => Memdesc> = {
  vaddr: ({ va, offset, length }) => ({ kind: "vaddr", va: va + offset, length }),
  vlist: (m) => ({
    kind: "vlist",
    list: pieces(m, 5000, false).map(([at, length]) => ({ base: m.va + at, length })),
  }),
  plist: (m, { mem }) => ({
    kind: "plist",
    list: pieces(m, 5000, true).map(([at, length]) => ({
      base: mem.addrOf(m.ma[Math.floor(at / PAGE)]) + (at % PAGE),
      length,
    })),
  }),
  vmpages: ({ ma, offset, length }) => ({ kind: "vmpages", ma, offset, length }),
  "mapped bio": ({ va, offset, length }) => bio({ data: va + offset, bcount: length }),
  "unmapped bio": ({ ma, offset, length }) =>
    bio({ flags: BioFlag.UNMAPPED, ma, maOffset: offset, bcount: length }),
  "vlist bio": (m) =>
    bio({
      flags: BioFlag.VLIST,
      vlist: [
        { base: m.va, length: 4096 },
        { base: m.va + 4096, length: 100 },
        { base: m.va + 4196, length: m.ma.length * PAGE - 4196 },
      ],
      maOffset: m.offset,
      bcount: m.length,
    }),
  "kernel uio": (m, { kmem }) => uio(kmem.space, m.va, m),
  "user uio": (m, { kmem }) => {
    const user = new PmapSpace(kmem.pmaps.create("user"), false, kmem.cpu);
    const rights = Prot.READ | Prot.WRITE;
    for (const [i, frame] of m.ma.entries()) {
      user.pmap.enter(0x10_0000 + i * PAGE, frame, rights);
    }
    return uio(user, 0x10_0000, m);
  },
  mbuf: (m) => ({
    kind: "mbuf",
    mbuf: chain(pieces(m, 5000, false).map(([at, len]) => ({ data: m.va + at, len }))),
  }),
  "unmapped mbuf": (m, { mem }) => {
    const end = m.offset + m.length;
    const used = Math.ceil(end / PAGE);
    const single = used === 1;
    const pages = {
      memory: mem,
      header: { va: 0, len: 0 },
      frames: m.ma.slice(0, used),
      firstOffset: m.offset,
      lastLength: single ? m.length : end - (used - 1) * PAGE,
      trailer: { va: 0, len: 0 },
    };
    const flags = MbufFlag.EXT | MbufFlag.EXTPG;
    return { kind: "mbuf", mbuf: chain([{ data: 0, len: m.length, flags, pages }]) };
  },
  "ccb list": (m) => {
    const list = pieces(m, 5000, false).map(([at, length]) => ({ base: m.va + at, length }));
    return ccb(CamFlag.DATA_SG, { list, listCount: list.length, length: m.length });
  },
  "ccb physical list": (m, { mem }) => {
    const list = pieces(m, 5000, true).map(([at, length]) => ({
      base: (mem.addrOf(m.ma[Math.floor(at / PAGE)]) as number) + (at % PAGE),
      length,
    }));
    return ccb(CamFlag.DATA_SG_PADDR, { list, listCount: list.length });
  },
};

function uio(space: PmapSpace, base: number, m: Memory): Memdesc {
  const iov = pieces(m, 5000, false).map(([at, length]) => ({ base: base + at, length }));
  return { kind: "uio", uio: new Uio(UioRw.READ, space, iov, 0) };
}

function ccb(data: CamFlags, fields: Partial<Ccb>): Memdesc {
  const made = new Ccb(Xpt.SCSI_IO, CamFlag.DIR_BOTH | data);
  return { kind: "ccb", ccb: Object.assign(made, fields) };
}

function chain(parts: Partial<Mbuf>[]): Mbuf {
  let next: Mbuf | null = null;
  for (const part of parts.toReversed()) next = Object.assign(new Mbuf(), part, { next });
  return next!;
}

interface Case {
  readonly layout: readonly boolean[];
  readonly offset: number;
  readonly length: number;
  readonly options: TagOptions;
}

/** Load as `form`, send bytes both ways. => what the device may see holds for every segment. */
function roundTrip(c: Case, form: string, semantics = FIXED): void {
  const machine = new SmallMachine(64, semantics);
  const ma = scattered(machine, c.layout);
  const length = Math.min(c.length, ma.length * PAGE - c.offset);
  const memory = { va: machine.map(ma), ma, offset: c.offset, length };
  const tag: DmaTag = machine.tag({ maxSize: 16 * PAGE, segments: 64, ...c.options });
  const map = tag.createMap();
  const [out, back] = [pattern(6, length), pattern(7, length)];
  machine.kmem.write(memory.va + c.offset, out);

  expect(map.loadMem(forms[form](memory, machine), machine.note(form), null)).toBe(Errno.OK);
  const { segs } = machine.last();
  for (const [addr, len] of segs) {
    if (tag.lowAddr !== MAXADDR) expect(addr + len - 1).toBeLessThanOrEqual(REACH);
    expect(len).toBeLessThanOrEqual(tag.maxSegSize);
    if (tag.boundary !== 0) expect((addr % tag.boundary) + len).toBeLessThanOrEqual(tag.boundary);
  }
  map.sync(Sync.PREWRITE);
  expect(machine.deviceRead(segs)).toEqual(out);
  machine.deviceWrite(segs, back);
  map.sync(Sync.POSTREAD);
  expect(machine.clientRead(memory.va + c.offset, length)).toEqual(back);
  machine.tearDown([map], [tag]);
}

const draw: fc.Arbitrary<Case> = fc.record({
  layout: fc.array(fc.boolean(), { minLength: 2, maxLength: 5 }),
  offset: fc.oneof(fc.constantFrom(0, 1, 64, 512, PAGE - 1), fc.nat(PAGE - 1)),
  length: fc.oneof(fc.constantFrom(1, PAGE, 2 * PAGE), fc.integer({ min: 1, max: 5 * PAGE })),
  options: fc.record({
    lowAddr: fc.constantFrom(REACH, REACH, MAXADDR),
    alignment: fc.constantFrom(1, 1, 4, 64, PAGE),
    boundary: fc.constantFrom(0, 0, PAGE, 2 * PAGE),
    maxSegSize: fc.constantFrom(1024, PAGE, 64 * PAGE),
  }),
});

for (const form of Object.keys(forms)) {
  test(`any memory, as ${form}, makes the round trip through any tag`, () => {
    const property = fc.property(draw, (c) => roundTrip(c, form));
    fc.assert(property, { seed: 8, numRuns: 40 });
  });

  test(`any memory, as ${form}, keeps its page offsets on the round trip`, () => {
    const property = fc.property(draw, fc.constantFrom(FIXED, SEED), (c, semantics) => {
      const options = { ...c.options, alignment: 1, flags: BusDma.KEEP_PG_OFFSET };
      roundTrip({ ...c, options }, form, semantics);
    });
    fc.assert(property, { seed: 9, numRuns: 15 });
  });
}
