/**
 * The locking rules of bus_dma(9), as assertions, and two promises that cost too much otherwise: for
 * machines that verify.
 *
 * A driver calls the loads, `sync` and `unload` with the lock of its tag held, and makes tags, maps
 * and memory with no mutex held at all, since that may sleep. The one exception is start-up, when
 * nobody else can use the tag: here, code outside of threads. Only a lock function that is known to
 * stand for a mutex (`busdmaLockMutex`) can be looked at.
 *
 * A map that verifies also knows whether it is loaded, so that its destruction is EBUSY for any mapping,
 * not only for one that holds something of the backend's; and user memory of a uio must be wired.
 *
 * It is a class of its own, so that others pay nothing for it.
 */
import type { Bio, Ccb, Mbuf, Memdesc, Uio } from "@physio/carriers";
import type { Bytes, Errno, Frame, VirtAddr } from "@physio/kern";
import { Errno as E, hex, PAGE_SIZE, panic, truncPage } from "@physio/kern";
import { leafIndex, leafOf } from "@physio/pmap";
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

/** Panic unless user memory of a uio is wired: nobody else keeps it where it is. @bsd #Y bus_dma(9) man:load_uio:wired */
function assertWired({ space, iov, resid }: Uio): void {
  if (space === null || space.kernel) return;
  const { holds, name } = space.pmap;
  let left: Bytes = resid;
  for (const { base, length } of iov) {
    const end = base + Math.min(length, left);
    for (let va = truncPage(base); va < end; va += PAGE_SIZE) {
      const [leaf, index] = [leafOf(va), leafIndex(va)];
      if (holds.isHeld(leaf, index) || holds.isWired(leaf, index)) continue;
      panic(`bus_dma: loadUio of ${name} at ${hex(va)}, which is not wired`);
    }
    left -= Math.min(length, left);
  }
}

export class VerifiedMap extends DmaMap {
  readonly #sched: Scheduler;
  /** A load has given segments, and no unload followed. */
  #loaded: boolean;

  constructor(tag: DmaTag, ofMemory: boolean, sched: Scheduler) {
    super(tag, ofMemory);
    this.#sched = sched;
    this.#loaded = false;
  }

  override load<A>(
    va: VirtAddr,
    length: Bytes,
    callback: LoadCallback<A>,
    arg: A,
    flags?: BusDma,
  ): Errno {
    this.#assertLocked("load");
    return super.load(va, length, this.#noting(callback), arg, flags);
  }

  override loadMbuf<A>(m: Mbuf, callback: LoadCallback2<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadMbuf");
    return super.loadMbuf(m, this.#noting2(callback), arg, flags);
  }

  override loadMbufSg(m: Mbuf, segs: SegList, flags?: BusDma): Errno {
    this.#assertLocked("loadMbufSg");
    const error = super.loadMbufSg(m, segs, flags);
    this.#loaded = segs.count > 0;
    return error;
  }

  override loadUio<A>(uio: Uio, callback: LoadCallback2<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadUio");
    assertWired(uio);
    return super.loadUio(uio, this.#noting2(callback), arg, flags);
  }

  override loadBio<A>(bio: Bio, callback: LoadCallback<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadBio");
    return super.loadBio(bio, this.#noting(callback), arg, flags);
  }

  override loadCcb<A>(ccb: Ccb, callback: LoadCallback<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadCcb");
    return super.loadCcb(ccb, this.#noting(callback), arg, flags);
  }

  override loadMem<A>(mem: Memdesc, callback: LoadCallback<A>, arg: A, flags?: BusDma): Errno {
    this.#assertLocked("loadMem");
    return super.loadMem(mem, this.#noting(callback), arg, flags);
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
    return super.loadPages(ma, offset, length, this.#noting(callback), arg, flags);
  }

  override loadPagesSg(
    ma: readonly Frame[],
    offset: Bytes,
    length: Bytes,
    segs: SegList,
    flags?: BusDma,
  ): Errno {
    this.#assertLocked("loadPagesSg");
    const error = super.loadPagesSg(ma, offset, length, segs, flags);
    this.#loaded = segs.count > 0;
    return error;
  }

  override sync(ops: Sync): void {
    this.#assertLocked("sync");
    super.sync(ops);
  }

  override unload(): void {
    this.#assertLocked("unload");
    super.unload();
    this.#loaded = false;
  }

  /** EBUSY for every mapping that is active. @bsd #Y bus_dma(9) man:map_destroy:EBUSY */
  override destroy(): Errno {
    return this.#loaded && !this.ofMemory ? E.EBUSY : super.destroy();
  }

  #noting<A>(callback: LoadCallback<A>): LoadCallback<A> {
    return (arg, segs, count, error) => {
      this.#loaded = count > 0;
      callback(arg, segs, count, error);
    };
  }

  #noting2<A>(callback: LoadCallback2<A>): LoadCallback2<A> {
    return (arg, segs, count, mapSize, error) => {
      this.#loaded = count > 0;
      callback(arg, segs, count, mapSize, error);
    };
  }

  /** @bsd #Y bus_dma(9) man:locking:callers */
  #assertLocked(what: string): void {
    const { mutex } = this.tag.lock;
    if (mutex === undefined || this.#sched.current === null || mutex.owned) return;
    panic(`bus_dma: ${what} without the tag's lock "${mutex.name}"`);
  }
}
