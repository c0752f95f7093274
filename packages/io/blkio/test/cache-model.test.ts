/**
 * The cache against a model: an array of what the disk must hold, another of what a reader must see.
 *
 * A few threads do random things to few blocks; writes fail now and then, and in turn: each write of a
 * run once. What a reader sees is never older than the last write that was not told to have failed;
 * after a flush without error the disk holds the same.
 */
import { BioCommand } from "@physio/carriers";
import { Errno, KiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { expect, test } from "vitest";
import type { BufOwner } from "../src/index.ts";
import { BlkMachine, Chance, seeds } from "./machine.ts";

const BLOCK = KiB;
const BLOCKS = 12;
const SEEDS = process.env.PHYSIO_ALL === "1" ? 1000 : 30;

class Model {
  readonly seen = new Map<number, number>();
  readonly owners: BufOwner[] = [0, 1].map(() => ({ numOutput: 0, dirtyBufs: 0 }));
}

/** Every step of a run; returns the number of writes that the disk was given. */
function run(seed: number, failAt: number, rate: number): number {
  const chance = new Chance(seed);
  const inline = seed % 2 === 0;
  const m = new BlkMachine({
    seed,
    completion: seed % 3 === 0 ? "softintr" : "inline",
    cacheLimit: (3 + chance.below(6)) * BLOCK,
    dirtyLimit: (1 + chance.below(4)) * BLOCK,
    queue: seed % 5 === 0 ? "fifo" : "elevator",
    maxCommands: 1 + chance.below(4),
  });
  let writes = 0;
  const faults = (command: BioCommand): Errno => {
    if (command !== BioCommand.WRITE) return Errno.OK;
    const failed = ++writes === failAt || (rate > 0 && chance.below(rate) === 0);
    return failed ? Errno.EIO : Errno.OK;
  };
  m.inline = inline;
  m.fault = (bio) => faults(bio.command);
  const model = new Model();
  const threads = 1 + chance.below(3);
  const first = (block: number) => m.media[block * BLOCK];
  for (let block = 0; block < BLOCKS; block++) {
    m.media.fill(block, block * BLOCK, (block + 1) * BLOCK);
    model.seen.set(block, block);
  }
  const why = `seed ${seed}, write ${failAt} fails, rate ${rate}`;

  function* step(): Sleeps<void> {
    const block = chance.below(BLOCKS);
    const owner = chance.below(3) === 0 ? null : model.owners[block % 2];
    const kind = chance.below(10);
    if (kind === 9) {
      yield* m.cache.flushDevice(m.disk, false);
    } else if (kind === 8) {
      const error = yield* m.cache.flushOwner(model.owners[0], true);
      if (error === Errno.OK && threads === 1 && failAt === 0 && rate === 0)
        expect(model.owners[0].dirtyBufs, why).toBe(0);
    } else if (kind < 4) {
      const buf = yield* m.cache.breadn(m.disk, block * 2, BLOCK, [((block + 1) % BLOCKS) * 2]);
      expect([buf.error, m.cache.copy(buf, new Uint8Array(BLOCK))[BLOCK - 1]], why).toEqual([
        Errno.OK,
        model.seen.get(block),
      ]);
      m.cache.brelse(buf);
    } else {
      const buf = yield* m.cache.getblk(m.disk, block * 2, BLOCK, owner);
      const fill = chance.below(256);
      m.cache.store(buf, new Uint8Array(BLOCK).fill(fill));
      if (kind === 4) {
        const error = yield* m.cache.bwrite(buf);
        // Thrown away, unless it was dirty before: what the disk has is what is seen then.
        const kept = m.cache.incore(m.disk, block * 2) !== null;
        model.seen.set(block, error === Errno.OK || kept ? fill : first(block));
      } else {
        model.seen.set(block, fill);
        if (kind === 5) m.cache.bawrite(buf);
        else m.cache.bdwrite(buf);
      }
    }
  }

  let left = threads;
  for (let i = 0; i < threads; i++) {
    m.sched.spawn(
      `worker ${i}`,
      (function* (): Sleeps<void> {
        for (let turn = 0; turn < 60 / threads; turn++) yield* step();
        left--;
      })(),
    );
  }
  const drain = () => {
    m.sched.pump();
    while (m.waiting.length > 0) {
      const at = chance.below(m.waiting.length);
      m.answer(at, faults(m.waiting[at].command));
      m.sched.pump();
    }
  };
  drain();
  expect(left, why).toBe(0);
  m.cache.check();
  const given = writes;
  failAt = 0;
  rate = 0;
  for (const wait of [false, true]) {
    let over = false;
    m.sched.spawn(
      "sync",
      (function* (): Sleeps<void> {
        yield* m.cache.flushDevice(m.disk, wait);
        over = true;
      })(),
    );
    drain();
    expect(over, why).toBe(true);
  }
  expect(m.cache.dirtyBytes, why).toBe(0);
  for (const { numOutput, dirtyBufs } of model.owners)
    expect([numOutput, dirtyBufs]).toEqual([0, 0]);
  for (const [block, fill] of model.seen) expect(first(block), `${why}: block ${block}`).toBe(fill);
  m.finish();
  return given;
}

test("random reads and writes agree with a model; after a flush the disk does (any seed)", () => {
  for (const seed of seeds(SEEDS)) run(seed, 0, 0);
});

test("and when one write in four fails", () => {
  for (const seed of seeds(SEEDS)) run(seed, 0, 4);
});

test("and when each write of a run fails in turn", () => {
  for (const seed of seeds(SEEDS / 15)) {
    const writes = run(seed, 0, 0);
    expect(writes).toBeGreaterThan(5);
    for (let failAt = 1; failAt <= writes; failAt++) run(seed, failAt, 0);
  }
});
