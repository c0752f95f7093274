/**
 * A small x86 machine for tests: 1 MiB of RAM that a 24-bit device reaches, 1 MiB that it does not,
 * and a pool of a few bounce pages. Its buffers are where a test wants them.
 */

import { x86Backend } from "@physio/arch-x86";
import type { DmaContext, DmaMap, DmaSemantics, DmaTag, SegList, TagOptions } from "@physio/busdma";
import { BUS_DMA_LOCK, createTag, FIXED } from "@physio/busdma";
import type { DmaAllocator } from "@physio/busdma/impl";
import type { BounceState } from "@physio/busdma-bounce";
import { BouncePool } from "@physio/busdma-bounce";
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { Errno, MiB, NO_FRAME, PAGE_SIZE, TiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem, Prot } from "@physio/pmap";
import { Mutex, Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import type { Run } from "./bytes.ts";

/** The last address of a 24-bit device. */
export const REACH = 16 * MiB - 1;
export const HIGH = 64 * MiB;

/** What a callback was told. */
export interface Result {
  readonly who: string;
  readonly error: Errno;
  readonly segs: readonly Run[];
  readonly locked: boolean;
}

export class SmallMachine {
  readonly mem: PhysMem;
  readonly kmem: Kmem;
  readonly sched: Scheduler;
  readonly pool: BouncePool;
  readonly mutex: Mutex;
  readonly results: Result[];
  readonly context: DmaContext;
  #nextVa: VirtAddr;

  constructor(maxPages: number, semantics: DmaSemantics = FIXED, allocator?: DmaAllocator) {
    this.mem = new PhysMem({
      banks: [
        { base: MiB, size: MiB },
        { base: HIGH, size: MiB },
      ],
    });
    this.kmem = new Kmem(this.mem);
    this.sched = new Scheduler();
    this.mutex = new Mutex(this.sched, "driver");
    this.results = [];
    const trace = new Trace();
    this.#nextVa = 32 * TiB;
    this.pool = new BouncePool({
      mem: this.mem,
      sched: this.sched,
      trace,
      sysctl: new SysctlTree(),
      maxPages,
      allocPage: (high) => {
        const frame = this.mem.allocContig(1, { high: high as number });
        return frame === NO_FRAME ? -1 : this.mem.addrOf(frame);
      },
    });
    this.context = {
      backend: x86Backend(this.pool, this.kmem, allocator),
      semantics,
      kernelPmap: this.kmem.pmap,
      trace,
    };
  }

  /** A tag of a 24-bit device with the driver's mutex as its lock. */
  tag(options: TagOptions = {}): DmaTag {
    const lock = (op: number) => (op === BUS_DMA_LOCK ? this.mutex.enter() : this.mutex.exit());
    return createTag(this.context, null, { lowAddr: REACH, lock, segments: 64, ...options });
  }

  /** Frames above the device's reach or below it, in a row. */
  frames(count: number, high = true): Frame[] {
    const first = this.mem.allocContig(count, high ? { low: HIGH } : { high: REACH });
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** Kernel memory over the frames, with a hole behind it. */
  map(frames: readonly Frame[]): VirtAddr {
    const va = this.#nextVa;
    for (const [i, frame] of frames.entries()) {
      this.kmem.pmap.enter(va + i * PAGE_SIZE, frame, Prot.READ | Prot.WRITE);
    }
    this.#nextVa = va + (frames.length + 1) * PAGE_SIZE;
    return va;
  }

  buffer(pages: number, high = true): VirtAddr {
    return this.map(this.frames(pages, high));
  }

  /** A callback that notes under the name `who`. */
  note(who: string): (arg: null, segs: SegList, count: number, error: Errno) => void {
    return (_arg, segs, _count, error) => {
      const list = segs.toArray().map((s): Run => [s.addr as number, s.len]);
      this.results.push({ who, error, segs: list, locked: this.mutex.owned });
    };
  }

  /** Load, and give what the caller was told. */
  load(map: DmaMap, va: VirtAddr, length: Bytes, who = "map", flags = 0): Errno {
    return map.load(va, length, this.note(who), null, flags);
  }

  /** Who was called back, in order. */
  order(): string[] {
    return this.results.map((result) => result.who);
  }

  last(): Result {
    return this.results[this.results.length - 1];
  }

  deviceWrite(segs: readonly Run[], bytes: Uint8Array): void {
    let done = 0;
    for (const [addr, length] of segs) {
      if (this.mem.write(addr, bytes, done, length) !== Errno.OK) throw new Error("not RAM");
      done += length;
    }
  }

  deviceRead(segs: readonly Run[]): Uint8Array {
    const bytes = new Uint8Array(segs.reduce((sum, [, length]) => sum + length, 0));
    let done = 0;
    for (const [addr, length] of segs) {
      if (this.mem.read(addr, bytes, done, length) !== Errno.OK) throw new Error("not RAM");
      done += length;
    }
    return bytes;
  }

  clientRead(va: VirtAddr, length: Bytes): Uint8Array {
    const bytes = new Uint8Array(length);
    this.kmem.read(va, bytes);
    return bytes;
  }

  /** [total, free, reserved, active] of each zone, checked. */
  counts(): number[][] {
    return this.pool.zones.map((zone) => {
      zone.check();
      return [zone.total, zone.free, zone.reserved, zone.active];
    });
  }

  /** Each of `maps` and `tags` can go, and every bounce page is free then. */
  tearDown(maps: readonly DmaMap[], tags: readonly DmaTag[]): void {
    for (const map of maps) {
      map.unload();
      if (map.destroy() !== Errno.OK) throw new Error("a map stays busy");
    }
    for (const tag of tags) if (tag.destroy() !== Errno.OK) throw new Error("a tag stays busy");
    for (const [total, free] of this.counts()) {
      if (free !== total) throw new Error(`${total - free} of ${total} bounce pages are lost`);
    }
    if (this.pool.zones.some((zone) => zone.mapCount !== 0 || zone.waiting.length !== 0))
      throw new Error("a zone still has maps");
  }
}

export const stateOf = (map: DmaMap): BounceState => map.md as BounceState;
