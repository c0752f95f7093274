/**
 * One run of a command: a machine, its disks, and what is said about it afterwards.
 */
import { writeFileSync } from "node:fs";
import { ErrnoError, Panic } from "@physio/kern";
import type { Machine, Media, ProfileOptions } from "@physio/machine";
import { machine, profileNamed } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { SysctlEntry } from "@physio/trace";
import { Ktr } from "@physio/trace";
import type { Mount } from "@physio/vfs";
import { closeImage, hostError, openImage } from "./image.ts";
import { complain, print, printable } from "./output.ts";

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

export class Session {
  readonly machine: Machine;
  readonly options: CommonOptions;
  /** Host time that `run` took, together. */
  seconds: number;
  readonly #media: Media[];

  /** @throws {ErrnoError} EINVAL: no such profile. */
  constructor(options: CommonOptions) {
    this.options = options;
    this.machine = machine(profileNamed(options.profile, profileOptions(options)));
    this.seconds = 0;
    this.machine.ktr.mask = Ktr.ALL;
    this.#media = [];
  }

  /** Attach an image as a disk and mount it. @throws {ErrnoError} with the image's path in front. */
  async mountImage(path: string): Promise<Mount> {
    try {
      const media = await openImage(path);
      this.#media.push(media);
      const name = `nvme${this.machine.nvme.length}`;
      return this.machine.runSync(mountMedia(this.machine, name, media));
    } catch (error) {
      throw about(path, error);
    }
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

  /** The end of a run that went well: nothing may be left over. */
  finish(): void {
    this.machine.sched.pump();
    this.machine.checkQuiet();
    this.close();
  }

  /** Write the trace and give the host's resources back; also after a failure. */
  close(): void {
    for (const media of this.#media.splice(0)) closeImage(media);
    this.#writeTrace();
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

function* mountMedia(m: Machine, name: string, media: Media): Sleeps<Mount> {
  const disk = yield* m.attachDisk(name, media);
  return yield* m.mount(disk);
}

/** Run `body` with a session; when it fails, say what the session knows before the error goes on. */
export async function withSession(
  options: CommonOptions,
  body: (session: Session) => Promise<number>,
): Promise<number> {
  const session = new Session(options);
  try {
    return await body(session);
  } catch (error) {
    session.close();
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
