/**
 * What the file must hold: an array, and what operations do to it.
 *
 * `plan` says what an operation is in a file as it is now: the range that it covers, what it must read or
 * write, and how long the file is then. The array changes when an operation is planned; operations that run
 * beside each other are planned one after the other and must not touch each other's bytes (`fits`).
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { PAGE_SIZE, roundPage } from "@physio/kern";
import type { FlagSet, FsxOp, OpKind } from "./ops.ts";

const SECTOR: Bytes = 512;
const BACKGROUND_SEED = 0x6b8b4567;

export interface Plan {
  readonly op: FsxOp;
  /** The bytes that it reads or writes; truncate: those that come or go. */
  readonly from: FileOffset;
  readonly to: FileOffset;
  /** What it must read, or writes; empty: neither. */
  readonly bytes: Uint8Array;
  /** The length of the file before and after. */
  readonly before: Bytes;
  readonly after: Bytes;
  /** What lies in the last page behind the end must be zeros afterwards. */
  readonly zeroTail: boolean;
}

export class FileModel {
  readonly #set: FlagSet;
  readonly #bytes: Uint8Array;
  readonly #background: Uint8Array;
  #size: Bytes;
  /** Somebody stored behind the end, in the last page. */
  #polluted: boolean;

  constructor(set: FlagSet) {
    this.#set = set;
    this.#bytes = new Uint8Array(roundPage(set.fileMost));
    this.#background = background(set.fileMost);
    this.#size = 0;
    this.#polluted = false;
  }

  get size(): Bytes {
    return this.#size;
  }

  /** All of the file. */
  contents(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** The first operation that can have written what byte `at` holds, for messages; modulo 255. */
  writerOf(at: FileOffset, byte: number): number {
    return at % 2 === 0 ? byte - 1 : (byte - this.#background[at] + 255) % 256;
  }

  /** What `op` is now; null: nothing. The model is as if it had been done. */
  plan(op: FsxOp): Plan | null {
    switch (op.op) {
      case "read":
      case "dread":
      case "mread":
        return this.#read(op, ...rangeOf(op));
      case "append":
        return this.#write(op, this.#size as number, (this.#size as number) + op.len);
      case "write":
      case "writev":
      case "dwrite":
      case "mwrite":
        return this.#write(op, ...rangeOf(op));
      case "truncate":
        return this.#truncate(op);
      case "pollute":
      case "fsync":
      case "clean":
      case "drop":
      case "reopen":
      case "remount":
        return this.#still(op);
    }
  }

  /**
   * Whether `op`, which would come next, can run at the same time as `others`: it stays inside of the file, however
   * long that is meanwhile, and nobody else has its bytes. Ask before planning.
   */
  fits(op: FsxOp, others: readonly Plan[]): boolean {
    if (!COMPANY.has(op.op) || others.some((o) => !COMPANY.has(o.op.op) && !isChange(o)))
      return false;
    if (WHOLE_FILE.has(op.op)) return true;
    const [from, to] = rangeOf(op);
    return others.every((o) => {
      const shortest = isChange(o) ? Math.min(o.before, o.after) : this.#size;
      return to <= Math.min(shortest, this.#size) && (o.to <= from || o.from >= to);
    });
  }

  #read(op: FsxOp, off: FileOffset, wanted: FileOffset): Plan | null {
    const to = Math.min(wanted, this.#size);
    if (to <= off && op.op === "mread") return null;
    const end = Math.max(off, to);
    return this.#done(op, off, end, this.#bytes.slice(off, end), this.#size);
  }

  #write(op: FsxOp, off: FileOffset, wanted: FileOffset): Plan | null {
    const to = Math.min(wanted, this.#set.fileMost);
    if (to <= off) return null;
    const before = this.#size;
    const bytes = this.#pattern(op.id, off, to);
    this.#bytes.set(bytes, off);
    return this.#done(op, off, to, bytes, Math.max(before, to));
  }

  #truncate(op: FsxOp): Plan {
    const before = this.#size;
    if (op.off < before) {
      this.#bytes.fill(0, op.off, before);
      this.#polluted = false;
    }
    return this.#done(op, op.off, Math.max(op.off, before), new Uint8Array(0), op.off);
  }

  /** What changes nothing. */
  #still(op: FsxOp): Plan | null {
    if (op.op === "pollute") {
      if (this.#size % PAGE_SIZE === 0) return null;
      this.#polluted = true;
    }
    return this.#done(op, 0, 0, new Uint8Array(0), this.#size);
  }

  #done(op: FsxOp, from: FileOffset, to: FileOffset, bytes: Uint8Array, after: Bytes): Plan {
    const before = this.#size;
    if (after > before) this.#polluted &&= inSamePage(before, after);
    this.#size = after;
    return { op, from, to, bytes, before, after, zeroTail: !this.#polluted };
  }

  /** Even bytes name the operation, odd ones are mixed with a background. Nothing that is written is an even zero. */
  #pattern(id: number, from: FileOffset, to: FileOffset): Uint8Array {
    const bytes = this.#background.slice(from, to);
    const mark = 1 + (id % 255);
    for (let i = from % 2; i < bytes.length; i += 2) bytes[i] = mark;
    for (let i = 1 - (from % 2); i < bytes.length; i += 2) bytes[i] += mark;
    return bytes;
  }
}

/** What may run beside others; those of the second set have no bytes of their own. */
const COMPANY: ReadonlySet<OpKind> = new Set<OpKind>([
  "read",
  "write",
  "writev",
  "dread",
  "dwrite",
  "mread",
  "mwrite",
  "fsync",
  "clean",
]);
const WHOLE_FILE: ReadonlySet<OpKind> = new Set<OpKind>(["fsync", "clean"]);

/** Whether it changes the length of the file: others may be below it then. */
const isChange = ({ before, after }: Plan): boolean => before !== after;

/** What an operation asks for: direct ones whole sectors. */
function rangeOf({ op, off, len }: FsxOp): [FileOffset, FileOffset] {
  if (op !== "dread" && op !== "dwrite") return [off, off + len];
  const from = off - (off % SECTOR);
  return [from, from + Math.max(SECTOR, len - (len % SECTOR))];
}

const inSamePage = (before: Bytes, after: Bytes): boolean => roundPage(before) === roundPage(after);

function background(length: Bytes): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = BACKGROUND_SEED;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}
