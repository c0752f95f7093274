/** The page daemon: targets, what it frees and what it leaves, that it waits for nobody, and when it gives up. */
import type { Errno } from "@physio/kern";
import { Errno as E, GiB, KiB, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { clearReference, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import { daemonTargets, MapFlag, MsFlag, msync, PageQueue, Pg, Pgo } from "../src/index.ts";
import { Chance, seeds } from "./machine.ts";
import type { ToyFile } from "./toy.ts";
import { ToyMachine } from "./toy.ts";

const PAGE = PAGE_SIZE;
const RW = Prot.READ | Prot.WRITE;
const { SHARED, PRIVATE, ANON } = MapFlag;

const SEEDS = process.env.PHYSIO_ALL === "1" ? 60 : 3;

describe("the targets", () => {
  const CASES = [
    { ram: 64 * PAGE, min: 4, target: 5 },
    { ram: MiB, min: 16, target: 21 },
    { ram: 64 * MiB, min: 81, target: 108 },
    { ram: GiB, min: 256, target: 341 },
    { ram: 64 * GiB, min: 256, target: 341 },
  ];
  for (const { ram, min, target } of CASES) {
    test(`of ${ram / KiB} KiB are ${min} and ${target} frames`, () => {
      const reserved = Math.min(64, Math.floor(ram / PAGE / 32));
      const targets = daemonTargets(ram / PAGE, reserved);
      expect([targets.freeMin, targets.freeTarget]).toEqual([min, target]);
      expect(targets.freeMin).toBeGreaterThan(reserved);
    });
  }
});

/** 64 frames; the pages of a file, all inactive, the oldest first. */
function bench(pages = 40, latency = 1000) {
  const m = new ToyMachine(64);
  const file = m.file(pages);
  file.latency = latency;
  for (let i = 0; i < pages; i++) m.resident(file.object, i, PageQueue.INACTIVE);
  const missing = () => m.mem.freeFrames;
  return { m, file, missing };
}

/** Let the daemon look until `frames` are free. */
function wake(m: ToyMachine, frames: number) {
  const daemon = m.daemon({ freeMin: frames - 1, freeTarget: frames });
  daemon.wake();
  m.sched.pump();
  return daemon;
}

describe("the daemon", () => {
  test("frees clean pages, oldest first, up to its target", () => {
    const { m, file } = bench();
    const free = m.mem.freeFrames;
    const daemon = wake(m, free + 5);
    expect(m.mem.freeFrames).toBe(free + 5);
    expect([...file.object.indexes()][0]).toBe(5);
    expect([daemon.rounds, m.pages.daemonFreed, file.writes]).toEqual([1, 5, 0]);
    m.finish();
  });

  test("has dirty pages written in clusters, and frees them then", () => {
    const { m, file } = bench();
    for (let i = 0; i < 40; i++) m.pages.markDirty(file.object.lookup(i));
    const free = m.mem.freeFrames;
    const daemon = wake(m, free + 8);
    expect(m.mem.freeFrames).toBeGreaterThanOrEqual(free + 8);
    expect(file.writes).toBeLessThanOrEqual(3); // not 8
    expect(daemon.pageouts).toBeGreaterThanOrEqual(1);
    expect([m.pages.paging, m.pages.busyCount()]).toEqual([0, 0]);
    m.finish();
  });

  test("lets pages live that were used since they became inactive", () => {
    const { m, file } = bench(10);
    const space = m.space();
    const va = space.mmap({
      length: 10 * PAGE,
      prot: Prot.READ,
      flags: SHARED,
      object: file.object,
    });
    m.run(space.read(va, new Uint8Array(1))); // maps 0 … 4
    space.pmap.access(va + 2 * PAGE, Prot.READ);
    for (let i = 0; i < 5; i++) m.pages.queues.move(file.object.lookup(i), PageQueue.INACTIVE);
    for (let i = 5; i < 10; i++) m.pages.free(file.object.lookup(i));
    const daemon = wake(m, m.mem.freeFrames + 3);
    expect([...file.object.indexes()]).toEqual([0, 2]);
    expect(daemon.reactivated).toBe(2);
    expect(space.pmap.residentCount).toBe(2);
    m.finish();
  });

  test("passes by what is busy, wired or anonymous", () => {
    const { m, file } = bench(6);
    const space = m.space();
    const anons = [PRIVATE, SHARED].map((way) => {
      const va = space.mmap({ length: PAGE, prot: RW, flags: way | ANON });
      m.run(space.write(va, Uint8Array.of(1)));
      const frame = space.pmap.frameAt(va);
      clearReference(m.mem, frame);
      m.pages.queues.move(frame, PageQueue.INACTIVE);
      return frame;
    });
    m.pages.setFlags(file.object.lookup(0), Pg.BUSY);
    m.mem.wire(file.object.lookup(1));
    const daemon = wake(m, m.mem.freeFrames + 6);
    expect([...file.object.indexes()]).toEqual([0, 1]);
    expect(space.pmap.residentCount).toBe(2);
    for (const frame of anons) expect(m.pages.describe(frame)).toContain("no queue");
    expect(daemon.skipped).toBeGreaterThan(0);
    m.pages.unwire(file.object.lookup(1));
    m.pages.unbusy(file.object.lookup(0));
    m.finish();
  });

  test("keeps a third of the pages inactive", () => {
    const { m, file } = bench(48);
    for (let i = 0; i < 48; i++) m.pages.activate(file.object.lookup(i));
    wake(m, m.mem.freeFrames + 4);
    expect(m.pages.queues.length(PageQueue.INACTIVE)).toBeGreaterThanOrEqual(12);
    m.pages.check();
    m.finish();
  });

  test("is woken by who takes the last frames, and by who gets none", () => {
    const { m, file } = bench(20);
    for (let i = 0; i < 20; i++) m.pages.markDirty(file.object.lookup(i));
    const daemon = m.daemon();
    m.sched.pump();
    expect(daemon.rounds).toBe(0);
    const other = m.object();
    const taken: number[] = [];
    while (m.pages.mem.freeFrames > 3) taken.push(m.pages.alloc(other, taken.length));
    m.sched.pump();
    expect(daemon.rounds).toBeGreaterThan(0);
    expect(m.mem.freeFrames).toBeGreaterThanOrEqual(daemon.targets.freeMin);
    m.pages.unbusyAll(Int32Array.from(taken), 0, taken.length);
    m.finish();
  });

  test("may take frames from the reserve, which others may not", () => {
    const { m, file } = bench(60);
    for (let i = 0; i < 60; i++) m.pages.setFlags(file.object.lookup(i), Pg.BUSY);
    const other = m.object();
    let got = 0;
    while (m.pages.alloc(other, got) >= 0) got++;
    expect(m.mem.freeFrames).toBe(m.pages.supply.reserved);
    expect(m.pages.supply.reserved).toBe(2);
    const inDaemon: number[] = [];
    m.pages.daemon = m.sched.spawn(
      "fake",
      // biome-ignore lint/correctness/useYield: it only looks
      (function* (): Sleeps<void> {
        for (let i = 100; i < 103; i++) inDaemon.push(m.pages.alloc(other, i));
      })(),
    );
    m.sched.pump();
    expect(inDaemon.map((frame) => frame >= 0)).toEqual([true, true, false]);
    for (const object of [other, file.object]) {
      for (const index of [...object.indexes()]) m.pages.unbusy(object.lookup(index));
    }
    m.finish();
  });

  test("gives up when writes fail, keeps the pages, and gets on when they succeed again", () => {
    const m = new ToyMachine(64);
    const file = m.file(100);
    const daemon = m.daemon();
    const space = m.space();
    const va = space.mmap({ length: 100 * PAGE, prot: RW, flags: SHARED, object: file.object });
    file.writeError = E.EIO;
    const fill = new Uint8Array(100 * PAGE).fill(7);
    const done: Errno[] = [];
    const anon = space.mmap({ length: PAGE, prot: RW, flags: PRIVATE | ANON });
    m.sched.spawn(
      "file",
      (function* () {
        done.push(yield* space.write(va, fill));
      })(),
    );
    m.sched.pump();
    expect([done, daemon.givenUp > 0]).toEqual([[], true]); // as a kernel's getpages it waits on
    expect(m.run(space.write(anon, Uint8Array.of(1)))).toBe(E.ENOMEM);
    expect(file.object.writeErrors).toBeGreaterThan(0);
    file.writeError = E.OK;
    daemon.wake();
    m.sched.pump();
    expect(done).toEqual([E.OK]);
    expect(m.run(msync(space, va, 100 * PAGE, MsFlag.SYNC))).toBe(E.OK);
    expect(file.disk.every((byte) => byte === 7)).toBe(true);
    m.finish();
  });

  test("is not needed for those who wait, when somebody frees a page", () => {
    for (const mayFail of [false, true]) {
      const { m, file } = bench(62);
      for (let i = 0; i < 62; i++) m.pages.setFlags(file.object.lookup(i), Pg.BUSY);
      const done: Errno[] = [];
      m.sched.spawn(
        "waiter",
        (function* () {
          done.push(yield* m.pages.waitMemory(mayFail));
        })(),
      );
      m.sched.pump();
      expect(done).toEqual([]);
      m.pages.setFlags(file.object.lookup(7), Pg.RELEASED);
      m.pages.unbusy(file.object.lookup(7));
      m.sched.pump();
      expect(done).toEqual([E.OK]);
      for (const index of [...file.object.indexes()]) m.pages.unbusy(file.object.lookup(index));
      m.finish();
    }
  });

  test("leaves a deadlock report where a thread can never get a frame", () => {
    const { m, file } = bench(62);
    for (let i = 0; i < 62; i++) m.pages.setFlags(file.object.lookup(i), Pg.BUSY);
    m.daemon();
    expect(() => m.run(m.pages.waitMemory())).toThrow(Panic);
    expect(m.sched.report()).toContain("uvm_wait");
    expect(m.run(m.pages.waitMemory(true))).toBe(E.ENOMEM);
  });
});

describe("memory pressure: 1 MiB of RAM, 16 MiB written through a mapping", () => {
  /** Each page gets its number and a value. */
  function* writer(m: ToyMachine, file: ToyFile, value: number, step: number): Sleeps<Errno> {
    const space = m.space();
    const length = file.size;
    const va = space.mmap({ length, prot: RW, flags: SHARED, object: file.object });
    const bytes = new Uint8Array(4);
    for (let page = step; page < length / PAGE; page += 2) {
      bytes.set([page & 255, page >> 8, value, 1]);
      const error = yield* space.write(va + page * PAGE + 100, bytes);
      if (error !== E.OK) return error;
    }
    return yield* msync(space, va, length, MsFlag.SYNC);
  }

  test("every byte arrives, and memory does not grow", () => {
    const m = new ToyMachine(256);
    const daemon = m.daemon();
    const file = m.file(4096);
    expect(m.run(writer(m, file, 9, 0))).toBe(E.OK);
    for (let page = 0; page < 4096; page += 2) {
      const at = page * PAGE + 100;
      const right = file.disk[at] === (page & 255) && file.disk[at + 1] === page >> 8;
      if (!right || file.disk[at + 2] !== 9) throw new Error(`page ${page} is not what was stored`);
    }
    expect(m.pages.resident).toBeLessThanOrEqual(256);
    expect([daemon.givenUp, daemon.pageouts > 20]).toEqual([0, true]);
    m.finish();
  });

  test("under any schedule, with two writers and one who holds anonymous memory", () => {
    for (const seed of seeds(SEEDS)) {
      const m = new ToyMachine(128, seed);
      m.daemon();
      const file = m.file(256, seed);
      const chance = new Chance(seed);
      file.latency = 500 + chance.below(50_000);
      const done: Errno[] = [];
      const space = m.space();
      const va = space.mmap({ length: 40 * PAGE, prot: RW, flags: PRIVATE | ANON });
      const own = new Uint8Array(40 * PAGE).map((_, i) => i);
      for (const step of [0, 1]) {
        m.sched.spawn(
          `writer ${step}`,
          (function* () {
            done.push(yield* writer(m, file, seed, step));
          })(),
        );
      }
      expect(m.run(space.write(va, own)), `seed ${seed}`).toBe(E.OK);
      m.sched.pump();
      expect(done, `seed ${seed}`).toEqual([E.OK, E.OK]);
      const got = new Uint8Array(40 * PAGE);
      m.run(space.read(va, got));
      expect(got, `seed ${seed}`).toEqual(own);
      const stored = Array.from({ length: 256 }, (_, page) => file.disk[page * PAGE + 100]);
      expect(stored, `seed ${seed}`).toEqual(stored.map((_, page) => page));
      m.run(file.put(0, 0, Pgo.CLEANIT | Pgo.FREE | Pgo.SYNCIO));
      m.finish();
    }
  });
});
