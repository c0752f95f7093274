/**
 * Running a list: a fresh file system, one file, a model beside it, and checks after every operation.
 *
 * Read: the bytes are the model's. Mapped access: what the last page has behind the end is zero. Always: the length.
 * At the end everything is read back after a remount, and nothing may be left over in the machine.
 */
import type { Bytes } from "@physio/kern";
import { ErrnoError, errnoName, KiB, MiB, Panic } from "@physio/kern";
import { profileNamed } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { IoFlag, vnFsync } from "@physio/vfs";
import type { OpList } from "./list.ts";
import type { Plan } from "./model.ts";
import { FileModel } from "./model.ts";
import type { FsxOp } from "./ops.ts";
import { FLAG_SETS } from "./ops.ts";
import type { Mapping } from "./process.ts";
import { Process, truncate } from "./process.ts";
import { Testbed } from "./testbed.ts";

const FILE = "file";
const POLLUTION = 0xee;
const BUFFER = 64 * KiB;
const ROOM = 8 * MiB;

/** The file is not what it must be. */
export class Difference extends Error {}

/** Where a list failed, and why. */
export interface Failure {
  /** Index of the operation; the length of the list: its end. */
  readonly at: number;
  readonly why: string;
}

export interface Result {
  readonly failure: Failure | null;
  /** The file system as it was left; null: the run did not get there. */
  readonly image: Uint8Array | null;
}

/** How the file's length is changed: a planted fault is put in here. */
export type Truncate = (vp: Vnode, size: Bytes) => Sleeps<void>;

/** Run a list. Failures of every kind are results. */
export function runList(list: OpList, change: Truncate = truncate): Result {
  const runner = new Runner(list, change);
  try {
    runner.run();
    return { failure: null, image: runner.bed.image };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { failure: { at: runner.at, why: describe(error) }, image: null };
  }
}

function describe(error: Error): string {
  if (error instanceof Difference) return error.message;
  if (error instanceof ErrnoError) return `${errnoName(error.errno)}: ${error.message}`;
  return error instanceof Panic ? `panic: ${error.message}` : (error.stack ?? error.message);
}

class Runner {
  readonly bed: Testbed;
  /** The operation that is under way. */
  at: number;
  readonly #list: OpList;
  readonly #model: FileModel;
  readonly #truncate: Truncate;
  readonly #processes: Process[];
  #vp: Vnode;
  #group: Plan[];

  constructor(list: OpList, change: Truncate) {
    const { profile, seed, blockSize, threads, set } = list;
    this.at = 0;
    this.#list = list;
    this.#model = new FileModel(FLAG_SETS[set]);
    this.#truncate = change;
    const ram = ramOf(list);
    const config = profileNamed(profile, ram === 0 ? { seed } : { seed, ram });
    this.bed = new Testbed({ config, blockSize });
    const { pages } = this.bed.machine;
    this.#processes = Array.from(
      { length: threads },
      (_, i) => new Process(pages, `process ${i}`, BUFFER),
    );
    this.#vp = this.bed.run(this.bed.open(FILE));
    this.#group = [];
  }

  run(): void {
    const { ops, threads } = this.#list;
    for (const [i, op] of ops.entries()) {
      const room = op.beside === true && this.#group.length < threads;
      if (!room || !this.#model.fits(op, this.#group)) this.#runGroup();
      this.at = i;
      const plan = this.#model.plan(op);
      if (plan !== null) this.#group.push(plan);
    }
    this.#runGroup();
    this.at = ops.length;
    this.bed.run(this.#end());
    this.bed.finish();
  }

  /** Run what has been planned, side by side. */
  #runGroup(): void {
    const group = this.#group;
    this.#group = [];
    if (group.length === 0) return;
    const still = group.every(({ before, after }) => before === after);
    const plans = still || group.length === 1 ? group : group.map(withoutTail);
    const bodies = plans.map((plan, i) => this.#perform(plan, this.#processes[i]));
    if (bodies.length === 1) this.bed.run(bodies[0]);
    else this.bed.runAll(bodies);
    this.#checkSize(group.at(-1)!.after);
  }

  /** All of the file after a remount. */
  *#end(): Sleeps<void> {
    yield* this.#remount();
    const [process] = this.#processes;
    const wanted = this.#model.contents();
    for (let at = 0; at < wanted.length; at += BUFFER) {
      const got = new Uint8Array(Math.min(BUFFER, wanted.length - at));
      yield* process.read(this.#vp, at, got, 0);
      this.#compare("the end", at, wanted.subarray(at, at + got.length), got);
    }
    this.#checkSize(wanted.length);
    yield* this.bed.close(this.#vp);
    for (const each of this.#processes) each.close();
  }

  *#perform(plan: Plan, process: Process): Sleeps<void> {
    const { op, from, bytes } = plan;
    const vp = this.#vp;
    switch (op.op) {
      case "read":
        return yield* this.#read(plan, process, 0);
      case "dread":
        return yield* this.#read(plan, process, IoFlag.DIRECT);
      case "write":
        return yield* process.write(vp, from, bytes, 0);
      case "append":
        return yield* process.write(vp, from, bytes, IoFlag.APPEND);
      case "writev":
        return yield* process.write(vp, from, bytes, 0, parts(op, bytes.length));
      case "dwrite":
        return yield* process.write(vp, from, bytes, IoFlag.DIRECT);
      case "mread":
        return yield* this.#mappedRead(plan, process);
      case "mwrite":
        return yield* this.#mappedWrite(plan, process);
      case "truncate":
        return yield* this.#truncate(vp, plan.after);
      case "pollute":
        return yield* process.storeBehind(vp, POLLUTION, this.#mapping(op));
      case "fsync":
        return this.#must(op, yield* vnFsync(vp));
      case "clean":
        return this.#must(op, yield* vp.ops.putpages(vp, 0, 0, Pgo.ALLPAGES | Pgo.CLEANIT));
      case "drop":
        return yield* this.bed.dropCache([vp]);
      case "reopen":
        return yield* this.#reopen(op.id % 2 === 0);
      case "remount":
        return yield* this.#remount();
    }
  }

  *#mappedRead(plan: Plan, process: Process): Sleeps<void> {
    const { op, from, bytes } = plan;
    const got = new Uint8Array(bytes.length);
    const tail = yield* process.mappedRead(this.#vp, from, got, this.#mapping(op));
    this.#compare(name(op), from, bytes, got);
    this.#checkTail(plan, tail);
  }

  *#mappedWrite(plan: Plan, process: Process): Sleeps<void> {
    const { op, from, bytes, before, after } = plan;
    const vp = this.#vp;
    if (after > before) yield* this.#truncate(vp, after);
    const tail = yield* process.mappedWrite(vp, from, bytes, op.sync === true, this.#mapping(op));
    this.#checkTail(plan, tail);
  }

  /** A kept mapping reaches as far as the file may. */
  #mapping({ kept }: FsxOp): Mapping {
    return { keep: kept === true ? FLAG_SETS[this.#list.set].fileMost : 0 };
  }

  #unmap(): void {
    for (const each of this.#processes) each.unmap();
  }

  *#reopen(forget: boolean): Sleeps<void> {
    this.#unmap();
    yield* this.bed.close(this.#vp, forget);
    this.#vp = yield* this.bed.open(FILE);
  }

  *#remount(): Sleeps<void> {
    this.#unmap();
    yield* this.bed.close(this.#vp);
    yield* this.bed.remount();
    this.#vp = yield* this.bed.open(FILE);
  }

  *#read({ op, from, bytes }: Plan, process: Process, flags: IoFlag): Sleeps<void> {
    // One byte more than there is inside of the file, if the read goes over its end.
    const length = flags === 0 ? op.len : Math.max(512, op.len - (op.len % 512));
    const into = new Uint8Array(length);
    const got = yield* process.read(this.#vp, from, into, flags);
    if (got !== bytes.length)
      throw new Difference(`${name(op)} gives ${got} bytes at ${from}, not ${bytes.length}`);
    this.#compare(name(op), from, bytes, into.subarray(0, got));
  }

  #must(op: FsxOp, error: number): void {
    if (error !== 0) throw new Difference(`${name(op)}: ${errnoName(error)}`);
  }

  #compare(what: string, from: number, wanted: Uint8Array, got: Uint8Array): void {
    if (Buffer.compare(wanted, got) === 0) return;
    const i = wanted.findIndex((byte, index) => byte !== got[index]);
    const at = from + i;
    const by = this.#model.writerOf(at, got[i]);
    const whose = got[i] === 0 ? "" : `; operation ${by} modulo 255 writes that`;
    throw new Difference(`${what}: byte ${at} is ${got[i]}, not ${wanted[i]}${whose}`);
  }

  #checkTail({ op, zeroTail }: Plan, tail: Uint8Array): void {
    const at = zeroTail ? tail.findIndex((byte) => byte !== 0) : -1;
    if (at < 0) return;
    const where = (this.#vp.size as number) + at;
    throw new Difference(`${name(op)}: byte ${where}, behind the end, is ${tail[at]}`);
  }

  #checkSize(size: Bytes): void {
    const vp = this.#vp;
    const { size: told } = vp.ops.getattr(vp);
    if (vp.size === size && told === size && vp.writeSize === size) return;
    const sizes = `${vp.size}, for writers ${vp.writeSize}, for stat ${told}`;
    throw new Difference(`the file has ${sizes} bytes, not ${size}`);
  }
}

/** Pools of bounce pages and controllers of some profiles need more than a set wants to give. */
function ramOf({ profile, set }: OpList): Bytes {
  const { ram } = FLAG_SETS[set];
  return ram === 0 || profile.startsWith("pc") ? ram : Math.max(ram, ROOM);
}

/** Somebody changes the length at the same time: what lies behind the end is not looked at. */
const withoutTail = (plan: Plan): Plan => ({ ...plan, zeroTail: false });

const name = ({ id, op }: FsxOp): string => `operation ${id}, ${op}`;

/** Some parts of a length: the memory of a write that gathers. */
function parts({ id }: FsxOp, length: Bytes): Bytes[] {
  const first = Math.min(length, 1 + (id % 1021));
  const second = Math.min(length - first, 1 + (id % 4099));
  return [first, second, length - first - second];
}
