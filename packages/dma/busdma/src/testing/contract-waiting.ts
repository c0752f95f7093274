/** The contract of a backend with a pool: loads that find too few bounce pages fail at once, or wait their turn. */
import type { VirtAddr } from "@physio/kern";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { BusDma } from "../flags.ts";
import type { DmaMap } from "../map.ts";
import type { DmaTag } from "../tag.ts";
import { Bed, must, mustErrno } from "./bed.ts";
import { clientOf, formOf, issue } from "./carriers.ts";
import type { KitCase } from "./suite.ts";
import type { MakeBackend } from "./under-test.ts";
import { HIGH_BANK, LOW_BANK, REACH } from "./under-test.ts";

const PAGE = PAGE_SIZE;
const WAITOK = BusDma.WAITOK;
const MAPS = 4;

/** Maps of one tag over a pool that one load of six pages leaves two of. */
class Short {
  readonly bed: Bed;
  readonly tag: DmaTag;
  readonly maps: readonly DmaMap[];
  readonly va: VirtAddr;
  /** Pages of the pool. */
  readonly total: number;

  constructor(make: MakeBackend) {
    this.bed = new Bed(make, 8, 1);
    // One coherent segment a page: every page of the buffer takes one bounce page, whatever the line.
    const flags = BusDma.COHERENT;
    this.tag = this.bed.tag({ lowAddr: REACH, maxSize: 7 * PAGE, segments: 8, flags });
    this.maps = Array.from({ length: MAPS }, () => this.tag.createMap());
    this.va = this.bed.buffer(8, HIGH_BANK);
    this.total = this.bed.counts().total;
    must(this.total >= 7 && this.total <= 8, `a pool of ${this.total} pages, of 8`);
  }

  load(i: number, pages: number, flags: BusDma): Errno {
    return this.bed.load(this.maps[i], this.va, pages * PAGE, `m${i}`, flags);
  }

  /** All pages that a load can have are taken by map 0. */
  fill(): void {
    mustErrno(this.load(0, 7, BusDma.NOWAIT), Errno.OK, "the first load");
    mustErrno(this.bed.last().error, Errno.OK, "its callback");
  }

  pump(): void {
    this.bed.unit.sched.pump();
    this.bed.counts();
  }

  end(): void {
    this.bed.tearDown(this.maps, [this.tag]);
  }
}

function nowait(make: MakeBackend): void {
  const short = new Short(make);
  const { bed } = short;
  short.fill();
  const before = JSON.stringify(bed.counts());
  mustErrno(short.load(1, 2, BusDma.NOWAIT), Errno.ENOMEM, "2 pages of less");
  mustErrno(bed.last().error, Errno.ENOMEM, "its callback");
  must(JSON.stringify(bed.counts()) === before, "a NOWAIT load that failed took pages");
  short.maps[0].unload();
  mustErrno(short.load(1, 2, BusDma.NOWAIT), Errno.OK, "the same without an unload between");
  short.end();
}

function fifo(make: MakeBackend): void {
  const short = new Short(make);
  const { bed, maps } = short;
  short.fill();
  for (const [i, pages] of [
    [1, 7],
    [2, 2],
    [3, 2],
  ]) {
    mustErrno(short.load(i, pages, WAITOK), Errno.EINPROGRESS, `load ${i} of ${pages} pages`);
    mustErrno(maps[i].destroy(), Errno.EBUSY, "destroy of a map that waits");
  }
  must(bed.counts().waiting === 3, `${bed.counts().waiting} maps wait`);
  short.pump();
  must(bed.order() === "m0", `called back before there were pages: ${bed.order()}`);
  maps[0].unload();
  short.pump();
  // The first in the queue has seven pages now; those behind it do not pass it, nor share the rest.
  must(bed.order() === "m0 m1", `called back in the order ${bed.order()}`);
  must(bed.last().locked, "the lock function is not called round a resumed load");
  maps[1].unload();
  short.pump();
  must(bed.order() === "m0 m1 m2 m3", `one unload serves as many as it can: ${bed.order()}`);
  for (const { error, segs } of bed.answers) {
    mustErrno(error, Errno.OK, "callback of a load that waited");
    must(segs.length > 0, "no segments");
  }
  short.end();
}

function stalled(make: MakeBackend): void {
  const short = new Short(make);
  const { bed, maps, total } = short;
  mustErrno(short.load(0, 4, BusDma.NOWAIT), Errno.OK, "the first load");
  const client = clientOf(bed, bed.frames(6, HIGH_BANK), [
    [0, 2 * PAGE],
    [2 * PAGE, 3 * PAGE],
  ]);
  const mem = formOf(bed, client, "vlist");
  mustErrno(
    issue(bed, maps[1], mem, "mem", WAITOK, "m1"),
    Errno.EINPROGRESS,
    "5 pages in two ranges",
  );
  const { active, free, reserved } = bed.counts();
  must(
    active === 4 && free + reserved === total - 4,
    "a list that stalls midway keeps pages attached",
  );
  maps[0].unload();
  short.pump();
  must(bed.order() === "m0 m1", `called back in the order ${bed.order()}`);
  mustErrno(bed.last().error, Errno.OK, "callback of a list that stalled");
  must(
    bed.last().segs.reduce((sum, { len }) => sum + len, 0) === 5 * PAGE,
    "not all of the list is loaded",
  );
  must(bed.counts().active === 5, `${bed.counts().active} pages attached for 5`);
  short.end();
}

function impossible(make: MakeBackend): void {
  const bed = new Bed(make, 2, 1);
  const tag = bed.tag({ lowAddr: REACH, maxSize: PAGE, segments: 2, flags: BusDma.COHERENT });
  const map = tag.createMap();
  // Bytes of a page in many ranges: each takes a bounce page of its own.
  const ranges = Array.from({ length: 5 }, (_, i) => [i * 512, 64] as const);
  const client = clientOf(bed, bed.frames(1, HIGH_BANK), ranges);
  const error = issue(bed, map, formOf(bed, client, "vlist"), "mem", WAITOK, "map");
  mustErrno(error, Errno.ENOMEM, "a load that its zone can never serve");
  mustErrno(bed.last().error, Errno.ENOMEM, "its callback");
  must(bed.counts().free === bed.counts().total, "it keeps pages");
  bed.tearDown([map], [tag]);
}

function neverWait(make: MakeBackend): void {
  const short = new Short(make);
  const { bed } = short;
  short.fill();
  const ma = bed.frames(3, HIGH_BANK);
  for (const form of ["mbuf", "unmapped mbuf", "uio", "kernel uio", "vmpages"] as const) {
    const client = clientOf(bed, ma, [[0, 3 * PAGE]]);
    const mem = formOf(bed, client, form);
    const way = form === "vmpages" ? "sg" : "own";
    mustErrno(
      issue(bed, short.maps[1], mem, way, WAITOK, form),
      Errno.ENOMEM,
      `direct load of a ${form}`,
    );
    mustErrno(bed.last().error, Errno.ENOMEM, `callback of a ${form}`);
    mustErrno(
      issue(bed, short.maps[2], mem, "mem", WAITOK, form),
      Errno.EINPROGRESS,
      `loadMem of a ${form}`,
    );
    short.maps[0].unload();
    short.pump();
    must(
      bed.last().who === form && bed.last().error === Errno.OK,
      `a ${form} that waited was not served`,
    );
    short.maps[2].unload();
    short.fill();
  }
  short.end();
}

function passing(make: MakeBackend): void {
  const short = new Short(make);
  const { bed, maps } = short;
  short.fill();
  mustErrno(short.load(1, 3, WAITOK), Errno.EINPROGRESS, "3 pages");
  const near = bed.buffer(2, LOW_BANK);
  mustErrno(bed.load(maps[2], near, 2 * PAGE, "m2", WAITOK), Errno.OK, "a load that needs no page");
  must(bed.order() === "m0 m2", `called back in the order ${bed.order()}`);
  maps[0].unload();
  short.pump();
  must(bed.order() === "m0 m2 m1", `called back in the order ${bed.order()}`);
  short.end();
}

export function waitingCases(make: MakeBackend): KitCase[] {
  return [
    {
      name: "NOWAIT with too few pages is ENOMEM to both, and takes nothing",
      run: () => nowait(make),
    },
    {
      name: "loads that wait are EINPROGRESS, and served in their order under the lock",
      run: () => fifo(make),
    },
    {
      name: "a list that stalls midway gives back what it took, and gets all of it later",
      run: () => stalled(make),
    },
    { name: "a load that can never have its pages is ENOMEM at once", run: () => impossible(make) },
    {
      name: "direct loads of packets, uios and into lists never wait, loadMem does",
      run: () => neverWait(make),
    },
    { name: "a load that needs no page goes past those who wait", run: () => passing(make) },
  ];
}
