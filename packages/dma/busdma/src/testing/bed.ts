/**
 * A machine on the test bed: the kit's hands on a backend under test.
 *
 * Gives tags with a recorded lock, client memory where a case wants it, callbacks that note what they
 * were told, the device's reads and writes, and the audit of zones. A complaint is a Panic.
 */
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, errnoName, hex, NO_FRAME, PAGE_SIZE, panic, TiB } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import { PmapSpace, Prot } from "@physio/pmap";
import type { TagOptions } from "../constraints.ts";
import { BusDma } from "../flags.ts";
import type { LockOp } from "../lock.ts";
import { BUS_DMA_LOCK } from "../lock.ts";
import type { DmaMap, LoadCallback } from "../map.ts";
import type { Segment } from "../seg-list.ts";
import type { DmaTag } from "../tag.ts";
import { createTag } from "../tag.ts";
import type { BackendUnderTest, DeviceUnderTest, MakeBackend, ZoneCounts } from "./under-test.ts";
import { BANKS, LOW_BANK } from "./under-test.ts";

/** Where the process has its memory. */
const FIRST_VA: VirtAddr = 32 * TiB;
/** Bounce pages and page tables come from the low bank's bottom: clients of it begin above. */
const LOW_CLIENTS: Bytes = PAGE_SIZE * 80;

/** What a callback was told. */
export interface Answer {
  readonly who: string;
  readonly error: Errno;
  readonly segs: readonly Segment[];
  /** Whether the tag's lock was taken by bus_dma. */
  readonly locked: boolean;
}

/** Byte `i` of the stream that is named by `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = seed * 37 + i * 131 + (i >>> 8) * 17 + 11;
  return bytes;
}

/** Panic unless `good`. */
export function must(good: boolean, what: string): void {
  if (!good) panic(`backend: ${what}`);
}

export function mustErrno(got: Errno, wanted: Errno, what: string): void {
  if (got !== wanted) panic(`backend: ${what}: ${errnoName(got)}, not ${errnoName(wanted)}`);
}

/** Panic unless `make` throws this errno. */
export function mustThrow(make: () => unknown, wanted: Errno, what: string): void {
  try {
    make();
  } catch (error) {
    if (error instanceof ErrnoError && error.errno === wanted) return;
    throw error;
  }
  panic(`backend: ${what} is not ${errnoName(wanted)}`);
}

/** Panic on the first byte that differs. */
export function mustEqual(got: Uint8Array, wanted: Uint8Array, what: string): void {
  if (got.length !== wanted.length)
    panic(`backend: ${what}: ${got.length} bytes, not ${wanted.length}`);
  for (let i = 0; i < got.length; i++) {
    if (got[i] !== wanted[i]) {
      panic(`backend: ${what}: byte ${i} of ${got.length} is ${got[i]}, not ${wanted[i]}`);
    }
  }
}

/** A device whose accesses look into the CPU's caches first: dirty lines reach memory, and a write drops them. */
function snooping({ device, kmem }: BackendUnderTest): DeviceUnderTest {
  const { cpu } = kmem;
  return {
    read: (addr, to, at, length) => {
      cpu.writeBack(addr as number, length);
      return device.read(addr, to, at, length);
    },
    write: (addr, from, at, length) => {
      cpu.writeBackInvalidate(addr as number, length);
      return device.write(addr, from, at, length);
    },
  };
}

export class Bed {
  readonly unit: BackendUnderTest;
  readonly answers: Answer[];
  /** Frames of client memory: a bounced chunk is never in one. */
  readonly clients: Set<Frame>;
  #userSpace: PmapSpace | null;
  readonly #snooping: DeviceUnderTest;
  #locks: number;
  #nextVa: VirtAddr;

  constructor(make: MakeBackend, bouncePages: number, seed: number) {
    this.unit = make({ banks: BANKS, bouncePages, seed });
    const { context } = this.unit;
    must(context.semantics.name === "fixed", "the machine's semantics are not FIXED");
    this.answers = [];
    this.clients = new Set();
    this.#userSpace = null;
    this.#snooping = snooping(this.unit);
    this.#locks = 0;
    this.#nextVa = FIRST_VA;
  }

  /** The one process, made when it is wanted. */
  get userSpace(): PmapSpace {
    const { kmem } = this.unit;
    this.#userSpace ??= new PmapSpace(kmem.pmaps.create("user"), false, kmem.cpu);
    return this.#userSpace;
  }

  /** A tag with a lock function that counts. Default: any reach, 64 segments, 16 pages. */
  tag(options: TagOptions = {}, parent: DmaTag | null = null): DmaTag {
    const lock = (op: LockOp) => {
      this.#locks += op === BUS_DMA_LOCK ? 1 : -1;
      must(this.#locks === 0 || this.#locks === 1, "the lock function is called out of turn");
    };
    const { context } = this.unit;
    return createTag(context, parent, {
      lock,
      segments: 64,
      maxSize: 16 * PAGE_SIZE,
      ...options,
    });
  }

  /** Frames in a row of the bank that begins at `bank`. */
  frames(count: number, bank: PhysAddr): Frame[] {
    const { mem } = this.unit.kmem;
    const size = BANKS.find(({ base }) => base === bank)?.size ?? 0;
    const low = bank === LOW_BANK ? bank + LOW_CLIENTS : bank;
    const first = mem.allocContig(count, { low, high: bank + size - 1 });
    if (first === NO_FRAME) panic(`test bed: no ${count} frames in a row from ${hex(bank)} on`);
    const frames = Array.from({ length: count }, (_, i) => first + i);
    for (const frame of frames) this.clients.add(frame);
    return frames;
  }

  /** Memory over the frames, with a hole behind it. */
  map(frames: readonly Frame[], pmap: Pmap = this.unit.kmem.pmap): VirtAddr {
    const { kmem } = this.unit;
    const size = (frames.length + 1) * PAGE_SIZE;
    const va = pmap === kmem.pmap ? kmem.kvaAlloc(size) : this.#nextVa;
    if (va < 0) panic(`test bed: no ${size} bytes of kernel addresses`);
    for (let i = 0; i < frames.length; i++) {
      pmap.enter(va + i * PAGE_SIZE, frames[i], Prot.READ | Prot.WRITE);
    }
    if (pmap !== kmem.pmap) this.#nextVa += size;
    return va;
  }

  /** Kernel memory of whole pages in one bank. */
  buffer(pages: number, bank: PhysAddr): VirtAddr {
    return this.map(this.frames(pages, bank));
  }

  /** A callback that notes under the name `who`. */
  note(who: string): LoadCallback<null> {
    return (_arg, segs, count, error) => {
      must(
        count === segs.count && (error === Errno.OK || count === 0),
        "count disagrees with the list",
      );
      this.answers.push({ who, error, segs: segs.toArray(), locked: this.#locks === 1 });
    };
  }

  /** Load kernel memory. @returns what the caller was told. */
  load(
    map: DmaMap,
    va: VirtAddr,
    length: Bytes,
    who = "map",
    flags: BusDma = BusDma.NOWAIT,
  ): Errno {
    return map.load(va, length, this.note(who), null, flags);
  }

  /** Load, with success for caller and callback. @returns the segments. */
  loaded(map: DmaMap, va: VirtAddr, length: Bytes): readonly Segment[] {
    const answers = this.answers.length;
    mustErrno(this.load(map, va, length), Errno.OK, `load of ${length} bytes`);
    must(this.answers.length === answers + 1, "the callback of a load ran more or less than once");
    const { error, segs } = this.last();
    mustErrno(error, Errno.OK, `callback of a load of ${length} bytes`);
    return segs;
  }

  last(): Answer {
    const answer = this.answers.at(-1);
    if (answer === undefined) panic("backend: no callback ran");
    return answer;
  }

  /** Who was called back, in order. */
  order(): string {
    return this.answers.map(({ who }) => who).join(" ");
  }

  // ---- bytes

  /** The device of `tag` writes `bytes` over the segments. */
  deviceWrite(tag: DmaTag, segs: readonly Segment[], bytes: Uint8Array): void {
    const device = this.#deviceOf(tag);
    let done = 0;
    for (const { addr, len } of segs) {
      const error = device.write(addr, bytes, done, len);
      if (error !== Errno.OK) mustErrno(error, Errno.OK, `device write at ${hex(addr)}`);
      done += len;
    }
  }

  /** The device of `tag` reads the segments. */
  deviceRead(tag: DmaTag, segs: readonly Segment[]): Uint8Array {
    const device = this.#deviceOf(tag);
    const bytes = new Uint8Array(segs.reduce((sum, { len }) => sum + len, 0));
    let done = 0;
    for (const { addr, len } of segs) {
      const error = device.read(addr, bytes, done, len);
      if (error !== Errno.OK) mustErrno(error, Errno.OK, `device read at ${hex(addr)}`);
      done += len;
    }
    return bytes;
  }

  /** A coherent tag is of a device that snoops. */
  #deviceOf(tag: DmaTag): DeviceUnderTest {
    for (let at: DmaTag | null = tag; at !== null; at = at.parent) {
      if ((at.flags & BusDma.COHERENT) !== 0) return this.#snooping;
    }
    return this.unit.device;
  }

  cpuRead(va: VirtAddr, length: Bytes): Uint8Array {
    const bytes = new Uint8Array(length);
    this.unit.kmem.read(va, bytes);
    return bytes;
  }

  // ---- the audit

  /** All zones together. Panics where pages do not add up. */
  counts(): ZoneCounts {
    const sum = { total: 0, free: 0, reserved: 0, active: 0, maps: 0, waiting: 0 };
    this.unit.check();
    for (const zone of this.unit.zones()) {
      const { total, free, reserved, active } = zone;
      const good = free + reserved + active === total && Math.min(free, reserved, active) >= 0;
      must(good, `zone of ${total} pages: ${free} free + ${reserved} reserved + ${active} active`);
      sum.total += total;
      sum.free += free;
      sum.reserved += reserved;
      sum.active += active;
      sum.maps += zone.maps;
      sum.waiting += zone.waiting;
    }
    return sum;
  }

  /** Unload and destroy everything: nothing may be left. */
  tearDown(maps: readonly DmaMap[], tags: readonly DmaTag[]): void {
    for (const map of maps) {
      map.unload();
      mustErrno(map.destroy(), Errno.OK, "destroy of an unloaded map");
    }
    for (const tag of tags) mustErrno(tag.destroy(), Errno.OK, "destroy of a tag without maps");
    const { total, free, maps: left, waiting } = this.counts();
    must(free === total, `${total - free} of ${total} bounce pages are lost`);
    must(left === 0 && waiting === 0, `zones still count ${left} maps, and ${waiting} wait`);
    must(this.#locks === 0, "a lock is still held");
  }
}
