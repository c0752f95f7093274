/**
 * An NVMe controller: its registers, and its life from enable to reset.
 *
 * Follows NVM Express 1.4, 3.1 and 7.6. One namespace, one interrupt vector, pages of 4096 bytes,
 * contiguous queues, no SGLs, no metadata. The chip is given bus addresses and nothing else: what a
 * driver forgets to sync, bounce or keep mapped is wrong here as on a board.
 *
 * Registers are words: an access of another size reads zeros or is ignored. Nothing that the host
 * writes throws; what the specification leaves undefined is ignored, reported by an event or fatal
 * (CSTS.CFS). Effects that take time happen in hardware events, so DELAY lets them happen.
 */
import type { HardwareSlot } from "@physio/bus";
import type { BusAddr, Bytes } from "@physio/kern";
import { isAligned, MAXADDR, PAGE_SIZE } from "@physio/kern";
import type { MmioHandler } from "@physio/membus";
import type { Event } from "@physio/sched";
import { AdminCommands } from "./hw-admin.ts";
import type { ChipSettings, NvmeConfig } from "./hw-config.ts";
import { NvmeStats, settle } from "./hw-config.ts";
import { HELD, QueueEngine } from "./hw-engine.ts";
import { FeatureStore } from "./hw-features.ts";
import { NvmCommands } from "./hw-io.ts";
import { AsyncEvents, Logs } from "./hw-log.ts";
import { DataPath } from "./hw-prp.ts";
import type { Command } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import {
  Aqa,
  AsyncEvent,
  CapHigh,
  CapLow,
  Cc,
  CQE_SHIFT,
  Csts,
  Reg,
  Shn,
  Shst,
  SQE_SHIFT,
  Status,
  VERSION_1_4,
} from "./regs.ts";

/** From CC.EN = 1 to CSTS.RDY = 1. */
const ENABLE_NS = 1_000_000;
/** From CC.EN = 0 to CSTS.RDY = 0. */
const DISABLE_NS = 100_000;
/** From CC.SHN to CSTS.SHST = COMPLETE. */
const SHUTDOWN_NS = 500_000;
/** CAP.TO: 10 s, in units of 500 ms. */
const TIMEOUT = 20;

export class NvmeHardware implements MmioHandler {
  readonly stats: NvmeStats;
  readonly #settings: ChipSettings;
  readonly #slot: HardwareSlot;
  readonly #engine: QueueEngine;
  readonly #io: NvmCommands;
  readonly #admin: AdminCommands;
  readonly #features: FeatureStore;
  readonly #logs: Logs;
  readonly #events: AsyncEvents;
  /** CC.EN changes CSTS.RDY. */
  readonly #transition: Event;
  readonly #shutdown: Event;
  #cc: number;
  #csts: number;
  #aqa: number;
  /** ASQ and ACQ, as low and high words. */
  readonly #bases: Uint32Array;

  /** @throws {ErrnoError} EINVAL: see NvmeConfig. */
  constructor(slot: HardwareSlot, config: NvmeConfig) {
    const settings = settle(config);
    const scratch = new Uint8Array(settings.maxTransfer);
    this.stats = new NvmeStats();
    this.#settings = settings;
    this.#slot = slot;
    this.#engine = new QueueEngine(slot, settings, this.stats, {
      transferBytes: (command) => (command.queue.id === 0 ? 0 : this.#io.transferBytes(command)),
      execute: (command) => this.#execute(command),
      fatal: () => this.#fatal(),
    });
    const engine = this.#engine;
    const path = new DataPath(slot.port, settings.maxTransfer, this.stats);
    this.#io = new NvmCommands(settings, this.stats, path, scratch);
    this.#features = new FeatureStore(settings, engine, this.#io);
    this.#logs = new Logs(this.stats);
    this.#events = new AsyncEvents(engine, slot.sched);
    this.#admin = new AdminCommands({
      settings,
      engine,
      features: this.#features,
      logs: this.#logs,
      events: this.#events,
      path,
      scratch,
    });
    this.#transition = slot.sched.event(() => this.#settleEnable());
    this.#shutdown = slot.sched.event(() => this.#finishShutdown());
    this.#cc = 0;
    this.#csts = 0;
    this.#aqa = 0;
    this.#bases = new Uint32Array(4);
  }

  // ---- registers

  mmioRead(offset: Bytes, size: number): number {
    if (size !== 4) return 0;
    switch (offset) {
      case Reg.CAP:
        return this.#capLow();
      case Reg.CAP + 4:
        return this.#settings.doorbellStride | CapHigh.CSS_NVM;
      case Reg.VS:
        return VERSION_1_4;
      case Reg.INTMS:
      case Reg.INTMC:
        return this.#engine.interruptMask;
      case Reg.CC:
        return this.#cc;
      case Reg.CSTS:
        return this.#csts;
      case Reg.AQA:
        return this.#aqa;
      case Reg.ASQ:
        return this.#bases[0];
      case Reg.ASQ + 4:
        return this.#bases[1];
      case Reg.ACQ:
        return this.#bases[2];
      case Reg.ACQ + 4:
        return this.#bases[3];
      default:
        return 0; // doorbells read as zeros too
    }
  }

  mmioWrite(offset: Bytes, size: number, value: number): void {
    if (size !== 4) return;
    if (offset >= Reg.DOORBELLS) {
      this.#ring(offset - Reg.DOORBELLS, value);
      return;
    }
    switch (offset) {
      case Reg.INTMS:
        this.#engine.interruptMask = (this.#engine.interruptMask | value) >>> 0;
        break;
      case Reg.INTMC:
        this.#engine.unmask(value);
        break;
      case Reg.CC:
        this.#writeCc(value);
        break;
      case Reg.AQA:
        this.#aqa = value;
        break;
      case Reg.ASQ:
        this.#bases[0] = value;
        break;
      case Reg.ASQ + 4:
        this.#bases[1] = value;
        break;
      case Reg.ACQ:
        this.#bases[2] = value;
        break;
      case Reg.ACQ + 4:
        this.#bases[3] = value;
        break;
      default: // read only, or nothing there
    }
  }

  #capLow(): number {
    const entries = this.#settings.queueEntries - 1;
    return entries | CapLow.CQR | (TIMEOUT << CapLow.TO_SHIFT);
  }

  // ---- enable, reset, shutdown (3.1.5, 7.3, 7.6)

  #writeCc(value: number): void {
    const changed = this.#cc ^ value;
    this.#cc = value;
    this.#admin.entrySizes =
      field(value, Cc.IOSQES_SHIFT, Cc.ES_MASK) === SQE_SHIFT &&
      field(value, Cc.IOCQES_SHIFT, Cc.ES_MASK) === CQE_SHIFT;
    if ((changed & Cc.EN) !== 0) this.#switch((value & Cc.EN) !== 0);
    const announced = field(value, Cc.SHN_SHIFT, Cc.SHN_MASK);
    if (announced === Shn.NONE || field(changed, Cc.SHN_SHIFT, Cc.SHN_MASK) === 0) return;
    if (field(this.#csts, Csts.SHST_SHIFT, Csts.SHST_MASK) !== Shst.NORMAL) return;
    this.#csts |= Shst.BUSY << Csts.SHST_SHIFT;
    this.#engine.stopFetching();
    this.#slot.sched.after(this.#shutdown, SHUTDOWN_NS);
  }

  #switch(on: boolean): void {
    const { sched } = this.#slot;
    sched.cancel(this.#transition);
    sched.cancel(this.#shutdown);
    if (on) this.#csts = 0;
    else this.#reset();
    sched.after(this.#transition, on ? ENABLE_NS : DISABLE_NS);
  }

  /** Controller level reset: CC and the admin queue registers stay. */
  #reset(): void {
    this.#engine.stop();
    this.#engine.interruptMask = 0;
    this.#events.reset();
    this.#features.reset();
    this.#csts &= Csts.RDY;
  }

  #settleEnable(): void {
    if ((this.#cc & Cc.EN) === 0) {
      this.#csts &= ~Csts.RDY;
      return;
    }
    const sqSize = field(this.#aqa, Aqa.ASQS_SHIFT, Aqa.SIZE_MASK) + 1;
    const cqSize = field(this.#aqa, Aqa.ACQS_SHIFT, Aqa.SIZE_MASK) + 1;
    const asq = this.#base(0);
    const acq = this.#base(2);
    const aligned = isAligned(asq, PAGE_SIZE) && isAligned(acq, PAGE_SIZE);
    if (!isConfigured(this.#cc) || sqSize < 2 || cqSize < 2 || !aligned) {
      this.#fatal();
      return;
    }
    const cq = this.#engine.addCq({ id: 0, base: acq, size: cqSize, interrupts: true });
    this.#engine.addSq({ id: 0, base: asq, size: sqSize, cq });
    this.#engine.start();
    this.#csts |= Csts.RDY;
    if (field(this.#csts, Csts.SHST_SHIFT, Csts.SHST_MASK) !== Shst.NORMAL) {
      this.#engine.stopFetching();
    }
  }

  /** ASQ (0) or ACQ (2); one of more than 52 bits becomes an address that no port reaches. */
  #base(at: number): BusAddr {
    const high = this.#bases[at + 1];
    const low = this.#bases[at];
    return high < 2 ** 20 ? high * 2 ** 32 + low : MAXADDR + 1 + (low & (PAGE_SIZE - 1));
  }

  #finishShutdown(): void {
    this.#settings.media.flush();
    this.#csts &= ~(Csts.SHST_MASK << Csts.SHST_SHIFT);
    this.#csts |= Shst.COMPLETE << Csts.SHST_SHIFT;
  }

  #fatal(): void {
    this.#csts |= Csts.CFS;
    this.#engine.stop();
    this.#events.reset();
  }

  // ---- doorbells (3.1.24, 3.1.25) and commands

  #ring(offset: Bytes, value: number): void {
    if (!this.#engine.running) return;
    const spacing = 4 << this.#settings.doorbellStride;
    const index = offset / spacing;
    const id = Math.floor(index / 2);
    const { sqs, cqs } = this.#engine;
    const exists = Number.isInteger(index) && id < sqs.length;
    const sq = exists && index % 2 === 0 ? sqs[id] : null;
    const cq = exists && index % 2 === 1 ? cqs[id] : null;
    let taken = false;
    if (sq !== null) taken = this.#engine.ringTail(sq, value);
    else if (cq !== null) taken = this.#engine.ringHead(cq, value);
    else this.#events.error(AsyncEvent.INVALID_DOORBELL_REGISTER);
    if (!taken && (sq !== null || cq !== null)) {
      this.#events.error(AsyncEvent.INVALID_DOORBELL_VALUE);
    }
  }

  #execute(command: Command): NvmeStatus {
    const admin = command.queue.id === 0;
    const status = admin ? this.#admin.execute(command) : this.#io.execute(command);
    if (status !== Status.SUCCESS && status !== HELD) this.#logs.record(command, status);
    return status;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { commands, outstanding } = this.stats;
    const state = (this.#csts & Csts.CFS) !== 0 ? "failed" : this.#engine.running ? "ready" : "off";
    return `NvmeHardware(${this.#slot.port.name} ${state}, ${commands} commands, ${outstanding} outstanding)`;
  }
}

const field = (value: number, shift: number, mask: number): number => (value >>> shift) & mask;

/** Whether the chip can run as CC says. Sizes of entries may be set later, before I/O queues. */
function isConfigured(cc: number): boolean {
  const sqes = field(cc, Cc.IOSQES_SHIFT, Cc.ES_MASK);
  const cqes = field(cc, Cc.IOCQES_SHIFT, Cc.ES_MASK);
  return (
    field(cc, Cc.CSS_SHIFT, Cc.CSS_MASK) === 0 &&
    field(cc, Cc.MPS_SHIFT, Cc.MPS_MASK) === 0 &&
    field(cc, Cc.AMS_SHIFT, Cc.AMS_MASK) === 0 &&
    (sqes === 0 || sqes === SQE_SHIFT) &&
    (cqes === 0 || cqes === CQE_SHIFT)
  );
}
