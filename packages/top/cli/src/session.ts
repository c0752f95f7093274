/**
 * One run of a command: a machine, its disks, and what is said about it afterwards.
 *
 * An image is opened once, however often it is named. What is mounted for writing is unmounted at the end, after
 * an error or a signal too, unless the machine itself has failed.
 */
import { realpathSync, writeFileSync } from "node:fs";
import { Errno, ErrnoError, Panic } from "@physio/kern";
import type { IoWay, Machine, Media, MountChoices, ProfileOptions } from "@physio/machine";
import { FileIo, machine, profileNamed } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { SysctlEntry } from "@physio/trace";
import { Ktr } from "@physio/trace";
import type { Mount, Vnode } from "@physio/vfs";
import { hostError } from "./host-error.ts";
import { closeImage, openImage } from "./image.ts";
import { BrokenPipe, complain, print, printable } from "./output.ts";
import { hostClock } from "./owner.ts";
import { Interrupted, Signals } from "./signals.ts";

/** Options that every command has. */
export interface CommonOptions {
  readonly profile: string;
  readonly seed: number;
  readonly bouncePages?: number;
  readonly json?: boolean;
  readonly sysctl?: boolean;
  /** Where to write the trace. */
  readonly trace?: string;
  readonly debug?: boolean;
}

/** An error with the name of what it is about in front. */
export function about(subject: string, error: unknown): unknown {
  if (!(error instanceof ErrnoError)) return error;
  return new ErrnoError(error.errno, `${subject}: ${error.what}`);
}

/** Events that a written trace holds at most; a run's own ring is far shorter. */
const WRITTEN_ENTRIES = 500_000;

function profileOptions({ seed, bouncePages, trace }: CommonOptions): ProfileOptions {
  return {
    seed,
    ...(bouncePages === undefined ? {} : { bouncePages }),
    ...(trace === undefined ? {} : { traceEntries: WRITTEN_ENTRIES }),
  };
}

/** Scheduler steps between two turns of the host's event loop, where signals are heard. */
const STEPS_A_TURN = 500;

interface OpenImage {
  readonly path: string;
  readonly media: Media;
  readonly mount: Mount;
}

export class Session {
  readonly machine: Machine;
  readonly options: CommonOptions;
  /** Host time that the machine ran, together. */
  seconds: number;
  readonly #media: Media[];
  /** By the real path. */
  readonly #images: Map<string, OpenImage>;
  /** What is given back before the images are unmounted. */
  readonly #atEnd: (() => void)[];
  #signals: Signals | null;

  /** @throws {ErrnoError} EINVAL: no such profile. */
  constructor(options: CommonOptions) {
    this.options = options;
    this.machine = machine(profileNamed(options.profile, profileOptions(options)));
    this.seconds = 0;
    this.machine.ktr.mask = Ktr.ALL;
    this.#media = [];
    this.#images = new Map();
    this.#atEnd = [];
    this.#signals = null;
  }

  /**
   * Attach an image as a disk and mount it. => whoever wants to write says so the first time.
   * @throws {ErrnoError} with the image's path in front; EROFS: it cannot be written to.
   */
  async mountImage(
    path: string,
    writable = false,
    choices: MountChoices = { now: hostClock() },
  ): Promise<Mount> {
    const real = realPath(path);
    const known = this.#images.get(real);
    if (known !== undefined) return known.mount;
    try {
      const media = await openImage(path, writable);
      this.#media.push(media);
      const { machine: m } = this;
      const name = `nvme${m.nvme.length}`;
      const mount = m.runSync(mountDisk(m, name, media, { writable, ...choices }));
      this.#images.set(real, { path, media, mount });
      if (writable && mount.readOnly) {
        throw new ErrnoError(Errno.EROFS, "the file system has features that we do not write");
      }
      return mount;
    } catch (error) {
      throw about(path, error);
    }
  }

  /** The root of an image, referenced until the end. @throws {ErrnoError} as mountImage. */
  async root(path: string, writable = false, choices?: MountChoices): Promise<Vnode> {
    const mount = await this.mountImage(path, writable, choices);
    try {
      const root = this.run(mount.root());
      this.#atEnd.push(() => mount.vrele(root));
      return root;
    } catch (error) {
      throw about(path, error);
    }
  }

  /** A buffer for file data, until the end. */
  fileIo(way: IoWay): FileIo {
    const io = new FileIo(this.machine, way);
    this.#atEnd.push(() => io.close());
    return io;
  }

  /** Run `body` as a thread of the machine. */
  run<T>(body: Sleeps<T>): T {
    const begin = performance.now();
    try {
      return this.machine.runSync(body);
    } finally {
      this.seconds += (performance.now() - begin) / 1000;
    }
  }

  /** The same for what takes long and writes: signals are heard at its safe points. */
  async runLong<T>(body: Sleeps<T>): Promise<T> {
    const { sched } = this.machine;
    this.#signals ??= new Signals();
    const begin = performance.now();
    try {
      const thread = sched.start(body);
      while (!sched.advance(thread, STEPS_A_TURN)) await eventLoopTurn();
      return sched.resultOf<T>(thread);
    } finally {
      this.seconds += (performance.now() - begin) / 1000;
    }
  }

  /** A safe point of a body under `runLong`. @throws {Interrupted} */
  readonly point = (): void => {
    this.#signals?.check();
  };

  /** The end of a run that went well: nothing may be left over. */
  finish(): void {
    this.#unmountWritten();
    this.machine.sched.pump();
    this.machine.checkQuiet();
    this.close();
  }

  /** The end of a run that failed with `error`: what was written is brought to an end, if the machine can. */
  fail(error: unknown): void {
    const orderly =
      error instanceof ErrnoError || error instanceof Interrupted || error instanceof BrokenPipe;
    try {
      if (orderly) this.#unmountWritten();
    } catch (second) {
      complain(describeError(second, this.options.debug === true));
    }
    this.close();
  }

  /** Write the trace and give the host's resources back. */
  close(): void {
    this.#signals?.dispose();
    for (const media of this.#media.splice(0)) closeImage(media);
    this.#images.clear();
    this.#writeTrace();
  }

  /** @throws {ErrnoError} EIO, …: something cannot be written. */
  #unmountWritten(): void {
    for (const give of this.#atEnd.splice(0).reverse()) give();
    for (const { path, mount } of this.#images.values()) {
      if (mount.readOnly) continue;
      try {
        this.run(mount.unmount());
      } catch (error) {
        throw about(path, error);
      }
    }
  }

  /** Write the trace as Chrome trace JSON, if the user asked for it. @throws {ErrnoError} the host's error. */
  #writeTrace(): void {
    const { trace } = this.options;
    if (trace === undefined) return;
    const json = this.machine.trace();
    try {
      writeFileSync(trace, JSON.stringify(json));
    } catch (error) {
      throw hostError(error, `${trace}: cannot write`);
    }
  }

  /** The `hw.busdma` tree. */
  sysctls(): SysctlEntry[] {
    return this.machine.sysctls.list("hw.busdma");
  }

  /** Print the `hw.busdma` tree if the user asked for it. */
  printSysctls(to: (text: string) => void = print): void {
    if (this.options.sysctl === true) to(this.machine.sysctls.format("hw.busdma"));
  }
}

function* mountDisk(m: Machine, name: string, media: Media, choices: MountChoices): Sleeps<Mount> {
  const disk = yield* m.attachDisk(name, media);
  return yield* m.mount(disk, choices);
}

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A path without symlinks; as it is where there is no such file. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Run `body` with a session; when it fails, say what the session knows before the error goes on. */
export async function withSession<T>(
  options: CommonOptions,
  body: (session: Session) => Promise<T>,
): Promise<T> {
  const session = new Session(options);
  try {
    return await body(session);
  } catch (error) {
    session.fail(error);
    session.printSysctls(complain);
    throw error;
  }
}

/** One line for an error; its stack too when debugging. */
export function describeError(error: unknown, debug: boolean): string {
  if (error instanceof ErrnoError) {
    return `physio: ${debug ? error.stack : printable(error.message)}`;
  }
  if (error instanceof Panic) return `physio: panic: ${debug ? error.stack : error.message}`;
  const failure = error instanceof Error ? error : new Error(String(error));
  return `physio: internal error: ${debug ? failure.stack : failure.message}`;
}
