/**
 * Reads, writes, truncations, direct I/O and write-back in any order against an array of bytes, over random
 * block maps, with failures of the disk, of the block map, of allocation and of the journal.
 *
 * One thread changes the file and looks at it; others read it, and have pages written back, freed and deactivated
 * meanwhile. At the end the disk has what the array has.
 */
import { UioRw } from "@physio/carriers";
import type { Errno } from "@physio/kern";
import { Errno as E, KiB, OFF_MAX } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import type { Vmspace } from "@physio/uvm";
import { Pgo } from "@physio/uvm";
import { IoFlag, vnLock, vnUnlock } from "@physio/vfs";
import { expect, test } from "vitest";
import { bytesOf, campaign, difference, FileMachine, STALE } from "./file-machine.ts";
import { Chance, HOLE } from "./machine.ts";

const K = KiB;
const MOST = 150 * K;
const TURNS = 14;

/** Runs of blocks in any place, and of holes; no block twice. */
function randomMap(chance: Chance, blocks: number, disk: number): number[] {
  const free = Array.from({ length: disk }, (_, i) => i);
  const map: number[] = [];
  while (map.length < blocks) {
    const run = Math.min(1 + chance.below(5), blocks - map.length);
    const hole = free.length < run || chance.below(3) === 0;
    const at = hole ? 0 : chance.below(free.length - run + 1);
    map.push(...(hole ? new Array<number>(run).fill(HOLE) : free.splice(at, run)));
  }
  return map;
}

class Campaign {
  readonly seed: number;
  readonly chance: Chance;
  readonly m: FileMachine;
  /** What the file has. */
  readonly model: Uint8Array;
  readonly user: { readonly space: Vmspace; readonly va: number };
  size: number;
  /** Whether things fail, now and then. */
  readonly failing: boolean;
  writes = 0;

  constructor(seed: number) {
    const chance = new Chance(seed);
    const blockSize = [4 * K, K, 2 * K, 8 * K, 64 * K, 16 * K][seed % 6];
    const size = chance.below(3) === 0 ? 0 : chance.below(MOST / 2);
    const blocks = Math.ceil(size / blockSize);
    const disk = (512 * K) / blockSize;
    const room = chance.below(3) === 0 ? Math.max(1, Math.floor(disk / 8)) : disk;
    this.seed = seed;
    this.chance = chance;
    this.m = new FileMachine({
      blockSize,
      size,
      map: randomMap(chance, blocks, disk),
      room,
      seed,
      pagerPages: 36 + chance.below(30),
      completion: chance.below(2) === 0 ? "inline" : "softintr",
      journal: chance.below(3) === 0,
    });
    this.m.fillDisk(7);
    this.m.slow = chance.below(2) === 0;
    this.failing = seed % 3 === 0;
    this.model = new Uint8Array(MOST + 64 * K);
    this.model.set(this.m.onDisk(0, size));
    this.size = size;
    this.user = this.m.user(64 * K);
  }

  /** Somewhere in the file, or a bit behind it; often at a page's edge. */
  place(): number {
    const at = this.chance.below(Math.min(this.size + 9000, MOST - 40 * K));
    return this.chance.below(3) === 0 ? at - (at % (4 * K)) : at;
  }

  /** Fail some things from now on, and mend others. */
  *weather(): Sleeps<void> {
    const { m, chance } = this;
    for (let turn = 0; this.failing && turn < 20; turn++) {
      yield* m.sched.pause("weather", 20_000);
      m.badDisk.clear();
      m.badBlocks.clear();
      if (chance.below(3) === 0) m.badDisk.add(chance.below((512 * K) / m.blockSize));
      if (chance.below(4) === 0) m.badBlocks.add(chance.below(30));
      m.allocError = chance.below(5) === 0 ? E.ENOSPC : E.OK;
      m.beginError = chance.below(6) === 0 ? E.EROFS : E.OK;
    }
    this.calm();
  }

  calm(): void {
    this.m.badDisk.clear();
    this.m.badBlocks.clear();
    this.m.allocError = E.OK;
    this.m.beginError = E.OK;
  }

  *changer(): Sleeps<void> {
    const { m, chance } = this;
    for (let turn = 0; turn < TURNS; turn++) {
      const what = chance.below(8);
      yield* vnLock(m.vp, RW_WRITER);
      if (what < 4) yield* this.write();
      else if (what < 6) yield* this.truncate();
      else yield* this.writeDirect();
      expect(m.vp.size, `seed ${this.seed}`).toBe(this.size);
      vnUnlock(m.vp);
      yield* this.look();
    }
  }

  *write(): Sleeps<void> {
    const { m, chance } = this;
    const length = 1 + chance.below(chance.below(2) === 0 ? 600 : 40 * K);
    const at = chance.below(5) === 0 ? this.size : this.place();
    const data = bytesOf(10 + this.writes++, at, length);
    const flags = [0, 0, IoFlag.SYNC][chance.below(3)];
    const first = chance.below(2) === 0 ? length : chance.below(length);
    const [, left] = yield* m.write(at, data, flags, first);
    this.note(at, data.subarray(0, length - left));
  }

  *writeDirect(): Sleeps<void> {
    const { m, chance, user } = this;
    const at = chance.below(MOST / 2 / 512) * 512;
    const length = (1 + chance.below(60)) * 512 + (chance.below(3) === 0 ? 77 : 0);
    const data = bytesOf(10 + this.writes++, at, length);
    expect(yield* user.space.write(user.va, data)).toBe(E.OK);
    const uio = m.uio(UioRw.WRITE, user.space, user.va, length, at);
    yield* m.vp.ops.write(m.vp, uio, IoFlag.DIRECT);
    this.note(at, data.subarray(0, length - uio.resid));
  }

  *truncate(): Sleeps<void> {
    const { m, chance } = this;
    const to = chance.below(4) === 0 ? chance.below(9) * 4 * K : chance.below(MOST / 2);
    if ((yield* m.truncate(to)) !== E.OK) return;
    if (to < this.size) this.model.fill(0, to, this.size);
    this.size = to;
  }

  note(at: number, data: Uint8Array): void {
    if (data.length === 0) return;
    this.model.set(data, at);
    this.size = Math.max(this.size, at + data.length);
  }

  /** Read some of it; what can be read is right. */
  *look(): Sleeps<void> {
    const { m, chance } = this;
    yield* vnLock(m.vp, RW_READER);
    const at = this.place();
    const length = chance.below(2) === 0 ? 300 : 30 * K;
    const [error, got] = yield* m.readSome(at, length, chance.below(4) === 0 ? IoFlag.NOREUSE : 0);
    const wanted = this.model.subarray(at, Math.min(at + length, Math.max(this.size, at)));
    const message = `seed ${this.seed}: ${length} bytes at ${at} of ${this.size}`;
    if (error === E.OK) expect(got.length, message).toBe(wanted.length);
    else expect(this.failing, `${message}: errno ${error}`).toBe(true);
    expect(difference(got, wanted.subarray(0, got.length)), message).toBe(-1);
    vnUnlock(m.vp);
  }

  *reader(): Sleeps<void> {
    for (let turn = 0; turn < TURNS; turn++) yield* this.look();
  }

  *writeBack(): Sleeps<void> {
    const { m, chance } = this;
    const { CLEANIT, SYNCIO, FREE, DEACTIVATE } = Pgo;
    for (let turn = 0; turn < TURNS; turn++) {
      const flags = [0, SYNCIO, FREE, FREE | SYNCIO, DEACTIVATE][chance.below(5)];
      const lo = chance.below(30);
      const hi = chance.below(2) === 0 ? OFF_MAX / (4 * K) : lo + 1 + chance.below(10);
      const errors: Errno[] = [E.OK];
      if (this.failing) errors.push(E.EIO, E.EROFS);
      expect(errors).toContain(yield* m.put(hi < 99 ? lo : 0, hi < 99 ? hi : 0, CLEANIT | flags));
      yield* m.sched.pause("write-back", 1 + chance.below(30_000));
    }
  }
}

test("a file is what an array is, whatever is done to it and whatever fails", () => {
  for (const seed of campaign(12, 1000)) {
    const c = new Campaign(seed);
    const { m } = c;
    const bodies = [c.changer(), c.reader(), c.writeBack(), c.weather()];
    const threads = bodies.map((body) => m.sched.start(body, "worker"));
    m.sched.pump();
    for (const thread of threads) {
      expect(thread.state, `seed ${seed}\n${m.sched.report()}`).toBe(threads[3].state);
      m.sched.resultOf(thread);
    }
    c.calm();
    m.checkQuiet();
    expect(m.run(m.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO)), `seed ${seed}`).toBe(E.OK);
    const wanted = c.model.subarray(0, c.size);
    expect(difference(m.onDisk(0, c.size), wanted), `seed ${seed}: on the disk`).toBe(-1);
    expect(difference(m.run(m.read(0, c.size)), wanted), `seed ${seed}: in memory`).toBe(-1);
    expect(wanted.includes(STALE), `seed ${seed}`).toBe(false);
    m.finish();
  }
});
