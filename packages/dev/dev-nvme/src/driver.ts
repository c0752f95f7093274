/**
 * The NVMe driver: from bios to commands and back.
 *
 * `start` takes a tracker, loads the bio's memory for the device and, from the load's callback,
 * writes a command; that may happen at once or, when bounce pages are short, later from the busdma
 * thread. The interrupt handler takes completions, syncs and unloads, and answers the bio. Follows
 * nvme_qpair.c and nvme_ns_cmd.c.
 *
 * The data tag asks for KEEP_PG_OFFSET: a bounced chunk stays at its offset in the page, so only the
 * first page of a transfer begins inside of a page, as PRPs need. Dword alignment, which PRPs need
 * too, is the caller's duty: bouncing for it would give every machine a pool. A bio that lacks it is
 * answered EINVAL.
 *
 * Locking: trackers, queues and maps belong to the device's lock; bios are answered without it.
 */

import type { DiskOrder, IoBufs } from "@physio/blkio";
import { Disk } from "@physio/blkio";
import type { Device } from "@physio/bus";
import type { SegList } from "@physio/busdma";
import { BusDma, busdmaLockMutex, Sync } from "@physio/busdma";
import type { Bio } from "@physio/carriers";
import { BioCommand, BioFlag, biodone } from "@physio/carriers";
import type { Errno } from "@physio/kern";
import { Errno as E, PAGE_SIZE, panic, Stailq } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Scheduler, Sleeps } from "@physio/sched";
import { SoftIntr } from "@physio/sched";
import type { Trace } from "@physio/trace";
import { Ktr, traceSpan } from "@physio/trace";
import type { Identity } from "./controller.ts";
import { Controller } from "./controller.ts";
import type { QueuePair } from "./queue-pair.ts";
import { NvmOp, Rw, SQE_SIZE, Sqe, Status } from "./regs.ts";
import { PrpBuilder, Tracker } from "./tracker.ts";

export interface NvmeDriverConfig {
  readonly bufs: IoBufs;
  readonly kmem: Kmem;
  readonly sched: Scheduler;
  readonly trace: Trace;
  /** In which order the disk is given its requests; default: elevator. */
  readonly queue?: DiskOrder;
}

const TRACKERS = 32;
/** A command, told apart by its id and, above 16 bits, the unit. */
const COMMAND = traceSpan(
  Ktr.DEV,
  "nvme command",
  ["id", "opcode", "lba", "segments"],
  ["id", "status"],
);

export class NvmeDriver {
  readonly device: Device;
  /** What the device said of itself; null before `attach`. */
  identity: Identity | null;
  /** Commands given to the device, and the segments of their data. */
  commands: number;
  segments: number;
  /** Commands that the device failed, and the last bad status. */
  failures: number;
  lastStatus: number;
  readonly #config: NvmeDriverConfig;
  readonly #controller: Controller;
  readonly #free: Stailq<Tracker>;
  readonly #busy: (Tracker | null)[];
  readonly #queue: Stailq<Bio>;
  /** bios that are over and wait to be answered without the lock. */
  readonly #over: Stailq<Bio>;
  readonly #answer: SoftIntr;
  readonly #prps: PrpBuilder;
  readonly #command: Uint8Array;
  readonly #view: DataView;
  #pair: QueuePair | null;
  #sectorSize: number;

  constructor(device: Device, config: NvmeDriverConfig) {
    this.device = device;
    this.identity = null;
    this.commands = 0;
    this.segments = 0;
    this.failures = 0;
    this.lastStatus = Status.SUCCESS;
    this.#config = config;
    this.#controller = new Controller(device, config.kmem, config.sched);
    this.#free = new Stailq<Tracker>();
    this.#busy = new Array<Tracker | null>(TRACKERS).fill(null);
    this.#queue = new Stailq<Bio>();
    this.#over = new Stailq<Bio>();
    this.#answer = new SoftIntr(config.sched, `${device.name} answer`, () => this.#afterRefusal());
    this.#prps = new PrpBuilder();
    this.#command = new Uint8Array(SQE_SIZE);
    this.#view = new DataView(this.#command.buffer);
    this.#pair = null;
    this.#sectorSize = 512;
    device.softc = this;
  }

  /** Bring the device up and make its disk. @throws {ErrnoError} EIO, ETIMEDOUT: the device; ENOMEM. @bsd #P[no failed-command retry] nvme_attach */
  *attach(): Sleeps<Disk> {
    try {
      return yield* this.#attach();
    } catch (error) {
      yield* this.#controller.shutdown();
      throw error;
    }
  }

  *#attach(): Sleeps<Disk> {
    const { device } = this;
    yield* this.#controller.enable();
    const identity = yield* this.#controller.identify();
    this.#pair = yield* this.#controller.createIoQueue();
    this.identity = identity;
    this.#sectorSize = identity.sectorSize;
    const dataTag = device.dmaTag.child({
      maxSize: identity.maxTransfer,
      segments: identity.maxTransfer / PAGE_SIZE + 1,
      flags: BusDma.KEEP_PG_OFFSET,
      lock: busdmaLockMutex(device.lock),
    });
    const trackers = Math.min(TRACKERS, this.#pair.entries - 1);
    for (let cid = 0; cid < trackers; cid++) {
      this.#free.insertTail(new Tracker(cid, dataTag, this.#controller.pageTag));
    }
    device.intr.setup(() => this.#interrupt());
    return new Disk(this.#config.bufs, {
      name: device.name,
      mediaSize: identity.sectors * identity.sectorSize,
      sectorSize: identity.sectorSize,
      maxTransfer: identity.maxTransfer,
      maxCommands: trackers,
      queue: this.#config.queue ?? "elevator",
      writeCache: identity.writeCache,
      fua: true,
      start: (bio) => this.start(bio),
    });
  }

  /** Queue a request; it is answered with biodone. A flush waits for nothing here: the disk orders it. => not from the driver's own completion. */
  start(bio: Bio): void {
    this.device.lock.enter();
    this.#queue.insertTail(bio);
    this.#startQueued();
    this.device.lock.exit();
    if (this.#over.length > 0) this.#answer.schedule();
  }

  /** Give queued bios to free trackers, in order. */
  #startQueued(): void {
    while (this.#free.length > 0) {
      const bio = this.#queue.removeHead();
      if (bio === null) return;
      const refused = this.#check(bio);
      if (refused !== E.OK) {
        this.#end(bio, refused);
        continue;
      }
      const tracker = this.#free.removeHead()!;
      tracker.bio = bio;
      this.#busy[tracker.cid] = tracker;
      if (bio.command === BioCommand.FLUSH) this.#submit(tracker, NvmOp.FLUSH, 0, 0);
      // What a load returns its callback is told too, except that it waits.
      else void tracker.map.loadBio(bio, this.#loaded, tracker);
    }
  }

  /** What a bio is refused for before it costs a tracker: a command of 0 sectors would move one. */
  #check(bio: Bio): Errno {
    if (bio.command === BioCommand.DELETE) return E.EOPNOTSUPP;
    if (bio.command === BioCommand.FLUSH) return E.OK;
    const whole = bio.offset % this.#sectorSize === 0 && bio.bcount % this.#sectorSize === 0;
    return whole && bio.bcount > 0 ? E.OK : E.EINVAL;
  }

  /** The memory of a tracker's bio is loaded, or cannot be. => the lock is held. */
  readonly #loaded = (tracker: Tracker, segs: SegList, _count: number, error: Errno): void => {
    const bio = tracker.bio;
    if (bio === null) panic(`nvme: command ${tracker.cid} has no bio`);
    const refused = error === E.OK && segs.addr[0] % 4 !== 0 ? E.EINVAL : error;
    if (refused !== E.OK) {
      tracker.map.unload(); // an error may leave bounce pages behind
      this.#release(tracker);
      this.#end(bio, refused);
      this.#answer.schedule();
      return;
    }
    tracker.loaded = true;
    const { list } = tracker;
    this.#prps.build(segs, list.bus);
    if (this.#prps.listBytes > 8) {
      list.mem.map.sync(Sync.POSTWRITE); // of the command that had the list before
      this.#config.kmem.write(list.va, this.#prps.list.subarray(0, this.#prps.listBytes));
      list.mem.map.sync(Sync.PREWRITE);
    }
    const read = bio.command === BioCommand.READ;
    tracker.map.sync(read ? Sync.PREREAD : Sync.PREWRITE);
    this.segments += segs.count;
    const sectors = bio.bcount / this.#sectorSize;
    this.#submit(
      tracker,
      read ? NvmOp.READ : NvmOp.WRITE,
      bio.offset / this.#sectorSize,
      sectors,
      segs.count,
    );
  };

  #submit(tracker: Tracker, opcode: number, lba: number, sectors: number, segments = 0): void {
    const view = this.#view;
    const lasting = opcode === NvmOp.WRITE && (tracker.bio!.flags & BioFlag.FUA) !== 0;
    const fua = lasting ? Rw.FUA : 0;
    this.#command.fill(0);
    view.setUint8(Sqe.CDW0, opcode);
    view.setUint16(Sqe.CDW0 + 2, tracker.cid, true);
    view.setUint32(Sqe.NSID, 1, true);
    if (sectors > 0) {
      this.#setAddress(Sqe.PRP1, this.#prps.prp1);
      this.#setAddress(Sqe.PRP2, this.#prps.prp2);
      this.#setAddress(Sqe.CDW10, lba);
      view.setUint32(Sqe.CDW12, (sectors - 1) | fua, true);
    }
    this.commands++;
    this.#config.trace.record(COMMAND.begin, this.#traceId(tracker.cid), opcode, lba, segments);
    this.#pair!.submit(this.#command);
  }

  #traceId(cid: number): number {
    return this.device.unit * 65536 + cid;
  }

  /** A 64-bit number, little-endian. */
  #setAddress(at: number, value: number): void {
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  /** Take all completions that have come. @bsd #Y nvme_qpair_process_completions */
  #interrupt(): void {
    const pair = this.#pair!;
    this.device.lock.enter();
    let taken = 0;
    for (let c = pair.poll(); c !== null; c = pair.poll()) {
      this.#completed(c.cid, c.status);
      taken++;
    }
    if (taken > 0) pair.ring();
    this.#startQueued();
    this.device.lock.exit();
    this.#answerAll();
  }

  #completed(cid: number, status: number): void {
    const tracker = this.#busy[cid];
    if (tracker?.bio == null)
      panic(`nvme: ${this.device.name} completed command ${cid}, which is not out`);
    const { bio } = tracker;
    this.#config.trace.record(COMMAND.end, this.#traceId(cid), status);
    if (tracker.loaded) {
      tracker.map.sync(bio.command === BioCommand.READ ? Sync.POSTREAD : Sync.POSTWRITE);
      tracker.map.unload();
    }
    this.#release(tracker);
    if (status !== Status.SUCCESS) {
      this.failures++;
      this.lastStatus = status;
    }
    this.#end(bio, status === Status.SUCCESS ? E.OK : E.EIO);
  }

  #release(tracker: Tracker): void {
    this.#busy[tracker.cid] = null;
    tracker.bio = null;
    tracker.loaded = false;
    this.#free.insertTail(tracker);
  }

  #end(bio: Bio, error: Errno): void {
    bio.error = error;
    bio.resid = error === E.OK ? 0 : bio.bcount;
    this.#over.insertTail(bio);
  }

  /** A load failed outside of `start`: its tracker is free for the next bio. */
  #afterRefusal(): void {
    this.device.lock.enter();
    this.#startQueued();
    this.device.lock.exit();
    this.#answerAll();
  }

  #answerAll(): void {
    for (let bio = this.#over.removeHead(); bio !== null; bio = this.#over.removeHead())
      biodone(bio);
  }
}
