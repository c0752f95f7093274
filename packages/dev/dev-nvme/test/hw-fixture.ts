import type { HardwareSlot } from "@physio/bus";
import { InterruptLine } from "@physio/bus";
import { GiB, PAGE_SIZE } from "@physio/kern";
import type { DevicePort } from "@physio/membus";
import { BusSpace, Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import type { RandomSource } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { NvmeHardware } from "../src/hw.ts";
import type { NvmeConfig } from "../src/hw-config.ts";
import { MemoryMedia } from "../src/media.ts";
import {
  AdminOp,
  CQE_SIZE,
  Csts,
  headDoorbell,
  Reg,
  SQE_SIZE,
  Sqe,
  tailDoorbell,
} from "../src/regs.ts";

export const ENABLE = 1 | (6 << 16) | (4 << 20);
/** Start of what tests use for data and PRP lists. */
export const DATA = 0x10_0000;
export const page = (n: number): number => DATA + n * PAGE_SIZE;

export interface Fields {
  op: number;
  cid?: number;
  nsid?: number;
  prp1?: number;
  prp2?: number;
  cdw10?: number;
  cdw11?: number;
  cdw12?: number;
  cdw13?: number;
  modes?: number;
}

export interface Completion {
  result: number;
  sqhd: number;
  sqid: number;
  cid: number;
  /** SC and SCT. */
  code: number;
  dnr: boolean;
}

export function seeded(seed: number): RandomSource {
  let state = (seed * 2654435761 + 1) >>> 0;
  return {
    next() {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state;
    },
  };
}

/** The host's half of a queue pair, without any driver. */
export class HostQueue {
  tail = 0;
  head = 0;
  phase = 1;
  readonly host: Host;
  readonly id: number;
  readonly sq: number;
  readonly cq: number;
  readonly size: number;

  constructor(host: Host, id: number, size: number) {
    this.host = host;
    this.id = id;
    this.size = size;
    this.sq = 0x1_0000 * (id + 1);
    this.cq = this.sq + 0x8000;
    host.mem.zero(this.sq, 0x1_0000);
  }

  /** Write an entry; the doorbell is for `ring`. */
  put(f: Fields): void {
    const entry = new Uint8Array(SQE_SIZE);
    const view = new DataView(entry.buffer);
    const put8 = (at: number, value: number) => {
      view.setUint32(at, value % 2 ** 32, true);
      view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    };
    view.setUint32(Sqe.CDW0, (f.op | (f.modes ?? 0) | ((f.cid ?? 0) << 16)) >>> 0, true);
    view.setUint32(Sqe.NSID, f.nsid ?? 1, true);
    put8(Sqe.PRP1, f.prp1 ?? 0);
    put8(Sqe.PRP2, f.prp2 ?? 0);
    view.setUint32(Sqe.CDW10, f.cdw10 ?? 0, true);
    view.setUint32(Sqe.CDW11, f.cdw11 ?? 0, true);
    view.setUint32(Sqe.CDW12, f.cdw12 ?? 0, true);
    view.setUint32(Sqe.CDW13, f.cdw13 ?? 0, true);
    this.host.mem.write(this.sq + this.tail * SQE_SIZE, entry);
    this.tail = (this.tail + 1) % this.size;
  }

  ring(): void {
    this.host.regs.write4(tailDoorbell(this.id, this.host.stride), this.tail);
  }

  /** Completions that have come, in order; `release` tells the chip. */
  take(release = true): Completion[] {
    const taken: Completion[] = [];
    const entry = new Uint8Array(CQE_SIZE);
    const view = new DataView(entry.buffer);
    for (;;) {
      this.host.mem.read(this.cq + this.head * CQE_SIZE, entry);
      const status = view.getUint16(14, true);
      if ((status & 1) !== this.phase) break;
      taken.push({
        result: view.getUint32(0, true),
        sqhd: view.getUint16(8, true),
        sqid: view.getUint16(10, true),
        cid: view.getUint16(12, true),
        code: (status >> 1) & 0x7ff,
        dnr: status >> 15 === 1,
      });
      this.head++;
      if (this.head === this.size) {
        this.head = 0;
        this.phase ^= 1;
      }
    }
    if (release && taken.length > 0) {
      this.host.regs.write4(headDoorbell(this.id, this.host.stride), this.head);
    }
    return taken;
  }

  /** One command from doorbell to completion. */
  do(f: Fields): Completion {
    this.put(f);
    this.ring();
    this.host.sched.pump();
    const [only, ...more] = this.take();
    if (only === undefined || more.length > 0) {
      throw new Error(`${more.length + (only === undefined ? 0 : 1)} completions`);
    }
    return only;
  }
}

export interface HostOptions extends Partial<NvmeConfig> {
  seed?: number;
  highest?: number;
  mediaSize?: number;
}

/** A machine of RAM, bus and one chip. RAM: 16 MiB at 0, 1 MiB at 4 GiB. */
export class Host {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly port: DevicePort;
  readonly intr: InterruptLine;
  readonly hw: NvmeHardware;
  readonly regs: BusSpace;
  readonly disk: Uint8Array;
  readonly media: MemoryMedia;
  readonly stride: number;
  admin: HostQueue;

  constructor(options: HostOptions = {}) {
    const { seed, highest = 2 ** 52 - 1, mediaSize = 4 << 20, ...config } = options;
    const trace = new Trace();
    this.mem = new PhysMem({
      banks: [
        { base: 0, size: 16 << 20 },
        { base: 4 * GiB, size: 1 << 20 },
      ],
    });
    this.sched = new Scheduler(seed === undefined ? { trace } : { trace, random: seeded(seed) });
    const bus = new Membus({ mem: this.mem, trace, now: () => this.sched.now });
    this.port = bus.devicePort({ name: "nvme0", highest });
    this.intr = new InterruptLine(this.sched, "nvme0");
    this.disk = new Uint8Array(mediaSize);
    this.media = new MemoryMedia(this.disk);
    this.stride = config.doorbellStride ?? 0;
    const slot: HardwareSlot = { sched: this.sched, port: this.port, intr: this.intr };
    this.hw = new NvmeHardware(slot, { media: this.media, ...config });
    this.regs = new BusSpace({ name: "nvme0", base: 2 ** 40, size: 0x4000, handler: this.hw });
    this.admin = new HostQueue(this, 0, 16);
  }

  get csts(): number {
    return this.regs.read4(Reg.CSTS);
  }

  enable(cc = ENABLE): void {
    this.admin = new HostQueue(this, 0, 16);
    this.regs.write4(Reg.AQA, 15 | (15 << 16));
    this.regs.write8(Reg.ASQ, this.admin.sq);
    this.regs.write8(Reg.ACQ, this.admin.cq);
    this.regs.write4(Reg.CC, cc);
    this.sched.pump();
  }

  /** An enabled chip. */
  static ready(options: HostOptions = {}): Host {
    const host = new Host(options);
    host.enable();
    if (host.csts !== Csts.RDY) throw new Error(`CSTS is ${host.csts}`);
    return host;
  }

  /** An I/O queue pair. */
  pair(id = 1, size = 16): HostQueue {
    const q = new HostQueue(this, id, size);
    const cdw10 = id + (size - 1) * 65536;
    const cq = this.admin.do({ op: AdminOp.CREATE_CQ, prp1: q.cq, cdw10, cdw11: 3 });
    const sq = this.admin.do({ op: AdminOp.CREATE_SQ, prp1: q.sq, cdw10, cdw11: 1 + id * 65536 });
    if (cq.code !== 0 || sq.code !== 0) throw new Error(`queues: ${cq.code} ${sq.code}`);
    return q;
  }

  bytes(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (this.mem.read(at, bytes) !== 0) throw new Error(`no RAM at ${at}`);
    return bytes;
  }

  /** 64-bit words, as a PRP list holds them. */
  list(at: number, ...words: number[]): void {
    const bytes = new Uint8Array(words.length * 8);
    const view = new DataView(bytes.buffer);
    words.forEach((w, i) => {
      view.setUint32(i * 8, w % 2 ** 32, true);
      view.setUint32(i * 8 + 4, Math.floor(w / 2 ** 32), true);
    });
    this.mem.write(at, bytes);
  }
}

export function pattern(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + salt) & 0xff);
}
