/** Faults: what is mapped when, with which rights, who is asked, and what fails how. */
import { Errno, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { Prot, PTE_PROT } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import type { Vmspace } from "../src/index.ts";
import { Advice, MapFlag, madvise, PageTag, Pg, Pgo, WINDOW_MOST } from "../src/index.ts";
import type { ToyFile } from "./toy.ts";
import { ToyMachine } from "./toy.ts";

const { READ, WRITE } = Prot;
const RW = READ | WRITE;
const { SHARED, PRIVATE, ANON } = MapFlag;
const PAGE = PAGE_SIZE;

/** A file of `pages` pages and a space that maps all of it. */
function bench(flags: MapFlag, pages = 16, prot: Prot = RW) {
  const m = new ToyMachine(64);
  const file = m.file(pages);
  const space = m.space();
  const va = space.mmap({ length: pages * PAGE, prot, flags, object: file.object });
  return { m, file, space, va };
}

const rights = (space: Vmspace, va: number) => space.pmap.pteAt(va) & PTE_PROT;
const mapped = (space: Vmspace, va: number, pages: number) =>
  Array.from({ length: pages }, (_, i) => rights(space, va + i * PAGE));

function load(m: ToyMachine, space: Vmspace, va: number, length = 8): Uint8Array {
  const bytes = new Uint8Array(length);
  expect(m.run(space.read(va, bytes))).toBe(Errno.OK);
  return bytes;
}

function store(m: ToyMachine, space: Vmspace, va: number, ...bytes: number[]): Errno {
  return m.run(space.write(va, Uint8Array.from(bytes)));
}

const sync = (m: ToyMachine, file: ToyFile) => m.run(file.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO));

describe("a shared mapping of a file", () => {
  test("reads what the file has, over page borders", () => {
    const { m, file, space, va } = bench(SHARED);
    expect(load(m, space, va + 2 * PAGE - 100, 3 * PAGE)).toEqual(
      file.disk.slice(2 * PAGE - 100, 5 * PAGE - 100),
    );
    expect([file.reads, space.faults]).toEqual([4, 4]);
    m.finish();
  });

  test("maps a clean page for reading only, and makes it dirty when it is written to", () => {
    const { m, file, space, va } = bench(SHARED);
    load(m, space, va);
    const frame = file.object.lookup(0);
    expect(rights(space, va)).toBe(READ);
    expect(file.object.isTagged(PageTag.DIRTY, 0)).toBe(false);
    store(m, space, va, 1, 2, 3);
    expect(rights(space, va)).toBe(RW);
    expect(m.pages.flags(frame) & Pg.CLEAN).toBe(0);
    expect(file.object.isTagged(PageTag.DIRTY, 0)).toBe(true);
    m.pages.check();
    sync(m, file);
    expect([...file.disk.subarray(0, 3)]).toEqual([1, 2, 3]);
    m.finish();
  });

  test("faults again when a page that was cleaned is written to", () => {
    const { m, file, space, va } = bench(SHARED);
    store(m, space, va, 1);
    sync(m, file);
    expect(rights(space, va)).toBe(READ);
    expect(file.object.isTagged(PageTag.DIRTY, 0)).toBe(false);
    const before = space.faults;
    store(m, space, va, 2);
    expect(space.faults).toBe(before + 1);
    sync(m, file);
    expect(file.disk[0]).toBe(2);
    m.finish();
  });

  test("lets a read fault write where the page is dirty already", () => {
    const { m, file, space, va } = bench(SHARED);
    const other = m.space();
    const there = other.mmap({ length: PAGE, prot: RW, flags: SHARED, object: file.object });
    store(m, space, va, 9);
    expect(load(m, other, there, 1)[0]).toBe(9);
    expect(rights(other, there)).toBe(RW);
    m.pages.check();
    m.finish();
  });

  test("is seen by all spaces at once", () => {
    const { m, file, space, va } = bench(SHARED);
    const other = m.space();
    const there = other.mmap({
      length: 2 * PAGE,
      prot: RW,
      flags: SHARED,
      object: file.object,
      offset: PAGE,
    });
    store(m, space, va + PAGE + 7, 77);
    expect(load(m, other, there + 7, 1)[0]).toBe(77);
    store(m, other, there + 8, 78);
    expect(load(m, space, va + PAGE + 8, 1)[0]).toBe(78);
    expect(file.mappedForWriting).toBe(true);
    m.finish();
  });

  test("allocates a hole's blocks before it is written to, not when it is read", () => {
    const { m, file, space, va } = bench(SHARED);
    file.holes.add(3);
    expect(load(m, space, va + 3 * PAGE, 4)).toEqual(new Uint8Array(4));
    const frame = file.object.lookup(3);
    expect(m.pages.flags(frame) & Pg.RDONLY).toBe(Pg.RDONLY);
    expect([rights(space, va + 3 * PAGE), file.holes.size]).toEqual([READ, 1]);
    file.allocError = Errno.ENOSPC;
    expect(store(m, space, va + 3 * PAGE, 1)).toBe(Errno.ENOSPC);
    expect(space.faultReason).toBe("object");
    expect(rights(space, va + 3 * PAGE)).toBe(READ);
    file.allocError = Errno.OK;
    expect(store(m, space, va + 3 * PAGE, 1)).toBe(Errno.OK);
    expect([rights(space, va + 3 * PAGE), file.holes.size]).toEqual([RW, 0]);
    m.finish();
  });
});

describe("a private mapping of a file", () => {
  test("copies a page when it is written to, and the file does not change", () => {
    const { m, file, space, va } = bench(PRIVATE);
    const before = load(m, space, va, PAGE);
    const old = space.pmap.frameAt(va);
    store(m, space, va + 5, 200);
    expect(space.pmap.frameAt(va)).not.toBe(old);
    expect(space.copies).toBe(1);
    before[5] = 200;
    expect(load(m, space, va, PAGE)).toEqual(before);
    sync(m, file);
    expect(file.disk[5]).not.toBe(200);
    expect(file.mappedForWriting).toBe(false);
    m.finish();
  });

  test("sees the file's changes until then, and its own page after a truncation", () => {
    const { m, file, space, va } = bench(PRIVATE);
    const other = m.space();
    const there = other.mmap({ length: PAGE, prot: RW, flags: SHARED, object: file.object });
    load(m, space, va);
    store(m, other, there, 1);
    expect(load(m, space, va, 1)[0]).toBe(1);
    store(m, space, va + 1, 5);
    store(m, other, there, 2);
    expect([...load(m, space, va, 2)]).toEqual([1, 5]);
    m.run(file.truncate(0));
    expect([...load(m, space, va, 2)]).toEqual([1, 5]);
    m.finish();
  });

  test("never gets a writable mapping of the file's page", () => {
    const { m, file, space, va } = bench(PRIVATE);
    const other = m.space();
    const there = other.mmap({ length: PAGE, prot: RW, flags: SHARED, object: file.object });
    store(m, other, there, 1); // dirty now
    load(m, space, va);
    expect(rights(space, va)).toBe(READ);
    m.finish();
  });
});

describe("anonymous memory", () => {
  for (const [name, way] of [
    ["private", PRIVATE],
    ["shared", SHARED],
  ] as const) {
    test(`is zeroes at first, and keeps what is stored (${name})`, () => {
      const m = new ToyMachine(64);
      const space = m.space();
      const va = space.mmap({ length: 10 * PAGE, prot: RW, flags: way | ANON });
      const dirty = m.mem.allocFrame();
      m.mem.bytes(dirty).fill(0xee, m.mem.byteOffset(dirty), m.mem.byteOffset(dirty) + PAGE);
      m.mem.freeFrame(dirty);
      expect(load(m, space, va, 3 * PAGE)).toEqual(new Uint8Array(3 * PAGE));
      store(m, space, va + PAGE - 1, 1, 2);
      expect([...load(m, space, va + PAGE - 2, 4)]).toEqual([0, 1, 2, 0]);
      expect(m.pages.resident).toBe(3);
      expect(space.munmap(va, PAGE)).toBe(Errno.OK);
      expect([...load(m, space, va + PAGE, 1)]).toEqual([2]);
      expect(m.pages.resident).toBe(way === PRIVATE ? 2 : 3);
      m.finish();
    });
  }

  test("that is out of memory is ENOMEM when there is a daemon to say so", () => {
    const m = new ToyMachine(64);
    const daemon = m.daemon();
    const space = m.space();
    const va = space.mmap({ length: 128 * PAGE, prot: RW, flags: PRIVATE | ANON });
    const error = m.run(space.write(va, new Uint8Array(128 * PAGE).fill(1)));
    expect(error).toBe(Errno.ENOMEM);
    expect(space.faultReason).toBe("memory");
    expect(daemon.givenUp).toBe(1);
    expect(m.pages.resident).toBeGreaterThan(55);
    m.finish();
  });
});

describe("neighbours", () => {
  /** Resident pages of the file: all. */
  function warm(advice: Advice) {
    const b = bench(SHARED, 24);
    const all = b.m.space();
    const there = all.mmap({ length: 24 * PAGE, prot: READ, flags: SHARED, object: b.file.object });
    load(b.m, all, there, 24 * PAGE);
    expect(b.m.run(madvise(b.space, b.va, 24 * PAGE, advice))).toBe(Errno.OK);
    return b;
  }
  const CASES = [
    { name: "NORMAL: 3 before and 4 after", advice: Advice.NORMAL, back: 3, ahead: 4 },
    { name: "RANDOM: none", advice: Advice.RANDOM, back: 0, ahead: 0 },
    { name: "SEQUENTIAL: 8 before and 7 after", advice: Advice.SEQUENTIAL, back: 8, ahead: 7 },
  ];
  for (const { name, advice, back, ahead } of CASES) {
    test(`that are resident are mapped for reading, ${name}`, () => {
      const { m, space, va } = warm(advice);
      store(m, space, va + 10 * PAGE, 1);
      const expected = mapped(space, va, 24).map((_, i) => {
        if (i === 10) return RW;
        return i >= 10 - back && i <= 10 + ahead ? READ : 0;
      });
      expect(mapped(space, va, 24)).toEqual(expected);
      expect(back + ahead + 1).toBeLessThanOrEqual(WINDOW_MOST);
      expect(m.pages.busyCount()).toBe(0);
      m.finish();
    });
  }

  test("are not taken from beyond the entry, nor from the file where the map has its own", () => {
    const { m, file, space } = warm(Advice.NORMAL);
    const va = space.mmap({ length: 4 * PAGE, prot: RW, flags: PRIVATE, object: file.object });
    store(m, space, va + PAGE, 123);
    const own = space.pmap.frameAt(va + PAGE);
    space.pmap.remove(va, 4 * PAGE);
    load(m, space, va);
    expect(space.pmap.frameAt(va + PAGE)).toBe(NO_FRAME);
    expect(load(m, space, va + PAGE, 1)[0]).toBe(123);
    expect(space.pmap.frameAt(va + PAGE)).toBe(own);
    space.check();
    m.finish();
  });

  test("that a sequential reader left behind are inactive", () => {
    const { m, file, space, va } = warm(Advice.SEQUENTIAL);
    load(m, space, va, PAGE);
    load(m, space, va + 12 * PAGE, 1);
    const queue = (page: number) => m.pages.describe(file.object.lookup(page)).split(", ").at(-1);
    expect([3, 4, 11, 12].map(queue)).toEqual(["active)", "inactive)", "inactive)", "active)"]);
    m.finish();
  });
});

describe("a fault fails", () => {
  const CASES: [string, Errno, string, (b: ReturnType<typeof bench>) => Errno][] = [
    [
      "where nothing is mapped",
      Errno.EFAULT,
      "unmapped",
      ({ m, space }) => store(m, space, 2 ** 40, 1),
    ],
    ["at address 0", Errno.EFAULT, "unmapped", ({ m, space }) => m.run(space.fault(0, READ))],
    [
      "above the last address",
      Errno.EFAULT,
      "unmapped",
      ({ m, space }) => m.run(space.fault(2 ** 47, READ)),
    ],
    [
      "for an access that the mapping has no right for",
      Errno.EFAULT,
      "rights",
      ({ m, space, va }) => {
        expect(space.mprotect(va, PAGE, READ)).toBe(Errno.OK);
        return store(m, space, va, 1);
      },
    ],
    [
      "beyond the end of the file",
      Errno.EFAULT,
      "beyond",
      ({ m, file, space, va }) => {
        m.run(file.truncate(5 * PAGE + 1));
        load(m, space, va + 5 * PAGE);
        return store(m, space, va + 6 * PAGE, 1);
      },
    ],
    [
      "when the page cannot be read",
      Errno.EIO,
      "object",
      ({ m, file, space, va }) => {
        file.readError = Errno.EIO;
        return m.run(space.fault(va, READ));
      },
    ],
  ];
  test.each(CASES)("%s", (_name, error, reason, act) => {
    const b = bench(SHARED);
    expect(act(b)).toBe(error);
    expect(b.space.faultReason).toBe(reason);
    expect(b.m.pages.busyCount()).toBe(0);
    b.file.readError = Errno.OK;
    load(b.m, b.space, b.va + PAGE); // elsewhere
    expect(b.space.faultReason).toBe("none");
    b.m.finish();
  });
});

describe("a fault that slept looks again", () => {
  test("and finds the mapping gone", () => {
    const { m, file, space, va } = bench(SHARED, 1);
    const results: Errno[] = [];
    m.sched.spawn(
      "reader",
      (function* () {
        results.push(yield* space.fault(va, READ));
      })(),
    );
    m.sched.step(); // it waits for the page
    expect(space.munmap(va, PAGE)).toBe(Errno.OK);
    expect(file.references).toBe(1); // the object stays while its pager is at work
    m.sched.pump();
    expect(results).toEqual([Errno.EFAULT]);
    expect(space.pmap.residentCount).toBe(0);
    m.finish();
  });

  test("and maps another object that took its place", () => {
    const { m, space, va } = bench(SHARED);
    const other = m.file(4, 99);
    m.sched.spawn("reader", space.fault(va, READ));
    m.sched.step();
    space.mmap({
      length: PAGE,
      prot: RW,
      flags: SHARED | MapFlag.FIXED,
      object: other.object,
      addr: va,
    });
    m.sched.pump();
    expect(space.pmap.frameAt(va)).toBe(other.object.lookup(0));
    m.finish();
  });

  test("and does not map a page that was released meanwhile", () => {
    const { m, file, space, va } = bench(SHARED);
    m.sched.spawn("reader", space.fault(va, READ));
    m.sched.step();
    m.pages.setFlags(file.object.lookup(0), Pg.RELEASED);
    m.sched.pump();
    expect(load(m, space, va)).toEqual(file.disk.slice(0, 8));
    expect(file.reads).toBe(2);
    m.finish();
  });

  test("and waits for a page that is busy", () => {
    const { m, file, space, va } = bench(SHARED);
    load(m, space, va);
    space.pmap.remove(va, PAGE);
    const frame = file.object.lookup(0);
    m.pages.setFlags(frame, Pg.BUSY);
    const done: number[] = [];
    m.sched.spawn(
      "reader",
      (function* () {
        done.push(yield* space.fault(va, READ));
      })(),
    );
    m.sched.pump();
    expect(done).toEqual([]);
    m.pages.unbusy(frame);
    m.sched.pump();
    expect(done).toEqual([Errno.OK]);
    m.finish();
  });
});
