/**
 * Each named decision by itself: what genfs_io.c 1.18 does and what we do, on a machine that is `fixed` in
 * everything else. `true` (or "list") is the seed's.
 */
import { UioRw } from "@physio/carriers";
import { Errno, KiB, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import type { PageSemantics } from "@physio/uvm";
import { DONTCARE, MapFlag, PageRequest, Pg, Pgo, Vmspace } from "@physio/uvm";
import { IoFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import type { GenfsDecisions } from "../src/index.ts";
import { FIXED, SEED } from "../src/index.ts";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, FileMachine } from "./file-machine.ts";

const PAGE = PAGE_SIZE;
const { CLEANIT, FREE, SYNCIO, OVERWRITE, PASTEOF, BUSYFAIL, RECLAIM, ALLPAGES } = Pgo;

/** A file of four pages on the disk, unless `more` says otherwise. */
function file(decisions: Partial<GenfsDecisions>, more: FileMachineOptions = {}): FileMachine {
  const m = new FileMachine({
    size: 4 * PAGE,
    map: [0, 1, 2, 3],
    ...more,
    decisions: { ...FIXED, ...decisions },
  });
  m.fillDisk(1);
  return m;
}

function request(index: number, count: number, flags: Pgo, write = false): PageRequest {
  const asked = new PageRequest(count);
  Object.assign(asked, { offset: index * PAGE, count, flags, write });
  return asked;
}

function giveBack(m: FileMachine, asked: PageRequest): void {
  for (const frame of asked.pages) {
    if (frame < 0) continue;
    m.pages.activate(frame);
    m.pages.unbusy(frame);
  }
}

/** The lock of the node, held until the answer is called. */
function holdLock(m: FileMachine): () => void {
  const wanted = { describeWait: () => "the end of the test" };
  m.begin(
    (function* (): Sleeps<void> {
      yield* m.node.lock.enter(RW_WRITER);
      yield* m.sched.sleep(wanted, "hold");
      m.node.lock.exit();
    })(),
  );
  return () => m.sched.wakeup(wanted);
}

/** Pages 0 and 1, mapped for writing and dirty. @returns the space, to be freed. */
function mapTwo(m: FileMachine): Vmspace {
  const space = new Vmspace({ pages: m.pages, name: "mapping" });
  const prot = Prot.READ | Prot.WRITE;
  const { object } = m.vp;
  const va = space.mmap({ length: 2 * PAGE, prot, flags: MapFlag.SHARED, object });
  for (const page of [0, 1])
    expect(m.run(space.write(va + page * PAGE, Uint8Array.of(9)))).toBe(Errno.OK);
  return space;
}

type Scenario<K extends keyof GenfsDecisions> = (value: GenfsDecisions[K]) => unknown;

/** What is seen with the seed's choice and with ours. */
const SCENARIOS: { [K in keyof GenfsDecisions]: readonly [Scenario<K>, unknown, unknown] } = {
  walk: [
    (walk) => {
      const map = Array.from({ length: 8 }, (_, i) => i);
      const m = file({ walk }, { semantics: "seed", size: 8 * PAGE, map });
      for (const page of [6, 0, 3]) m.run(m.write(page * PAGE, bytesOf(2, page * PAGE, PAGE)));
      m.log.splice(0);
      expect(m.run(m.put(0, 0, CLEANIT | SYNCIO))).toBe(Errno.OK);
      const order = m.takeLog(true).map(([block]) => block);
      m.finish();
      return order;
    },
    [6, 0, 3],
    [0, 3, 6],
  ],
  dirtyBeforeSuccess: [
    (dirtyBeforeSuccess) => {
      const m = file({ dirtyBeforeSuccess });
      m.badBlocks.add(0);
      expect(m.run(m.vp.ops.getpages(m.vp, request(0, 1, SYNCIO, true)))).toBe(Errno.EIO);
      const dirty = m.vp.onWorklist;
      m.finish();
      return dirty;
    },
    true,
    false,
  ],
  wipesDontCare: [
    (wipesDontCare) => {
      const m = file({ wipesDontCare });
      m.run(m.read(0, PAGE));
      const release = holdLock(m);
      const asked = request(0, 2, Pgo.LOCKED);
      asked.pages[1] = DONTCARE;
      expect(m.vp.ops.getpagesNow(m.vp, asked)).toBe(Errno.EBUSY);
      release();
      m.finish();
      return [...asked.pages];
    },
    [NO_FRAME, NO_FRAME],
    [NO_FRAME, DONTCARE],
  ],
  lateJournal: [
    (lateJournal) => {
      const m = file({ lateJournal }, { journal: true, map: [0, 1, -1, 3] });
      const journal = m.mount.journal!;
      const begin = journal.begin.bind(journal);
      let locked = false;
      journal.begin = () => {
        locked ||= m.node.lock.held;
        return begin();
      };
      const asked = request(2, 1, SYNCIO, true);
      expect(m.run(m.vp.ops.getpages(m.vp, asked))).toBe(Errno.OK);
      giveBack(m, asked);
      m.finish();
      return locked;
    },
    true,
    false,
  ],
  readAheadSleeps: [
    (readAheadSleeps) => {
      const m = file({ readAheadSleeps }, { pagerPages: 8 });
      const frames = Int32Array.from({ length: 8 }, () => m.mem.allocFrame());
      const va = m.pager.tryMapIn(frames, 8);
      const answer = m.begin(m.vp.ops.getpages(m.vp, request(0, 2, 0)));
      const said = answer() ?? "asleep";
      m.pager.mapOut(va, 8);
      for (const frame of frames) m.mem.freeFrame(frame);
      m.finish();
      return said;
    },
    "asleep",
    Errno.EBUSY,
  ],
  dirtyBeforeAllocation: [
    (dirtyBeforeAllocation) => {
      const m = file({ dirtyBeforeAllocation }, { map: [-1, -1, -1, -1] });
      const asked = m.vp.ops.getpages(m.vp, request(0, 1, 0, true));
      if (dirtyBeforeAllocation) {
        expect(() => m.run(asked)).toThrow(Panic);
        return "panic";
      }
      expect(m.run(asked)).toBe(Errno.OK);
      const clean = m.pages.flags(m.vp.object.lookup(0)) & (Pg.CLEAN | Pg.RDONLY);
      m.finish();
      return clean;
    },
    "panic",
    Pg.CLEAN | Pg.RDONLY,
  ],
  overwriteKeepsClean: [
    (overwriteKeepsClean) => {
      const m = file({ overwriteKeepsClean });
      m.run(m.read(0, PAGE));
      const asked = request(0, 1, SYNCIO | OVERWRITE, true);
      expect(m.run(m.vp.ops.getpages(m.vp, asked))).toBe(Errno.OK);
      const clean = m.pages.flags(asked.pages[0]) & Pg.CLEAN;
      giveBack(m, asked);
      m.finish();
      return clean;
    },
    Pg.CLEAN,
    0,
  ],
  stoppedWalkCleans: [
    (stoppedWalkCleans) => {
      const m = file({ stoppedWalkCleans });
      m.run(m.write(0, bytesOf(2, 0, 4 * PAGE)));
      const held = request(0, 1, SYNCIO);
      expect(m.run(m.vp.ops.getpages(m.vp, held))).toBe(Errno.OK);
      expect(m.run(m.vp.ops.putpages(m.vp, 0, 0, CLEANIT | BUSYFAIL))).toBe(Errno.EDEADLK);
      const dirty = m.vp.onWorklist;
      giveBack(m, held);
      if (dirty) m.finish();
      return dirty;
    },
    false,
    true,
  ],
  losesPastEof: [
    (losesPastEof) => {
      const m = file({ losesPastEof }, { size: PAGE });
      m.vp.writeSize = 2 * PAGE;
      expect(m.run(m.vp.ops.getpages(m.vp, request(1, 1, PASTEOF)))).toBe(Errno.OK);
      const busy = m.pages.busyCount();
      m.vp.writeSize = PAGE;
      if (busy === 0) m.finish();
      return busy;
    },
    1,
    0,
  ],
  writesPastEof: [
    (writesPastEof) => {
      const m = file({ writesPastEof }, { size: PAGE });
      m.vp.writeSize = 3 * PAGE;
      const asked = request(2, 1, SYNCIO | PASTEOF | OVERWRITE, true);
      expect(m.run(m.vp.ops.getpages(m.vp, asked))).toBe(Errno.OK);
      m.pages.clearFlags(asked.pages[0], Pg.FAKE);
      giveBack(m, asked);
      m.vp.writeSize = PAGE;
      m.log.splice(0);
      expect(m.run(m.put(2, 3, CLEANIT | SYNCIO))).toBe(Errno.OK);
      const written = m.takeLog(true);
      m.finish();
      return written;
    },
    [[2, 1]],
    [],
  ],
  reclaimSpins: [
    (reclaimSpins) => {
      const m = file({ reclaimSpins });
      m.run(m.write(0, bytesOf(2, 0, PAGE)));
      const held = request(0, 1, SYNCIO);
      expect(m.run(m.vp.ops.getpages(m.vp, held))).toBe(Errno.OK);
      const flags = ALLPAGES | CLEANIT | FREE | SYNCIO | RECLAIM | BUSYFAIL;
      const answer = m.begin(m.vp.ops.putpages(m.vp, 0, 0, flags));
      const said = answer() ?? "for ever";
      giveBack(m, held);
      if (said !== "for ever") m.finish();
      return said;
    },
    "for ever",
    Errno.EDEADLK,
  ],
  ignoresGrowth: [
    (ignoresGrowth) => {
      const map = [0, 1, 2, 3];
      const m = file({ ignoresGrowth }, { blockSize: KiB, size: 4 * KiB, map });
      m.vp.size = 100;
      m.vp.writeSize = 100;
      const release = holdLock(m);
      const asked = request(0, 1, SYNCIO);
      m.begin(m.vp.ops.getpages(m.vp, asked));
      m.vp.writeSize = 4 * KiB;
      m.vp.size = 4 * KiB;
      release();
      m.settle();
      const byte = m.page(0)[2 * KiB];
      giveBack(m, asked);
      m.finish();
      return byte;
    },
    0,
    bytesOf(1, 2 * KiB, 1)[0],
  ],
  directUnlocked: [
    (directUnlocked) => {
      const m = file({ directUnlocked });
      const { space, va } = m.user(PAGE);
      m.run(space.write(va, bytesOf(2, 0, PAGE)));
      m.held = true;
      m.begin(m.vp.ops.write(m.vp, m.uio(UioRw.WRITE, space, va, PAGE, 0), IoFlag.DIRECT));
      m.begin(m.read(0, PAGE));
      m.answer(Errno.OK, m.waiting.length - 1); // the read, if it was let through
      m.settle();
      const got = m.run(m.read(0, PAGE));
      m.finish();
      return got[5];
    },
    bytesOf(1, 5, 1)[0],
    bytesOf(2, 5, 1)[0],
  ],
  shortIsWhole: [
    (shortIsWhole) => {
      const m = file({ shortIsWhole });
      m.mount.disk.strategy = (buf) => {
        buf.resid = 512;
        m.bufs.biodone(buf);
      };
      const [error] = m.run(m.readSome(0, PAGE));
      m.finish();
      return error;
    },
    Errno.OK,
    Errno.EIO,
  ],
  cleanWholePass: [
    (cleanWholePass) => {
      const m = file({ cleanWholePass });
      m.run(m.read(0, 2 * PAGE));
      const held = request(0, 1, SYNCIO);
      expect(m.run(m.vp.ops.getpages(m.vp, held))).toBe(Errno.OK);
      m.begin(m.put(0, 2, CLEANIT | FREE | SYNCIO)); // it waits for page 0
      m.run(m.write(PAGE, bytesOf(2, PAGE, PAGE)));
      giveBack(m, held);
      m.settle();
      const byte = m.run(m.read(PAGE, 1))[0];
      m.finish();
      return byte;
    },
    bytesOf(1, PAGE, 1)[0],
    bytesOf(2, PAGE, 1)[0],
  ],
  protectsWalkedOnly: [
    (protectsWalkedOnly) => {
      const m = file({ protectsWalkedOnly });
      const space = mapTwo(m);
      m.held = true;
      m.begin(m.put(0, 2, CLEANIT | SYNCIO));
      const frames = [0, 1].map((page) => m.vp.object.lookup(page));
      const mapped = frames.map((frame) => m.pages.pmaps.isWriteMapped(frame));
      m.settle();
      space.free();
      m.finish();
      return mapped[1];
    },
    true,
    false,
  ],
  givesWayAgain: [
    (givesWayAgain) => {
      const m = file({ givesWayAgain });
      m.run(m.write(0, bytesOf(2, 0, PAGE)));
      let wanted = 5;
      let given = 0;
      m.sched.shouldYield = () => wanted-- > 0;
      const preempt = m.sched.preempt.bind(m.sched);
      m.sched.preempt = () => {
        given++;
        return preempt();
      };
      expect(m.run(m.put(0, 1, CLEANIT | SYNCIO))).toBe(Errno.OK);
      m.finish();
      return given;
    },
    5,
    1,
  ],
};

describe("the decisions of genfs", () => {
  test("differ in every one of them", () => {
    for (const name of Object.keys(SEED) as (keyof GenfsDecisions)[])
      expect(SEED[name], name).not.toBe(FIXED[name]);
    expect(Object.keys(SCENARIOS).sort()).toEqual(Object.keys(FIXED).sort());
  });

  for (const name of Object.keys(SCENARIOS) as (keyof GenfsDecisions)[]) {
    const [scenario, seed, fixed] = SCENARIOS[name] as readonly [
      Scenario<typeof name>,
      unknown,
      unknown,
    ];
    test(`${name}: as the seed`, () => {
      expect(scenario(SEED[name])).toEqual(seed);
    });
    test(`${name}: fixed`, () => {
      expect(scenario(FIXED[name])).toEqual(fixed);
    });
  }
});

/** What uvm's semantics decide when I/O ends; genfs is fixed. */
const PAGE_SCENARIOS: Readonly<
  Record<string, readonly [(semantics: PageSemantics) => unknown, unknown, unknown]>
> = {
  ordered: [
    (semantics) => {
      const m = file({}, { semantics });
      const ordered = m.vp.object.order !== null;
      m.finish();
      return ordered;
    },
    true,
    false,
  ],
  writeErrorLosesData: [
    (semantics) => {
      const m = file({}, { semantics });
      m.run(m.write(0, bytesOf(2, 0, PAGE)));
      m.badDisk.add(0);
      expect(m.run(m.put(0, 1, CLEANIT | SYNCIO))).toBe(Errno.EIO);
      m.badDisk.clear();
      expect(m.run(m.put(0, 0, CLEANIT | SYNCIO))).toBe(Errno.OK);
      const byte = m.onDisk(0, 1)[0];
      m.finish();
      return byte;
    },
    bytesOf(1, 0, 1)[0],
    bytesOf(2, 0, 1)[0],
  ],
  freedUnwritten: [
    (semantics) => {
      const m = file({}, { semantics });
      m.run(m.write(0, bytesOf(2, 0, PAGE)));
      m.held = true;
      m.begin(m.put(0, 1, CLEANIT | FREE));
      m.answer(Errno.ENOMEM);
      const resident = m.vp.object.lookup(0) !== NO_FRAME;
      m.finish();
      return resident;
    },
    false,
    true,
  ],
  readErrorFreesValid: [
    (semantics) => {
      const m = file({}, { semantics, blockSize: 8 * KiB, map: [0, 1] });
      m.run(m.read(0, PAGE));
      expect(m.run(m.put(1, 2, FREE | SYNCIO))).toBe(Errno.OK);
      m.badDisk.add(0);
      expect(m.run(m.vp.ops.getpages(m.vp, request(1, 1, 0)))).toBe(Errno.OK);
      const resident = [0, 1].map((page) => m.vp.object.lookup(page) !== NO_FRAME);
      m.finish();
      return resident;
    },
    [false, false],
    [true, false],
  ],
  freeUnwires: [
    (semantics) => {
      const m = file({}, { semantics });
      m.run(m.read(0, PAGE));
      const frame = m.vp.object.lookup(0);
      m.pages.wire(frame);
      expect(m.run(m.put(0, 1, FREE | SYNCIO))).toBe(Errno.OK);
      const kept = m.pages.supply.orphans;
      if (kept > 0) m.pages.unwire(frame);
      m.finish();
      return kept;
    },
    0,
    1,
  ],
};

describe("the decisions of uvm, as genfs meets them", () => {
  test("are all here", () => {
    const { decisions } = new FileMachine().pages;
    expect(Object.keys(PAGE_SCENARIOS).sort()).toEqual(Object.keys(decisions).sort());
  });

  for (const [name, [scenario, seed, fixed]] of Object.entries(PAGE_SCENARIOS)) {
    test(`${name}: as the seed`, () => {
      expect(scenario("seed")).toEqual(seed);
    });
    test(`${name}: fixed`, () => {
      expect(scenario("fixed")).toEqual(fixed);
    });
  }
});
