/**
 * The locking rules of bus_dma(9), as assertions: for machines that verify.
 *
 * A driver calls the loads, `sync` and `unload` with the lock of its tag held, and makes tags, maps
 * and memory with no mutex held at all, since that may sleep. The one exception is start-up, when
 * nobody else can use the tag: here, code outside of threads. Only a lock function that is known to
 * stand for a mutex (`busdmaLockMutex`) can be looked at.
 *
 * A map that verifies is a class of its own, so that others pay nothing for it.
 */
import type { Bio, Ccb, Mbuf, Memdesc, Uio } from "@physio/carriers";
import type { Bytes, Errno, Frame, VirtAddr } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Scheduler } from "@physio/sched";
import type { BusDma, Sync } from "./flags.ts";
import type { LoadCallback, LoadCallback2 } from "./map.ts";
import { DmaMap } from "./map.ts";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

/** Panic when the running thread holds a mutex. `what` may sleep. @bsd #Y bus_dma(9) man:locking:sleepers */
export function assertMaySleep(sched: Scheduler, what: string): void {
  const held = sched.current?.mutexes ?? null;
  if (held !== null) panic(`bus_dma: ${what} with mutex "${held.name}" held`);
}

export class VerifiedMap extends DmaMap {
  readonly #sched: Scheduler;

  constructor(tag: DmaTag, ofMemory: boolean, sched: Scheduler) {
    super(tag, ofMemory);
    this.#sched = sched;
  }

  override load<A>(
    va: VirtAddr,
    length: Bytes,
    callback: LoadCallback<A>,
    arg: A,
    flags?: BusDma,
  ): Errno {
    this.#assertLocked("load");
    return super.load(va, length, callback, arg, flags);
  }

  override loadMbuf<A>(m: Mbuf, callback: LoadCallback2<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadMbuf");
    return super.loadMbuf(m, callback, arg, flags);
  }

  override loadMbufSg(m: Mbuf, segs: SegList, flags?: BusDma): Errno {
    this.#assertLocked("loadMbufSg");
    return super.loadMbufSg(m, segs, flags);
  }

  override loadUio<A>(uio: Uio, callback: LoadCallback2<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadUio");
    return super.loadUio(uio, callback, arg, flags);
  }

  override loadBio<A>(bio: Bio, callback: LoadCallback<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadBio");
    return super.loadBio(bio, callback, arg, flags);
  }

  override loadCcb<A>(ccb: Ccb, callback: LoadCallback<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadCcb");
    return super.loadCcb(ccb, callback, arg, flags);
  }

  override loadMem<A>(mem: Memdesc, callback: LoadCallback<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadMem");
    return super.loadMem(mem, callback, arg, flags);
  }

  override loadPages<A>(
    ma: readonly Frame[],
    offset: Bytes,
    length: Bytes,
    callback: LoadCallback<A>,
    arg: A,
    flags?: BusDma,
  ): Errno {
    this.#assertLocked("loadPages");
    return super.loadPages(ma, offset, length, callback, arg, flags);
  }

  override loadPagesSg(
    ma: readonly Frame[],
    offset: Bytes,
    length: Bytes,
    segs: SegList,
    flags?: BusDma,
  ): Errno {
    this.#assertLocked("loadPagesSg");
    return super.loadPagesSg(ma, offset, length, segs, flags);
  }

  override sync(ops: Sync): void {
    this.#assertLocked("sync");
    super.sync(ops);
  }

  override unload(): void {
    this.#assertLocked("unload");
    super.unload();
  }

  /** @bsd #Y bus_dma(9) man:locking:callers */
  #assertLocked(what: string): void {
    const { mutex } = this.tag.lock;
    if (mutex === undefined || this.#sched.current === null || mutex.owned) return;
    panic(`bus_dma: ${what} without the tag's lock "${mutex.name}"`);
  }
}
