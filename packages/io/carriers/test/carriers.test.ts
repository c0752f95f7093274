/**
 * uio, ccb and mbuf chains as memdescs: which ranges a load sees, and which requests panic.
 */
import type { CamFlag as CamFlags, Memdesc, MemSink } from "@physio/carriers";
import {
  Bio,
  CamFlag,
  Ccb,
  ccbHasNoData,
  memdescLength,
  Uio,
  UioRw,
  walkMemdesc,
  Xpt,
} from "@physio/carriers";
import type { ExtPages } from "@physio/carriers/mbuf";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem, PmapSpace } from "@physio/pmap";
import { expect, test } from "vitest";

const mem = new PhysMem({ banks: [{ base: 0, size: 64 * PAGE_SIZE }] });
const kmem = new Kmem(mem);
const user = new PmapSpace(kmem.pmaps.create("user"), false, kmem.cpu);

class Recorder implements MemSink {
  readonly calls: string[];
  readonly #stopAt: number;

  constructor(stopAt = -1) {
    this.calls = [];
    this.#stopAt = stopAt;
  }

  #note(call: string): Errno {
    this.calls.push(call);
    return this.calls.length - 1 === this.#stopAt ? Errno.ENOMEM : Errno.OK;
  }

  virtual(va: number, length: number, pmap: Pmap | null, mbuf: boolean): Errno {
    return this.#note(`${pmap?.name ?? "kernel"} ${va}+${length}${mbuf ? " mbuf" : ""}`);
  }

  physical(pa: number, length: number): Errno {
    return this.#note(`p ${pa}+${length}`);
  }

  pages(ma: readonly number[], offset: number, length: number): Errno {
    return this.#note(`m ${ma.join(",")} @${offset}+${length}`);
  }
}

const iov = () => [
  { base: 1000, length: 10 },
  { base: 1500, length: 0 },
  { base: 2000, length: 20 },
];

function uioOf(space: PmapSpace | null, resid?: number): Memdesc {
  const uio = new Uio(UioRw.READ, space, iov(), 0);
  if (resid !== undefined) uio.resid = resid;
  return { kind: "uio", uio };
}

function ccbOf(functionCode: number, data: CamFlags, fields: Partial<Ccb> = {}): Memdesc {
  return { kind: "ccb", ccb: Object.assign(new Ccb(functionCode, CamFlag.DIR_IN | data), fields) };
}

const list = [
  { base: 100, length: 10 },
  { base: 200, length: 20 },
  { base: 300, length: 30 },
];

function mbufs(...parts: [data: number, len: number, pages?: ExtPages][]): Memdesc {
  let next: Mbuf | null = null;
  for (const [data, len, pages] of parts.toReversed()) {
    const m: Mbuf = Object.assign(new Mbuf(), { data, len, next });
    if (pages !== undefined) {
      m.flags = MbufFlag.EXT | MbufFlag.EXTPG;
      m.pages = pages;
    }
    next = m;
  }
  return { kind: "mbuf", mbuf: next! };
}

const pages: ExtPages = {
  memory: mem,
  header: { va: 7000, len: 4 },
  frames: [mem.frameOf(2 * PAGE_SIZE), mem.frameOf(5 * PAGE_SIZE)],
  firstOffset: 4000,
  lastLength: 50,
  trailer: { va: 8000, len: 6 },
};

const bio = Object.assign(new Bio(), { data: 77, bcount: 512 });
const cases: { name: string; mem: Memdesc; length: number; calls: string[] }[] = [
  {
    name: "a kernel uio",
    mem: uioOf(kmem.space),
    length: 30,
    calls: ["kernel 1000+10", "kernel 2000+20"],
  },
  {
    name: "a user uio, cut to its residual",
    mem: uioOf(user, 15),
    length: 15,
    calls: ["user 1000+10", "user 2000+5"],
  },
  {
    name: "a uio with a residual longer than its ranges",
    mem: uioOf(user, 99),
    length: 30,
    calls: ["user 1000+10", "user 2000+20"],
  },
  { name: "a uio with nothing left", mem: uioOf(user, 0), length: 0, calls: [] },
  {
    name: "a ccb with a kernel buffer",
    mem: ccbOf(Xpt.SCSI_IO, CamFlag.DATA_VADDR, { va: 5, length: 9 }),
    length: 9,
    calls: ["kernel 5+9"],
  },
  {
    name: "a ccb with a physical buffer",
    mem: ccbOf(Xpt.ATA_IO, CamFlag.DATA_PADDR, { pa: 6, length: 9 }),
    length: 9,
    calls: ["p 6+9"],
  },
  {
    name: "a ccb with a list, cut to the transfer",
    mem: ccbOf(Xpt.NVME_IO, CamFlag.DATA_SG, { list, listCount: 3, length: 15 }),
    length: 15,
    calls: ["kernel 100+10", "kernel 200+5"],
  },
  {
    name: "a ccb with a list, cut to its count",
    mem: ccbOf(Xpt.CONT_TARGET_IO, CamFlag.DATA_SG, { list, listCount: 2, length: 99 }),
    length: 30,
    calls: ["kernel 100+10", "kernel 200+20"],
  },
  {
    name: "a ccb with a physical list, whatever the transfer",
    mem: ccbOf(Xpt.NVME_ADMIN, CamFlag.DATA_SG_PADDR, { list, listCount: 2, length: 15 }),
    length: 30,
    calls: ["p 100+10", "p 200+20"],
  },
  {
    name: "an ATA ccb with a list: it counts as empty",
    mem: ccbOf(Xpt.ATA_IO, CamFlag.DATA_SG, { list, listCount: 3, length: 60 }),
    length: 0,
    calls: [],
  },
  {
    name: "a ccb with a bio, whatever the transfer",
    mem: ccbOf(Xpt.SCSI_IO, CamFlag.DATA_BIO, { bio, length: 1 }),
    length: 512,
    calls: ["kernel 77+512"],
  },
  {
    name: "a chain with an empty mbuf",
    mem: mbufs([10, 5], [20, 0], [30, 7]),
    length: 12,
    calls: ["kernel 10+5 mbuf", "kernel 30+7 mbuf"],
  },
  {
    name: "an unmapped mbuf: header, frames, trailer",
    mem: mbufs([0, 4 + 96 + 50 + 6, pages], [10, 5]),
    length: 161,
    calls: [
      "kernel 7000+4",
      `p ${2 * PAGE_SIZE + 4000}+96`,
      `p ${5 * PAGE_SIZE}+50`,
      "kernel 8000+6",
      "kernel 10+5 mbuf",
    ],
  },
  {
    name: "an unmapped mbuf less its front and its end",
    mem: mbufs([10, 120, pages]),
    length: 120,
    calls: [`p ${2 * PAGE_SIZE + 4006}+90`, `p ${5 * PAGE_SIZE}+30`],
  },
];

for (const c of cases) {
  test(`walkMemdesc: ${c.name}`, () => {
    const sink = new Recorder();
    expect(walkMemdesc(c.mem, sink)).toBe(Errno.OK);
    expect(sink.calls).toEqual(c.calls);
    expect(memdescLength(c.mem)).toBe(c.length);
  });

  test(`walkMemdesc: ${c.name}: the first error ends the walk and is the answer`, () => {
    for (let stop = 0; stop < c.calls.length; stop++) {
      const sink = new Recorder(stop);
      expect(walkMemdesc(c.mem, sink)).toBe(Errno.ENOMEM);
      expect(sink.calls).toEqual(c.calls.slice(0, stop + 1));
    }
  });
}

const broken: { name: string; mem: Memdesc; says: string }[] = [
  { name: "a user uio without a process", mem: uioOf(null), says: "without a process" },
  {
    name: "a ccb with a function without data",
    mem: ccbOf(Xpt.PATH_INQ, CamFlag.DATA_VADDR),
    says: "function 4",
  },
  {
    name: "a ccb with two kinds of data",
    mem: ccbOf(Xpt.SCSI_IO, CamFlag.DATA_BIO | CamFlag.DATA_PADDR),
    says: "unknown kind of data",
  },
  {
    name: "a ccb whose bio is missing",
    mem: ccbOf(Xpt.SCSI_IO, CamFlag.DATA_BIO),
    says: "no bio",
  },
  {
    name: "a ccb with an empty range in its list",
    mem: ccbOf(Xpt.SCSI_IO, CamFlag.DATA_SG, {
      list: [{ base: 1, length: 0 }],
      listCount: 1,
      length: 5,
    }),
    says: "vlist: offset 0 in a range of 0 bytes",
  },
  { name: "an mbuf that runs past its trailer", mem: mbufs([0, 157, pages]), says: "trailer" },
];

for (const { name, mem: bad, says } of broken) {
  test(`walkMemdesc: ${name} panics`, () => {
    expect(() => walkMemdesc(bad, new Recorder())).toThrow(Panic);
    expect(() => walkMemdesc(bad, new Recorder())).toThrow(says);
  });
}

test("a ccb has data unless its direction is NONE, whatever its function", () => {
  expect(ccbHasNoData(new Ccb())).toBe(true);
  expect(ccbHasNoData(new Ccb(Xpt.SMP_IO, CamFlag.DIR_NONE))).toBe(true);
  for (const way of [CamFlag.DIR_BOTH, CamFlag.DIR_IN, CamFlag.DIR_OUT]) {
    expect(ccbHasNoData(new Ccb(Xpt.SCSI_IO, way | CamFlag.DATA_SG_PADDR))).toBe(false);
  }
});

test("a ccb prints its function, its bits and its length", () => {
  const print = Symbol.for("nodejs.util.inspect.custom");
  const ccb = Object.assign(new Ccb(Xpt.NVME_IO, CamFlag.DIR_OUT), { length: 512 });
  const text = (ccb as unknown as Record<symbol, () => string>)[print]();
  expect(text).toContain("NVME_IO");
  expect(text).toContain("512 bytes");
});
