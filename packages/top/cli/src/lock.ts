/**
 * Locks of images: one writer, or any number of readers.
 *
 * A writer has the file `IMAGE.lock`, a reader `IMAGE.lock.PID.N`, which say who they are. Each makes his
 * own first and looks at the others' afterwards, so of two who come at the same time one sees the other at
 * least. A lock dies with its process: one whose process is gone, or whose number another process has
 * now, is removed. The locks bind this program only.
 */
import {
  linkSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { Errno, ErrnoError } from "@physio/kern";
import { hostError } from "./host-error.ts";

/** A lock without contents is being written, unless it is older than this. */
const WRITTEN_WITHIN_MS = 2000;

const errorCode = (error: unknown): string | undefined => (error as { code?: string }).code;

/** When a process began, where the host tells; else "-". */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "-";
  } catch {
    return "-";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}

const ownMark = (): string => `${process.pid} ${startOf(process.pid)} ${hostname()}\n`;

/** Who holds a lock file: a text for people, or null: it is stale or gone. */
function holderOf(path: string): { text: string | null; mark: string | null } {
  let mark = "";
  try {
    mark = readFileSync(path, "latin1");
    const age = Date.now() - statSync(path).mtimeMs;
    if (mark === "") return { text: age < WRITTEN_WITHIN_MS ? "a process" : null, mark };
  } catch {
    return { text: null, mark: null };
  }
  const [pid, start, host] = mark.trim().split(" ");
  if (host !== hostname()) return { text: `process ${pid} on ${host}`, mark };
  const alive = isAlive(Number(pid)) && (start === "-" || startOf(Number(pid)) === start);
  return { text: alive ? `process ${pid}` : null, mark };
}

/** Remove a lock file that was found stale; put back what turns out to be another's. */
function removeStale(path: string, mark: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    if (readFileSync(aside, "latin1") !== mark) linkSync(aside, path);
    unlinkSync(aside);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "EEXIST") throw error;
  }
}

/** Who holds `path`, after a stale one is gone. @returns null: nobody. */
function liveHolder(path: string): string | null {
  const { text, mark } = holderOf(path);
  if (text === null && mark !== null) removeStale(path, mark);
  return text;
}

/** Make a lock file. @returns whether it is ours now. */
function claim(path: string): boolean {
  try {
    writeFileSync(path, ownMark(), { flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

const inUse = (by: string, file: string): ErrnoError =>
  new ErrnoError(Errno.EBUSY, `in use by ${by} (${file})`);

/** A lock that is held. */
export class ImageLock {
  readonly #path: string | null;

  private constructor(path: string | null) {
    this.#path = path;
  }

  /**
   * Lock an image to write to it. => it exists.
   * @throws {ErrnoError} EBUSY: another process reads or writes it; the host's: no lock can be made.
   */
  static write(image: string): ImageLock {
    try {
      const path = `${realpathSync(image)}.lock`;
      const holder = liveHolder(path);
      if (holder !== null || !claim(path)) throw inUse(holder ?? "a process", path);
      const reader = firstReader(path);
      if (reader === null) return new ImageLock(path);
      unlinkSync(path);
      throw inUse(reader.by, reader.file);
    } catch (error) {
      throw error instanceof ErrnoError ? error : hostError(error, "cannot lock");
    }
  }

  /** Lock an image to read it. Where no lock can be made nobody is kept away. @throws {ErrnoError} EBUSY: it is being written to. */
  static read(image: string): ImageLock {
    const writer = `${realpathSync(image)}.lock`;
    let own: string | null = null;
    try {
      for (let n = 0; own === null; n++) {
        const path = `${writer}.${process.pid}.${n}`;
        if (claim(path)) own = path;
      }
    } catch {
      own = null; // a folder that is not ours
    }
    const lock = new ImageLock(own);
    const { text } = holderOf(writer);
    if (text === null) return lock;
    lock.release();
    throw inUse(text, writer);
  }

  release(): void {
    if (this.#path === null) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // somebody was faster; nothing is left to do
    }
  }
}

/** A reader of the image whose writer's lock is `path`. */
function firstReader(path: string): { by: string; file: string } | null {
  const folder = dirname(path);
  for (const name of readdirSync(folder)) {
    if (!/^\.\d+\.\d+$/.test(name.slice(basename(path).length))) continue;
    if (!name.startsWith(basename(path))) continue;
    const by = liveHolder(join(folder, name));
    if (by !== null) return { by, file: join(folder, name) };
  }
  return null;
}
