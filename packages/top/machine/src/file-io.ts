/**
 * Moving file data for programs, one of three ways: through the page cache, past it, or through a mapping.
 *
 * A FileIo owns what a process owns for it: a buffer in kernel memory, or an address space of its own,
 * since direct transfers and mappings need one. Where a transfer cannot go past the cache (a tail that is
 * no whole sector) genfs lets it go through. Files that grow are told how long they get first (`begin`):
 * a mapping must have something to map, and a direct write wants its blocks.
 */
import { Uio, UioRw } from "@physio/carriers";
import type { GenfsData } from "@physio/genfs";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, ErrnoError, MiB, panic, truncPage } from "@physio/kern";
import type { AddressSpace } from "@physio/pmap";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { MapFlag, Pgo, Vmspace } from "@physio/uvm";
import type { Vnode, WriteErrors } from "@physio/vfs";
import { BlockMap, IoFlag, vnFsync, vnLock, vnRead, vnUnlock, vnWrite } from "@physio/vfs";
import { IO_BYTES } from "./io-bytes.ts";
import type { Machine } from "./machine.ts";

export type IoWay = "buffered" | "direct" | "mapped";

const RIGHTS = Prot.READ | Prot.WRITE;
const RELEASE = Pgo.ALLPAGES | Pgo.CLEANIT | Pgo.SYNCIO | Pgo.FREE;

/** What is under way before a copy waits for it. */
const BEHIND_FILES = 64;
const BEHIND_BYTES = 2 * MiB;

/** A file that is being written back. */
interface Behind {
  readonly vp: Vnode;
  readonly name: string;
  readonly errors: WriteErrors;
}

export class FileIo {
  readonly way: IoWay;
  readonly #machine: Machine;
  readonly #space: AddressSpace;
  /** The process's own space; null: the buffer is the kernel's. */
  readonly #user: Vmspace | null;
  /** Where the buffer is; 0: mappings come and go. */
  readonly #va: VirtAddr;
  readonly #behind: Behind[];
  #behindBytes: Bytes;

  /** @throws {ErrnoError} ENOMEM. */
  constructor(machine: Machine, way: IoWay) {
    const { kmem, pages } = machine;
    this.way = way;
    this.#machine = machine;
    this.#user = way === "buffered" ? null : new Vmspace({ pages, name: `${way} I/O` });
    this.#space = this.#user ?? kmem.space;
    this.#va = way === "buffered" ? kmem.alloc(IO_BYTES) : 0;
    this.#behind = [];
    this.#behindBytes = 0;
    if (way !== "direct" || this.#user === null) return;
    const flags = MapFlag.ANON | MapFlag.PRIVATE;
    this.#va = this.#user.mmap({ length: IO_BYTES, prot: RIGHTS, flags });
  }

  /** Read at `at` into `into`, at most IO_BYTES. @returns bytes; fewer at the end of the file. @throws {ErrnoError} EIO, ENOMEM. */
  *read(vp: Vnode, at: FileOffset, into: Uint8Array): Sleeps<Bytes> {
    const length = Math.max(0, Math.min(into.length, vp.size - at));
    if (length === 0) return 0;
    const bytes = into.subarray(0, length);
    if (this.way === "mapped") {
      yield* this.#throughMapping(vp, at, bytes, false);
      return length;
    }
    const uio = new Uio(UioRw.READ, this.#space, [{ base: this.#va, length }], at);
    check(vp, "read", at, yield* vnRead(vp, uio, this.#flags(IoFlag.NOREUSE)));
    yield* this.#take(bytes.subarray(0, length - uio.resid));
    return length - uio.resid;
  }

  /** Write all of `from`, at most IO_BYTES, at `at`. => `begin`. @throws {ErrnoError} EIO, ENOSPC, EFBIG, ENOMEM. */
  *write(vp: Vnode, at: FileOffset, from: Uint8Array): Sleeps<void> {
    const { length } = from;
    if (length === 0) return;
    if (this.way === "mapped") {
      yield* this.#throughMapping(vp, at, from, true);
      return;
    }
    yield* this.#give(from);
    if (this.way === "direct") yield* this.#allocate(vp, at, length);
    const uio = new Uio(UioRw.WRITE, this.#space, [{ base: this.#va, length }], at);
    check(vp, "write", at, yield* vnWrite(vp, uio, this.#flags(0)));
  }

  /** A file is about to get `size` bytes: what this way of writing needs. @throws {ErrnoError} EFBIG, EIO, ENOMEM. */
  *begin(vp: Vnode, size: Bytes): Sleeps<void> {
    if (this.way !== "buffered") yield* setFileSize(vp, size);
  }

  /** All of a file has been written: it goes to the disk, and out of memory. The inode follows with the mount's sync. @throws {ErrnoError} EIO, ENOSPC. */
  *settle(vp: Vnode): Sleeps<void> {
    check(vp, "write", 0, yield* vp.ops.putpages(vp, 0, 0, RELEASE));
  }

  /**
   * The same without waiting for it: a disk that has several files to write answers with fewer interrupts, and a copy of
   * small files takes a fifth less. `drain` waits, and comes by itself when much is under way; `errors` were made
   * before the first write. @throws {ErrnoError} EIO, ENOSPC, of this file or of one before, by its name.
   */
  *writeBehind(vp: Vnode, name: string, errors: WriteErrors): Sleeps<void> {
    const error = yield* vp.ops.putpages(vp, 0, 0, RELEASE & ~Pgo.SYNCIO);
    if (error !== E.OK) throw new ErrnoError(error, `${name}: write`);
    this.#behind.push({ vp, name, errors });
    this.#behindBytes += vp.size as number;
    if (this.#behind.length >= BEHIND_FILES || this.#behindBytes >= BEHIND_BYTES)
      yield* this.drain();
  }

  /** Wait for what `writeBehind` began. @throws {ErrnoError} EIO, ENOSPC: the first that failed, by its name. */
  *drain(): Sleeps<void> {
    const { sched } = this.#machine;
    const behind = this.#behind.splice(0);
    this.#behindBytes = 0;
    let failure: ErrnoError | null = null;
    for (const { vp, name, errors } of behind) {
      while (vp.numOutput > 0) yield* sched.sleep(vp, "write behind");
      const error = errors.take();
      if (error !== E.OK) failure ??= new ErrnoError(error, `${name}: write`);
    }
    if (failure !== null) throw failure;
  }

  /** The same as `settle`, and the inode is on the disk too. @throws {ErrnoError} EIO, ENOSPC. */
  *fsync(vp: Vnode): Sleeps<void> {
    check(vp, "fsync", 0, yield* vnFsync(vp));
    yield* this.settle(vp);
  }

  /** Give the buffer back. */
  close(): void {
    if (this.#user === null) this.#machine.kmem.free(this.#va, IO_BYTES);
    else this.#user.free();
  }

  #flags(more: IoFlag): IoFlag {
    return this.way === "direct" ? IoFlag.DIRECT | more : more;
  }

  /** From the buffer. */
  *#take(bytes: Uint8Array): Sleeps<void> {
    if (this.#user === null) this.#machine.kmem.read(this.#va, bytes);
    else mustAccess(yield* this.#user.read(this.#va, bytes));
  }

  /** To the buffer. */
  *#give(bytes: Uint8Array): Sleeps<void> {
    if (this.#user === null) this.#machine.kmem.write(this.#va, bytes);
    else mustAccess(yield* this.#user.write(this.#va, bytes));
  }

  /** Load or store `bytes` of a file through a mapping that is there for this call. */
  *#throughMapping(vp: Vnode, at: FileOffset, bytes: Uint8Array, write: boolean): Sleeps<void> {
    const user = this.#user;
    if (user === null) panic("file I/O: a mapping without a space");
    const offset = truncPage(at);
    const before = at - offset;
    const length = before + bytes.length;
    const prot = write ? RIGHTS : Prot.READ;
    const flags = MapFlag.SHARED;
    const va = user.mmap({ length, prot, flags, object: vp.object, offset });
    try {
      const access = write ? user.write(va + before, bytes) : user.read(va + before, bytes);
      check(vp, write ? "mapped write" : "mapped read", at, yield* access);
    } finally {
      user.munmap(va, length);
    }
  }

  /** A direct write does not make blocks: make them now. => the range lies inside of the file, and nobody else uses it. */
  *#allocate(vp: Vnode, at: FileOffset, length: Bytes): Sleeps<void> {
    const { genfs } = vp.data as GenfsData;
    yield* vp.mount.trans.start("shared");
    yield* genfs.lock.enter(RW_WRITER);
    const error = yield* genfs.ops.alloc(vp, at, length);
    genfs.lock.exit();
    vp.mount.trans.done();
    check(vp, "write", at, error);
  }
}

/** The file ends at `size`. => no vnode is locked. @throws {ErrnoError} EFBIG, EIO, ENOMEM; EROFS. */
export function* setFileSize(vp: Vnode, size: Bytes): Sleeps<void> {
  if (vp.size === size) return;
  const { ops } = vp;
  if (ops.setattr === undefined || vp.mount.readOnly)
    throw new ErrnoError(E.EROFS, `inode ${vp.ino}`);
  yield* vnLock(vp, RW_WRITER);
  try {
    yield* ops.setattr(vp, { size });
  } finally {
    vnUnlock(vp);
  }
}

/** Where data may be: the first byte from `at` on that is not in a hole, or the file's size. @throws {ErrnoError} EIO. */
export function* skipHole(vp: Vnode, at: FileOffset): Sleeps<FileOffset> {
  const blockSize = 2 ** vp.mount.fsBshift;
  const map = new BlockMap();
  for (let lbn = Math.floor(at / blockSize); lbn * blockSize < vp.size; lbn += 1 + map.run) {
    check(vp, "block map", lbn * blockSize, yield* vp.ops.bmap(vp, lbn, map));
    if (map.blkno >= 0) return Math.max(at, lbn * blockSize);
  }
  return vp.size as number;
}

function check(vp: Vnode, what: string, at: FileOffset, error: Errno): void {
  if (error === E.OK) return;
  throw new ErrnoError(error, `inode ${vp.ino}: ${what} at byte ${at}`);
}

/** The process's own buffer is there. */
function mustAccess(error: Errno): void {
  if (error !== E.OK) throw new ErrnoError(error, "a buffer of the process");
}
