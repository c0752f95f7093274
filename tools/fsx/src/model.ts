/**
 * What the file must hold: an array, and what operations do to it.
 *
 * `plan` says what an operation is in a file as it is now: the range that it covers, what it must read or
 * write, and how long the file is then. The array changes when an operation is planned; operations that run
 * beside each other are planned one after the other and must not touch each other's bytes (`Plan.meets`).
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { PAGE_SIZE, roundPage } from "@physio/kern";
import type { FlagSet, FsxOp } from "./ops.ts";

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
      case "mread":
        return this.#read(op, op.off, op.len);
      case "dread":
        return this.#read(op, op.off - (op.off % SECTOR), sectors(op.len));
      case "append":
        return this.#write(op, this.#size as number, op.len);
      case "dwrite":
        return this.#write(op, op.off - (op.off % SECTOR), sectors(op.len));
      case "write":
      case "writev":
      case "mwrite":
        return this.#write(op, op.off, op.len);
      case "truncate":
        return this.#truncate(op);
      default:
        return this.#still(op);
    }
  }

  /** Whether `plan`, which would come next, can run at the same time as `others`. Ask before planning. */
  fits(op: FsxOp, others: readonly Plan[]): boolean {
    const { off, len } = op;
    switch (op.op) {
      case "fsync":
      case "clean":
        return true;
      case "read":
      case "mread":
      case "write":
      case "writev":
      case "mwrite":
        // Inside of the file, which nobody changes the length of; others do not cover its bytes.
        if (off + len > this.#size) return false;
        return others.every((o) => o.before === o.after && (o.to <= off || o.from >= off + len));
      default:
        return false;
    }
  }

  #read(op: FsxOp, off: FileOffset, len: Bytes): Plan | null {
    const to = Math.min(off + len, this.#size);
    if (to <= off && op.op === "mread") return null;
    const end = Math.max(off, to);
    return this.#done(op, off, end, this.#bytes.slice(off, end), this.#size);
  }

  #write(op: FsxOp, off: FileOffset, len: Bytes): Plan | null {
    const to = Math.min(off + len, this.#set.fileMost);
    if (to <= off) return null;
    const before = this.#size;
    const bytes = this.#pattern(op.id, off, to);
    if (op.op === "mwrite" && to > before) this.#polluted &&= inSamePage(before, to);
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

const sectors = (length: Bytes): Bytes => Math.max(SECTOR, length - (length % SECTOR));

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
