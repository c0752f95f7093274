/**
 * Client memory of the kit, and every carrier that can describe it to a load.
 *
 * A client is some pages with a kernel address, of which a transfer takes ranges in ascending order;
 * `formOf` puts a carrier round them, `issue` loads it by the function of its kind or by loadMem.
 */
import type { Memdesc } from "@physio/carriers";
import { Bio, BioFlag, CamFlag, Ccb, Uio, UioRw, Xpt } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import type { Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { PAGE_SIZE, pageOf, pageOffset } from "@physio/kern";
import type { BusDma } from "../flags.ts";
import type { DmaMap } from "../map.ts";
import type { Bed } from "./bed.ts";
import type { Piece } from "./segments.ts";

const PAGE = PAGE_SIZE;

/** [offset in the client's pages, bytes]. */
export type Range = readonly [Bytes, Bytes];

export interface Client {
  readonly va: VirtAddr;
  readonly ma: readonly Frame[];
  /** Ascending, apart or adjoining, none empty. */
  readonly ranges: readonly Range[];
  readonly length: Bytes;
}

/** Carriers of several ranges, of one range, and of one range of physical memory in a row. */
export const LIST_FORMS = Object.freeze([
  "vlist",
  "plist",
  "uio",
  "kernel uio",
  "mbuf",
  "unmapped mbuf",
  "vlist bio",
  "list ccb",
  "plist ccb",
] as const);
const RANGE_FORMS = Object.freeze([
  "vaddr",
  "vmpages",
  "bio",
  "unmapped bio",
  "ccb",
  "bio ccb",
] as const);
export const RUN_FORMS = Object.freeze(["paddr", "paddr ccb"] as const);
export const FORMS = Object.freeze([...LIST_FORMS, ...RANGE_FORMS, ...RUN_FORMS] as const);
export type Form = (typeof FORMS)[number];

/** The function that loads a form: its own, or loadMem, or the one that fills a list and calls nothing. */
export const WAYS = Object.freeze(["own", "mem", "sg"] as const);
export type Way = (typeof WAYS)[number];

export function clientOf(bed: Bed, ma: readonly Frame[], ranges: readonly Range[]): Client {
  const length = ranges.reduce((sum, [, n]) => sum + n, 0);
  return { va: bed.map(ma), ma, ranges, length };
}

/** The ranges as the form hands them on: an unmapped mbuf has up to three parts. */
function partsOf({ ranges }: Client, form: Form): readonly Range[] {
  if (form !== "unmapped mbuf") return ranges;
  return ranges.flatMap(([offset, length]): Range[] => {
    const eighth = Math.floor(length / 8);
    const middle = length - 2 * eighth;
    const end = offset + length - eighth;
    return eighth === 0
      ? [[offset, length]]
      : [
          [offset, eighth],
          [offset + eighth, middle],
          [end, eighth],
        ];
  });
}

/** The data in runs of physical memory that end with their pages. */
export function piecesOf(bed: Bed, client: Client, form: Form): Piece[] {
  const { mem } = bed.unit.kmem;
  const { ma } = client;
  const pieces: Piece[] = [];
  for (const [offset, length] of partsOf(client, form)) {
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const run = Math.min(length - done, PAGE - pageOffset(at));
      pieces.push({ pa: mem.addrOf(ma[pageOf(at)]) + pageOffset(at), length: run });
      done += run;
    }
  }
  return pieces;
}

/** Runs of kernel memory. */
const virtual = ({ va, ranges }: Client, base = va) =>
  ranges.map(([at, length]) => ({ base: base + at, length }));

/** Runs of physical memory. */
const physical = (bed: Bed, client: Client) =>
  piecesOf(bed, client, "plist").map(({ pa, length }) => ({ base: pa, length }));

const bio = (fields: Partial<Bio>): Bio => Object.assign(new Bio(), fields);

const ccb = (data: CamFlag, fields: Partial<Ccb>): Memdesc => ({
  kind: "ccb",
  ccb: Object.assign(new Ccb(Xpt.SCSI_IO, CamFlag.DIR_IN | data), fields),
});

function chain(bed: Bed, client: Client, unmapped: boolean): Memdesc {
  const links = client.ranges.map(([offset, length]) => {
    const m = new Mbuf();
    m.data = client.va + offset;
    m.len = length;
    if (unmapped) unmap(bed, client, m, offset);
    return m;
  });
  for (let i = 1; i < links.length; i++) links[i - 1].next = links[i];
  links[0].flags |= MbufFlag.PKTHDR;
  links[0].packetLength = client.length;
  return { kind: "mbuf", mbuf: links[0] };
}

/** Turn `m` into one with pages: the first and the last eighth become header and trailer, and of the header some bytes are gone. */
function unmap(bed: Bed, { va, ma }: Client, m: Mbuf, offset: Bytes): void {
  const eighth = Math.floor(m.len / 8);
  const gone = Math.min(offset, eighth);
  const from = offset + eighth;
  const end = offset + m.len - eighth;
  const single = pageOf(from) === pageOf(end - 1);
  m.data = gone;
  m.flags |= MbufFlag.EXT | MbufFlag.EXTPG;
  m.pages = {
    memory: bed.unit.kmem.mem,
    header: { va: va + offset - gone, len: gone + eighth },
    frames: ma.slice(pageOf(from), pageOf(end - 1) + 1),
    firstOffset: pageOffset(from),
    lastLength: single ? end - from : pageOffset(end - 1) + 1,
    trailer: { va: va + end, len: eighth },
  };
}

function vlistBio({ va, ranges, length }: Client): Bio {
  // The data begin inside the first range.
  const [[first, size], ...rest] = ranges;
  const skipped = Math.min(first, 5);
  const vlist = [{ base: va + first - skipped, length: skipped + size }];
  for (const [at, n] of rest) vlist.push({ base: va + at, length: n });
  return bio({ flags: BioFlag.VLIST, vlist, maOffset: skipped, bcount: length });
}

/** The client's data as a carrier of the form. => one range, unless the form is a LIST_FORM. */
export function formOf(bed: Bed, client: Client, form: Form): Memdesc {
  const { va, ma, ranges, length } = client;
  const [[offset]] = ranges;
  const pa = bed.unit.kmem.mem.addrOf(ma[0]) + offset;
  switch (form) {
    case "vaddr":
      return { kind: "vaddr", va: va + offset, length };
    case "paddr":
      return { kind: "paddr", pa, length };
    case "vmpages":
      return { kind: "vmpages", ma, offset, length };
    case "vlist":
      return { kind: "vlist", list: virtual(client) };
    case "plist":
      return { kind: "plist", list: physical(bed, client) };
    case "uio": {
      const base = bed.map(ma, bed.userSpace.pmap);
      return { kind: "uio", uio: new Uio(UioRw.READ, bed.userSpace, virtual(client, base), 0) };
    }
    case "kernel uio":
      return { kind: "uio", uio: new Uio(UioRw.READ, bed.unit.kmem.space, virtual(client), 0) };
    case "mbuf":
    case "unmapped mbuf":
      return chain(bed, client, form !== "mbuf");
    case "bio":
      return { kind: "bio", bio: bio({ data: va + offset, bcount: length }) };
    case "unmapped bio":
      return {
        kind: "bio",
        bio: bio({ flags: BioFlag.UNMAPPED, ma, maOffset: offset, bcount: length }),
      };
    case "vlist bio":
      return { kind: "bio", bio: vlistBio(client) };
    case "ccb":
    case "paddr ccb":
    case "list ccb":
    case "plist ccb":
    case "bio ccb":
      return ccbOf(bed, client, form, pa);
  }
}

type CcbForm = "ccb" | "paddr ccb" | "list ccb" | "plist ccb" | "bio ccb";

function ccbOf(bed: Bed, client: Client, form: CcbForm, pa: PhysAddr): Memdesc {
  const { va, ranges, length } = client;
  const [[offset]] = ranges;
  switch (form) {
    case "ccb":
      return ccb(CamFlag.DATA_VADDR, { va: va + offset, length });
    case "paddr ccb":
      return ccb(CamFlag.DATA_PADDR, { pa, length });
    case "list ccb": {
      const list = virtual(client);
      return ccb(CamFlag.DATA_SG, { list, listCount: list.length, length });
    }
    case "plist ccb": {
      const list = physical(bed, client);
      return ccb(CamFlag.DATA_SG_PADDR, { list, listCount: list.length, length });
    }
    case "bio ccb":
      return ccb(CamFlag.DATA_BIO, { bio: bio({ data: va + offset, bcount: length }), length });
  }
}

/** Whether EFBIG is returned to the caller, too, and the load never waits: loads that fill a list, and those of packets and uios. */
export function tellsCaller(mem: Memdesc, way: Way): boolean {
  if (way === "mem") return false;
  return mem.kind === "mbuf" || mem.kind === "uio" || (way === "sg" && mem.kind === "vmpages");
}

/** Load. What a callback would be told is noted under `who`, also where none is called. @returns what the caller was told. */
export function issue(
  bed: Bed,
  map: DmaMap,
  mem: Memdesc,
  way: Way,
  flags: BusDma,
  who: string,
): Errno {
  const done = bed.note(who);
  if (way === "mem") return map.loadMem(mem, done, null, flags);
  if (way === "sg" && (mem.kind === "mbuf" || mem.kind === "vmpages")) {
    const segs = map.tag.segList();
    const error =
      mem.kind === "mbuf"
        ? map.loadMbufSg(mem.mbuf, segs, flags)
        : map.loadPagesSg(mem.ma, mem.offset, mem.length, segs, flags);
    done(null, segs, segs.count, error);
    return error;
  }
  switch (mem.kind) {
    case "vaddr":
      return map.load(mem.va, mem.length, done, null, flags);
    case "vmpages":
      return map.loadPages(mem.ma, mem.offset, mem.length, done, null, flags);
    case "bio":
      return map.loadBio(mem.bio, done, null, flags);
    case "ccb":
      return map.loadCcb(mem.ccb, done, null, flags);
    case "uio":
      return map.loadUio(
        mem.uio,
        (_, segs, count, _size, error) => done(null, segs, count, error),
        null,
        flags,
      );
    case "mbuf":
      return map.loadMbuf(
        mem.mbuf,
        (_, segs, count, _size, error) => done(null, segs, count, error),
        null,
        flags,
      );
    case "paddr":
    case "vlist":
    case "plist":
      return map.loadMem(mem, done, null, flags);
  }
}
