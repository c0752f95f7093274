/** The driver on the chip: transfers against an array, bouncing or not, and how requests queue up. */
import type { Buf } from "@physio/blkio";
import { BufFlag } from "@physio/blkio";
import { Sync } from "@physio/busdma";
import type { Bio } from "@physio/carriers";
import { BioCommand } from "@physio/carriers";
import { Errno, KiB, MAXADDR_32BIT, PAGE_SIZE } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DriverMachine, sameBytes } from "./driver-fixture.ts";
import { pattern, seeded } from "./hw-fixture.ts";

const { READ, WRITE } = BioCommand;

/** A bio and its memory, `skip` bytes into a page. */
interface Job {
  readonly bio: Bio;
  readonly va: number;
  readonly base: number;
}

function begin(
  m: DriverMachine,
  write: boolean,
  offset: number,
  bytes: number,
  skip: number,
  salt: number,
): Job {
  const base = m.kmem.alloc(bytes + PAGE_SIZE);
  const va = base + skip;
  // Nothing that is already there can pass for what a transfer brings.
  m.kmem.write(base, new Uint8Array(bytes + PAGE_SIZE).fill(0xcc));
  if (write) m.kmem.write(va, pattern(bytes, salt));
  return { bio: m.start(write ? WRITE : READ, offset, bytes, va), va, base };
}

/** The memory round the transfer is what it was. */
function checkRound(m: DriverMachine, { bio, va, base }: Job): void {
  const all = m.bytes(base, bio.bcount + PAGE_SIZE);
  const before = all.subarray(0, va - base);
  const after = all.subarray(va - base + bio.bcount);
  expect(before.every((b) => b === 0xcc) && after.every((b) => b === 0xcc)).toBe(true);
}

function end(m: DriverMachine, job: Job): void {
  m.kmem.free(job.base, job.bio.bcount + PAGE_SIZE);
}

const transfers = fc.array(
  fc.record({
    write: fc.boolean(),
    sectors: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 60 })),
    gap: fc.nat({ max: 20 }),
    skip: fc.oneof(
      fc.constant(0),
      fc.nat({ max: 1023 }).map((n) => n * 4),
    ),
    salt: fc.nat({ max: 255 }),
  }),
  { minLength: 1, maxLength: 40 },
);

describe.each([
  { name: "with all memory in reach", bounce: false },
  { name: "bouncing everything", bounce: true },
])("$name", ({ bounce }) => {
  test.each([512, 4096])(
    "random batches of reads and writes agree with an array (sectors of %i)",
    (sectorSize) => {
      fc.assert(
        fc.property(
          fc.array(transfers, { minLength: 1, maxLength: 2 }),
          fc.nat(),
          (batches, seed) => {
            const m = DriverMachine.attached({
              bounce,
              sectorSize,
              seed,
            });
            const model = m.media.bytes.slice();
            for (const batch of batches) {
              let at = 0;
              const jobs: Job[] = [];
              for (const { write, sectors, gap, skip, salt } of batch) {
                const offset = at + gap * sectorSize;
                const bytes = Math.min(sectors, (64 * KiB) / sectorSize) * sectorSize;
                at = offset + bytes; // no two transfers of a batch meet
                if (at > model.length) break;
                if (write) model.set(pattern(bytes, salt), offset);
                jobs.push(begin(m, write, offset, bytes, skip, salt));
              }
              m.sched.pump();
              expect(m.answered.splice(0).length).toBe(jobs.length);
              for (const job of jobs) {
                const { offset, bcount, error, resid } = job.bio;
                expect([error, resid]).toEqual([Errno.OK, 0]);
                sameBytes(m.bytes(job.va, bcount), model.subarray(offset, offset + bcount));
                checkRound(m, job);
                end(m, job);
              }
            }
            sameBytes(m.media.bytes, model);
            expect(m.copied > 0).toBe(bounce);
            m.finish();
          },
        ),
        { numRuns: 10 },
      );
    },
  );

  test("a transfer of any length at any place in a page is right", () => {
    const m = DriverMachine.attached({ bounce });
    for (const skip of [0, 4, 512, 2048, 3584, 4092]) {
      for (const sectors of [1, 7, 8, 9, 16, 17, 255, 256]) {
        for (const write of [true, false]) {
          const job = begin(m, write, 1024, sectors * 512, skip, skip + sectors);
          m.sched.pump();
          expect(job.bio.error).toBe(Errno.OK);
          const wanted = m.media.bytes.subarray(1024, 1024 + sectors * 512);
          sameBytes(m.bytes(job.va, sectors * 512), wanted);
          if (write) sameBytes(wanted, pattern(sectors * 512, skip + sectors));
          checkRound(m, job);
          end(m, job);
        }
      }
    }
    m.finish();
  });

  test("more requests than trackers queue up and are all answered once", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const m = DriverMachine.attached({ bounce, seed });
      const jobs = Array.from({ length: 100 }, (_, i) =>
        begin(m, i % 3 === 0, i * 4096, 4096, (i % 7) * 16, i),
      );
      expect(m.driver.commands).toBe(32);
      m.sched.pump();
      expect(m.driver.commands).toBe(100);
      expect(new Set(m.answered).size).toBe(100);
      expect(m.answered.length).toBe(100);
      for (const job of jobs) {
        const { offset } = job.bio;
        sameBytes(m.bytes(job.va, 4096), m.media.bytes.slice(offset, offset + 4096));
        end(m, job);
      }
      m.finish();
    }
  });

  test("the disk reads through bufs what is on the medium", () => {
    const m = DriverMachine.attached({ bounce, maxTransfer: 16 * KiB });
    const buf = m.bufs.get();
    buf.flags |= BufFlag.READ;
    buf.bufsize = buf.bcount = 100 * KiB;
    buf.data = m.kmem.alloc(100 * KiB);
    buf.blkno = 33;
    m.disk!.strategy(buf);
    expect(m.sched.runSync(m.bufs.biowait(buf))).toBe(Errno.OK);
    const from = 33 * 512;
    sameBytes(m.bytes(buf.data, 100 * KiB), m.media.bytes.slice(from, from + 100 * KiB));
    expect(m.disk!.transfers).toBe(7);
    m.kmem.free(buf.data, 100 * KiB);
    m.bufs.put(buf);
    m.finish();
  });
});

describe("through its disk", () => {
  /** Bufs of 1 KiB that lie behind each other in memory, from block `blkno` of the disk on. */
  function writes(m: DriverMachine, count: number, blkno: number, flags: number): Buf[] {
    const base = m.kmem.alloc(count * KiB);
    m.kmem.write(base, pattern(count * KiB, blkno));
    return Array.from({ length: count }, (_, i) => {
      const buf = m.bufs.get();
      buf.flags |= flags;
      buf.bufsize = buf.bcount = KiB;
      buf.data = base + i * KiB;
      buf.blkno = blkno + i * 2;
      m.disk!.strategy(buf);
      return buf;
    });
  }

  function end(m: DriverMachine, bufs: Buf[]): void {
    for (const buf of bufs) expect([buf.error, buf.resid]).toEqual([Errno.OK, 0]);
    m.kmem.free(bufs[0].data, bufs.length * KiB);
    for (const buf of bufs) m.bufs.put(buf);
    m.kmem.reclaim(); // pages that zones keep in reserve
    m.finish();
  }

  test("a flush comes to the medium after the writes before it", () => {
    for (const seed of [1, 2, 3]) {
      const m = DriverMachine.attached({ seed });
      const bufs = writes(m, 100, 40, 0);
      const held = m.media.bytes.subarray(40 * 512, 40 * 512 + 100 * KiB);
      let atFlush = false;
      const flush = m.media.flush.bind(m.media);
      m.media.flush = () => {
        atFlush = Buffer.compare(held, pattern(100 * KiB, 40)) === 0;
        return flush();
      };
      expect(m.sched.runSync(m.disk!.syncCache())).toBe(Errno.OK);
      expect([atFlush, m.media.flushes, m.disk!.flushes]).toEqual([true, 1, 1]);
      m.sched.pump();
      end(m, bufs);
    }
  });

  test("a write with FUA makes the medium lasting, one without does not", () => {
    const m = DriverMachine.attached();
    expect(m.driver.identity?.writeCache).toBe(true);
    const bufs = writes(m, 2, 40, BufFlag.FUA);
    m.sched.pump();
    expect([m.media.flushes, m.driver.commands]).toEqual([2, 2]);
    end(m, bufs);
    const others = writes(m, 2, 40, 0);
    m.sched.pump();
    expect(m.media.flushes).toBe(2);
    end(m, others);
  });

  test.each([
    ["elevator", 32 + 1],
    ["fifo", 100],
  ] as const)("what waits for a tracker is merged by the %s: %i commands", (queue, commands) => {
    const m = DriverMachine.attached({ queue });
    const bufs = writes(m, 100, 40, 0);
    expect([m.driver.commands, m.disk!.inFlight, m.disk!.queued]).toEqual([32, 32, 68]);
    m.sched.pump();
    expect([m.driver.commands, m.disk!.merges]).toEqual([commands, 100 - commands]);
    sameBytes(m.media.bytes.slice(40 * 512, 40 * 512 + 100 * KiB), pattern(100 * KiB, 40));
    end(m, bufs);
  });
});

describe("syncs matter when data are bounced", () => {
  const once = (leaveOut: Sync, write: boolean): boolean => {
    const m = DriverMachine.attached({ bounce: true, leaveOut });
    const job = begin(m, write, 8192, 6000 - (6000 % 512), 512, 77);
    m.sched.pump();
    expect(job.bio.error).toBe(Errno.OK);
    const { bcount } = job.bio;
    const wanted = write ? pattern(bcount, 77) : m.media.bytes.slice(8192, 8192 + bcount);
    const got = write ? m.media.bytes.slice(8192, 8192 + bcount) : m.bytes(job.va, bcount);
    end(m, job);
    m.finish();
    return Buffer.compare(got, wanted) === 0;
  };

  test("with all of them a write and a read are right", () => {
    expect([once(0, true), once(0, false)]).toEqual([true, true]);
  });

  test("without PREWRITE what is written is wrong", () => {
    expect([once(Sync.PREWRITE, true), once(Sync.PREWRITE, false)]).toEqual([false, true]);
  });

  test("without POSTREAD what is read is wrong", () => {
    expect([once(Sync.POSTREAD, true), once(Sync.POSTREAD, false)]).toEqual([true, false]);
  });
});

describe("with a pool of few pages", () => {
  test.each([5, 9, 17])(
    "of %i, loads are deferred and all complete, under any seed",
    (bouncePages) => {
      let deferred = 0;
      for (let seed = 1; seed <= 8; seed++) {
        const m = DriverMachine.attached({
          bounce: true,
          bouncePages,
          maxTransfer: 16 * KiB,
          seed,
        });
        const random = seeded(seed);
        const jobs = Array.from({ length: 45 }, (_, i) => {
          const bytes = (1 + (random.next() % 32)) * 512;
          return begin(
            m,
            random.next() % 2 === 0,
            i * 16 * KiB,
            bytes,
            (random.next() % 1024) * 4,
            i,
          );
        });
        m.sched.pump();
        expect(m.answered.length, `seed ${seed}`).toBe(45);
        for (const job of jobs) {
          const { offset, bcount, error } = job.bio;
          expect(error).toBe(Errno.OK);
          const wanted = m.media.bytes.slice(offset, offset + bcount);
          sameBytes(m.bytes(job.va, bcount), wanted, `seed ${seed}`);
          end(m, job);
        }
        expect(m.pool.totalPages).toBeLessThanOrEqual(bouncePages);
        deferred += m.pool.zones.reduce((sum, zone) => sum + zone.totalDeferred, 0);
        m.finish();
      }
      expect(deferred).toBeGreaterThan(8);
    },
  );

  test("that cannot hold one transfer the driver does not attach, and leaves no memory behind", () => {
    const m = new DriverMachine({ bounce: true, bouncePages: 3, maxTransfer: 16 * KiB });
    expect(() => m.sched.runSync(m.driver.attach())).toThrow("ENOMEM");
    m.finish();
  });
});

test("kernel memory lies above 4 GiB here, and what the device gets does not", () => {
  const m = DriverMachine.attached({ bounce: true });
  const va = m.kmem.alloc(4096);
  expect(m.kmem.pmap.extract(va)).toBeGreaterThan(MAXADDR_32BIT);
  m.kmem.free(va, 4096);
  expect(m.device.port.highest).toBe(MAXADDR_32BIT);
  m.finish();
});
