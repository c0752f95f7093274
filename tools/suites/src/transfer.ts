/**
 * One random transfer on a machine of cached-machine.ts: a carrier over scattered memory, constraints, a direction,
 * and noise of the CPU round it. What the bytes must be is known from a plain array.
 */
import type { DmaTag, TagOptions } from "@physio/busdma";
import type { Memdesc } from "@physio/carriers";
import { Bio, BioFlag, Uio, UioRw } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { MAXADDR, MiB, PAGE_SIZE } from "@physio/kern";
import type { CachedMachine } from "./cached-machine.ts";
import { HIGH, REACH, TOP } from "./cached-machine.ts";

const PAGE = PAGE_SIZE;

/** Client memory: pages with a kernel address, of which the carrier takes `ranges`, in order. */
export interface Client {
  readonly va: VirtAddr;
  readonly ma: readonly Frame[];
  /** [offset in the pages, length], ascending, apart. */
  readonly ranges: readonly (readonly [Bytes, Bytes])[];
  readonly length: Bytes;
}

export type Draw = (n: number) => number;

export const FORMS = [
  "vaddr",
  "vlist",
  "paddr",
  "plist",
  "vmpages",
  "uio",
  "mbuf",
  "unmapped mbuf",
  "bio",
] as const;
export type Form = (typeof FORMS)[number];

const one = <T>(draw: Draw, from: readonly T[]): T => from[draw(from.length)];

export function drawConstraints(draw: Draw): TagOptions {
  return {
    lowAddr: one(draw, [MAXADDR, MAXADDR, REACH, HIGH + MiB - 1]),
    alignment: one(draw, [1, 1, 1, 4, 64, 512, PAGE]),
    boundary: one(draw, [0, 0, 16, 256, PAGE, 2 * PAGE]),
    maxSegSize: one(draw, [96, 100, 1000, PAGE, 3 * PAGE, MAXADDR]),
    segments: one(draw, [1, 4, 2048, 2048]),
    maxSize: 8 * PAGE,
  };
}

/** Pages in stretches of three banks. */
function drawFrames(machine: CachedMachine, draw: Draw, count: number): Frame[] {
  const ma: Frame[] = [];
  while (ma.length < count) {
    const run = 1 + draw(count - ma.length);
    ma.push(...machine.frames(run, one(draw, [MiB, HIGH, TOP])));
  }
  return ma;
}

export function drawClient(machine: CachedMachine, draw: Draw, form: Form): Client {
  const pages = 1 + draw(4);
  // A physical range is one run of memory.
  const ma =
    form === "paddr"
      ? machine.frames(pages, one(draw, [MiB, HIGH, TOP]))
      : drawFrames(machine, draw, pages);
  const va = machine.map(ma);
  const many = form === "vlist" || form === "plist" || form === "uio" || form === "mbuf";
  const ranges: [Bytes, Bytes][] = [];
  let at = one(draw, [0, 0, 1, 64, 100, PAGE - 1]);
  for (let left = many ? 1 + draw(4) : 1; left > 0 && at < pages * PAGE; left--) {
    let room = pages * PAGE - at;
    if (form === "plist" || form === "mbuf") room = Math.min(room, PAGE - (at % PAGE));
    const length = left === 1 && draw(3) === 0 ? room : 1 + draw(room);
    ranges.push([at, length]);
    at += length + one(draw, [1, 7, 64, 200]);
  }
  return { va, ma, ranges, length: ranges.reduce((sum, [, n]) => sum + n, 0) };
}

function mbufs(machine: CachedMachine, client: Client, unmapped: boolean): Mbuf {
  let first: Mbuf | null = null;
  let last: Mbuf | null = null;
  for (const [offset, length] of client.ranges) {
    const m = new Mbuf();
    m.data = client.va + offset;
    m.len = length;
    if (unmapped) unmap(machine, client, m, offset, length);
    if (last === null) first = m;
    else last.next = m;
    last = m;
  }
  first!.flags |= MbufFlag.PKTHDR;
  first!.packetLength = client.length;
  return first!;
}

/** Turn `m` into one with pages, and with a header when its first page has room for more than that. */
function unmap(
  machine: CachedMachine,
  client: Client,
  m: Mbuf,
  offset: Bytes,
  length: Bytes,
): void {
  const from = Math.floor(offset / PAGE);
  const to = Math.floor((offset + length - 1) / PAGE);
  const inFirst = offset % PAGE;
  m.data = 0;
  m.flags |= MbufFlag.EXT | MbufFlag.EXTPG;
  m.pages = {
    memory: machine.mem,
    header: { va: 0, len: 0 },
    frames: client.ma.slice(from, to + 1),
    firstOffset: inFirst,
    lastLength: from === to ? length : ((offset + length - 1) % PAGE) + 1,
    trailer: { va: 0, len: 0 },
  };
}

export function memdescOf(machine: CachedMachine, client: Client, form: Form): Memdesc {
  const { va, ma, ranges, length } = client;
  const [[offset]] = ranges;
  const { mem } = machine;
  switch (form) {
    case "vaddr":
      return { kind: "vaddr", va: va + offset, length };
    case "vlist":
      return { kind: "vlist", list: ranges.map(([at, n]) => ({ base: va + at, length: n })) };
    case "paddr":
      return { kind: "paddr", pa: mem.addrOf(ma[0]) + offset, length };
    case "plist": {
      const pa = (at: Bytes) => mem.addrOf(ma[Math.floor(at / PAGE)]) + (at % PAGE);
      return { kind: "plist", list: ranges.map(([at, n]) => ({ base: pa(at), length: n })) };
    }
    case "vmpages":
      return { kind: "vmpages", ma, offset, length };
    case "uio": {
      const base = machine.map(ma, machine.user);
      const iov = ranges.map(([at, n]) => ({ base: base + at, length: n }));
      return { kind: "uio", uio: new Uio(UioRw.READ, machine.userSpace, iov, 0) };
    }
    case "mbuf":
    case "unmapped mbuf":
      return { kind: "mbuf", mbuf: mbufs(machine, client, form !== "mbuf") };
    case "bio":
      return {
        kind: "bio",
        bio: Object.assign(new Bio(), {
          flags: BioFlag.UNMAPPED,
          ma,
          maOffset: offset,
          bcount: length,
        }),
      };
  }
}

/** What is wrong with the segments; null: they obey the tag and have `length` bytes. */
export function complaint(
  tag: DmaTag,
  segs: readonly (readonly [number, number])[],
  length: Bytes,
): string | null {
  let sum = 0;
  for (const [addr, size] of segs) {
    sum += size;
    const last = addr + size - 1;
    if (size <= 0 || size > tag.maxSegSize) return `segment of ${size} bytes`;
    if (last > tag.lowAddr && addr <= tag.highAddr) return `${addr} is out of reach`;
    if (tag.boundary !== 0 && Math.floor(addr / tag.boundary) !== Math.floor(last / tag.boundary))
      return `${addr}+${size} crosses a boundary`;
  }
  if (segs.length > tag.segments) return `${segs.length} segments`;
  return sum === length ? null : `${sum} bytes`;
}
