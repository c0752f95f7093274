/** Completion of bufs: where it runs, who waits for it, and nested bufs against a sum. */
import { Errno, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Buf } from "../src/index.ts";
import { BufFlag, BufPriority } from "../src/index.ts";
import { BlkMachine } from "./machine.ts";

const POLICIES = ["inline", "softintr"] as const;

describe("biodone", () => {
  test("calls iodone in the caller's frame when the policy is inline", () => {
    const m = new BlkMachine({ completion: "inline" });
    const buf = m.buf(512);
    let done = 0;
    buf.iodone = () => done++;
    m.bufs.biodone(buf);
    expect(done).toBe(1);
    expect(buf.iodone).toBe(null);
    m.bufs.put(buf);
    m.finish();
  });

  test("calls iodone from a thread, in order, when the policy is softintr", () => {
    const m = new BlkMachine({ completion: "softintr" });
    const log: string[] = [];
    for (const blkno of [3, 1, 2]) {
      const buf = m.buf(512);
      buf.blkno = blkno;
      buf.iodone = (b) => {
        log.push(`${b.blkno} in ${m.sched.current?.name}`);
        m.bufs.put(b);
      };
      m.bufs.biodone(buf);
    }
    expect(log).toEqual([]);
    m.sched.pump();
    expect(log).toEqual(["3 in biodone", "1 in biodone", "2 in biodone"]);
    m.finish();
  });

  test.each(POLICIES)("panics when a buf is done twice (%s)", (completion) => {
    const m = new BlkMachine({ completion });
    const buf = m.buf(512);
    m.bufs.biodone(buf);
    m.sched.pump();
    expect(() => m.bufs.biodone(buf)).toThrow(Panic);
    m.bufs.put(buf);
    m.finish();
  });

  test.each(POLICIES)(
    "panics when nobody holds the buf, as when a piece is done twice (%s)",
    (completion) => {
      const m = new BlkMachine({ completion });
      const { buf, ends } = master(m, 2048);
      const [first, second] = [0, 1024].map((at) => piece(m, buf, at, 1024));
      end(m, first, Errno.OK);
      expect(() => end(m, first, Errno.OK)).toThrow(/is not busy/);
      end(m, second, Errno.OK);
      expect(ends).toEqual([Errno.OK, 0]);
      m.bufs.put(buf);
      m.finish();
    },
  );

  test("panics when a buf is done twice before the software interrupt has run", () => {
    const m = new BlkMachine({ completion: "softintr" });
    const buf = m.buf(512);
    m.bufs.biodone(buf);
    expect(() => m.bufs.biodone(buf)).toThrow(/512 bytes, is done already/);
    expect(() => m.bufs.put(buf)).toThrow(Panic); // its completion is on its way
    m.sched.pump();
    m.bufs.put(buf);
    expect(() => m.bufs.put(buf)).toThrow(Panic);
    m.finish();
  });

  test("a buf that is used again has nothing left of before", () => {
    const m = new BlkMachine();
    const buf = m.buf(512);
    buf.priority = BufPriority.TIMECRITICAL;
    buf.error = Errno.EIO;
    buf.output = { numOutput: 0 };
    m.bufs.put(buf);
    const again = m.bufs.get();
    expect(again).toBe(buf);
    expect([again.priority, again.error, again.output, again.flags]).toEqual([
      BufPriority.NONCRITICAL,
      Errno.OK,
      null,
      BufFlag.BUSY,
    ]);
    m.bufs.put(again);
    m.finish();
  });

  test("counts a write down and wakes who waits for the last one", () => {
    const m = new BlkMachine();
    const output = { numOutput: 2 };
    let woken = false;
    m.sched.spawn(
      "waiter",
      (function* (): Sleeps<void> {
        while (output.numOutput > 0) yield* m.sched.sleep(output, "vwait");
        woken = true;
      })(),
    );
    m.sched.pump();
    for (const left of [1, 0]) {
      const buf = m.buf(512, 0);
      buf.output = output;
      buf.iodone = (b) => m.bufs.put(b);
      m.bufs.biodone(buf);
      m.sched.pump();
      expect([output.numOutput, woken]).toEqual([left, left === 0]);
    }
    m.finish();
  });

  test("gives an asynchronous buf without iodone to `release`", () => {
    const m = new BlkMachine();
    const released: Buf[] = [];
    m.bufs.release = (buf) => {
      released.push(buf);
      m.bufs.put(buf);
    };
    const buf = m.buf(512, BufFlag.READ | BufFlag.ASYNC);
    m.bufs.biodone(buf);
    expect(released).toEqual([buf]);
    m.finish();
  });
});

describe.each(POLICIES)("biowait (%s)", (completion) => {
  test("sleeps until the transfer has ended and gives its error", () => {
    const m = new BlkMachine({ completion });
    const buf = m.buf(512);
    const errors: Errno[] = [];
    m.sched.spawn(
      "waiter",
      (function* (): Sleeps<void> {
        errors.push(yield* m.bufs.biowait(buf));
      })(),
    );
    m.sched.pump();
    expect(errors).toEqual([]);
    buf.error = Errno.EIO;
    m.bufs.biodone(buf);
    m.sched.pump();
    expect(errors).toEqual([Errno.EIO]);
    m.bufs.put(buf);
    m.finish();
  });

  test("returns at once when it has ended already", () => {
    const m = new BlkMachine({ completion });
    const buf = m.buf(512);
    m.bufs.biodone(buf);
    m.sched.pump();
    expect(m.sched.runSync(m.bufs.biowait(buf))).toBe(Errno.OK);
    m.bufs.put(buf);
    m.finish();
  });
});

/** A master of `bytes` whose end is counted. */
function master(m: BlkMachine, bytes: number): { buf: Buf; ends: number[] } {
  const buf = m.buf(bytes, BufFlag.READ);
  buf.data = 0x10_0000;
  buf.priority = BufPriority.TIMECRITICAL;
  const ends: number[] = [];
  buf.iodone = (b) => ends.push(b.error, b.resid);
  return { buf, ends };
}

function piece(m: BlkMachine, of: Buf, offset: number, bytes: number): Buf {
  const buf = m.bufs.get();
  m.bufs.nest(of, buf, offset, bytes);
  return buf;
}

/** The driver's answer to a piece. */
function end(m: BlkMachine, buf: Buf, error: Errno, resid = error === Errno.OK ? 0 : buf.bcount) {
  buf.error = error;
  buf.resid = resid;
  m.bufs.biodone(buf);
  m.sched.pump();
}

describe("nested bufs", () => {
  test("take memory, direction and urgency from their master, and count a write", () => {
    const m = new BlkMachine();
    const output = { numOutput: 1 };
    const whole = m.buf(8192, 0);
    whole.data = 0x10_0000;
    whole.output = output;
    whole.priority = BufPriority.TIMELIMITED;
    whole.iodone = () => {};
    const part = piece(m, whole, 4096, 1024);
    expect(part.data).toBe(0x10_1000);
    expect([part.bufsize, part.bcount, part.resid]).toEqual([1024, 1024, 1024]);
    expect(part.flags).toBe(BufFlag.BUSY | BufFlag.ASYNC);
    expect(part.priority).toBe(BufPriority.TIMELIMITED);
    expect(output.numOutput).toBe(2);
    end(m, part, Errno.OK);
    expect([output.numOutput, whole.resid]).toEqual([1, 7168]);
    m.bufs.nestDone(whole, 7168, Errno.OK);
    expect([output.numOutput, whole.resid]).toEqual([0, 0]);
    m.bufs.put(whole);
    m.finish();
  });

  const CASES = [
    { name: "a piece that fails", error: Errno.ENXIO, resid: 1024, master: Errno.ENXIO },
    { name: "a piece that is short", error: Errno.OK, resid: 512, master: Errno.EIO },
    {
      name: "a failed piece that moved something",
      error: Errno.EIO,
      resid: 512,
      master: Errno.EIO,
    },
  ];
  test.each(CASES)("fail their master with the error of $name, with its whole residue", (c) => {
    const m = new BlkMachine();
    const { buf, ends } = master(m, 4096);
    const parts = [0, 1024, 2048, 3072].map((at) => piece(m, buf, at, 1024));
    end(m, parts[0], Errno.OK);
    end(m, parts[2], c.error, c.resid);
    end(m, parts[1], Errno.OK);
    expect(ends).toEqual([]);
    end(m, parts[3], Errno.OK);
    expect(ends).toEqual([c.master, 4096]);
    m.bufs.put(buf);
    m.finish();
  });

  test("that a driver cut down are short: the master fails with EIO", () => {
    const m = new BlkMachine();
    const { buf, ends } = master(m, 2048);
    const part = piece(m, buf, 0, 2048);
    part.bcount = 1024;
    end(m, part, Errno.OK, 0);
    expect(ends).toEqual([Errno.EIO, 2048]);
    m.bufs.put(buf);
    m.finish();
  });

  test("are not needed: zero bytes done change nothing, all bytes done end the master", () => {
    const m = new BlkMachine();
    const { buf, ends } = master(m, 4096);
    m.bufs.nestDone(buf, 0, Errno.EIO);
    expect([ends, buf.resid, buf.error]).toEqual([[], 4096, Errno.OK]);
    m.bufs.nestDone(buf, 4096, Errno.OK);
    expect(ends).toEqual([Errno.OK, 0]);
    m.bufs.put(buf);
    m.finish();
  });

  test("cannot end more bytes than their master has left", () => {
    const m = new BlkMachine();
    const { buf } = master(m, 1024);
    expect(() => m.bufs.nestDone(buf, 1025, Errno.OK)).toThrow(Panic);
    expect(() => m.bufs.nestDone(buf, -512, Errno.OK)).toThrow(Panic);
    expect(() => m.bufs.nestDone(buf, Number.NaN, Errno.OK)).toThrow(Panic);
    m.bufs.put(buf);
  });

  test.each([1025, -1, Number.NaN])("cannot have %d bytes left of 1024", (resid) => {
    const m = new BlkMachine();
    const { buf } = master(m, 2048);
    const part = piece(m, buf, 0, 1024);
    expect(() => end(m, part, Errno.OK, resid)).toThrow(`${resid} bytes left of 1024`);
  });

  const pieces = fc.array(
    fc.record({
      sectors: fc.integer({ min: 0, max: 9 }),
      kind: fc.constantFrom("hole", "good", "good", "short", "bad"),
      order: fc.nat(),
      error: fc.constantFrom(Errno.EIO, Errno.ENXIO, Errno.ENOMEM),
    }),
    { minLength: 1, maxLength: 12 },
  );
  test.each(POLICIES)(
    "end their master once, when the sum is reached, in any order (%s)",
    (completion) => {
      fc.assert(
        fc.property(pieces, (list) => {
          const total = list.reduce((sum, p) => sum + p.sectors * 512, 0);
          if (total === 0) return;
          const m = new BlkMachine({ completion });
          const { buf, ends } = master(m, total);
          let at = 0;
          const steps = list.map((p) => {
            const bytes = p.sectors * 512;
            const from = at;
            at += bytes;
            const nested = p.kind === "hole" || bytes === 0 ? null : piece(m, buf, from, bytes);
            return { ...p, bytes, nested };
          });
          steps.sort((a, b) => a.order - b.order);
          let left = total;
          let error: Errno = Errno.OK;
          for (const { kind, bytes, nested, error: bad } of steps) {
            if (nested === null) m.bufs.nestDone(buf, bytes, Errno.OK);
            else if (kind === "bad") end(m, nested, bad);
            else end(m, nested, Errno.OK, kind === "short" ? 512 : 0);
            m.sched.pump();
            if (nested !== null && kind === "bad") error = bad;
            if (nested !== null && kind === "short") error = Errno.EIO;
            left -= bytes;
            const over = [error, error === Errno.OK ? 0 : total];
            expect(ends).toEqual(left === 0 ? over : []);
          }
          expect(m.bufs.outstanding).toBe(1);
          m.bufs.put(buf);
          m.finish();
        }),
        { numRuns: 150 },
      );
    },
  );
});
