/**
 * The driver's half of a queue pair: a submission ring, a completion ring, their doorbells.
 *
 * Both rings are DMA memory that is loaded once. An entry is written through kernel memory, synced,
 * and the doorbell rung; completions are read the same way, as long as their phase bit is the one
 * of this round. Follows nvme_qpair.c in structure.
 *
 * Invariant: `tail` and `head` are what the doorbells were last told, or will be by `ring`.
 */

import type { Device } from "@physio/bus";
import type { DmaMem, DmaTag } from "@physio/busdma";
import { BusDma, Sync } from "@physio/busdma";
import type { BusAddr, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, PAGE_SIZE } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import { CQE_SIZE, Cqe, headDoorbell, SQE_SIZE, tailDoorbell } from "./regs.ts";

/** One page of DMA memory, loaded. */
export class DmaPage {
  readonly mem: DmaMem;
  readonly va: VirtAddr;
  readonly bus: BusAddr;

  /** @throws {ErrnoError} ENOMEM. */
  constructor(tag: DmaTag, what: string) {
    const mem = tag.allocMem(BusDma.NOWAIT | BusDma.ZERO | BusDma.COHERENT);
    if (mem === null) throw new ErrnoError(Errno.ENOMEM, `nvme: no DMA memory for ${what}`);
    this.mem = mem;
    this.va = mem.memory.va;
    this.bus = mem.load();
  }

  /** => the device does not use it any more. */
  free(): void {
    this.mem.map.sync(Sync.POSTREAD | Sync.POSTWRITE);
    this.mem.map.unload();
    this.mem.free();
  }
}

/** What a completion entry says. Borrowed: the next `poll` overwrites it. */
export interface Completion {
  cid: number;
  status: number;
  result: number;
}

export class QueuePair {
  readonly qid: number;
  readonly entries: number;
  readonly submissions: DmaPage;
  readonly completions: DmaPage;
  readonly #device: Device;
  readonly #kmem: Kmem;
  readonly #stride: number;
  readonly #entry: Uint8Array;
  readonly #view: DataView;
  readonly #completion: Completion;
  #tail: number;
  #head: number;
  #phase: number;

  /** A pair whose rings fill at most a page each. => `tag` gives pages. @throws {ErrnoError} ENOMEM. */
  constructor(
    device: Device,
    kmem: Kmem,
    tag: DmaTag,
    qid: number,
    stride: number,
    entries: number,
  ) {
    this.qid = qid;
    this.entries = Math.min(entries, PAGE_SIZE / SQE_SIZE);
    this.submissions = new DmaPage(tag, `submission queue ${qid}`);
    this.completions = new DmaPage(tag, `completion queue ${qid}`);
    this.completions.mem.map.sync(Sync.PREREAD);
    this.#device = device;
    this.#kmem = kmem;
    this.#stride = stride;
    this.#entry = new Uint8Array(CQE_SIZE);
    this.#view = new DataView(this.#entry.buffer);
    this.#completion = { cid: 0, status: 0, result: 0 };
    this.#tail = 0;
    this.#head = 0;
    this.#phase = Cqe.PHASE;
  }

  /** Put a command into the ring and ring the doorbell. => fewer than `entries` − 1 are outstanding. */
  submit(command: Uint8Array): void {
    const { mem, va } = this.submissions;
    mem.map.sync(Sync.POSTWRITE); // of the command whose entry this was
    this.#kmem.write(va + this.#tail * SQE_SIZE, command);
    this.#tail = (this.#tail + 1) % this.entries;
    mem.map.sync(Sync.PREWRITE);
    this.#device.regs.write4(tailDoorbell(this.qid, this.#stride), this.#tail);
  }

  /** The next completion, or null when there is none. Tell the device with `ring` when done. */
  poll(): Completion | null {
    const { mem, va } = this.completions;
    mem.map.sync(Sync.POSTREAD);
    this.#kmem.read(va + this.#head * CQE_SIZE, this.#entry);
    const last = this.#view.getUint16(Cqe.STATUS, true);
    if ((last & Cqe.PHASE) !== this.#phase) return null;
    this.#head++;
    if (this.#head === this.entries) {
      this.#head = 0;
      this.#phase ^= Cqe.PHASE;
    }
    this.#completion.cid = this.#view.getUint16(Cqe.CID, true);
    this.#completion.status = last >>> 1;
    this.#completion.result = this.#view.getUint32(Cqe.RESULT, true);
    return this.#completion;
  }

  /** Give the entries that were polled back to the device. */
  ring(): void {
    this.completions.mem.map.sync(Sync.PREREAD);
    this.#device.regs.write4(headDoorbell(this.qid, this.#stride), this.#head);
  }

  /** Give the memory back. => the device does not use the queue any more. */
  free(): void {
    this.submissions.free();
    this.completions.free();
  }
}
