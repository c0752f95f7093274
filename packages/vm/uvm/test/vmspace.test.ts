/** Address spaces: mmap and its kin, what is refused, wiring, write-back of ranges. */
import { Errno, ErrnoError, NO_FRAME, OFF_MAX, PAGE_SIZE, Panic } from "@physio/kern";
import { isReferenced, Prot, PTE_PROT } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import type { MmapOptions } from "../src/index.ts";
import { Advice, MapFlag, MsFlag, madvise, msync, Pg, Pgo } from "../src/index.ts";
import { ToyMachine } from "./toy.ts";

const { READ, WRITE, EXECUTE } = Prot;
const RW = READ | WRITE;
const { SHARED, PRIVATE, FIXED, ANON } = MapFlag;
const PAGE = PAGE_SIZE;

function bench(flags: MapFlag = SHARED, pages = 16, prot: Prot = RW) {
  const m = new ToyMachine(64);
  const file = m.file(pages);
  const space = m.space();
  const va = space.mmap({ length: pages * PAGE, prot, flags, object: file.object });
  const store = (at: number, ...bytes: number[]) => m.run(space.write(at, Uint8Array.from(bytes)));
  const load = (at: number, length = 1) => {
    const bytes = new Uint8Array(length);
    expect(m.run(space.read(at, bytes))).toBe(Errno.OK);
    return [...bytes];
  };
  return { m, file, space, va, store, load };
}

describe("mmap refuses", () => {
  const { m, file, space } = bench();
  const good: MmapOptions = { length: PAGE, prot: RW, flags: SHARED, object: file.object };
  const bare = m.pages.newObject();
  const CASES: [string, Partial<MmapOptions>, Errno][] = [
    ["no bytes", { length: 0 }, Errno.EINVAL],
    ["a negative length", { length: -PAGE }, Errno.EINVAL],
    ["a length that is no whole number", { length: 0.5 }, Errno.EINVAL],
    ["more than a space has", { length: 2 ** 47 + 1 }, Errno.EINVAL],
    ["neither SHARED nor PRIVATE", { flags: 0 }, Errno.EINVAL],
    ["both", { flags: SHARED | PRIVATE }, Errno.EINVAL],
    ["an unknown flag", { flags: SHARED | 0x400000 }, Errno.EINVAL],
    ["unknown rights", { prot: 8 }, Errno.EINVAL],
    ["ANON with an object", { flags: SHARED | ANON }, Errno.EINVAL],
    ["an object without a pager", { object: bare }, Errno.EINVAL],
    ["an offset within a page", { offset: 512 }, Errno.EINVAL],
    ["a negative offset", { offset: -PAGE }, Errno.EINVAL],
    ["an end behind the last offset", { offset: OFF_MAX }, Errno.EINVAL],
    ["FIXED at 0", { flags: SHARED | FIXED, addr: 0 }, Errno.EINVAL],
    ["FIXED within a page", { flags: SHARED | FIXED, addr: 2 ** 20 + 1 }, Errno.EINVAL],
    ["FIXED behind the last address", { flags: SHARED | FIXED, addr: 2 ** 47 }, Errno.EINVAL],
    ["an address that is none", { addr: Number.NaN }, Errno.EINVAL],
    ["rights that may never be had", { maxProt: READ }, Errno.EACCES],
    ["more than is free", { length: 2 ** 47 - 2 ** 17 + PAGE }, Errno.ENOMEM],
  ];
  test.each(CASES)("%s", (_name, change, errno) => {
    const entries = space.map.entries.length;
    let thrown: unknown = null;
    try {
      space.mmap({ ...good, ...change });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ErrnoError);
    expect((thrown as ErrnoError).errno).toBe(errno);
    expect([space.map.entries.length, file.references]).toEqual([entries, 1]);
  });

  test("an object where ANON is not said, if there is none", () => {
    expect(() => space.mmap({ length: PAGE, prot: RW, flags: PRIVATE })).toThrow(ErrnoError);
  });
});

describe("mmap", () => {
  test("rounds the length up, takes the hint, and puts FIXED in place of what is there", () => {
    const { m, file, space, va, load } = bench();
    const at = space.mmap({
      length: 1,
      prot: READ,
      flags: SHARED,
      object: file.object,
      addr: 2 ** 30 + 5,
    });
    expect(at).toBe(2 ** 30);
    expect(space.map.lookup(at + PAGE - 1)).not.toBe(null);
    expect(space.map.lookup(at + PAGE)).toBe(null);
    load(va + 3 * PAGE);
    space.mmap({ length: 2 * PAGE, prot: RW, flags: PRIVATE | ANON | FIXED, addr: va + 3 * PAGE });
    expect(load(va + 3 * PAGE, 3)).toEqual([0, 0, 0]);
    expect(load(va + 5 * PAGE, 3)).toEqual([...file.disk.slice(5 * PAGE, 5 * PAGE + 3)]);
    expect(space.map.entries.length).toBe(4);
    m.finish();
  });

  test("joins anonymous neighbours before they are used", () => {
    const m = new ToyMachine();
    const space = m.space();
    const options = { length: PAGE, prot: RW, flags: PRIVATE | ANON };
    for (let i = 0; i < 5; i++) space.mmap(options);
    expect(space.map.entries.length).toBe(1);
    m.finish();
  });
});

describe("munmap", () => {
  test("takes a part out, with the map's own pages there and no others", () => {
    const { m, file, space, va, store, load } = bench(PRIVATE);
    for (let i = 0; i < 6; i++) store(va + i * PAGE, 100 + i);
    expect(m.pages.resident).toBe(6 + file.object.pageCount);
    expect(space.munmap(va + 2 * PAGE, 2 * PAGE - 1)).toBe(Errno.OK);
    expect(m.pages.resident).toBe(4 + file.object.pageCount);
    expect([0, 1, 4, 5].map((i) => load(va + i * PAGE)[0])).toEqual([100, 101, 104, 105]);
    expect(m.run(space.fault(va + 2 * PAGE, READ))).toBe(Errno.EFAULT);
    expect([space.map.entries.length, file.references]).toEqual([2, 2]);
    space.check();
    m.finish();
  });

  test("is OK with holes, and EINVAL for what is no range of pages", () => {
    const { space, va } = bench();
    expect(space.munmap(va + 14 * PAGE, 4 * PAGE)).toBe(Errno.OK);
    expect(space.munmap(va + 13 * PAGE, 4 * PAGE)).toBe(Errno.OK);
    for (const [at, length] of [
      [va + 1, PAGE],
      [0, PAGE],
      [va, -1],
      [va, 2 ** 47],
      [Number.NaN, PAGE],
    ]) {
      expect(space.munmap(at, length)).toBe(Errno.EINVAL);
    }
  });
});

describe("mprotect", () => {
  test("takes rights away at once and gives them with the next fault", () => {
    const { m, space, va, store } = bench();
    store(va, 1);
    expect(space.mprotect(va, PAGE, READ)).toBe(Errno.OK);
    expect(space.pmap.pteAt(va) & PTE_PROT).toBe(READ);
    expect(store(va, 2)).toBe(Errno.EFAULT);
    expect(space.mprotect(va, PAGE, RW)).toBe(Errno.OK);
    expect(space.pmap.pteAt(va) & PTE_PROT).toBe(READ);
    expect(store(va, 2)).toBe(Errno.OK);
    expect(space.map.entries.length).toBe(1);
    expect(space.mprotect(va, PAGE, Prot.NONE)).toBe(Errno.OK);
    expect(m.run(space.fault(va, READ))).toBe(Errno.EFAULT);
    m.finish();
  });

  test("is refused as a whole", () => {
    const { m, file, space, va } = bench(SHARED, 4);
    const next = space.mmap({
      length: PAGE,
      prot: READ,
      flags: SHARED | FIXED,
      object: file.object,
      addr: va + 4 * PAGE,
      maxProt: READ,
    });
    expect(space.mprotect(va, 5 * PAGE, RW | EXECUTE)).toBe(Errno.EACCES);
    expect(space.map.lookup(va)?.prot).toBe(RW);
    expect(space.mprotect(va, 6 * PAGE, READ)).toBe(Errno.ENOMEM);
    expect(space.mprotect(va, PAGE, 16)).toBe(Errno.EINVAL);
    expect(space.mprotect(next, PAGE, READ)).toBe(Errno.OK);
    m.finish();
  });
});

describe("wire", () => {
  test("faults the pages in and keeps them, until unwire", () => {
    const { m, file, space, va } = bench();
    expect(m.run(space.wire(va + 100, 3 * PAGE, READ))).toBe(Errno.OK);
    const frames = [0, 1, 2, 3].map((i) => space.pmap.frameAt(va + i * PAGE));
    expect(frames.map((frame) => m.pages.wireCount(frame))).toEqual([1, 1, 1, 1]);
    expect(frames.map((frame) => m.mem.section(frame).queue[frame & 4095])).toEqual([0, 0, 0, 0]);
    const other = m.object();
    let got = 0;
    while (m.pages.alloc(other, got) !== NO_FRAME) got++;
    expect(file.object.lookup(1)).toBe(frames[1]); // nobody took it
    for (const index of [...other.indexes()]) m.pages.unbusy(other.lookup(index));
    space.unwire(va + 100, 3 * PAGE);
    expect(m.pages.wireCount(frames[0])).toBe(0);
    m.finish();
  });

  test("maps no neighbours", () => {
    const { m, file, space, va } = bench();
    for (let i = 0; i < 16; i++) m.resident(file.object, i);
    expect(m.run(space.wire(va + 8 * PAGE, PAGE, READ))).toBe(Errno.OK);
    expect(space.pmap.residentCount).toBe(1);
    space.unwire(va + 8 * PAGE, PAGE);
    m.finish();
  });

  test("undoes what it did when a page fails, and says EFAULT", () => {
    const { m, space, va } = bench(SHARED, 4);
    expect(m.run(space.wire(va + 2 * PAGE, 3 * PAGE, READ))).toBe(Errno.EFAULT);
    expect(space.pmap.holds.pages).toBe(0);
    expect(m.run(space.wire(-1, PAGE, READ))).toBe(Errno.EFAULT);
    expect(m.run(space.wire(va, 0, READ))).toBe(Errno.OK);
    m.finish();
  });

  test("copies a private page that could be written to, so that it stays where it is", () => {
    const { m, space, va, store, load } = bench(PRIVATE);
    expect(m.run(space.wire(va, PAGE, READ))).toBe(Errno.OK);
    const frame = space.pmap.frameAt(va);
    expect(space.copies).toBe(1);
    store(va, 42);
    expect(space.pmap.frameAt(va)).toBe(frame);
    space.unwire(va, PAGE);
    expect(load(va)).toEqual([42]);
    m.finish();
  });

  test("for writing leaves the page dirty: a device wrote to it unseen", () => {
    const { m, file, space, va } = bench();
    expect(m.run(space.wire(va, PAGE, WRITE))).toBe(Errno.OK);
    m.run(file.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO));
    const frame = file.object.lookup(0);
    expect(m.pages.flags(frame) & Pg.CLEAN).toBe(Pg.CLEAN);
    m.mem.bytes(frame)[m.mem.byteOffset(frame)] = 201; // the device
    space.unwire(va, PAGE);
    expect(m.run(msync(space, va, PAGE, MsFlag.SYNC))).toBe(Errno.OK);
    expect(file.disk[0]).toBe(201);
    m.finish();
  });

  test("of a page that the file then loses keeps the frame, and nobody else gets it", () => {
    const { m, file, space, va } = bench();
    expect(m.run(space.wire(va, 2 * PAGE, WRITE))).toBe(Errno.OK);
    const frame = space.pmap.frameAt(va + PAGE);
    m.run(file.truncate(PAGE));
    expect([file.object.lookup(1), space.pmap.frameAt(va + PAGE)]).toEqual([NO_FRAME, NO_FRAME]);
    expect(m.pages.supply.orphans).toBe(1);
    m.mem.assertAllocated(frame);
    const free = m.mem.freeFrames;
    space.unwire(va, 2 * PAGE);
    expect([m.pages.supply.orphans, m.mem.freeFrames]).toEqual([0, free + 1]);
    m.finish();
  });

  test("of anonymous memory that is unmapped meanwhile, too", () => {
    const { m, space } = bench();
    const at = space.mmap({ length: PAGE, prot: RW, flags: PRIVATE | ANON });
    expect(m.run(space.wire(at, PAGE, RW))).toBe(Errno.OK);
    expect(space.munmap(at, PAGE)).toBe(Errno.OK);
    expect(m.pages.supply.orphans).toBe(1);
    space.unwire(at, PAGE);
    m.finish();
  });

  test("makes a fault wait that needs another page at that address", () => {
    const { m, space, load } = bench();
    const at = space.mmap({ length: PAGE, prot: RW, flags: PRIVATE | ANON });
    expect(m.run(space.wire(at, PAGE, RW))).toBe(Errno.OK);
    space.mmap({ length: PAGE, prot: RW, flags: PRIVATE | ANON | FIXED, addr: at });
    const done: Errno[] = [];
    m.sched.spawn(
      "store",
      (function* () {
        done.push(yield* space.write(at, Uint8Array.of(7)));
      })(),
    );
    m.sched.pump();
    expect(done).toEqual([]);
    expect(m.sched.report()).toContain("vslock");
    space.unwire(at, PAGE);
    m.sched.pump();
    expect(done).toEqual([Errno.OK]);
    expect(load(at)).toEqual([7]);
    m.finish();
  });

  test("can be had by two at once", () => {
    const { m, space, va } = bench();
    for (let i = 0; i < 2; i++) expect(m.run(space.wire(va, PAGE, i * WRITE))).toBe(Errno.OK);
    const frame = space.pmap.frameAt(va);
    space.unwire(va, PAGE);
    expect(m.pages.wireCount(frame)).toBe(1);
    space.unwire(va, PAGE);
    expect(m.pages.wireCount(frame)).toBe(0);
    m.finish();
  });
});

describe("msync", () => {
  test("writes what was stored: SYNC on return, ASYNC later", () => {
    const { m, file, space, va, store } = bench();
    store(va + 2 * PAGE, 1);
    store(va + 9 * PAGE, 2);
    expect(m.run(msync(space, va, 4 * PAGE, MsFlag.SYNC))).toBe(Errno.OK);
    expect([file.disk[2 * PAGE], file.writes]).toEqual([1, 1]);
    m.run(msync(space, va, 16 * PAGE, MsFlag.ASYNC));
    expect(file.outstanding).toBe(1);
    m.sched.pump();
    expect(file.disk[9 * PAGE]).toBe(2);
    m.finish();
  });

  test("with INVALIDATE lets the next access read the file again", () => {
    const { m, file, space, va, store, load } = bench();
    store(va, 5);
    expect(m.run(msync(space, va, PAGE, MsFlag.SYNC | MsFlag.INVALIDATE))).toBe(Errno.OK);
    file.disk[0] = 6;
    expect(load(va)).toEqual([6]);
    expect(m.run(space.wire(va, PAGE, READ))).toBe(Errno.OK);
    expect(m.run(msync(space, va, PAGE, MsFlag.INVALIDATE))).toBe(Errno.EBUSY);
    space.unwire(va, PAGE);
    m.finish();
  });

  test("goes over several files, skips anonymous memory, and keeps the first error", () => {
    const { m, file, space, va, store } = bench(SHARED, 2);
    const other = m.file(2);
    const at = va + 2 * PAGE;
    space.mmap({ length: PAGE, prot: RW, flags: PRIVATE | ANON | FIXED, addr: at });
    space.mmap({
      length: 2 * PAGE,
      prot: RW,
      flags: SHARED | FIXED,
      object: other.object,
      addr: at + PAGE,
    });
    for (let i = 0; i < 5; i++) store(va + i * PAGE, 90 + i);
    expect(m.run(msync(space, va, 5 * PAGE, MsFlag.SYNC))).toBe(Errno.OK);
    expect([file.disk[0], file.disk[PAGE], other.disk[0], other.disk[PAGE]]).toEqual([
      90, 91, 93, 94,
    ]);
    file.putError = Errno.EROFS;
    store(at + PAGE, 1);
    expect(m.run(msync(space, va, 5 * PAGE, MsFlag.SYNC))).toBe(Errno.EROFS);
    expect(other.disk[0]).toBe(1); // it went on
    m.finish();
  });

  test("refuses bad ranges and flags", () => {
    const { m, space, va } = bench(SHARED, 2);
    const call = (at: number, length: number, flags: number) =>
      m.run(msync(space, at, length, flags));
    expect(call(va + 1, PAGE, MsFlag.SYNC)).toBe(Errno.EINVAL);
    expect(call(va, PAGE, MsFlag.SYNC | MsFlag.ASYNC)).toBe(Errno.EINVAL);
    expect(call(va, PAGE, 8)).toBe(Errno.EINVAL);
    expect(call(va, 3 * PAGE, MsFlag.SYNC)).toBe(Errno.ENOMEM);
  });
});

describe("madvise", () => {
  test("WILLNEED reads ahead, and stops at the end of the file", () => {
    const { m, file, space, va } = bench(SHARED, 20);
    m.run(file.truncate(18 * PAGE));
    m.run(space.fault(va + 3 * PAGE, READ));
    expect(m.run(madvise(space, va, 20 * PAGE, Advice.WILLNEED))).toBe(Errno.OK);
    m.sched.pump();
    expect(file.object.pageCount).toBe(18);
    expect(m.pages.busyCount()).toBe(0);
    m.finish();
  });

  test("DONTNEED makes pages the first to go, and FREE forgets anonymous ones only", () => {
    const { m, file, space, va, store, load } = bench();
    store(va, 3);
    const frame = file.object.lookup(0);
    expect(m.run(madvise(space, va, PAGE, Advice.DONTNEED))).toBe(Errno.OK);
    expect(m.pages.describe(frame)).toContain("inactive");
    expect(isReferenced(m.mem, frame)).toBe(false);
    expect(m.run(madvise(space, va, PAGE, Advice.FREE))).toBe(Errno.OK);
    expect(load(va)).toEqual([3]);
    for (const way of [PRIVATE, SHARED]) {
      const at = space.mmap({ length: 3 * PAGE, prot: RW, flags: way | ANON });
      for (let i = 0; i < 3; i++) store(at + i * PAGE, 10 + i);
      expect(m.run(madvise(space, at + PAGE, PAGE, Advice.FREE))).toBe(Errno.OK);
      expect([0, 1, 2].map((i) => load(at + i * PAGE)[0])).toEqual([10, 0, 12]);
    }
    m.finish();
  });

  test("splits entries, and joins them when the advice is the same again", () => {
    const { m, space, va } = bench();
    m.run(madvise(space, va + PAGE, 2 * PAGE, Advice.RANDOM));
    expect(space.map.entries.map((e) => e.advice)).toEqual([0, 1, 0]);
    m.run(madvise(space, va, 16 * PAGE, Advice.RANDOM));
    expect(space.map.entries.length).toBe(1);
    expect(m.run(madvise(space, va, PAGE, 5 as Advice))).toBe(Errno.EINVAL);
    expect(m.run(madvise(space, va + 15 * PAGE, 2 * PAGE, Advice.RANDOM))).toBe(Errno.ENOMEM);
    m.finish();
  });
});

describe("check notices", () => {
  test("a mapping outside of every entry, and one with too many rights", () => {
    const { file, space, va, load } = bench(SHARED, 2, READ);
    load(va);
    space.check();
    space.pmap.enter(va, file.object.lookup(0), RW);
    expect(() => space.check()).toThrow(Panic);
    space.pmap.protect(va, PAGE, READ);
    space.pmap.enter(va + 2 * PAGE, file.object.lookup(0), READ);
    expect(() => space.check()).toThrow("is mapped");
    space.pmap.remove(va + 2 * PAGE, PAGE);
    space.check();
  });

  test("that a space is given up which has wired pages", () => {
    const { m, space, va } = bench();
    m.run(space.wire(va, PAGE, READ));
    expect(() => space.free()).toThrow("wired");
  });
});
