/**
 * A disk's commands: requests on their way from its queue to its driver and back.
 *
 * As many commands are in flight as the driver states. A command is a bio for one request or, when
 * the queue has some that go on where it ends, on the disk and in memory, for several. When a
 * command of several fails, each is started again alone: only those fail whose own bytes cannot be
 * moved.
 *
 * A flush waits until every write that came before it is done, and then goes before other requests;
 * what comes after it does not wait for it. A disk without a volatile cache has nothing to be told:
 * the flush is answered then.
 *
 * Invariant: a pending flush's `writesLeft` is the number of writes of its epoch or an earlier one
 * that are not done; so the first pending flush is never behind a later one.
 */
import { Bio, BioCommand, BioFlag } from "@physio/carriers";
import type { Bytes } from "@physio/kern";
import { Errno, panic, Stailq } from "@physio/kern";
import type { DiskQueue, DiskRequest } from "./disk-queue.ts";

/** A bio and the requests that it carries, which follow each other on the disk and in memory. */
class DiskCommand {
  readonly bio: Bio;
  readonly requests: Stailq<DiskRequest>;
  next: DiskCommand | null;

  constructor() {
    this.bio = new Bio();
    this.requests = new Stailq<DiskRequest>();
    this.next = null;
  }
}

export interface DiskCommandsConfig {
  readonly name: string;
  readonly queue: DiskQueue;
  readonly maxTransfer: Bytes;
  readonly maxCommands: number;
  readonly writeCache: boolean;
  readonly start: (bio: Bio) => void;
  /** `request` is over: `moved` bytes were transferred. */
  readonly ended: (request: DiskRequest, error: Errno, moved: Bytes) => void;
}

export class DiskCommands {
  readonly config: DiskCommandsConfig;
  /** bios that the driver was given with data, and their bytes. */
  transfers: number;
  bytes: Bytes;
  /** bios that failed. */
  errors: number;
  /** Requests that went along with another. */
  merges: number;
  /** Flushes that the driver was given. */
  flushes: number;
  inFlight: number;
  /** Writes that are not done, and flushes asked for so far. */
  #writes: number;
  #epoch: number;
  /** Flushes whose writes are not all done, and those that may start. */
  readonly #pending: Stailq<DiskRequest>;
  readonly #ready: Stailq<DiskRequest>;
  readonly #spare: Stailq<DiskCommand>;
  #running: boolean;

  constructor(config: DiskCommandsConfig) {
    this.config = config;
    this.transfers = 0;
    this.bytes = 0;
    this.errors = 0;
    this.merges = 0;
    this.flushes = 0;
    this.inFlight = 0;
    this.#writes = 0;
    this.#epoch = 0;
    this.#pending = new Stailq<DiskRequest>();
    this.#ready = new Stailq<DiskRequest>();
    this.#spare = new Stailq<DiskCommand>();
    this.#running = false;
  }

  /** Requests that the driver was not given yet. */
  get queued(): number {
    return this.config.queue.length + this.#pending.length + this.#ready.length;
  }

  /** Queue a read or a write. => `run` is called when all that belongs together is queued. */
  submit(request: DiskRequest): void {
    if (request.command === BioCommand.WRITE) {
      request.epoch = this.#epoch;
      this.#writes++;
    }
    this.config.queue.insert(request);
  }

  /** Queue a flush. => the same. @bsd #Y BIO_FLUSH */
  flush(request: DiskRequest): void {
    request.epoch = this.#epoch++;
    request.writesLeft = this.#writes;
    this.#pending.insertTail(request);
    this.#readyFlushes();
  }

  /** Start what the driver may be given. It may answer at once: that comes back here, and is not nested. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.inFlight < this.config.maxCommands) {
        const request = this.#ready.removeHead() ?? this.config.queue.take();
        if (request === null) break;
        this.#start(request);
      }
    } finally {
      this.#running = false;
    }
  }

  #start(first: DiskRequest): void {
    const { config } = this;
    const command = this.#spare.removeHead() ?? new DiskCommand();
    const { bio, requests } = command;
    bio.command = first.command;
    bio.flags = first.fua ? BioFlag.FUA : 0;
    bio.offset = first.offset;
    bio.bcount = first.bcount;
    bio.data = first.data;
    bio.error = Errno.OK;
    bio.caller = command;
    bio.done = this.#done;
    requests.insertTail(first);
    if (first.command === BioCommand.FLUSH) {
      this.flushes++;
    } else {
      this.#merge(command, first);
      this.transfers++;
      this.bytes += bio.bcount;
    }
    bio.resid = bio.bcount;
    this.inFlight++;
    config.start(bio);
  }

  #merge(command: DiskCommand, first: DiskRequest): void {
    const { queue, maxTransfer } = this.config;
    const { bio, requests } = command;
    let last = first;
    for (;;) {
      const next = queue.takeNext(last, maxTransfer - bio.bcount);
      if (next === null) return;
      requests.insertTail(next);
      bio.bcount += next.bcount;
      this.merges++;
      last = next;
    }
  }

  /** The driver has answered. */
  readonly #done = (bio: Bio): void => {
    const { requests } = bio.caller as DiskCommand;
    const { error, resid, bcount, offset } = bio;
    if (requests.length === 0) panic(`disk ${this.config.name}: offset ${offset} is done already`);
    if (!(resid >= 0 && resid <= bcount))
      panic(`disk ${this.config.name}: offset ${offset}: ${resid} bytes left of ${bcount}`);
    this.inFlight--;
    if (error !== Errno.OK) this.errors++;
    const again = error !== Errno.OK && requests.length > 1;
    let moved = bcount - resid;
    for (let request = requests.removeHead(); request !== null; request = requests.removeHead()) {
      if (again) {
        request.alone = true;
        this.config.queue.insert(request);
        continue;
      }
      const part = Math.min(moved, request.bcount);
      moved -= part;
      this.#end(request, error, part);
    }
    this.#spare.insertTail(bio.caller as DiskCommand);
    this.run();
  };

  #end(request: DiskRequest, error: Errno, moved: Bytes): void {
    const { command, epoch } = request; // it may be used again at once
    this.config.ended(request, error, moved);
    if (command === BioCommand.WRITE) this.#writeDone(epoch);
  }

  #writeDone(epoch: number): void {
    this.#writes--;
    let flush = this.#pending.first;
    if (flush === null) return;
    for (; flush !== null; flush = flush.next) if (epoch <= flush.epoch) flush.writesLeft--;
    this.#readyFlushes();
  }

  #readyFlushes(): void {
    while (this.#pending.first?.writesLeft === 0) {
      const flush = this.#pending.removeHead()!;
      if (this.config.writeCache) this.#ready.insertTail(flush);
      else this.config.ended(flush, Errno.OK, 0);
    }
  }
}
