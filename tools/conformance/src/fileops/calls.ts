/**
 * The system calls of a sequence, as Linux has them: each gives an outcome in the words of the vectors.
 *
 * Direct transfers are judged here (linux-blocks.ts), above the vnode's read and write, which would move what is
 * misaligned through the page cache.
 */

import type { Bytes, Errno, FileOffset } from "@physio/kern";
import { Errno as E, errnoName, MiB } from "@physio/kern";
import { pc32BitDma } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { IoFlag, vnFsync } from "@physio/vfs";
import { Process, Testbed, truncate } from "@physio-internal/fsx";
import { crc32 } from "../genfs/pattern.ts";
import { LinuxBlocks } from "./linux-blocks.ts";
import type { FileOp } from "./vectors.ts";

const DISK = 32 * MiB;
const LONGEST = 8 * MiB;

/** What a call answers: the fields of a vector that are compared. */
export type Outcome = Record<string, unknown>;

export class Calls {
  readonly bed: Testbed;
  readonly #process: Process;
  readonly #files: Map<number, Vnode>;
  readonly blockSize: Bytes;
  readonly #blocks: Map<number, LinuxBlocks>;

  constructor(blockSize: Bytes) {
    this.bed = new Testbed({ config: pc32BitDma(), blockSize, size: DISK });
    this.#process = new Process(this.bed.machine.pages, "sequence", LONGEST);
    this.#files = new Map();
    this.blockSize = blockSize;
    this.#blocks = new Map();
  }

  /** Do what line `k` says. @throws {ErrnoError} what no call should answer. */
  perform(k: number, op: FileOp): Outcome {
    return this.bed.run(this.#perform(k, op));
  }

  /** All bytes of a file. */
  contents(file: number): Uint8Array {
    const { bed } = this;
    const read = this.#process;
    const files = this.#files;
    return bed.run(
      (function* (): Sleeps<Uint8Array> {
        const vp = files.get(file);
        if (vp === undefined) return new Uint8Array(0);
        const bytes = new Uint8Array(vp.size);
        yield* read.read(vp, 0, bytes, 0);
        return bytes;
      })(),
    );
  }

  /** End everything: nothing is left over. @throws {Panic} */
  finish(): void {
    const { bed } = this;
    for (const vp of this.#files.values()) bed.run(bed.close(vp));
    this.#files.clear();
    this.#process.close();
    bed.finish();
  }

  *#perform(k: number, op: FileOp): Sleeps<Outcome> {
    if (op.op === "dropcache") {
      yield* this.bed.dropCache([...this.#files.values()]);
      for (const blocks of this.#blocks.values()) blocks.clean();
      return { ret: 0 };
    }
    const vp = yield* this.#open(op.file);
    const blocks = this.#blocksOf(op.file);
    const outcome = yield* this.#onFile(k, op, vp, blocks);
    const { size, sectors } = vp.ops.getattr(this.#files.get(op.file)!);
    return outcome.ret === "beyond" ? outcome : { ...outcome, size, sectors };
  }

  *#onFile(k: number, op: FileOp, vp: Vnode, blocks: LinuxBlocks): Sleeps<Outcome> {
    switch (op.op) {
      case "pread":
        return yield* this.#read(vp, op, 0);
      case "dread":
        if (blocks.refusesRead(op.off, op.len)) return answer(E.EINVAL);
        return yield* this.#read(vp, op, IoFlag.DIRECT);
      case "pwrite":
        blocks.write(op.off, op.len);
        return yield* this.#write(vp, k, op.off, [op.len], 0);
      case "dwrite":
        if (blocks.refusesWrite(op.off, op.len)) return answer(E.EINVAL);
        return yield* this.#write(vp, k, op.off, [op.len], IoFlag.DIRECT);
      case "pwritev":
        blocks.write(op.off, total(op.lens));
        return yield* this.#write(vp, k, op.off, op.lens, 0);
      case "append":
        return yield* this.#append(vp, k, op.len, blocks);
      case "mread":
        return yield* this.#mappedRead(vp, op);
      case "mwrite":
        return yield* this.#mappedWrite(vp, k, op, blocks);
      case "truncate":
        blocks.truncate(op.size!);
        yield* truncate(vp, op.size!);
        return { ret: 0 };
      case "fsync":
        blocks.clean();
        return answer(yield* vnFsync(vp));
      case "reopen":
        yield* this.bed.close(vp);
        this.#files.delete(op.file);
        yield* this.#open(op.file);
        return { ret: 0 };
      default:
        throw new Error(`no operation ${op.op}`);
    }
  }

  *#open(file: number): Sleeps<Vnode> {
    const open = this.#files.get(file);
    if (open !== undefined) return open;
    const vp = yield* this.bed.open(`file${file}`);
    this.#files.set(file, vp);
    return vp;
  }

  #blocksOf(file: number): LinuxBlocks {
    const blocks = this.#blocks.get(file) ?? new LinuxBlocks(this.blockSize);
    this.#blocks.set(file, blocks);
    return blocks;
  }

  *#read(vp: Vnode, { off, len }: FileOp, flags: IoFlag): Sleeps<Outcome> {
    const bytes = new Uint8Array(len);
    const ret = yield* this.#process.read(vp, off, bytes, flags);
    return { ret, crc: sum(bytes.subarray(0, ret)) };
  }

  *#write(
    vp: Vnode,
    k: number,
    off: FileOffset,
    lens: readonly Bytes[],
    flags: IoFlag,
  ): Sleeps<Outcome> {
    const length = total(lens);
    yield* this.#process.write(vp, off, written(k, off, length), flags, lens);
    return { ret: length };
  }

  *#append(vp: Vnode, k: number, len: Bytes, blocks: LinuxBlocks): Sleeps<Outcome> {
    const end = vp.size as number;
    blocks.write(end, len);
    return yield* this.#write(vp, k, end, [len], IoFlag.APPEND);
  }

  *#mappedRead(vp: Vnode, { off, len }: FileOp): Sleeps<Outcome> {
    if (off + len > vp.size) return { ret: "beyond" };
    const bytes = new Uint8Array(len);
    const tail = yield* this.#process.mappedRead(vp, off, bytes);
    return { ret: len, crc: sum(bytes), ...zeroTail(tail) };
  }

  *#mappedWrite(
    vp: Vnode,
    k: number,
    { off, len, sync }: FileOp,
    blocks: LinuxBlocks,
  ): Sleeps<Outcome> {
    if (off + len > vp.size) {
      blocks.truncate(off + len);
      yield* truncate(vp, off + len);
    }
    blocks.store(off, len, sync);
    const bytes = written(k, off, len);
    const tail = yield* this.#process.mappedWrite(vp, off, bytes, sync);
    return { ret: len, ...zeroTail(tail) };
  }
}

/** The bytes that write `k` puts at `from`. */
function written(k: number, from: FileOffset, length: Bytes): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const x = from + i;
    const word = (Math.imul(k, 2654435761) + Math.imul(Math.floor(x / 4), 40503)) >>> 0;
    bytes[i] = word >>> (8 * (x % 4));
  }
  return bytes;
}

const total = (lengths: readonly Bytes[]): Bytes =>
  lengths.reduce((sofar, length) => sofar + length, 0);

const sum = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(8, "0");

function zeroTail(tail: Uint8Array): Outcome {
  return tail.length === 0 ? {} : { tailzero: tail.every((byte) => byte === 0) };
}

function answer(error: Errno): Outcome {
  return error === E.OK ? { ret: 0 } : { ret: -1, errno: errnoName(error) };
}
