import { describe, expect, test } from "vitest";
import { AdminOp, Csts, NvmOp, Reg, Status } from "../src/regs.ts";
import { ENABLE, Host, HostQueue, page } from "./hw-fixture.ts";

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

describe("bring-up", () => {
  test("capabilities and version", () => {
    const host = new Host({ queueEntries: 64, doorbellStride: 2 });
    expect(host.regs.read4(Reg.CAP) & 0xffff).toBe(63);
    expect(host.regs.read4(Reg.CAP + 4) & 0xf).toBe(2);
    expect(host.regs.read4(Reg.VS)).toBe(0x10400);
    expect(host.csts).toBe(0);
  });

  test("ready comes after some time, and goes after some time", () => {
    const host = new Host();
    host.regs.write4(Reg.AQA, 15 | (15 << 16));
    host.regs.write8(Reg.ASQ, host.admin.sq);
    host.regs.write8(Reg.ACQ, host.admin.cq);
    host.regs.write4(Reg.CC, ENABLE);
    expect(host.csts).toBe(0);
    host.sched.delay(2_000_000);
    expect(host.csts).toBe(Csts.RDY);
    host.regs.write4(Reg.CC, 0);
    expect(host.csts).toBe(Csts.RDY);
    host.sched.delay(2_000_000);
    expect(host.csts).toBe(0);
  });

  const bad: [string, number, number, number, number][] = [
    ["an admin queue of one entry", ENABLE, 15 << 16, 0x10000, 0x18000],
    ["a base inside a page", ENABLE, 15 | (15 << 16), 0x10800, 0x18000],
    ["a page size of 8 KiB", ENABLE | (1 << 7), 15 | (15 << 16), 0x10000, 0x18000],
    ["entries of 128 bytes", 1 | (7 << 16) | (4 << 20), 15 | (15 << 16), 0x10000, 0x18000],
  ];
  for (const [name, cc, aqa, asq, acq] of bad) {
    test(`${name} is fatal`, () => {
      const host = new Host();
      host.regs.write4(Reg.AQA, aqa);
      host.regs.write8(Reg.ASQ, asq);
      host.regs.write8(Reg.ACQ, acq);
      host.regs.write4(Reg.CC, cc);
      host.sched.pump();
      expect(host.csts).toBe(Csts.CFS);
      host.regs.write4(Reg.CC, 0);
      host.sched.pump();
      host.enable();
      expect(host.csts).toBe(Csts.RDY);
    });
  }

  test("a shutdown flushes and stops fetching", () => {
    const host = Host.ready();
    host.regs.write4(Reg.CC, ENABLE | (1 << 14));
    expect(host.csts).toBe(Csts.RDY | (1 << 2));
    host.admin.put({ op: AdminOp.IDENTIFY, cdw10: 1, prp1: page(0) });
    host.admin.ring();
    host.sched.pump();
    expect(host.csts).toBe(Csts.RDY | (2 << 2));
    expect(host.admin.take()).toEqual([]);
  });

  test("a configuration out of range is refused", () => {
    expect(() => new Host({ sectorSize: 520 })).toThrow("sectors of 520 bytes: EINVAL");
    expect(() => new Host({ maxTransfer: 5000 })).toThrow("EINVAL");
  });
});

describe("identify", () => {
  test("controller, namespace, active namespaces", () => {
    const host = Host.ready({ serial: "S1", maxTransfer: 65536, mediaSize: 10_000 });
    const identify = (cns: number, nsid: number) =>
      host.admin.do({ op: AdminOp.IDENTIFY, cdw10: cns, nsid, prp1: page(0) }).code;
    expect(identify(1, 0)).toBe(0);
    const ctrl = host.bytes(page(0), 4096);
    expect(text(ctrl.subarray(4, 24))).toBe("S1".padEnd(20));
    expect([ctrl[77], ctrl[512], ctrl[513], ctrl[516], ctrl[525]]).toEqual([4, 0x66, 0x44, 1, 1]);
    expect(identify(0, 1)).toBe(0);
    const ns = host.bytes(page(0), 4096);
    expect([ns[0], ns[8], ns[130]]).toEqual([20, 20, 9]); // 10000 bytes are 20 sectors
    expect(identify(2, 0)).toBe(0);
    expect(host.bytes(page(0), 8)).toEqual(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
    expect(identify(2, 1)).toBe(0);
    expect(host.bytes(page(0), 4)).toEqual(new Uint8Array(4));
    expect(identify(0, 2)).toBe(Status.INVALID_NAMESPACE);
    expect(identify(0x77, 0)).toBe(Status.INVALID_FIELD);
  });
});

describe("admin commands", () => {
  test("queues: every refusal has its status", () => {
    const host = Host.ready({ queueEntries: 64, queuePairs: 2 });
    const { admin } = host;
    const make = (op: number, id: number, size: number, cdw11: number, prp1 = page(0)) =>
      admin.do({ op, prp1, cdw10: id + (size - 1) * 65536, cdw11 }).code;
    const CQ = AdminOp.CREATE_CQ;
    const SQ = AdminOp.CREATE_SQ;
    expect(make(CQ, 0, 8, 1)).toBe(Status.QUEUE_ID);
    expect(make(CQ, 3, 8, 1)).toBe(Status.QUEUE_ID);
    expect(make(CQ, 1, 1, 1)).toBe(Status.QUEUE_SIZE);
    expect(make(CQ, 1, 65, 1)).toBe(Status.QUEUE_SIZE);
    expect(make(CQ, 1, 8, 0)).toBe(Status.INVALID_FIELD);
    expect(make(CQ, 1, 8, 1, page(0) + 64)).toBe(Status.PRP_OFFSET);
    expect(make(CQ, 1, 8, 3 + 65536)).toBe(Status.INTERRUPT_VECTOR);
    expect(make(SQ, 1, 8, 1 + 65536)).toBe(Status.CQ_INVALID);
    expect(make(SQ, 1, 8, 1)).toBe(Status.QUEUE_ID);
    expect(make(CQ, 1, 8, 3)).toBe(0);
    expect(make(CQ, 1, 8, 3)).toBe(Status.QUEUE_ID);
    expect(make(SQ, 1, 8, 1 + 65536, page(1))).toBe(0);
    expect(admin.do({ op: AdminOp.DELETE_CQ, cdw10: 1 }).code).toBe(Status.QUEUE_DELETION);
    expect(admin.do({ op: AdminOp.DELETE_SQ, cdw10: 2 }).code).toBe(Status.QUEUE_ID);
    expect(admin.do({ op: AdminOp.DELETE_SQ, cdw10: 1 }).code).toBe(0);
    expect(admin.do({ op: AdminOp.DELETE_CQ, cdw10: 1 }).code).toBe(0);
  });

  test("features: number of queues, write cache, selections", () => {
    const host = Host.ready({ queuePairs: 4 });
    const { admin } = host;
    const set = (id: number, cdw11: number) =>
      admin.do({ op: AdminOp.SET_FEATURES, cdw10: id, cdw11 });
    const get = (id: number, select = 0) =>
      admin.do({ op: AdminOp.GET_FEATURES, cdw10: id | (select << 8) });
    expect(set(7, 0x0009_0001).result).toBe(0x0003_0001);
    expect(get(7).result).toBe(0x0003_0001);
    expect(get(6).result).toBe(1);
    expect(set(6, 0).code).toBe(0);
    expect([get(6).result, get(6, 1).result, get(6, 3).result]).toEqual([0, 1, 4]);
    expect(set(0x7f, 0).code).toBe(Status.INVALID_FIELD);
    expect(set((0x8000_0000 | 6) >>> 0, 0).code).toBe(Status.NOT_SAVEABLE);
    host.pair(1);
    expect(set(7, 0).code).toBe(Status.SEQUENCE);
  });

  test("an unknown opcode, a fused command and a bad log page are refused", () => {
    const { admin } = Host.ready();
    expect(admin.do({ op: 0x7f })).toMatchObject({ code: Status.INVALID_OPCODE, dnr: true });
    expect(admin.do({ op: AdminOp.IDENTIFY, modes: 0x4000 }).code).toBe(Status.INVALID_FIELD);
    expect(admin.do({ op: AdminOp.GET_LOG_PAGE, cdw10: 0x7f }).code).toBe(Status.LOG_PAGE);
  });

  test("the error log names the last failure; SMART is 512 bytes", () => {
    const host = Host.ready();
    const log = (id: number, words: number) =>
      host.admin.do({ op: AdminOp.GET_LOG_PAGE, cdw10: id + (words - 1) * 65536, prp1: page(0) });
    host.admin.do({ op: 0x7f, cid: 77, nsid: 0 });
    expect(log(1, 16).code).toBe(0);
    const entry = host.bytes(page(0), 64);
    expect([entry[0], entry[10], entry[12]]).toEqual([1, 77, 2]);
    host.mem.write(page(0), new Uint8Array(1024).fill(0xee));
    expect(log(2, 128).code).toBe(0);
    expect(host.bytes(page(0) + 192, 320)).toEqual(new Uint8Array(320));
    expect(host.bytes(page(0) + 512, 1)[0]).toBe(0xee);
  });

  test("abort calls a hanging command off; an unknown one is told so", () => {
    const host = Host.ready({ mediaFault: (_op, lba) => (lba === 7 ? -1 : 0) });
    const q = host.pair();
    q.put({ op: NvmOp.READ, cid: 5, cdw10: 7, prp1: page(0) });
    q.ring();
    host.sched.pump();
    expect(q.take()).toEqual([]);
    expect(host.hw.stats.outstanding).toBe(1);
    expect(host.admin.do({ op: AdminOp.ABORT, cdw10: 1 + 6 * 65536 }).result).toBe(1);
    expect(host.admin.do({ op: AdminOp.ABORT, cdw10: 1 + 5 * 65536 })).toMatchObject({ result: 0 });
    expect(q.take()).toMatchObject([{ cid: 5, code: Status.ABORT_REQUESTED, dnr: false }]);
    expect(host.hw.stats.outstanding).toBe(0);
  });

  test("event requests are held, limited, and answer a bad doorbell once until the log is read", () => {
    const host = Host.ready();
    const { admin } = host;
    for (let cid = 1; cid <= 5; cid++) admin.put({ op: AdminOp.ASYNC_EVENT, cid });
    admin.ring();
    host.sched.pump();
    expect(admin.take()).toMatchObject([{ cid: 5, code: Status.ASYNC_EVENT_LIMIT }]);
    host.regs.write4(Reg.DOORBELLS + 8, 1); // queue 1 does not exist
    host.sched.pump();
    expect(admin.take()).toMatchObject([{ cid: 1, code: 0, result: 0x01_0000 }]);
    host.regs.write4(Reg.DOORBELLS, 99); // beyond the queue
    host.sched.pump();
    expect(admin.take()).toEqual([]);
    admin.put({ op: AdminOp.GET_LOG_PAGE, cid: 9, cdw10: 1, prp1: page(0) });
    admin.ring();
    host.sched.pump();
    expect(admin.take()).toMatchObject([{ cid: 9 }, { cid: 2, result: 0x01_0100 }]);
    expect(host.csts).toBe(Csts.RDY);
  });
});

test("a reset forgets events and features", () => {
  const host = Host.ready();
  host.regs.write4(Reg.DOORBELLS + 8, 1); // queue 1 does not exist; nobody asks for events
  host.admin.do({ op: AdminOp.SET_FEATURES, cdw10: 6, cdw11: 0 });
  host.regs.write4(Reg.CC, 0);
  host.sched.pump();
  host.enable();
  host.admin.put({ op: AdminOp.ASYNC_EVENT, cid: 1 });
  host.admin.put({ op: AdminOp.GET_FEATURES, cid: 2, cdw10: 6 });
  host.admin.ring();
  host.sched.pump();
  expect(host.admin.take()).toMatchObject([{ cid: 2, result: 1 }]);
});

describe("interrupts", () => {
  test("masked ones come when they are unmasked", () => {
    const host = Host.ready();
    host.regs.write4(Reg.INTMS, 1);
    host.admin.put({ op: AdminOp.IDENTIFY, cdw10: 1, prp1: page(0) });
    host.admin.ring();
    host.sched.pump();
    expect(host.intr.raised).toBe(0);
    host.regs.write4(Reg.INTMC, 1);
    expect(host.intr.raised).toBe(1);
    host.regs.write4(Reg.INTMC, 1);
    expect(host.intr.raised).toBe(1);
  });

  test("a queue without IEN raises none", () => {
    const host = Host.ready();
    const q = new HostQueue(host, 1, 4);
    const cdw10 = 1 + 3 * 65536;
    host.admin.do({ op: AdminOp.CREATE_CQ, prp1: q.cq, cdw10, cdw11: 1 });
    host.admin.do({ op: AdminOp.CREATE_SQ, prp1: q.sq, cdw10, cdw11: 1 + 65536 });
    const before = host.intr.raised;
    expect(q.do({ op: NvmOp.FLUSH }).code).toBe(0);
    expect(host.intr.raised).toBe(before);
  });
});
