/**
 * `physio cp`, `put` and `get`: files between images, and between an image and the host.
 */
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError, MiB } from "@physio/kern";
import type { FileIo, IoWay } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { CopyCounts, Located } from "./copy.ts";
import { Copier } from "./copy.ts";
import { expandPath } from "./glob.ts";
import { HostPlace } from "./host-place.ts";
import { ImagePlace } from "./image-place.ts";
import type { Operand } from "./operand.ts";
import { anyOperand, imageOperand, operandText } from "./operand.ts";
import { complain, print, printable, progressBar } from "./output.ts";
import type { Place } from "./place.ts";
import type { CommonOptions, Session } from "./session.ts";
import { describeError, withSession } from "./session.ts";

export type CopyCommand = "cp" | "put" | "get";

export interface CopyCommandOptions extends CommonOptions {
  readonly recursive?: boolean;
  readonly preserve?: boolean;
  readonly direct?: boolean;
  readonly mmap?: boolean;
  readonly fsync?: boolean;
  readonly verbose?: boolean;
}

/** Copies of fewer bytes are over before a bar is looked at. */
const LONG_COPY = 4 * MiB;

/** What was asked for cannot be: a matter of the command line, not of a file. */
export class UsageError extends Error {}

/** Operands as the command takes them. @throws {UsageError} two names of the host. */
function parse(command: CopyCommand, texts: readonly string[]): Operand[] {
  const host = (path: string): Operand => ({ image: null, path });
  const last = texts.length - 1;
  const operands = texts.map((text, i) => {
    if (command === "cp") return anyOperand(text);
    return (command === "put") === (i === last) ? imageOperand(text) : host(text);
  });
  const target = operands[last];
  const toHost = target.image === null;
  if (toHost && operands.some((o, i) => i < last && o.image === null)) {
    throw new UsageError(`neither ${texts[0]} nor ${texts[last]} is IMAGE:/path`);
  }
  return operands;
}

function wayOf({ direct, mmap }: CopyCommandOptions): IoWay {
  return direct === true ? "direct" : mmap === true ? "mapped" : "buffered";
}

/** The places of a run's operands; an image is one place. */
class Places {
  readonly #session: Session;
  readonly #io: FileIo;
  readonly #host: HostPlace;

  constructor(session: Session, way: IoWay) {
    this.#session = session;
    this.#io = session.fileIo(way);
    this.#host = new HostPlace();
  }

  async of({ image }: Operand, writable: boolean): Promise<Place> {
    if (image === null) return this.#host;
    return new ImagePlace(image, await this.#session.root(image, writable), this.#io);
  }
}

/** The files that an operand stands for. @throws {ErrnoError} ENOENT: a pattern without a match. */
function* sourcesOf(place: Place, { path }: Operand): Sleeps<Located[]> {
  if (!(place instanceof ImagePlace)) return [{ place, path }];
  const paths = yield* expandPath(place.root, path);
  return paths.map((each) => ({ place, path: each }));
}

/** Bytes of the regular files of a tree: what there is to copy. */
function* bytesBelow(at: Located, recursive: boolean, limit = 100_000): Sleeps<Bytes> {
  let sum = 0;
  const stack = [at.path];
  for (let n = 0; stack.length > 0 && n < limit; n++) {
    const path = stack.pop()!;
    const info = yield* at.place.stat(path, !recursive);
    if (info?.type === "regular") sum += info.size;
    if (info?.type !== "directory" || !recursive) continue;
    for (const name of yield* at.place.list(path)) stack.push(at.place.join(path, name));
  }
  return sum;
}

/** Run one of the commands. @returns the exit code. @throws {UsageError}; {ErrnoError} an image cannot be used. */
export async function copyCommand(
  command: CopyCommand,
  texts: readonly string[],
  options: CopyCommandOptions,
): Promise<number> {
  const operands = parse(command, texts);
  return await withSession(options, async (session) => {
    const places = new Places(session, wayOf(options));
    const target = operands.at(-1)!;
    const to = { place: await places.of(target, true), path: target.path };
    const run = new CopyRun(session, options);
    const sources: Located[] = [];
    for (const operand of operands.slice(0, -1)) {
      const place = await places.of(operand, false);
      await run.gather(place, operand, sources);
    }
    const counts = await run.copy(sources, to, operands.length > 2 || sources.length > 1);
    session.finish();
    run.report(counts);
    return counts.failures === 0 ? 0 : 1;
  });
}

/** One run: the copier, and what is said on the way. */
class CopyRun {
  readonly #session: Session;
  readonly #options: CopyCommandOptions;
  #failures: number;
  /** The target cannot be written to any more. */
  #ended: boolean;

  constructor(session: Session, options: CopyCommandOptions) {
    this.#session = session;
    this.#options = options;
    this.#failures = 0;
    this.#ended = false;
  }

  /** Add what an operand stands for. */
  async gather(place: Place, operand: Operand, sources: Located[]): Promise<void> {
    try {
      sources.push(...(await this.#session.runLong(sourcesOf(place, operand))));
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.#failed(new ErrnoError(error.errno, `${operandText(operand)}: ${error.what}`));
    }
  }

  async copy(sources: readonly Located[], to: Located, several: boolean): Promise<CopyCounts> {
    const { recursive, preserve, fsync, json } = this.#options;
    const quiet = json === true || !process.stderr.isTTY;
    const total = quiet ? 0 : await this.#total(sources, recursive === true);
    const bar = progressBar(Math.ceil(total / MiB), quiet || total < LONG_COPY, " MiB");
    let moved: number = 0;
    const copier = new Copier(
      { recursive: recursive === true, preserve: preserve === true, lasting: fsync === true },
      {
        point: () => this.#point(),
        copied: (from, into) => this.#copied(from, into),
        moved: (bytes, name) => {
          moved += bytes;
          bar.update(Math.floor(moved / MiB), name);
        },
        failed: (error) => this.#failed(error),
      },
    );
    try {
      for (const from of sources) await this.#session.runLong(copier.copy(from, to, several));
    } catch (error) {
      if (!(error instanceof CopyEnds)) throw error;
    } finally {
      bar.stop();
    }
    return { ...copier.counts, failures: this.#failures };
  }

  report(counts: CopyCounts): void {
    const { json } = this.#options;
    const { seconds } = this.#session;
    if (json === true) print(JSON.stringify({ ...counts, seconds }, null, 2));
    this.#session.printSysctls(json === true ? complain : print);
  }

  async #total(sources: readonly Located[], recursive: boolean): Promise<Bytes> {
    let total = 0;
    for (const source of sources) {
      try {
        total += (await this.#session.runLong(bytesBelow(source, recursive))) as number;
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error; // the copy will tell
      }
    }
    return total;
  }

  #point(): void {
    if (this.#ended) throw new CopyEnds();
    this.#session.point();
  }

  #copied(from: string, to: string): void {
    const { verbose, json } = this.#options;
    if (verbose === true && json !== true) print(printable(`${from} -> ${to}`));
  }

  #failed(error: ErrnoError): void {
    this.#failures++;
    complain(describeError(error, this.#options.debug === true));
    this.#ended ||= error.errno === Errno.EROFS;
  }
}

/** Nothing more can be written: the copy ends. */
class CopyEnds extends Error {}
