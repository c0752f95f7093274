/** The driver when something is wrong: devices that do not come up, requests that fail or make no sense. */
import { BioCommand } from "@physio/carriers";
import { Errno, ErrnoError, KiB, MiB } from "@physio/kern";
import type { MmioHandler } from "@physio/membus";
import { describe, expect, test } from "vitest";
import { AdminOp, Cc, Csts, Reg, Status } from "../src/regs.ts";
import { DriverMachine, sameBytes } from "./driver-fixture.ts";

const { READ, WRITE, DELETE, FLUSH } = BioCommand;

describe("attach", () => {
  test("tells what the device says of itself", () => {
    const m = DriverMachine.attached({
      serial: "S1",
      model: "a disk",
      mediaSize: 2 * MiB + 700,
      maxTransfer: 64 * KiB,
    });
    expect(m.driver.identity).toEqual({
      serial: "S1",
      model: "a disk",
      maxTransfer: 64 * KiB,
      sectors: 4098,
      sectorSize: 512,
      writeCache: true,
    });
    const { name, mediaSize, sectorSize, maxTransfer } = m.disk!;
    expect([name, mediaSize, sectorSize, maxTransfer]).toEqual([
      "nvme0",
      4098 * 512,
      512,
      64 * KiB,
    ]);
    expect(m.device.softc).toBe(m.driver);
    m.finish();
  });

  test.each([
    { doorbellStride: 3 },
    { queueEntries: 2 },
    { queueEntries: 5, sectorSize: 4096 },
    { queuePairs: 1 },
  ])("works with %j", (config) => {
    const m = DriverMachine.attached(config);
    const va = m.kmem.alloc(8192);
    for (let i = 0; i < 10; i++) m.start(READ, i * 4096, 4096, va + (i % 2) * 4096);
    m.sched.pump();
    expect(m.answered.map((bio) => bio.error)).toEqual(new Array(10).fill(Errno.OK));
    sameBytes(m.bytes(va + 4096, 4096), m.media.bytes.slice(9 * 4096, 10 * 4096));
    m.kmem.free(va, 8192);
    m.finish();
  });

  test("keeps transfers to what one page of PRP list describes", () => {
    const m = DriverMachine.attached({ maxTransfer: 8 * MiB, mediaSize: 4 * MiB });
    expect(m.disk!.maxTransfer).toBe(2 * MiB);
    const va = m.kmem.alloc(2 * MiB + 4096);
    const bio = m.start(READ, 512, 2 * MiB, va + 2048);
    m.sched.pump();
    expect(bio.error).toBe(Errno.OK);
    sameBytes(m.bytes(va + 2048, 2 * MiB), m.media.bytes.slice(512, 512 + 2 * MiB));
    m.kmem.free(va, 2 * MiB + 4096);
    m.finish();
  });

  /** Registers that lie. */
  const liar =
    (read: (at: number, value: number, cc: number) => number) =>
    (chip: MmioHandler): MmioHandler => {
      let cc = 0;
      return {
        mmioRead: (at, size) => read(at, chip.mmioRead(at, size), cc),
        mmioWrite: (at, size, value) => {
          if (at === Reg.CC) cc = value;
          chip.mmioWrite(at, size, value);
        },
      };
    };
  const enabled = (cc: number) => (cc & Cc.EN) !== 0;
  const BROKEN = [
    {
      name: "never becomes ready",
      error: Errno.ETIMEDOUT,
      wrap: liar((at, v) => (at === Reg.CSTS ? 0 : v)),
    },
    {
      name: "never stops",
      error: Errno.ETIMEDOUT,
      wrap: liar((at, v) => (at === Reg.CSTS ? Csts.RDY : v)),
    },
    {
      name: "has failed before it is enabled",
      error: Errno.EIO,
      wrap: liar((at, v) => (at === Reg.CSTS ? Csts.CFS : v)),
    },
    {
      name: "fails when it is enabled",
      error: Errno.EIO,
      wrap: liar((at, v, cc) => (at === Reg.CSTS && enabled(cc) ? Csts.CFS : v)),
    },
  ];
  test.each(BROKEN)(
    "of a device that $name fails, and leaves no memory behind",
    ({ error, wrap }) => {
      const m = new DriverMachine({ wrap });
      let errno: number = Errno.OK;
      try {
        m.sched.runSync(m.driver.attach());
      } catch (thrown) {
        if (!(thrown instanceof ErrnoError)) throw thrown;
        errno = thrown.errno;
        expect(thrown.message).toContain("nvme0");
      }
      expect(errno).toBe(error);
      expect(m.driver.identity).toBe(null);
      m.finish();
    },
  );

  test.each([AdminOp.IDENTIFY, AdminOp.CREATE_CQ, AdminOp.CREATE_SQ])(
    "whose admin command %i is never answered times out, and leaves no memory behind",
    (opcode) => {
      const m = new DriverMachine({
        wrap: (chip) => ({
          mmioRead: (at, size) => chip.mmioRead(at, size),
          mmioWrite: (at, size, value) => {
            // The doorbell of the admin queue: `value` − 1 is the slot of the newest command.
            const asq = chip.mmioRead(Reg.ASQ, 4) + chip.mmioRead(Reg.ASQ + 4, 4) * 2 ** 32;
            const slot = new Uint8Array(1);
            if (at === 0x1000) m.mem.read(asq + (value - 1) * 64, slot);
            if (at !== 0x1000 || slot[0] !== opcode) chip.mmioWrite(at, size, value);
          },
        }),
      });
      const began = m.sched.now;
      expect(() => m.sched.runSync(m.driver.attach())).toThrow("ETIMEDOUT");
      expect(m.sched.now - began).toBeGreaterThan(4e9);
      m.finish();
    },
  );
});

describe.each([false, true])("a request (bouncing %s)", (bounce) => {
  function attached(options = {}) {
    const m = DriverMachine.attached({ bounce, ...options });
    const va = m.kmem.alloc(16 * KiB);
    const finish = () => {
      m.kmem.free(va, 16 * KiB);
      m.finish();
    };
    return { m, va, finish };
  }

  test("that the medium fails is EIO with its whole residue; others go on", () => {
    const { m, va, finish } = attached({
      mediaFault: (_op: number, lba: number) =>
        lba === 8 ? Status.UNRECOVERED_READ : Status.SUCCESS,
    });
    const bios = [0, 4096, 8192].map((offset) => m.start(READ, offset, 4096, va + offset));
    m.sched.pump();
    expect(bios.map((bio) => [bio.error, bio.resid])).toEqual([
      [Errno.OK, 0],
      [Errno.EIO, 4096],
      [Errno.OK, 0],
    ]);
    expect(m.driver.failures).toBe(1);
    expect(m.driver.lastStatus & 0x7ff).toBe(Status.UNRECOVERED_READ);
    const again = m.start(READ, 12_288, 4096, va);
    m.sched.pump();
    expect(again.error).toBe(Errno.OK);
    finish();
  });

  test("past the last sector is EIO and changes nothing", () => {
    const { m, va, finish } = attached();
    const before = m.media.bytes.slice();
    for (const offset of [2 * MiB, 2 * MiB - 4096, 2 ** 45]) m.start(WRITE, offset, 8192, va);
    m.sched.pump();
    expect(m.answered.map((bio) => bio.error)).toEqual([Errno.EIO, Errno.EIO, Errno.EIO]);
    expect(m.driver.lastStatus & 0x7ff).toBe(Status.LBA_RANGE);
    sameBytes(m.media.bytes, before);
    finish();
  });

  test.each([1, 2, 3, 513])(
    "with a buffer %i bytes off a dword is EINVAL and gives its tracker back",
    (off) => {
      const { m, va, finish } = attached();
      for (let i = 0; i < 70; i++) m.start(READ, 0, 4096, va + off);
      m.sched.pump();
      expect(m.answered.map((bio) => bio.error)).toEqual(new Array(70).fill(Errno.EINVAL));
      expect(m.driver.commands).toBe(0);
      finish();
    },
  );

  test.each([
    { offset: 0, bytes: 0 },
    { offset: 0, bytes: 100 },
    { offset: 256, bytes: 512 },
  ])("of $bytes bytes at $offset is EINVAL: commands move whole sectors", ({ offset, bytes }) => {
    const { m, va, finish } = attached();
    m.kmem.write(va, new Uint8Array(4096).fill(0xcc));
    const bio = m.start(READ, offset, bytes, va);
    m.sched.pump();
    expect([bio.error, m.driver.commands]).toEqual([Errno.EINVAL, 0]);
    expect(m.bytes(va, 4096).every((b) => b === 0xcc)).toBe(true);
    finish();
  });

  test("to flush reaches the medium, one to delete is EOPNOTSUPP", () => {
    const { m, finish } = attached();
    const flush = m.start(FLUSH, 0, 0, 0);
    const remove = m.start(DELETE, 0, 4096, 0);
    expect(m.answered).toEqual([]); // answered from a thread, never inside of start
    m.sched.pump();
    expect([flush.error, remove.error]).toEqual([Errno.OK, Errno.EOPNOTSUPP]);
    expect(m.media.flushes).toBe(1);
    finish();
  });

  test("may be started from the answer of another", () => {
    const { m, va, finish } = attached();
    let left = 50;
    const bio = m.start(READ, 0, 4096, va);
    bio.done = (b) => {
      b.flags = 0;
      b.offset += 4096;
      if (--left > 0) m.driver.start(b);
    };
    m.sched.pump();
    expect([left, m.driver.commands]).toEqual([0, 50]);
    sameBytes(m.bytes(va, 4096), m.media.bytes.slice(49 * 4096, 50 * 4096));
    finish();
  });
});
