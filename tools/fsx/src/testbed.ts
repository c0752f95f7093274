/**
 * A freshly made ext2 on the disk of a machine, mounted for writing: what sequences of file operations run on.
 *
 * The disk is an array, which `image` shows. Nothing is kept on the host.
 */
import type { Disk } from "@physio/blkio";
import { makeExt2 } from "@physio/ext2fs";
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError, errnoName, MiB, panic } from "@physio/kern";
import type { Machine, MachineConfig } from "@physio/machine";
import { MemoryMedia, machine } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import type { Mount, Vnode } from "@physio/vfs";
import { createFile, vnRelease } from "@physio/vfs";

export interface TestbedOptions {
  readonly config: MachineConfig;
  /** Of the file system: 1024, 2048 or 4096. */
  readonly blockSize: Bytes;
  /** Of the disk. */
  readonly size?: Bytes;
}

/** When the file system is made. */
const TIME = 1_600_000_000;
/** Steps that no group of operations needs. */
const STEPS_MOST = 1_000_000;
const RELEASE = Pgo.ALLPAGES | Pgo.CLEANIT | Pgo.FREE | Pgo.SYNCIO;

export class Testbed {
  readonly machine: Machine;
  readonly image: Uint8Array;
  readonly #disk: Disk;
  #mount: Mount;

  constructor(options: TestbedOptions) {
    const { config, blockSize, size = 8 * MiB } = options;
    this.machine = machine(config);
    this.image = new Uint8Array(size);
    for (const { offset, bytes } of makeExt2({ size, blockSize, time: TIME })) {
      this.image.set(bytes, offset);
    }
    this.#disk = this.run(this.machine.attachDisk("nvme0", new MemoryMedia(this.image)));
    this.#mount = this.run(this.machine.mount(this.#disk, { writable: true }));
  }

  get mount(): Mount {
    return this.#mount;
  }

  /** Run one thread to its end. @throws what it throws; {Panic} a deadlock. */
  run<T>(body: Sleeps<T>): T {
    return this.machine.runSync(body);
  }

  /** Run threads side by side until all have ended. @throws what the first that failed throws; {Error} they go on and on. */
  runAll(bodies: readonly Sleeps<void>[]): void {
    const { sched } = this.machine;
    const failures: unknown[] = [];
    const threads = bodies.map((body, i) => sched.start(noting(body, failures), `user ${i}`));
    try {
      for (const thread of threads) {
        if (!sched.advance(thread, STEPS_MOST))
          throw new Error(`goes on and on\n${sched.report()}`);
        sched.resultOf(thread);
      }
    } catch (error) {
      // Who fails keeps its locks: that others wait for them for ever is of no interest.
      throw failures[0] ?? error;
    }
    if (failures.length > 0) throw failures[0];
  }

  /** The file `name` of the root, made if it is not there, referenced. @throws {ErrnoError} */
  *open(name: string): Sleeps<Vnode> {
    const root = yield* this.mount.root();
    try {
      return yield* createFile(root, `/${name}`);
    } finally {
      yield* vnRelease(root);
    }
  }

  /** One user of a vnode less; with `forget` it leaves memory with the last one, as a file does that nobody has open for long. @throws {ErrnoError} */
  *close(vp: Vnode, forget = true): Sleeps<void> {
    yield* vnRelease(vp);
    if (forget && vp.unused === "idle") must("close", yield* this.mount.vnodes.clean(vp));
  }

  /** Everything to the disk, and pages of `files` and cached blocks out of memory. @throws {ErrnoError} */
  *dropCache(files: readonly Vnode[]): Sleeps<void> {
    must("sync", yield* this.mount.sync());
    for (const vp of files) must("putpages", yield* vp.ops.putpages(vp, 0, 0, RELEASE));
    this.machine.cache.invalidate(this.mount.disk);
  }

  /** Unmount and mount again. => no file is open. @throws {ErrnoError} */
  *remount(): Sleeps<void> {
    yield* this.mount.unmount();
    this.#mount = yield* this.machine.mount(this.#disk, { writable: true });
  }

  /** Unmount. => no file is open. @throws {ErrnoError} {Panic} something is left over. */
  finish(): void {
    const { sched } = this.machine;
    sched.pump();
    if (this.mount.usedVnodes > 0) panic(`testbed: ${this.mount.usedVnodes} vnodes are in use`);
    this.run(this.mount.unmount());
    sched.pump();
    this.machine.checkQuiet();
    if (this.machine.pages.resident > 0)
      panic(`testbed: ${this.machine.pages.resident} pages stay`);
  }
}

function must(what: string, error: Errno): void {
  if (error !== Errno.OK) throw new ErrnoError(error, `${what}: ${errnoName(error)}`);
}

/** `body`, whose exception is kept. */
function* noting(body: Sleeps<void>, failures: unknown[]): Sleeps<void> {
  try {
    yield* body;
  } catch (error) {
    failures.push(error);
  }
}
