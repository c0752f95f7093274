import { GiB } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AdminOp, Csts, NvmOp, Reg, Status } from "../src/regs.ts";
import { Host, page, pattern } from "./hw-fixture.ts";

/** How a transfer of `bytes` is laid out, and where its bytes lie. */
interface Layout {
  name: string;
  bytes: number;
  prp1: number;
  prp2: number;
  lists?: [number, number[]][];
  runs: [number, number][];
}

const pages = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => page(from + 2 * i)); // never two in a row
const runsOf = (list: number[]): [number, number][] => list.map((p) => [p, 4096]);

const five = pages(10, 5);
const long = pages(200, 600);
const layouts: Layout[] = [
  { name: "one page", bytes: 4096, prp1: page(1), prp2: 0, runs: [[page(1), 4096]] },
  {
    name: "part of a page, PRP2 is not looked at",
    bytes: 512,
    prp1: page(1) + 4,
    prp2: 3,
    runs: [[page(1) + 4, 512]],
  },
  {
    name: "two pages with an offset",
    bytes: 4096,
    prp1: page(1) + 1028,
    prp2: page(5),
    runs: [
      [page(1) + 1028, 3068],
      [page(5), 1028],
    ],
  },
  {
    name: "a list",
    bytes: 6 * 4096,
    prp1: page(1),
    prp2: page(8),
    lists: [[page(8), five]],
    runs: [[page(1), 4096], ...runsOf(five)],
  },
  {
    name: "a list that starts inside its page",
    bytes: 5 * 4096 + 512,
    prp1: page(1) + 2048,
    prp2: page(8) + 40,
    lists: [[page(8) + 40, five]],
    runs: [[page(1) + 2048, 2048], ...runsOf(five.slice(0, 4)), [five[4], 4096 - 2048 + 512]],
  },
  {
    name: "a list that goes on in a second page after two entries",
    bytes: 6 * 4096,
    prp1: page(1),
    prp2: page(8) + 4096 - 24,
    lists: [
      [page(8) + 4096 - 24, [five[0], five[1], page(9)]],
      [page(9), five.slice(2)],
    ],
    runs: [[page(1), 4096], ...runsOf(five)],
  },
  {
    name: "a list whose last entry is also its page's",
    bytes: 4 * 4096,
    prp1: page(1),
    prp2: page(8) + 4096 - 24,
    lists: [[page(8) + 4096 - 24, five.slice(0, 3)]],
    runs: [[page(1), 4096], ...runsOf(five.slice(0, 3))],
  },
  {
    name: "a list that starts with its page's last entry, which points on",
    bytes: 3 * 4096,
    prp1: page(1),
    prp2: page(8) + 4096 - 8,
    lists: [
      [page(8) + 4096 - 8, [page(9)]],
      [page(9), five.slice(0, 2)],
    ],
    runs: [[page(1), 4096], ...runsOf(five.slice(0, 2))],
  },
  {
    name: "a full list page and another",
    bytes: 601 * 4096,
    prp1: page(1),
    prp2: page(8),
    lists: [
      [page(8), [...long.slice(0, 511), page(9)]],
      [page(9), long.slice(511)],
    ],
    runs: [[page(1), 4096], ...runsOf(long)],
  },
];

/** Equality that is quick on megabytes. */
const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

const gather = (host: Host, runs: [number, number][]): Uint8Array => {
  const all = new Uint8Array(runs.reduce((sum, [, length]) => sum + length, 0));
  let at = 0;
  for (const [address, length] of runs) {
    all.set(host.bytes(address, length), at);
    at += length;
  }
  return all;
};
const scatter = (host: Host, runs: [number, number][], bytes: Uint8Array): void => {
  let at = 0;
  for (const [address, length] of runs) {
    host.mem.write(address, bytes.subarray(at, at + length));
    at += length;
  }
};

describe("PRPs", () => {
  for (const l of layouts) {
    test(`read and write through ${l.name}`, () => {
      const host = Host.ready({ maxTransfer: 4 << 20 });
      const q = host.pair();
      for (const [at, words] of l.lists ?? []) host.list(at, ...words);
      const cdw12 = l.bytes / 512 - 1;
      const bytes = pattern(l.bytes, 3);
      host.disk.set(bytes, 3 * 512);
      const move = { prp1: l.prp1, prp2: l.prp2, cdw10: 3, cdw12 };
      expect(q.do({ op: NvmOp.READ, ...move }).code).toBe(0);
      expect(same(gather(host, l.runs), bytes)).toBe(true);
      expect(host.hw.stats.prpPages).toBe(l.runs.length);

      const other = pattern(l.bytes, 99);
      scatter(host, l.runs, other);
      expect(q.do({ op: NvmOp.WRITE, ...move, cdw10: 5 }).code).toBe(0);
      expect(same(host.disk.subarray(5 * 512, 5 * 512 + l.bytes), other)).toBe(true);
      expect([host.hw.stats.bytesRead, host.hw.stats.bytesWritten]).toEqual([l.bytes, l.bytes]);
      expect(host.port.faultCount).toBe(0);
    });
  }

  const badOffsets: [string, number, number, number[]][] = [
    ["PRP1 off a double word", page(1) + 2, 0, []],
    ["PRP2 inside a page", page(1) + 512, page(2) + 512, []],
    ["a list off a quad word", page(1), page(8) + 4, five],
    ["a list entry inside a page", page(1), page(8), [five[0], five[1] + 8]],
    ["a list pointer inside a page", page(1), page(8) + 4080, [five[0], page(9) + 8]],
  ];
  for (const [name, prp1, prp2, list] of badOffsets) {
    test(`${name} is PRP_OFFSET and nothing moves`, () => {
      const host = Host.ready();
      const q = host.pair();
      host.disk.fill(0xaa);
      host.list(prp2 - (prp2 % 8), ...list);
      const cdw12 = (list.length > 0 ? 4 : 1) * 8 - 1;
      const done = q.do({ op: NvmOp.READ, prp1, prp2, cdw12 });
      expect(done).toMatchObject({ code: Status.PRP_OFFSET, dnr: true });
      expect(host.bytes(page(1), 4096)).toEqual(new Uint8Array(4096));
      expect(host.port.faultCount).toBe(0);
    });
  }
});

describe("errors", () => {
  test("commands that cannot be: range, namespace, length, opcode, field", () => {
    const host = Host.ready({ mediaSize: 100 * 512, maxTransfer: 8192 });
    const q = host.pair();
    const code = (f: object) => q.do({ op: NvmOp.READ, prp1: page(1), ...f }).code;
    expect(code({ cdw10: 99 })).toBe(0);
    expect(code({ cdw10: 100 })).toBe(Status.LBA_RANGE);
    expect(code({ cdw10: 99, cdw12: 1 })).toBe(Status.LBA_RANGE);
    expect(code({ cdw11: 0xffff_ffff, cdw10: 0xffff_ffff })).toBe(Status.LBA_RANGE);
    expect(code({ nsid: 0 })).toBe(Status.INVALID_NAMESPACE);
    expect(code({ nsid: 0xffff_ffff })).toBe(Status.INVALID_NAMESPACE);
    expect(code({ cdw12: 16 })).toBe(Status.INVALID_FIELD);
    expect(code({ op: 0x55 })).toBe(Status.INVALID_OPCODE);
    expect(code({ modes: 0x0100 })).toBe(Status.INVALID_FIELD);
    expect(code({ op: NvmOp.FLUSH, nsid: 0xffff_ffff })).toBe(0);
    expect(host.hw.stats.errors).toBe(8);
  });

  const beyond: [string, number][] = [
    ["a page above 4 GiB", 4 * GiB],
    ["a page of more than 52 bits", 2 ** 52 + 4096],
    ["the highest page of 64 bits", 2 ** 64 - 4096],
  ];
  for (const [name, prp1] of beyond) {
    test(`${name} is beyond a port of 32 bits: status, fault record, no byte`, () => {
      const host = Host.ready({ highest: 4 * GiB - 1 });
      const q = host.pair();
      host.disk.fill(0xaa);
      const { bytesRead, bytesWritten } = host.port;
      const read = q.do({ op: NvmOp.READ, prp1, cdw12: 7 });
      expect(read).toMatchObject({ code: Status.DATA_TRANSFER, dnr: false });
      expect(host.port.faults).toMatchObject([{ direction: "write", reason: "beyond reach" }]);
      expect(host.bytes(4 * GiB, 4096)).toEqual(new Uint8Array(4096));
      const write = q.do({ op: NvmOp.WRITE, prp1, cdw12: 7 });
      expect(write.code).toBe(Status.DATA_TRANSFER);
      const address = Math.min(prp1, 2 ** 52); // more bits than that are not kept
      expect(host.port.faults[1]).toMatchObject({ direction: "read", address });
      expect(host.disk[0]).toBe(0xaa);
      // Only queue entries have passed: two of each.
      expect(host.port.bytesRead - bytesRead).toBe(128);
      expect(host.port.bytesWritten - bytesWritten).toBe(32);
    });
  }

  test("the same page is reached by a port of more bits", () => {
    const host = Host.ready();
    const q = host.pair();
    host.disk.set(pattern(4096));
    expect(q.do({ op: NvmOp.READ, prp1: 4 * GiB, cdw12: 7 }).code).toBe(0);
    expect(host.bytes(4 * GiB, 4096)).toEqual(pattern(4096));
  });

  test("a write with a page out of reach leaves the medium as it was", () => {
    const host = Host.ready({ highest: 4 * GiB - 1 });
    const q = host.pair();
    host.mem.write(page(1), pattern(4096));
    const done = q.do({ op: NvmOp.WRITE, prp1: page(1), prp2: 4 * GiB, cdw12: 15 });
    expect(done.code).toBe(Status.DATA_TRANSFER);
    expect(host.disk.every((b) => b === 0)).toBe(true);
  });

  test("a queue that cannot be reached is fatal, and nothing follows", () => {
    const host = Host.ready({ highest: 4 * GiB - 1 });
    const cdw10 = 1 + 7 * 65536;
    host.admin.do({ op: AdminOp.CREATE_CQ, prp1: 4 * GiB, cdw10, cdw11: 3 });
    host.admin.do({ op: AdminOp.CREATE_SQ, prp1: page(1), cdw10, cdw11: 1 + 65536 });
    host.regs.write4(Reg.DOORBELLS + 8, 2); // two entries of zeros: flushes
    host.sched.pump();
    expect(host.csts & Csts.CFS).toBe(Csts.CFS);
    expect(host.hw.stats.outstanding).toBe(0);
    expect(host.port.faultCount).toBe(1);
  });

  test("injected media faults", () => {
    const bad = (op: number, lba: number, blocks: number) =>
      lba <= 10 && 10 < lba + blocks && op === NvmOp.READ ? Status.UNRECOVERED_READ : 0;
    const q = Host.ready({ mediaFault: bad }).pair();
    expect(q.do({ op: NvmOp.READ, prp1: page(1), cdw10: 8, cdw12: 1 }).code).toBe(0);
    const failed = q.do({ op: NvmOp.READ, prp1: page(1), cdw10: 8, cdw12: 2 });
    expect(failed).toMatchObject({ code: Status.UNRECOVERED_READ, dnr: false });
  });
});

describe("other commands", () => {
  test("write zeroes, deallocate, and a last sector that is not whole", () => {
    const host = Host.ready({ mediaSize: 20 * 512 + 100 });
    const q = host.pair();
    host.disk.fill(0xaa);
    expect(q.do({ op: NvmOp.WRITE_ZEROES, cdw10: 2, cdw12: 1 }).code).toBe(0);
    expect([1023, 1024, 2047, 2048].map((i) => host.disk[i])).toEqual([0xaa, 0, 0, 0xaa]);

    const ranges = new Uint8Array(32);
    const view = new DataView(ranges.buffer);
    view.setUint32(4, 1, true);
    view.setUint32(8, 6, true);
    view.setUint32(20, 2, true);
    view.setUint32(24, 19, true);
    host.mem.write(page(1), ranges);
    expect(q.do({ op: NvmOp.DSM, prp1: page(1), cdw10: 1, cdw11: 4 }).code).toBe(0);
    expect([3071, 3072, 3583, 3584].map((i) => host.disk[i])).toEqual([0xaa, 0, 0, 0xaa]);
    expect(host.disk.subarray(19 * 512).every((b) => b === 0)).toBe(true);
    view.setUint32(24, 20, true);
    host.mem.write(page(1), ranges);
    expect(q.do({ op: NvmOp.DSM, prp1: page(1), cdw10: 1, cdw11: 4 }).code).toBe(Status.LBA_RANGE);

    host.disk.fill(0xbb);
    host.mem.write(page(2), new Uint8Array(512).fill(0x11));
    expect(q.do({ op: NvmOp.READ, prp1: page(2), cdw10: 20 }).code).toBe(0);
    const sector = host.bytes(page(2), 512);
    expect([sector[99], sector[100], sector[511]]).toEqual([0xbb, 0, 0]);
  });

  test("flushes: the command, FUA, and every write while the cache is off", () => {
    const host = Host.ready();
    const q = host.pair();
    const flushes = (f: object): number => {
      const before = host.media.flushes;
      expect(q.do({ op: NvmOp.WRITE, prp1: page(1), ...f }).code).toBe(0);
      return host.media.flushes - before;
    };
    expect([flushes({}), flushes({ cdw12: 1 << 30 }), flushes({ op: NvmOp.FLUSH })]).toEqual([
      0, 1, 1,
    ]);
    host.admin.do({ op: AdminOp.SET_FEATURES, cdw10: 6, cdw11: 0 });
    expect([flushes({}), flushes({ op: NvmOp.WRITE_ZEROES })]).toEqual([1, 1]);
  });

  test("sectors of 4096 bytes", () => {
    const host = Host.ready({ sectorSize: 4096 });
    const q = host.pair();
    host.disk.set(pattern(8192), 4096);
    expect(q.do({ op: NvmOp.READ, prp1: page(1), prp2: page(3), cdw10: 1, cdw12: 1 }).code).toBe(0);
    expect(host.bytes(page(3), 4096)).toEqual(pattern(8192).slice(4096));
  });
});

test("property: reads and writes through random layouts agree with an array", () => {
  const SECTORS = 64;
  const step = fc.record({
    write: fc.boolean(),
    lba: fc.nat(SECTORS - 1),
    blocks: fc.integer({ min: 1, max: 48 }),
    offset: fc.nat(1023).map((n) => n * 4),
    listSlot: fc.constantFrom(0, 1, 255, 508, 509, 510, 511),
    shift: fc.nat(50),
    salt: fc.nat(255),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const host = Host.ready({ mediaSize: SECTORS * 512, maxTransfer: 32768 });
      const q = host.pair(1, 4);
      const model = new Uint8Array(SECTORS * 512);
      for (const s of steps) {
        const blocks = Math.min(s.blocks, SECTORS - s.lba);
        const bytes = blocks * 512;
        const frames = Array.from({ length: 10 }, (_, i) => page(20 + ((i * 7 + s.shift) % 60)));
        const runs: [number, number][] = [];
        const first = Math.min(bytes, 4096 - s.offset);
        runs.push([frames[0] + s.offset, first]);
        for (let left = bytes - first; left > 0; left -= 4096) {
          runs.push([frames[runs.length], Math.min(left, 4096)]);
        }
        let prp2 = runs.length === 2 ? runs[1][0] : 5;
        if (runs.length > 2) {
          const entries = runs.slice(1).map(([p]) => p);
          const room = 512 - s.listSlot;
          prp2 = page(100) + s.listSlot * 8;
          if (entries.length <= room) host.list(prp2, ...entries);
          else {
            host.list(prp2, ...entries.slice(0, room - 1), page(101));
            host.list(page(101), ...entries.slice(room - 1));
          }
        }
        const at = s.lba * 512;
        const f = { prp1: runs[0][0], prp2, cdw10: s.lba, cdw12: blocks - 1 };
        if (s.write) {
          const data = pattern(bytes, s.salt);
          scatter(host, runs, data);
          expect(q.do({ op: NvmOp.WRITE, ...f }).code).toBe(0);
          model.set(data, at);
        } else {
          expect(q.do({ op: NvmOp.READ, ...f }).code).toBe(0);
          expect(gather(host, runs)).toEqual(model.slice(at, at + bytes));
        }
      }
      expect(host.disk).toEqual(model);
      expect(host.port.faultCount).toBe(0);
      expect(host.hw.stats.outstanding).toBe(0);
    }),
    { numRuns: 150 },
  );
});
