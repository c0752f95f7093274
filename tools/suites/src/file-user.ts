/**
 * A thread that uses a file in every way that there is, and compares what it sees with a model.
 *
 * Reads, writes and changes of the size hold the vnode's lock, as system calls do; loads, stores and
 * requests for pages do not, as with faults and the page daemon.
 */
import { Uio, UioRw } from "@physio/carriers";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, errnoName, KiB, PAGE_SIZE, roundPage, truncPage } from "@physio/kern";
import type { AddressSpace } from "@physio/pmap";
import { Prot } from "@physio/pmap";
import type { RwMode, Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import type { Vmspace } from "@physio/uvm";
import { Advice, MapFlag, MsFlag, madvise, msync, PageRequest, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { FsyncFlag, IoFlag, vnLock, vnUnlock } from "@physio/vfs";
import type { ByteModel } from "./byte-model.ts";
import { bytesAt, findLeak } from "./byte-model.ts";
import type { Chance } from "./chance.ts";
import type { PagingKernel } from "./paging-kernel.ts";

const PAGE = PAGE_SIZE;
const BUFFER = 24 * KiB;
const READ_AHEAD = 16;
const { CLEANIT, SYNCIO, FREE, DEACTIVATE, BUSYFAIL, ALLPAGES } = Pgo;
const PUT_FLAGS = [
  CLEANIT,
  CLEANIT | SYNCIO,
  CLEANIT | FREE,
  CLEANIT | FREE | SYNCIO,
  CLEANIT | DEACTIVATE,
  DEACTIVATE,
  CLEANIT | BUSYFAIL,
  CLEANIT | SYNCIO | ALLPAGES,
  CLEANIT | FREE | SYNCIO | BUSYFAIL,
];

/** What all threads of a schedule share. */
export interface SharedFile {
  readonly kernel: PagingKernel;
  readonly vp: Vnode;
  readonly model: ByteModel;
  /** Longest that the file gets. */
  readonly most: Bytes;
  /** Nobody maps it: direct I/O goes past the cache. */
  readonly direct: boolean;
  /** What failing operations may say; none: they must go well. */
  readonly allowed: readonly Errno[];
}

/** A time, and where the file's blocks were then. */
interface Moment {
  readonly since: number;
  readonly blocks: readonly number[];
}

export class FileUser {
  readonly file: SharedFile;
  readonly chance: Chance;
  /** Operations, and those that failed as they may. */
  done: number;
  failed: number;
  readonly #space: Vmspace;
  readonly #mapped: VirtAddr;
  readonly #user: VirtAddr;
  readonly #kernelBuffer: VirtAddr;

  constructor(file: SharedFile, chance: Chance) {
    const { kernel, vp, most } = file;
    this.file = file;
    this.chance = chance;
    this.done = 0;
    this.failed = 0;
    const space = kernel.space();
    const prot = Prot.READ | Prot.WRITE;
    this.#space = space;
    this.#user = space.mmap({ length: BUFFER, prot, flags: MapFlag.PRIVATE | MapFlag.ANON });
    this.#mapped = file.direct
      ? 0
      : space.mmap({ length: most, prot, flags: MapFlag.SHARED, object: vp.object });
    this.#kernelBuffer = kernel.kmem.alloc(BUFFER);
  }

  close(): void {
    this.file.kernel.kmem.free(this.#kernelBuffer, BUFFER);
  }

  // ---- system calls

  *read(flags: IoFlag, user: boolean): Sleeps<void> {
    const { model, vp, most } = this.file;
    const offset = this.#place(most + 2 * PAGE, flags);
    const length = this.#length(flags);
    yield* this.#locked(RW_READER, this.#readLocked(offset, length, flags, user));
    if (vp.size > vp.writeSize) this.#fail("size", `${vp.size} above ${vp.writeSize}`);
    model.now();
  }

  *#readLocked(offset: FileOffset, length: Bytes, flags: IoFlag, user: boolean): Sleeps<void> {
    const { model, vp } = this.file;
    const since = model.now();
    const [uio, base] = this.#uio(UioRw.READ, offset, length, user);
    const error = yield* vp.ops.read(vp, uio, flags);
    this.#expect("read", error);
    const got = new Uint8Array(length - uio.resid);
    if (user) yield* this.#userBytes("read", base, got);
    else this.file.kernel.kmem.read(base, got);
    const wanted = Math.max(0, Math.min(length, model.size - offset));
    if (got.length > wanted || (error === E.OK && got.length < wanted)) {
      this.#fail("read", `${got.length} bytes at ${offset}, and should be ${wanted}`);
    }
    this.#compare("read", offset, got, since);
  }

  write(flags: IoFlag, user: boolean): Sleeps<void> {
    return this.#locked(RW_WRITER, this.#writeLocked(flags, user));
  }

  *#writeLocked(flags: IoFlag, user: boolean): Sleeps<void> {
    const { model, vp, most, kernel } = this.file;
    const append = (flags & IoFlag.APPEND) !== 0;
    const offset = append ? model.size : this.#place(most, flags);
    const length = Math.min(this.#length(flags), most - offset);
    if (length <= 0) return;
    const change = model.beginWrite(offset, offset + length);
    const bytes = bytesAt(change.id, offset, length);
    const [uio, base] = this.#uio(UioRw.WRITE, append ? 0 : offset, length, user);
    if (user) this.#expect("write", yield* this.#space.write(base, bytes));
    else kernel.kmem.write(base, bytes);
    const error = yield* vp.ops.write(vp, uio, flags);
    this.#expect("write", error);
    if (error === E.OK && uio.resid > 0) this.#fail("write", `${uio.resid} bytes left`);
    model.finish(change, offset + length - uio.resid, vp.size);
    const least = Math.max(change.size?.from ?? vp.size, offset + length - uio.resid);
    if (uio.resid < length && vp.size < least) this.#fail("write", `size ${vp.size} of ${least}`);
    const sync = (flags & (IoFlag.SYNC | IoFlag.DSYNC)) !== 0;
    if (sync && error === E.OK) this.checkDisk("synchronous write", this.moment(), offset, length);
  }

  truncate(): Sleeps<void> {
    return this.#locked(RW_WRITER, this.#truncateLocked());
  }

  *#truncateLocked(): Sleeps<void> {
    const { model, vp, most, kernel } = this.file;
    const size = this.#place(most + 1, 0);
    const old = vp.size;
    const change = model.beginTruncate(size);
    const error = yield* kernel.fs.truncate(vp, size);
    this.#expect("truncate", error);
    if (vp.size !== (error === E.OK ? size : old)) this.#fail("truncate", `size ${vp.size}`);
    if (error === E.OK) model.finish(change, Infinity, size);
    else model.finish(change, 0, old);
  }

  /** All that was done before is on the disk. */
  *fsync(flags: FsyncFlag): Sleeps<void> {
    const { model, vp } = this.file;
    yield* vnLock(vp, RW_WRITER);
    const then = this.moment();
    const error = yield* vp.ops.fsync(vp, flags);
    this.#expect("fsync", error);
    if (error === E.OK && (flags & FsyncFlag.LAZY) === 0) {
      this.checkDisk("fsync", then, 0, model.size);
    }
    vnUnlock(vp);
  }

  // ---- mappings

  /** Load from some pages. */
  *load(): Sleeps<void> {
    const { model, most } = this.file;
    for (const [at, length] of this.#pieces(this.#place(most, 0), this.#length(0))) {
      const bytes = new Uint8Array(length);
      const since = model.now();
      const error = yield* this.#space.read(this.#mapped + at, bytes);
      const { least } = model.sizes(since);
      this.#expectFault("load", error, at, least);
      if (error !== E.OK) continue;
      this.#compare("load", at, bytes.subarray(0, Math.max(0, least - at)), since);
      // The page of the file's end goes on behind it, with nothing that is not the file's.
      const leak = truncPage(at) < least ? findLeak(bytes) : -1;
      if (leak >= 0) this.#fail("load", `byte ${at + leak} is ${bytes[leak]}, which is nobody's`);
    }
  }

  /** Store to some pages. */
  *store(): Sleeps<void> {
    const { model, most } = this.file;
    for (const [at, length] of this.#pieces(this.#place(most, 0), this.#length(0))) {
      const change = model.beginStore(at, at + length);
      const since = change.records[0].start;
      const bytes = bytesAt(change.id, at, length);
      const error = yield* this.#space.write(this.#mapped + at, bytes);
      this.#expectFault("store", error, at, model.sizes(since).least);
      model.finishStore(change, error === E.OK);
    }
  }

  *msync(flags: MsFlag): Sleeps<void> {
    const [at, length] = this.#pageRange(this.file.most);
    const then = this.moment();
    const error = yield* msync(this.#space, this.#mapped + at, length, flags);
    this.#expect("msync", error, [E.EBUSY]);
    if (error === E.OK && (flags & MsFlag.SYNC) !== 0) this.checkDisk("msync", then, at, length);
  }

  *advise(): Sleeps<void> {
    const { NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED } = Advice;
    const [at, length] = this.#pageRange(this.file.most);
    const advice = this.chance.pick([NORMAL, RANDOM, SEQUENTIAL, WILLNEED, WILLNEED, DONTNEED]);
    this.#expect("madvise", yield* madvise(this.#space, this.#mapped + at, length, advice));
  }

  // ---- what the kernel does by itself

  /** Pages are written back, given up, or both. */
  *putpages(): Sleeps<void> {
    const { most, vp } = this.file;
    const [at, length] = this.#pageRange(most);
    const flags = this.chance.pick(PUT_FLAGS);
    const then = this.moment();
    const hi = this.chance.oneIn(3) ? 0 : at + length;
    const all = (flags & ALLPAGES) !== 0;
    const error = yield* vp.ops.putpages(vp, all ? 0 : at, all ? 0 : hi, flags);
    this.#expect("putpages", error, (flags & BUSYFAIL) === 0 ? [] : [E.EDEADLK]);
    if (error === E.OK && (flags & (CLEANIT | SYNCIO)) === (CLEANIT | SYNCIO)) {
      const to = all || hi === 0 ? most : hi;
      this.checkDisk("putpages", then, all ? 0 : at, to - (all ? 0 : at));
    }
  }

  /** Pages are read ahead. */
  *readAhead(): Sleeps<void> {
    const { most, vp } = this.file;
    const [at, length] = this.#pageRange(most);
    const request = new PageRequest(READ_AHEAD);
    request.offset = at;
    request.count = Math.min(length / PAGE, READ_AHEAD);
    request.flags = Pgo.NOBLOCKALLOC;
    this.#expect("getpages", yield* vp.ops.getpages(vp, request), [E.EINVAL, E.EBUSY]);
  }

  *syncAll(): Sleeps<void> {
    this.#expect("sync", yield* this.file.kernel.syncer.sync());
  }

  /** Now, for `checkDisk`. */
  moment(): Moment {
    const { model, kernel, vp } = this.file;
    return { since: model.now(), blocks: [...kernel.fs.blocksOf(vp)] };
  }

  /**
   * Compare a range of the disk with what the model had since then. Blocks that the file got meanwhile hold
   * whatever they held before, until what they were got for is written.
   */
  checkDisk(what: string, then: Moment, from: FileOffset, length: Bytes): void {
    const { model, kernel, vp } = this.file;
    const { blockSize } = kernel.fs;
    const { since, blocks } = then;
    const end = Math.min(from + length, model.sizes(since).least);
    for (let at = from; at < end; ) {
      const lbn = Math.floor(at / blockSize);
      const next = Math.min(end, (lbn + 1) * blockSize);
      if (blocks[lbn] === kernel.fs.blocksOf(vp)[lbn]) {
        this.#compare(`the disk after ${what}`, at, kernel.diskBytes(vp, at, next - at), since);
      }
      at = next;
    }
  }

  *#locked(mode: RwMode, body: Sleeps<void>): Sleeps<void> {
    yield* vnLock(this.file.vp, mode);
    yield* body;
    vnUnlock(this.file.vp);
  }

  #uio(rw: UioRw, offset: FileOffset, length: Bytes, user: boolean): [Uio, VirtAddr] {
    const { kmem } = this.file.kernel;
    const space: AddressSpace = user ? this.#space : kmem.space;
    const base = user ? this.#user : this.#kernelBuffer;
    const first = this.chance.oneIn(3) ? Math.floor(length / 3) : length;
    const iov = [
      { base, length: first },
      { base: base + first, length: length - first },
    ];
    return [new Uio(rw, space, iov, offset), base];
  }

  *#userBytes(what: string, base: VirtAddr, into: Uint8Array): Sleeps<void> {
    this.#expect(what, yield* this.#space.read(base, into));
  }

  /** Somewhere below `limit`: anywhere, or near a border of pages; sectors for direct I/O. */
  #place(limit: number, flags: IoFlag): number {
    const { chance } = this;
    const any = chance.below(limit);
    if ((flags & IoFlag.DIRECT) !== 0 && !chance.oneIn(6)) return any - (any % 512);
    switch (chance.below(4)) {
      case 0:
        return truncPage(any);
      case 1:
        return Math.max(0, Math.min(limit - 1, truncPage(any) + chance.below(9) - 4));
      default:
        return any;
    }
  }

  #length(flags: IoFlag): number {
    const { chance } = this;
    const length = 1 + chance.below(chance.oneIn(3) ? BUFFER : 2 * PAGE);
    if ((flags & IoFlag.DIRECT) !== 0 && !chance.oneIn(6)) return length - (length % 512) || 512;
    return chance.oneIn(3) ? roundPage(length) : length;
  }

  /** Some whole pages below `limit`. */
  #pageRange(limit: number): [FileOffset, Bytes] {
    const pages = limit / PAGE;
    const first = this.chance.below(pages);
    return [first * PAGE, (1 + this.chance.below(pages - first)) * PAGE];
  }

  /** [offset, length] in each page of a range of the mapping, at most three. */
  #pieces(from: FileOffset, length: Bytes): [FileOffset, Bytes][] {
    const pieces: [FileOffset, Bytes][] = [];
    const end = Math.min(from + length, this.file.most, truncPage(from) + 3 * PAGE);
    for (let at = from; at < end; ) {
      const next = Math.min(truncPage(at) + PAGE, end);
      pieces.push([at, next - at]);
      at = next;
    }
    return pieces;
  }

  #compare(what: string, from: FileOffset, bytes: Uint8Array, since: number): void {
    const why = this.file.model.complaint(from, bytes, since);
    if (why !== null) this.#fail(what, `${bytes.length} bytes at ${from}: ${why}`);
  }

  #expect(what: string, error: Errno, also: readonly Errno[] = []): void {
    if (error === E.OK) return;
    this.failed++;
    if (also.includes(error) || this.file.allowed.includes(error)) return;
    this.#fail(what, errnoName(error));
  }

  /** A page beyond the end of the file faults; no other one. */
  #expectFault(what: string, error: Errno, at: FileOffset, least: Bytes): void {
    this.#expect(what, error, truncPage(at) >= least ? [E.EFAULT] : []);
  }

  #fail(what: string, why: string): never {
    throw new Error(`${what}: ${why}`);
  }
}
