/**
 * All mappings of a frame: each function by hand, and broken structures that `check` has to find.
 */
import { Errno, PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Enter, Prot, PTE_PROT, Pte, RadixTable, VA_LIMIT } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import { BANKS_24, bench, expectErrno, expectPanic, RW } from "./fixture.ts";

const { WIRED, UNCACHED, WRITE_COMBINING } = Enter;
const READ = Prot.READ;
const TOP_PAGE = VA_LIMIT - PAGE_SIZE;

function pair() {
  const b = bench({ banks: BANKS_24 });
  const [one, two] = [b.pmaps.create("one"), b.pmaps.create("two")];
  return { b, mem: b.mem, pmaps: b.pmaps, one, two, kernel: b.pmaps.kernel };
}

const rights = (pmap: Pmap, va: number) => pmap.pteAt(va) & PTE_PROT;

describe("pmaps", () => {
  test("have names, ids of their own and an order, and the kernel's is the first", () => {
    const { pmaps, one, two, kernel } = pair();
    expect(pmaps.all()).toEqual([kernel, one, two]);
    expect([kernel.name, one.name, new Set(pmaps.all().map((p) => p.id)).size]).toEqual([
      "kernel",
      "one",
      3,
    ]);
    pmaps.destroy(one);
    expect(pmaps.all()).toEqual([kernel, two]);
    expect(pmaps.create("three").id).not.toBe(one.id);
  });

  test("are destroyed once, empty, and never the kernel's", () => {
    const { b, pmaps, one, kernel } = pair();
    one.enter(0, b.frame(), RW);
    expectPanic(() => pmaps.destroy(one), "one", "1 pages are mapped");
    one.remove(0, PAGE_SIZE);
    pmaps.destroy(one);
    expectPanic(() => pmaps.destroy(one), "destroyed twice");
    expectPanic(() => pmaps.destroy(kernel), "kernel");
    expectPanic(() => pmaps.destroy(pair().two), "not of this machine");
  });

  test("of two machines do not touch each other", () => {
    const [a, z] = [pair(), pair()];
    const frame = a.b.frame();
    expect(z.b.frame()).toBe(frame);
    a.one.enter(0x1000, frame, RW);
    a.two.enter(0x1000, frame, RW);
    z.one.enter(0x1000, frame, READ, WIRED);
    expect([a.pmaps.mappings(frame), z.pmaps.mappings(frame)]).toEqual([2, 1]);
    a.pmaps.pageProtect(frame, Prot.NONE);
    expect([z.one.pteAt(0x1000), z.pmaps.pv.count]).toEqual([READ | WIRED | Pte.MANAGED, 1]);
    z.one.access(0x1000, READ);
    expect(a.mem.section(frame).pmapBits[frame & ROW_MASK]).toBe(0);
  });
});

describe("enter and kenter", () => {
  const cases = [
    { how: "enter", flags: 0, pte: RW | Pte.MANAGED, mappings: 1, wired: 0 },
    { how: "enter", flags: WIRED, pte: RW | Pte.MANAGED | WIRED, mappings: 1, wired: 1 },
    { how: "enter", flags: UNCACHED, pte: RW | Pte.MANAGED | UNCACHED, mappings: 1, wired: 0 },
    { how: "kenter", flags: 0, pte: RW | WIRED, mappings: 0, wired: 1 },
    { how: "kenter", flags: WIRED, pte: RW | WIRED, mappings: 0, wired: 1 },
    {
      how: "kenter",
      flags: WRITE_COMBINING,
      pte: RW | WIRED | WRITE_COMBINING,
      mappings: 0,
      wired: 1,
    },
  ] as const;
  for (const { how, flags, pte, mappings, wired } of cases) {
    test(`${how} with flags ${flags}: entry ${pte}, ${mappings} mappings on the list`, () => {
      const { b, pmaps, one } = pair();
      const frame = b.frame();
      one[how](TOP_PAGE, frame, RW, flags);
      expect([one.pteAt(TOP_PAGE), pmaps.mappings(frame), one.wiredCount]).toEqual([
        pte,
        mappings,
        wired,
      ]);
      expect(pmaps.wiredMappings(frame)).toBe(mappings * wired);
      expect(pmaps.isWriteMapped(frame)).toBe(mappings === 1);
    });
  }

  test("enter of the same frame changes rights and flags, and stays one mapping", () => {
    const { b, pmaps, one } = pair();
    const frame = b.frame();
    one.enter(0x1000, frame, RW, WIRED | UNCACHED);
    one.enter(0x1000, frame, READ, WRITE_COMBINING);
    expect(one.pteAt(0x1000)).toBe(READ | WRITE_COMBINING | Pte.MANAGED);
    expect([one.residentCount, one.wiredCount, pmaps.mappings(frame)]).toEqual([1, 0, 1]);
    one.enter(0x1000, frame, READ, WIRED);
    expect([one.wiredCount, pmaps.wiredMappings(frame)]).toEqual([1, 1]);
  });

  test("a mapping becomes managed and unmanaged again when its frame stays", () => {
    const { b, pmaps, one } = pair();
    const frame = b.frame();
    one.kenter(0x1000, frame, RW);
    one.enter(0x1000, frame, READ);
    expect([pmaps.mappings(frame), one.wiredCount, one.residentCount]).toEqual([1, 0, 1]);
    one.kenter(0x1000, frame, RW);
    expect([pmaps.mappings(frame), one.wiredCount, one.residentCount]).toEqual([0, 1, 1]);
  });

  test("another frame replaces one that is not wired, and is EBUSY where one is", () => {
    const { b, pmaps, one } = pair();
    const [first, second] = [b.frame(), b.frame()];
    one.enter(0x1000, first, RW, WIRED);
    one.kenter(0x2000, first, RW);
    for (const va of [0x1000, 0x2000]) {
      const before = [one.pteAt(va), first, pmaps.mappings(second)];
      expectErrno(() => one.enter(va, second, RW), Errno.EBUSY, `frame ${first} is wired`);
      expectErrno(() => one.kenter(va, second, RW), Errno.EBUSY, `frame ${first} is wired`);
      expect([one.pteAt(va), one.frameAt(va), pmaps.mappings(second)]).toEqual(before);
      one.unwire(va, PAGE_SIZE);
      one.enter(va, second, READ);
      expect([one.frameAt(va), rights(one, va)]).toEqual([second, READ]);
    }
    expect([pmaps.mappings(first), pmaps.mappings(second), one.wiredCount]).toEqual([0, 2, 0]);
    one.kenter(0x1000, first, RW);
    expect([one.frameAt(0x1000), pmaps.mappings(second)]).toEqual([first, 1]);
  });
});

describe("a frame that is mapped in three places", () => {
  /** Managed in `one` at 0x1000 (rw, wired) and at the top (r), in `two` (rw); unmanaged in the kernel. */
  function shared() {
    const m = pair();
    const [frame, neighbour] = [m.b.frame(), m.b.frame()];
    m.one.enter(0x1000, frame, RW, WIRED);
    m.one.enter(TOP_PAGE, frame, READ);
    m.two.enter(0x1000, frame, RW);
    m.kernel.kenter(0x5000, frame, RW);
    m.one.enter(0x2000, neighbour, RW);
    return { ...m, frame, neighbour };
  }

  test("is counted: mappings, wired ones, writable ones", () => {
    const { pmaps, one, frame, neighbour } = shared();
    expect([pmaps.mappings(frame), pmaps.wiredMappings(frame)]).toEqual([3, 1]);
    expect([pmaps.mappings(neighbour), pmaps.wiredMappings(neighbour)]).toEqual([1, 0]);
    expect([pmaps.isWriteMapped(frame), pmaps.pv.count, one.residentCount]).toEqual([true, 4, 3]);
  });

  test("loses the right to be written everywhere, except where the kernel entered it", () => {
    const { pmaps, one, two, kernel, frame, neighbour } = shared();
    pmaps.pageProtect(frame, READ | Prot.EXECUTE);
    expect([rights(one, 0x1000), rights(one, TOP_PAGE), rights(two, 0x1000)]).toEqual([1, 1, 1]);
    expect([rights(kernel, 0x5000), rights(one, 0x2000)]).toEqual([RW, RW]);
    expect([pmaps.isWriteMapped(frame), pmaps.isWriteMapped(neighbour)]).toEqual([false, true]);
    expect([pmaps.mappings(frame), one.wiredCount]).toEqual([3, 1]);
  });

  test("is unmapped everywhere, except where the kernel entered it", () => {
    const { pmaps, one, two, kernel, frame, neighbour } = shared();
    pmaps.pageProtect(frame, Prot.NONE);
    expect([one.frameAt(0x1000), one.frameAt(TOP_PAGE), two.frameAt(0x1000)]).toEqual([-1, -1, -1]);
    expect([kernel.frameAt(0x5000), one.frameAt(0x2000)]).toEqual([frame, neighbour]);
    expect([one.residentCount, one.wiredCount, two.residentCount]).toEqual([1, 0, 0]);
    expect([pmaps.mappings(frame), pmaps.pv.count]).toEqual([0, 1]);
  });

  test("is unmapped where no right is left, and kept elsewhere", () => {
    const { pmaps, one, two, frame } = shared();
    pmaps.pageProtect(frame, Prot.WRITE);
    expect([one.frameAt(TOP_PAGE), rights(one, 0x1000), rights(two, 0x1000)]).toEqual([-1, 2, 2]);
    expect(pmaps.mappings(frame)).toBe(2);
  });

  test("gets another cache attribute everywhere, except where the kernel entered it", () => {
    const { pmaps, one, two, kernel, frame } = shared();
    const attrs = () =>
      [one.pteAt(0x1000), one.pteAt(TOP_PAGE), two.pteAt(0x1000), kernel.pteAt(0x5000)].map(
        (pte) => pte & (UNCACHED | WRITE_COMBINING),
      );
    pmaps.setAttr(frame, UNCACHED);
    expect(attrs()).toEqual([UNCACHED, UNCACHED, UNCACHED, 0]);
    pmaps.setAttr(frame, WRITE_COMBINING);
    expect(attrs()).toEqual([WRITE_COMBINING, WRITE_COMBINING, WRITE_COMBINING, 0]);
    pmaps.setAttr(frame, 0);
    expect(attrs()).toEqual([0, 0, 0, 0]);
    expect(one.pteAt(0x1000)).toBe(RW | WIRED | Pte.MANAGED);
  });
});

describe("ranges", () => {
  /** Pages 0, 1 and 3 of a range that crosses from one leaf, middle and top entry into the next. */
  const base = 2 ** 34 - PAGE_SIZE;
  function range() {
    const m = pair();
    for (const i of [0, 1, 3]) m.one.enter(base + i * PAGE_SIZE, m.b.frame(), RW, WIRED);
    return m;
  }
  const ptes = (pmap: Pmap) => [0, 1, 2, 3].map((i) => pmap.pteAt(base + i * PAGE_SIZE));

  test("remove skips what is not mapped and takes nothing beyond", () => {
    const { one } = range();
    one.remove(base + PAGE_SIZE, 2 * PAGE_SIZE);
    expect(ptes(one).map((pte) => pte !== 0)).toEqual([true, false, false, true]);
    one.remove(base, 0);
    expect([one.residentCount, one.wiredCount]).toEqual([2, 2]);
    one.remove(0, VA_LIMIT);
    expect([one.residentCount, one.wiredCount]).toEqual([0, 0]);
  });

  test("protect takes rights and never gives any", () => {
    const { one } = range();
    one.protect(base, 2 * PAGE_SIZE, READ);
    one.protect(base, 4 * PAGE_SIZE, RW | Prot.EXECUTE);
    expect(ptes(one).map((pte) => pte & PTE_PROT)).toEqual([READ, READ, 0, RW]);
    one.protect(base, 4 * PAGE_SIZE, Prot.WRITE);
    expect(ptes(one).map((pte) => pte & PTE_PROT)).toEqual([0, 0, 0, Prot.WRITE]);
    one.protect(base, 4 * PAGE_SIZE, Prot.NONE);
    expect([one.residentCount, one.wiredCount]).toEqual([0, 0]);
  });

  test("unwire needs every page to be wired", () => {
    const { b, one } = range();
    one.unwire(base, 2 * PAGE_SIZE);
    expect(one.wiredCount).toBe(1);
    expectPanic(() => one.unwire(base, PAGE_SIZE), "one", "not wired", "MANAGED");
    expectPanic(() => one.unwire(base + 2 * PAGE_SIZE, PAGE_SIZE), "not wired");
    b.pmaps.check();
  });

  test("changeAttr keeps rights and wiring, and needs every page to be mapped", () => {
    const { one } = range();
    one.changeAttr(base, 2 * PAGE_SIZE, UNCACHED);
    const wired = RW | WIRED | Pte.MANAGED;
    expect(ptes(one)).toEqual([wired | UNCACHED, wired | UNCACHED, 0, wired]);
    one.changeAttr(base, 2 * PAGE_SIZE, 0);
    expect(ptes(one)).toEqual([wired, wired, 0, wired]);
    expectPanic(() => one.changeAttr(base + 2 * PAGE_SIZE, PAGE_SIZE, UNCACHED), "not mapped");
  });
});

// ---- planted faults

describe("check finds", () => {
  /** Two frames, the first mapped twice. `table` is that of the pmap `mine`. */
  function planted() {
    const { b, mem, pmaps, one } = pair();
    b.broken = true;
    const table = new RadixTable();
    const mine = pmaps.create("mine", table);
    const [frame, other] = [b.frame(), b.frame()];
    one.enter(0x1000, frame, RW);
    mine.enter(0x1000, frame, RW, WIRED);
    mine.enter(0x2000, other, RW);
    pmaps.check();
    const head = (f: number) => mem.section(f).pv[f & ROW_MASK];
    const setHead = (f: number, row: number) => (mem.section(f).pv[f & ROW_MASK] = row);
    return { b, mem, pmaps, one, mine, table, frame, other, head, setHead };
  }

  const faults: { name: string; words: string; plant: (p: ReturnType<typeof planted>) => void }[] =
    [
      {
        name: "a list that was lost",
        words: "not once on the pv list",
        plant: ({ setHead, frame }) => setHead(frame, -1),
      },
      {
        name: "a list without its first row",
        words: "not once on the pv list",
        plant: ({ pmaps, setHead, head, frame }) => setHead(frame, pmaps.pv.next(head(frame))),
      },
      {
        name: "two lists that were exchanged",
        words: "not once on the pv list",
        plant: ({ setHead, head, frame, other }) => {
          const row = head(frame);
          setHead(frame, head(other));
          setHead(other, row);
        },
      },
      {
        name: "a row that is there twice",
        words: "not once on the pv list",
        plant: ({ pmaps, mine, other }) => pmaps.pv.insert(other, mine.id, 0, 2),
      },
      {
        name: "a row of a mapping that is none",
        words: "3 managed mappings, 4 on pv lists",
        plant: ({ pmaps, mine, other }) => pmaps.pv.insert(other, mine.id, 0, 7),
      },
      {
        name: "a wrong number of rows",
        words: "on pv lists",
        plant: ({ pmaps }) => pmaps.pv.count--,
      },
      {
        name: "a wrong resident count",
        words: "2 pages, 1 wired; counted 3, 1",
        plant: ({ mine }) => mine.residentCount++,
      },
      {
        name: "a wrong wired count",
        words: "2 pages, 1 wired; counted 2, 0",
        plant: ({ mine }) => mine.wiredCount--,
      },
      {
        name: "a mapping that vanished from the table",
        words: "1 pages, 1 wired; counted 2, 1",
        plant: ({ table }) => table.clear(0, 2),
      },
      {
        name: "a mapping that nobody entered",
        words: "3 pages, 1 wired; counted 2, 1",
        plant: ({ table, frame }) => table.set(2 ** 27 - 1, 511, frame, RW),
      },
      {
        name: "a mapping of another frame than the list says",
        words: "not once on the pv list",
        plant: ({ table, frame }) => table.set(0, 2, frame, RW | Pte.MANAGED),
      },
      {
        name: "a mapping without rights",
        words: "mapped without rights",
        plant: ({ table }) => table.setPte(0, 2, Pte.MANAGED),
      },
      {
        name: "a mapping that forgot that it is managed",
        words: "2 managed mappings, 3 on pv lists",
        plant: ({ table }) => table.setPte(0, 2, RW),
      },
      {
        name: "a mapping that forgot that it is wired",
        words: "2 pages, 0 wired; counted 2, 1",
        plant: ({ table }) => table.setPte(0, 1, RW | Pte.MANAGED),
      },
      {
        name: "a frame that was freed while it was mapped",
        words: "is not allocated",
        plant: ({ b, setHead, other }) => {
          setHead(other, -1); // physmem frees no frame that has a list
          b.free(other);
        },
      },
    ];
  for (const { name, words, plant } of faults) {
    test(name, () => {
      const p = planted();
      plant(p);
      expectPanic(() => p.pmaps.check(), words);
    });
  }

  test("nothing wrong with rows that were used and freed", () => {
    const { b, pmaps, one } = pair();
    const frame = b.frame();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 200; i++) one.enter(i * PAGE_SIZE, frame, RW);
      pmaps.check();
      one.remove(0, 100 * PAGE_SIZE);
      pmaps.check();
      pmaps.pageProtect(frame, Prot.NONE);
      pmaps.check();
    }
  });
});

test("a mapping that is on no list cannot be taken off it", () => {
  const { b, pmaps, one } = pair();
  const frame = b.frame();
  one.enter(0x1000, frame, RW);
  expectPanic(() => pmaps.pv.remove(frame, one.id, 0, 2), `frame ${frame}`, "page 2");
  expectPanic(() => pmaps.pv.remove(frame, one.id, 1, 1), `frame ${frame}`, "page 513");
  expectPanic(() => pmaps.pv.remove(frame, one.id + 1, 0, 1), `frame ${frame}`, "page 1");
  pmaps.check();
});

test("questions about a frame that is not allocated panic", () => {
  const { b, pmaps } = pair();
  const free = b.frame();
  b.free(free);
  for (const frame of [free, -1, 10_000_000, 0.5, Number.NaN]) {
    expectPanic(() => pmaps.mappings(frame), `frame ${frame}`);
    expectPanic(() => pmaps.wiredMappings(frame), `frame ${frame}`);
    expectPanic(() => pmaps.isWriteMapped(frame), `frame ${frame}`);
    expectPanic(() => pmaps.pageProtect(frame, READ), `frame ${frame}`);
    expectPanic(() => pmaps.setAttr(frame, UNCACHED));
  }
});
