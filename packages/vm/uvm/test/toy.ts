/**
 * A toy file: an object whose pager fills pages from an array and writes them back to it, with delays,
 * holes, failures and clusters, the way a file system does; and a machine that has such files.
 */
import type { Errno, FileOffset } from "@physio/kern";
import { Errno as E, KiB, PAGE_SIZE } from "@physio/kern";
import { clearModify, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { expect } from "vitest";
import type { DaemonTargets, PageRequest, PagerOps, UvmObject } from "../src/index.ts";
import {
  findDirtyBack,
  findPages,
  findPagesNow,
  PageDaemon,
  PageTag,
  Pg,
  Pgo,
  pagesDone,
  Ufp,
  Vmspace,
} from "../src/index.ts";
import { Chance, UvmMachine } from "./machine.ts";

const PAGE = PAGE_SIZE;
const CLUSTER = (64 * KiB) / PAGE;
const R = Prot.READ | Prot.EXECUTE;

export class ToyFile implements PagerOps {
  readonly object: UvmObject;
  readonly disk: Uint8Array;
  /** Pages that no block is behind. */
  readonly holes = new Set<number>();
  size: number;
  references = 0;
  mappedForWriting = false;
  /** Delay of one transfer, ns; the error of those to come. */
  latency = 1000;
  readError: Errno = E.OK;
  writeError: Errno = E.OK;
  allocError: Errno = E.OK;
  putError: Errno = E.OK;
  reads = 0;
  writes = 0;
  outstanding = 0;
  readonly #m: ToyMachine;

  constructor(m: ToyMachine, pages: number) {
    this.#m = m;
    this.object = m.object();
    this.object.pager = this;
    this.disk = new Uint8Array(pages * PAGE);
    this.size = pages * PAGE;
  }

  getNow(request: PageRequest): Errno {
    if (request.offset + request.center * PAGE >= this.size) return E.EINVAL;
    const { pages } = this.#m;
    const flags = Ufp.NOWAIT | Ufp.NOALLOC | (request.write ? Ufp.NORDONLY : 0);
    const first = request.offset / PAGE;
    findPagesNow(pages, this.object, first, request.pages, 0, request.count, flags);
    return request.pages[request.center] < 0 ? E.EBUSY : E.OK;
  }

  *get(request: PageRequest): Sleeps<Errno> {
    if (request.offset + request.center * PAGE >= this.size) return E.EINVAL;
    const { pages } = this.#m;
    const async = (request.flags & Pgo.SYNCIO) === 0;
    const first = request.offset / PAGE;
    const count = Math.min(request.count, Math.ceil(this.size / PAGE) - first);
    const flags = async ? Ufp.NOWAIT : Ufp.ALL;
    yield* findPages(pages, this.object, first, request.pages, 0, count, flags);
    let error: Errno = E.OK;
    for (let i = 0; i < count && error === E.OK; i++) {
      if (request.pages[i] >= 0)
        error = yield* this.#fill(request.pages[i], first + i, request.write);
    }
    for (let i = 0; i < count; i++) {
      const frame = request.pages[i];
      if (frame < 0 || (error === E.OK && !async)) continue;
      if ((pages.flags(frame) & Pg.FAKE) !== 0) pages.setFlags(frame, Pg.RELEASED);
      else pages.activate(frame);
      pages.unbusy(frame);
    }
    return error;
  }

  *put(lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno> {
    const { pages } = this.#m;
    const { index } = this.object;
    const end = hi === 0 ? Infinity : hi / PAGE;
    if (this.putError !== E.OK) return this.putError;
    for (let at = index.next(lo / PAGE, end); at >= 0; ) {
      const frame = index.lookup(at);
      if ((pages.flags(frame) & Pg.BUSY) !== 0) {
        if (pages.inDaemon) return E.EBUSY;
        yield* pages.waitPage(frame);
      } else {
        yield* this.#putPage(at, frame, flags);
        at++;
      }
      at = index.next(at, end);
    }
    if ((flags & Pgo.SYNCIO) !== 0) {
      while (this.outstanding > 0) yield* this.#m.sched.sleep(this, "toyout");
    }
    return E.OK;
  }

  reference(): void {
    this.references++;
  }

  detach(): void {
    this.references--;
  }

  mapped(write: boolean): void {
    if (write) this.mappedForWriting = true;
  }

  /** Cut the file, as ftruncate does: pages beyond the end go. */
  *truncate(size: number): Sleeps<void> {
    this.size = size;
    this.disk.fill(0, size);
    yield* this.put(Math.ceil(size / PAGE) * PAGE, 0, Pgo.FREE);
  }

  *#fill(frame: number, index: number, write: boolean): Sleeps<Errno> {
    const { pages, mem } = this.#m;
    if ((pages.flags(frame) & Pg.FAKE) !== 0) {
      yield* this.#m.sched.pause("toyread", this.latency);
      if (this.readError !== E.OK) return this.readError;
      this.reads++;
      const hole = this.holes.has(index);
      const bytes = this.disk.subarray(index * PAGE, (index + 1) * PAGE);
      mem.bytes(frame).set(hole ? new Uint8Array(PAGE) : bytes, mem.byteOffset(frame));
      pages.clearFlags(frame, Pg.FAKE);
      clearModify(mem, frame);
      if (hole) pages.setFlags(frame, Pg.RDONLY);
    }
    if (write && (pages.flags(frame) & Pg.RDONLY) !== 0) {
      yield* this.#m.sched.pause("toyalloc", this.latency);
      if (this.allocError !== E.OK) return this.allocError;
      this.holes.delete(index);
      pages.clearFlags(frame, Pg.RDONLY);
      pages.markDirty(frame);
    }
    return E.OK;
  }

  *#putPage(index: number, frame: number, flags: Pgo): Sleeps<void> {
    const { pages, mem } = this.#m;
    const free = (flags & Pgo.FREE) !== 0;
    if (free) pages.protect(frame, Prot.NONE);
    else if ((flags & Pgo.CLEANIT) !== 0 && pages.wireCount(frame) === 0) pages.protect(frame, R);
    const modified = (flags & Pgo.CLEANIT) !== 0 && clearModify(mem, frame);
    const dirty = modified || (pages.flags(frame) & Pg.CLEAN) === 0;
    if ((flags & Pgo.CLEANIT) === 0 || !dirty) {
      if (free) pages.free(frame);
      else if ((flags & Pgo.DEACTIVATE) !== 0) pages.deactivate(frame);
      return;
    }
    pages.setFlags(frame, Pg.BUSY | Pg.CLEAN);
    if (free && pages.inDaemon) pages.pageoutStart(frame);
    else if (free) pages.setFlags(frame, Pg.RELEASED);
    yield* this.#writeCluster(index, frame);
  }

  *#writeCluster(index: number, frame: number): Sleeps<void> {
    const { pages, sched } = this.#m;
    const found = new Int32Array(2 * CLUSTER).fill(-1);
    const back = findDirtyBack(
      pages,
      this.object,
      index - 1,
      found,
      CLUSTER,
      Math.min(index, CLUSTER / 2),
    );
    found[CLUSTER] = frame;
    const ahead = CLUSTER - back - 1;
    const flags = Ufp.NOWAIT | Ufp.NOALLOC | Ufp.DIRTYONLY;
    const after = findPagesNow(pages, this.object, index + 1, found, CLUSTER + 1, ahead, flags);
    const count = back + 1 + after;
    const frames = found.slice(CLUSTER - back, CLUSTER - back + count);
    for (const [i, f] of frames.entries()) {
      this.object.index.set(PageTag.WRITEBACK, index - back + i);
      if (pages.wireCount(f) === 0) pages.protect(f, R);
    }
    if (pages.inDaemon) yield* sched.preempt(); // bmap reads a block
    this.outstanding++;
    sched.after(
      sched.event(() => this.#written(index - back, frames)),
      this.latency,
    );
  }

  #written(first: number, frames: Int32Array): void {
    const { pages, mem, sched } = this.#m;
    this.writes++;
    for (const [i, frame] of frames.entries()) {
      if (this.writeError !== E.OK) continue;
      const at = mem.byteOffset(frame);
      this.disk.set(mem.bytes(frame).subarray(at, at + PAGE), (first + i) * PAGE);
    }
    pagesDone(pages, frames, frames.length, this.writeError, true);
    this.outstanding--;
    sched.wakeup(this);
  }
}

export class ToyMachine extends UvmMachine {
  readonly spaces: Vmspace[] = [];
  readonly files: ToyFile[] = [];

  space(): Vmspace {
    const space = new Vmspace({ pages: this.pages, name: `space ${this.spaces.length}` });
    this.spaces.push(space);
    return space;
  }

  file(pages: number, seed = 1): ToyFile {
    const file = new ToyFile(this, pages);
    const chance = new Chance(seed);
    for (let i = 0; i < file.disk.length; i += 61) file.disk[i] = chance.next();
    this.files.push(file);
    return file;
  }

  daemon(targets?: DaemonTargets): PageDaemon {
    return new PageDaemon(this.pages, targets);
  }

  run<T>(body: Sleeps<T>): T {
    return this.sched.runSync(body);
  }

  /** Spaces go, and nothing of theirs is left. */
  override finish(): void {
    for (const space of this.spaces) {
      space.check();
      space.free();
    }
    this.pages.supply.reap();
    expect(this.pages.supply.orphans).toBe(0);
    expect(this.pages.paging).toBe(0);
    expect(this.files.map((file) => [file.references, file.outstanding])).toEqual(
      this.files.map(() => [0, 0]),
    );
    this.kmem.pmaps.check();
    super.finish();
  }
}
