import { describe, expect, test } from "vitest";
import { AdminOp, Csts, NvmOp, Reg, Status } from "../src/regs.ts";
import type { HostOptions } from "./hw-fixture.ts";
import { Host, page } from "./hw-fixture.ts";

describe("rings", () => {
  test("phases change over several rounds", () => {
    const host = Host.ready();
    const q = host.pair(1, 4);
    for (let i = 0; i < 23; i++) {
      const done = q.do({ op: NvmOp.READ, cid: i, prp1: page(1), cdw10: i });
      expect(done).toEqual({
        result: 0,
        sqhd: (i + 1) % 4,
        sqid: 1,
        cid: i,
        code: 0,
        dnr: false,
      });
    }
  });

  test("completions wait while their queue is full", () => {
    const host = Host.ready();
    const q = host.pair(1, 4);
    const seen: number[] = [];
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3; i++) q.put({ op: NvmOp.READ, cid: round * 3 + i, prp1: page(i) });
      q.ring();
      host.sched.pump();
      if (round === 0) {
        seen.push(...q.take(false).map((c) => c.cid)); // seen, but the chip is not told
      }
    }
    expect(q.take(false)).toEqual([]);
    expect(host.hw.stats.queueFull).toBe(3);
    host.regs.write4(Reg.DOORBELLS + 12, q.head);
    host.sched.pump();
    seen.push(...q.take().map((c) => c.cid));
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
    expect(host.hw.stats.outstanding).toBe(0);
  });

  test("fetching stops while completions wait, and goes on after them", () => {
    const host = Host.ready();
    const q = host.pair(1, 4);
    const fetched = () => host.hw.stats.commands - host.hw.stats.adminCommands;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 3; i++) q.put({ op: NvmOp.READ, cid: round * 3 + i, prp1: page(i) });
      q.ring();
      host.sched.pump();
    }
    expect(fetched()).toBe(6);
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      seen.push(...q.take().map((c) => c.cid));
      host.sched.pump();
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(fetched()).toBe(9);
  });

  test("doorbell values that no queue can take change nothing", () => {
    const host = Host.ready();
    const q = host.pair(1, 4);
    for (const bad of [4, 0xffff_ffff]) host.regs.write4(Reg.DOORBELLS + 8, bad);
    host.regs.write4(Reg.DOORBELLS + 12, 1); // nothing was completed
    host.sched.pump();
    expect(host.csts).toBe(Csts.RDY);
    expect(q.do({ op: NvmOp.FLUSH }).code).toBe(0);
  });

  test("an id in use is a conflict, and the first command goes on", () => {
    const host = Host.ready();
    const q = host.pair();
    q.put({ op: NvmOp.READ, cid: 3, cdw12: 63, prp1: page(1), prp2: page(9) });
    q.put({ op: NvmOp.FLUSH, cid: 3 });
    q.ring();
    host.sched.pump();
    const codes = q.take().map((c) => c.code);
    expect(codes[0]).toBe(Status.CID_CONFLICT);
    expect(q.do({ op: NvmOp.FLUSH, cid: 3 }).code).toBe(0);
  });

  test("several submission queues share a completion queue", () => {
    const host = Host.ready();
    const q = host.pair(1, 8);
    const sq2 = page(0);
    const cdw10 = 2 + 7 * 65536;
    host.admin.do({ op: AdminOp.CREATE_SQ, prp1: sq2, cdw10, cdw11: 1 + 65536 });
    host.regs.write4(Reg.DOORBELLS + 16, 1); // an entry of zeros: a flush without namespace
    host.sched.pump();
    expect(q.take()).toMatchObject([{ sqid: 2, code: Status.INVALID_NAMESPACE }]);
  });
});

describe("time", () => {
  function order(options: HostOptions): number[] {
    const host = Host.ready(options);
    const q = host.pair(1, 16);
    for (let cid = 0; cid < 12; cid++) q.put({ op: NvmOp.READ, cid, prp1: page(cid) });
    q.ring();
    host.sched.pump();
    return q.take().map((c) => c.cid);
  }

  test("without a seed commands of one kind complete in order", () => {
    expect(order({})).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("equal seeds give equal orders, different seeds different ones", () => {
    const seeds = [1, 2, 3, 4, 5];
    const orders = seeds.map((seed) => order({ seed }).join());
    expect(seeds.map((seed) => order({ seed }).join())).toEqual(orders);
    expect(new Set(orders).size).toBeGreaterThan(3);
    const together = order({ seed: 1, jitterNs: 0 }); // all are due at one time: the seed picks
    expect(together).not.toEqual(order({}));
    expect(together.toSorted((a, b) => a - b)).toEqual(order({}));
  });

  test("commands run side by side and a short one overtakes a long one", () => {
    const host = Host.ready({ latencyNs: 10_000, bytesPerUs: 1000 });
    const q = host.pair();
    const from = host.sched.now;
    q.put({ op: NvmOp.READ, cid: 1, prp1: page(1), prp2: page(2), cdw12: 15 });
    q.put({ op: NvmOp.READ, cid: 2, prp1: page(3) });
    q.ring();
    host.sched.pump();
    expect(q.take().map((c) => c.cid)).toEqual([2, 1]);
    expect(host.sched.now - from).toBe(200 + 10_000 + 8192);
    expect(host.hw.stats.maxOutstanding).toBe(2);
  });
});

describe("reset", () => {
  test("in mid-flight: no completion, no byte, and the chip starts afresh", () => {
    const host = Host.ready();
    const q = host.pair();
    host.disk.fill(0xaa);
    for (let cid = 0; cid < 6; cid++) q.put({ op: NvmOp.READ, cid, prp1: page(cid), cdw12: 7 });
    q.ring();
    host.sched.delay(5_000); // fetched, not done
    expect(host.hw.stats.outstanding).toBe(6);
    const { bytesWritten } = host.port;
    host.regs.write4(Reg.CC, 0);
    host.sched.pump();
    expect(q.take(false)).toEqual([]);
    expect(host.port.bytesWritten).toBe(bytesWritten);
    expect(host.hw.stats.outstanding).toBe(0);
    expect(host.csts).toBe(0);

    q.ring(); // nobody listens
    host.sched.pump();
    host.enable();
    expect(host.pair().do({ op: NvmOp.READ, prp1: page(1) }).code).toBe(0);
  });

  test("a deleted submission queue answers what it had fetched", () => {
    const host = Host.ready({ mediaFault: () => -1 });
    const q = host.pair();
    for (let cid = 0; cid < 3; cid++) q.put({ op: NvmOp.FLUSH, cid });
    q.ring();
    host.sched.pump();
    expect(host.admin.do({ op: AdminOp.DELETE_SQ, cdw10: 1 }).code).toBe(0);
    expect(q.take().map((c) => [c.cid, c.code])).toEqual(
      [0, 1, 2].map((cid) => [cid, Status.SQ_DELETION]),
    );
  });

  test("the chip's fault in the midst of a deletion leaves nothing pending", () => {
    const host = Host.ready({ mediaFault: () => -1 });
    const cdw10 = 1 + 7 * 65536;
    const nowhere = 2 ** 40;
    host.admin.do({ op: AdminOp.CREATE_CQ, prp1: nowhere, cdw10, cdw11: 3 });
    host.admin.do({ op: AdminOp.CREATE_SQ, prp1: page(0), cdw10, cdw11: 1 + 65536 });
    host.list(page(0), 0, 0);
    const entry = new Uint8Array(128);
    for (const at of [0, 64]) entry.set([0, 0, at, 0, 1], at); // flushes of namespace 1
    host.mem.write(page(0), entry);
    host.regs.write4(Reg.DOORBELLS + 8, 2);
    host.sched.pump();
    expect(host.hw.stats.outstanding).toBe(2);
    host.admin.put({ op: AdminOp.DELETE_SQ, cdw10: 1 });
    host.admin.ring();
    host.sched.pump();
    expect(host.csts & Csts.CFS).toBe(Csts.CFS);
    expect(host.hw.stats.outstanding).toBe(0);
    expect(host.port.faultCount).toBe(1);
  });
});
