/** The contract of the load slots, of complete, unload and isIdentity: segments, and who is told what. */
import type { Bytes, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno, MAXADDR, PAGE_SIZE } from "@physio/kern";
import type { TagOptions } from "../constraints.ts";
import { BusDma, Sync } from "../flags.ts";
import type { DmaMap } from "../map.ts";
import type { Segment } from "../seg-list.ts";
import { Bed, must, mustEqual, mustErrno, mustThrow, pattern } from "./bed.ts";
import { clientOf, FORMS, formOf, issue, piecesOf, tellsCaller, WAYS } from "./carriers.ts";
import { wrongSegments } from "./segments.ts";
import type { KitCase } from "./suite.ts";
import type { MakeBackend } from "./under-test.ts";
import { HIGH_BANK, HIGH_SIZE, LOW_BANK, REACH, TOP_BANK } from "./under-test.ts";

const PAGE = PAGE_SIZE;
const POOL = 64;

const LIMITS: readonly (readonly [string, TagOptions])[] = [
  ["no limit", {}],
  ["a reach of 24 bits", { lowAddr: REACH }],
  ["a window that ends", { lowAddr: REACH, highAddr: HIGH_BANK + HIGH_SIZE - 1 }],
  ["an alignment of 64", { alignment: 64 }],
  ["an alignment of a page", { alignment: PAGE }],
  ["a boundary of 256", { boundary: 256 }],
  ["a boundary of two pages", { boundary: 2 * PAGE, lowAddr: REACH }],
  ["segments of at most 1000 bytes", { maxSegSize: 1000 }],
  [
    "segments of at most 100 bytes, aligned to 16, boundary 64",
    { maxSegSize: 100, alignment: 16, boundary: 64 },
  ],
  ["page offsets kept", { lowAddr: REACH, flags: BusDma.KEEP_PG_OFFSET }],
  ["a coherent device of 24 bits", { lowAddr: REACH, flags: BusDma.COHERENT }],
];

/** [offset, length] of a load of three pages. */
const LOADS: readonly (readonly [Bytes, Bytes])[] = [
  [0, 1],
  [0, PAGE],
  [0, 3 * PAGE],
  [1, 3 * PAGE - 1],
  [64, 64],
  [PAGE - 1, 2],
  [PAGE - 64, 128],
  [100, 2 * PAGE],
];

function loadAll(make: MakeBackend, options: TagOptions): void {
  const bed = new Bed(make, POOL, 1);
  const tag = bed.tag({ segments: 2048, ...options });
  const map = tag.createMap();
  for (const bank of [LOW_BANK, HIGH_BANK, TOP_BANK]) {
    const ma = bed.frames(3, bank);
    for (const [offset, length] of LOADS) {
      const client = clientOf(bed, ma, [[offset, length]]);
      const segs = bed.loaded(map, client.va + offset, length);
      const wrong = wrongSegments(bed, tag, piecesOf(bed, client, "vaddr"), segs, true);
      must(wrong === null, `load of ${offset}+${length} in the bank at ${bank}: ${wrong}`);
      map.unload();
      must(bed.counts().free === bed.counts().total, "unload left a bounce page");
    }
  }
  bed.tearDown([map], [tag]);
}

function identity(make: MakeBackend): void {
  const bed = new Bed(make, POOL, 2);
  const at = (bank: PhysAddr) => bed.unit.kmem.mem.addrOf(bed.frames(1, bank)[0]);
  const pages = [LOW_BANK, HIGH_BANK, TOP_BANK].map(at);
  const lowAddr = pages[1] + PAGE - 1;
  const tag = bed.tag({ lowAddr, flags: BusDma.COHERENT });
  const { backend } = bed.unit.context;
  const says = pages.map((pa) => backend.isIdentity(tag, pa, PAGE));
  must(
    says.join() === "true,true,false",
    `isIdentity below, at and above the reach: ${says.join()}`,
  );
  must(!backend.isIdentity(tag, pages[1], PAGE + 1), "isIdentity of a range that leaves the reach");
  bed.tearDown([], [tag]);
}

/** Six pages for a tag of two segments of a page. */
function tooBig(make: MakeBackend): void {
  const bed = new Bed(make, POOL, 3);
  const options = { segments: 2, maxSegSize: PAGE, maxSize: 8 * PAGE, lowAddr: REACH };
  const tag = bed.tag(options);
  const map = tag.createMap();
  const ma = bed.frames(6, HIGH_BANK);
  for (const form of FORMS) {
    const client = clientOf(bed, ma, [[0, 6 * PAGE]]);
    const mem = formOf(bed, client, form);
    for (const way of WAYS) {
      const answers = bed.answers.length;
      const error = issue(bed, map, mem, way, BusDma.NOWAIT, form);
      // A pool that has not grown so far may say ENOMEM first.
      if (error === Errno.ENOMEM) mustErrno(bed.last().error, Errno.ENOMEM, `${form}: callback`);
      else {
        mustErrno(
          error,
          tellsCaller(mem, way) ? Errno.EFBIG : Errno.OK,
          `${form}, ${way}: 6 pages in 2 segments`,
        );
        mustErrno(bed.last().error, Errno.EFBIG, `${form}, ${way}: callback`);
      }
      must(
        bed.answers.length === answers + 1,
        `${form}, ${way}: the callback ran more or less than once`,
      );
      must(bed.last().segs.length === 0, `${form}, ${way}: segments of a load that failed`);
      const { free, total } = bed.counts();
      must(free === total, `${form}, ${way}: ${total - free} bounce pages are kept`);
      bed.loaded(map, client.va, PAGE);
      map.unload();
    }
  }
  bed.tearDown([map], [tag]);
}

function tooLong(make: MakeBackend): void {
  const bed = new Bed(make, POOL, 4);
  const tag = bed.tag({ maxSize: 2 * PAGE });
  const map = tag.createMap();
  const va = bed.buffer(3, LOW_BANK);
  for (const length of [2 * PAGE + 1, 0, -1, Number.NaN]) {
    mustErrno(bed.load(map, va, length), Errno.EINVAL, `load of ${length} bytes`);
    mustErrno(bed.last().error, Errno.EINVAL, `callback of a load of ${length} bytes`);
  }
  bed.loaded(map, va, 2 * PAGE);
  map.unload();
  // Said before anything is loaded, also of what would not fit.
  const small = bed.tag({ maxSize: 2 * PAGE, maxSegSize: PAGE, segments: 1 });
  const other = small.createMap();
  const client = clientOf(bed, bed.frames(3, LOW_BANK), [[0, 3 * PAGE]]);
  for (const form of FORMS) {
    for (const way of WAYS) {
      const mem = formOf(bed, client, form);
      const error = issue(bed, other, mem, way, BusDma.NOWAIT, form);
      mustErrno(error, Errno.EINVAL, `${form}, ${way}: 3 pages of at most 2`);
      mustErrno(bed.last().error, Errno.EINVAL, `${form}, ${way}: callback`);
    }
  }
  bed.tearDown([map, other], [tag, small]);
}

function child(make: MakeBackend): void {
  const bed = new Bed(make, POOL, 5);
  const parent = bed.tag({ lowAddr: REACH, alignment: 64, boundary: 1024 });
  const tag = bed.tag({ segments: 2048, maxSegSize: MAXADDR }, parent);
  const map = tag.createMap();
  const client = clientOf(bed, bed.frames(3, HIGH_BANK), [[33, 2 * PAGE]]);
  const segs = bed.loaded(map, client.va + 33, client.length);
  const wrong = wrongSegments(bed, parent, piecesOf(bed, client, "vaddr"), segs, false);
  must(wrong === null || wrong.includes("at most 64"), `by the parent's limits: ${wrong}`);
  bed.tearDown([map], [tag, parent]);
}

function filtered(make: MakeBackend): void {
  const bed = new Bed(make, POOL, 6);
  if (bed.unit.context.filters === "refused") {
    mustThrow(() => bed.tag({ filter: () => 0 }), Errno.EINVAL, "a tag with a filter");
    return;
  }
  const asked: unknown[] = [];
  const filter = (arg: unknown, addr: number) => {
    asked.push(arg);
    return Math.floor(addr / PAGE) % 2;
  };
  const tag = bed.tag({
    lowAddr: REACH,
    filter,
    filterArg: "arg",
    segments: 64,
    flags: BusDma.COHERENT,
  });
  const map = tag.createMap();
  const client = clientOf(bed, bed.frames(6, HIGH_BANK), [[0, 6 * PAGE]]);
  const segs = bed.loaded(map, client.va, client.length);
  const wrong = wrongSegments(bed, tag, piecesOf(bed, client, "vaddr"), segs, true);
  must(wrong === null, `filter of every other page: ${wrong}`);
  must(
    asked.length > 0 && asked.every((arg) => arg === "arg"),
    "the filter does not get its argument",
  );
  must(
    segs.some(({ addr }) => addr > REACH),
    "no page that the filter lets pass is used in place",
  );
  bed.tearDown([map], [tag]);
}

/** One carrier, each way: the device gets its bytes, in order, and gives others back. */
function carrier(make: MakeBackend, form: (typeof FORMS)[number], bank: PhysAddr): void {
  const bed = new Bed(make, POOL, 7);
  const tag = bed.tag({ lowAddr: REACH, segments: 64, maxSegSize: PAGE, boundary: 2 * PAGE });
  const map = tag.createMap();
  const client = clientOf(bed, bed.frames(3, bank), [[50, 2 * PAGE]]);
  const bytes = pattern(1, 3 * PAGE);
  bed.unit.kmem.write(client.va, bytes);
  for (const way of WAYS) {
    const mem = formOf(bed, client, form);
    mustErrno(issue(bed, map, mem, way, BusDma.NOWAIT, form), Errno.OK, `load ${way}`);
    const { segs, error } = bed.last();
    mustErrno(error, Errno.OK, `callback ${way}`);
    const wrong = wrongSegments(bed, tag, piecesOf(bed, client, form), segs, form !== "mbuf");
    must(wrong === null, `load ${way}: ${wrong}`);
    roundTrip(bed, map, client.va, bytes, segs);
    map.unload();
  }
  bed.tearDown([map], [tag]);
}

/** Bytes 50 and on of `bytes`, two pages of them, to the device and back. */
function roundTrip(
  bed: Bed,
  map: DmaMap,
  va: VirtAddr,
  bytes: Uint8Array,
  segs: readonly Segment[],
): void {
  const end = 50 + 2 * PAGE;
  map.sync(Sync.PREWRITE);
  mustEqual(bed.deviceRead(map.tag, segs), bytes.subarray(50, end), "what the device reads");
  map.sync(Sync.POSTWRITE);
  bytes.set(pattern(bytes[50] + 1, 2 * PAGE), 50);
  map.sync(Sync.PREREAD);
  bed.deviceWrite(map.tag, segs, bytes.subarray(50, end));
  map.sync(Sync.POSTREAD);
  mustEqual(bed.cpuRead(va, bytes.length), bytes, "what the client has then");
}

export function loadCases(make: MakeBackend): KitCase[] {
  const limits = LIMITS.map(([name, options]) => ({
    name: `segments are right with ${name}, and isIdentity foretells them`,
    run: () => loadAll(make, options),
  }));
  const carriers = FORMS.flatMap((form) =>
    [LOW_BANK, HIGH_BANK].map((bank) => ({
      name: `a carrier ${bank === LOW_BANK ? "within" : "out of"} reach makes the round trip: ${form}`,
      run: () => carrier(make, form, bank),
    })),
  );
  return [
    ...limits,
    ...carriers,
    { name: "isIdentity looks at every page of a range", run: () => identity(make) },
    {
      name: "EFBIG is told the callback only, except of packets and uios, and leaves nothing",
      run: () => tooBig(make),
    },
    { name: "a length that the tag does not allow is EINVAL to both", run: () => tooLong(make) },
    { name: "a child obeys its parent's reach, alignment and boundary", run: () => child(make) },
    { name: "a filter lets pages pass, with its argument", run: () => filtered(make) },
  ];
}
