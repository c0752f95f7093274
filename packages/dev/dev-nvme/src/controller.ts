/**
 * Bringing a controller up: reset, admin queue, identify, one I/O queue pair.
 *
 * Admin commands run one at a time and are waited for. Follows nvme_ctrlr.c; NVM Express 1.4, 7.6.1
 * (initialization).
 */

import type { Device } from "@physio/bus";
import type { DmaTag } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import type { BusAddr, Bytes } from "@physio/kern";
import { Errno, ErrnoError, PAGE_SIZE } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Scheduler, Sleeps } from "@physio/sched";
import { DmaPage, QueuePair } from "./queue-pair.ts";
import {
  AdminOp,
  Aqa,
  CapHigh,
  CapLow,
  Cc,
  Cns,
  CQE_SHIFT,
  Csts,
  Feature,
  formatStatus,
  IdCtrl,
  IdNs,
  QueueFlag,
  Reg,
  SQE_SHIFT,
  SQE_SIZE,
  Sqe,
  Status,
} from "./regs.ts";

const MS = 1_000_000;
const POLL = MS / 10;
const ADMIN_ENTRIES = 32;
const STOP_TIME = 1000 * MS;
const IO_ENTRIES = 64;
const MDTS_NONE = 0;
/** A tracker has one page for its PRP list: what that describes is our own limit. */
const LIST_REACH = (PAGE_SIZE / 8) * PAGE_SIZE;

/** What identify told. */
export interface Identity {
  readonly serial: string;
  readonly model: string;
  readonly maxTransfer: Bytes;
  readonly sectors: number;
  readonly sectorSize: Bytes;
  /** Written data may be lost until a flush. */
  readonly writeCache: boolean;
}

const field = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length)).trimEnd();

export class Controller {
  readonly device: Device;
  readonly kmem: Kmem;
  readonly sched: Scheduler;
  /** Gives pages for queues and lists. */
  readonly pageTag: DmaTag;
  readonly #command: Uint8Array;
  readonly #view: DataView;
  readonly #pairs: QueuePair[];
  /** Pages that a command under way may still write. */
  readonly #lent: DmaPage[];
  #admin: QueuePair | null;
  #stride: number;

  constructor(device: Device, kmem: Kmem, sched: Scheduler) {
    this.device = device;
    this.kmem = kmem;
    this.sched = sched;
    this.pageTag = device.dmaTag.child({ alignment: PAGE_SIZE, maxSize: PAGE_SIZE, segments: 1 });
    this.#command = new Uint8Array(SQE_SIZE);
    this.#view = new DataView(this.#command.buffer);
    this.#pairs = [];
    this.#lent = [];
    this.#admin = null;
    this.#stride = 0;
  }

  /** Stop the device, wait until it has stopped, and give its queues back; a device that never stops keeps them. */
  *shutdown(): Sleeps<void> {
    this.device.regs.write4(Reg.CC, 0);
    this.#admin = null;
    for (let waited = 0; waited < STOP_TIME; waited += POLL) {
      if ((this.device.regs.read4(Reg.CSTS) & Csts.RDY) === 0) {
        for (const owned of [...this.#pairs.splice(0), ...this.#lent.splice(0)]) owned.free();
        return;
      }
      yield* this.sched.pause("nvmestop", POLL);
    }
  }

  /** Enable the controller with an admin queue. @throws {ErrnoError} ETIMEDOUT, EIO, ENOMEM. */
  *enable(): Sleeps<void> {
    const { regs } = this.device;
    const low = regs.read4(Reg.CAP);
    const high = regs.read4(Reg.CAP + 4);
    this.#stride = high & CapHigh.DSTRD_MASK;
    const timeout = ((low >>> CapLow.TO_SHIFT) & CapLow.TO_MASK) * 500 * MS;
    regs.write4(Reg.CC, 0);
    yield* this.#waitReady(0, timeout);
    const admin = new QueuePair(
      this.device,
      this.kmem,
      this.pageTag,
      0,
      this.#stride,
      ADMIN_ENTRIES,
    );
    this.#admin = admin;
    this.#pairs.push(admin);
    regs.write4(
      Reg.AQA,
      ((admin.entries - 1) << Aqa.ASQS_SHIFT) | ((admin.entries - 1) << Aqa.ACQS_SHIFT),
    );
    regs.write8(Reg.ASQ, admin.submissions.bus);
    regs.write8(Reg.ACQ, admin.completions.bus);
    regs.write4(Reg.CC, Cc.EN | (SQE_SHIFT << Cc.IOSQES_SHIFT) | (CQE_SHIFT << Cc.IOCQES_SHIFT));
    yield* this.#waitReady(Csts.RDY, timeout);
  }

  *identify(): Sleeps<Identity> {
    const page = new DmaPage(this.pageTag, "identify");
    const controller = new Uint8Array(PAGE_SIZE);
    const bytes = new Uint8Array(PAGE_SIZE);
    const view = new DataView(bytes.buffer);
    // Until the device has answered, the page is its to write: after a failure `shutdown` frees it.
    this.#lent.push(page);
    yield* this.#identifyInto(page, Cns.CONTROLLER, 0);
    this.kmem.read(page.va, controller);
    yield* this.#identifyInto(page, Cns.NAMESPACE, 1);
    this.kmem.read(page.va, bytes);
    this.#lent.pop();
    page.free();
    const mdts = controller[IdCtrl.MDTS];
    const limit = mdts === MDTS_NONE ? LIST_REACH : PAGE_SIZE * 2 ** mdts;
    const format = IdNs.LBAF0 + 4 * (bytes[IdNs.FLBAS] & 0xf);
    return {
      serial: field(controller, IdCtrl.SN, 20),
      model: field(controller, IdCtrl.MN, 40),
      maxTransfer: Math.min(limit, LIST_REACH),
      sectors: view.getUint32(IdNs.NSZE, true) + view.getUint32(IdNs.NSZE + 4, true) * 2 ** 32,
      sectorSize: 2 ** bytes[format + 2],
      writeCache: controller[IdCtrl.VWC] % 2 === 1,
    };
  }

  /** Make I/O queue pair 1. @throws {ErrnoError} EIO, ENOMEM. */
  *createIoQueue(): Sleeps<QueuePair> {
    const { regs } = this.device;
    const most = (regs.read4(Reg.CAP) & CapLow.MQES_MASK) + 1;
    this.#begin(AdminOp.SET_FEATURES, 0, 0);
    this.#view.setUint32(Sqe.CDW10, Feature.QUEUES, true);
    yield* this.#run("set number of queues");
    const entries = Math.min(most, IO_ENTRIES);
    const pair = new QueuePair(this.device, this.kmem, this.pageTag, 1, this.#stride, entries);
    this.#pairs.push(pair);
    const size = ((pair.entries - 1) << 16) | pair.qid;
    this.#begin(AdminOp.CREATE_CQ, 0, pair.completions.bus);
    this.#view.setUint32(Sqe.CDW10, size, true);
    this.#view.setUint32(Sqe.CDW11, QueueFlag.PC | QueueFlag.IEN, true);
    yield* this.#run("create completion queue");
    this.#begin(AdminOp.CREATE_SQ, 0, pair.submissions.bus);
    this.#view.setUint32(Sqe.CDW10, size, true);
    this.#view.setUint32(Sqe.CDW11, (pair.qid << 16) | QueueFlag.PC, true);
    yield* this.#run("create submission queue");
    return pair;
  }

  *#identifyInto(page: DmaPage, cns: number, nsid: number): Sleeps<void> {
    this.#begin(AdminOp.IDENTIFY, nsid, page.bus);
    this.#view.setUint32(Sqe.CDW10, cns, true);
    page.mem.map.sync(Sync.PREREAD);
    yield* this.#run("identify");
    page.mem.map.sync(Sync.POSTREAD);
  }

  #begin(opcode: number, nsid: number, prp1: BusAddr): void {
    this.#command.fill(0);
    this.#view.setUint32(Sqe.CDW0, opcode, true);
    this.#view.setUint32(Sqe.NSID, nsid, true);
    this.#view.setUint32(Sqe.PRP1, prp1 % 2 ** 32, true);
    this.#view.setUint32(Sqe.PRP1 + 4, Math.floor(prp1 / 2 ** 32), true);
  }

  /** Run the admin command that was begun, by polling. */
  *#run(what: string): Sleeps<void> {
    const admin = this.#admin!;
    admin.submit(this.#command);
    for (let waited = 0; waited < 5000 * MS; waited += POLL) {
      const completion = admin.poll();
      if (completion !== null) {
        admin.ring();
        if (completion.status === Status.SUCCESS) return;
        throw this.#failed(Errno.EIO, `${what}: ${formatStatus(completion.status)}`);
      }
      if ((this.device.regs.read4(Reg.CSTS) & Csts.CFS) !== 0)
        throw this.#failed(Errno.EIO, `${what}: fatal status`);
      yield* this.sched.pause("nvmeadm", POLL);
    }
    throw this.#failed(Errno.ETIMEDOUT, what);
  }

  *#waitReady(wanted: number, timeout: number): Sleeps<void> {
    for (let waited = 0; waited <= timeout; waited += POLL) {
      const csts = this.device.regs.read4(Reg.CSTS);
      if ((csts & Csts.CFS) !== 0) throw this.#failed(Errno.EIO, "enable: fatal status");
      if ((csts & Csts.RDY) === wanted) return;
      yield* this.sched.pause("nvmerdy", POLL);
    }
    throw this.#failed(Errno.ETIMEDOUT, "the controller does not become ready");
  }

  #failed(errno: Errno, what: string): ErrnoError {
    return new ErrnoError(errno, `${this.device.name}: ${what}`);
  }
}
