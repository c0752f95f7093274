/**
 * Threads that load, store, sync, advise, protect, wire and unmap through mappings of one file, against
 * bytes in arrays. A step stays within one page: it happens at the instant at which its copy is done.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { expect } from "vitest";
import type { Vmspace } from "../src/index.ts";
import { Advice, MapFlag, MsFlag, madvise, msync, Pgo } from "../src/index.ts";
import { Chance } from "./machine.ts";
import type { ToyFile } from "./toy.ts";
import { ToyMachine } from "./toy.ts";

const PAGE = PAGE_SIZE;
const RW = Prot.READ | Prot.WRITE;
const ADVICE = [Advice.NORMAL, Advice.RANDOM, Advice.SEQUENTIAL, Advice.WILLNEED, Advice.DONTNEED];

export interface ModelOptions {
  readonly frames: number;
  readonly filePages: number;
  readonly threads: number;
  readonly turns: number;
  readonly daemon: boolean;
}

/** One mapping of the file, and what it must show: the file's bytes, but for pages of its own. */
class Mapping {
  readonly space: Vmspace;
  readonly va: number;
  readonly isPrivate: boolean;
  readonly own = new Map<number, Uint8Array>();

  constructor(space: Vmspace, va: number, isPrivate: boolean) {
    this.space = space;
    this.va = va;
    this.isPrivate = isPrivate;
  }

  /** The bytes of a page. */
  page(content: Uint8Array, page: number): Uint8Array {
    return this.own.get(page) ?? content.subarray(page * PAGE, (page + 1) * PAGE);
  }

  /** The bytes of a page that is about to be written to. */
  ownPage(content: Uint8Array, page: number): Uint8Array {
    const bytes = this.page(content, page);
    if (!this.isPrivate || this.own.has(page)) return bytes;
    const copy = bytes.slice();
    this.own.set(page, copy);
    return copy;
  }
}

class MappedModel {
  readonly m: ToyMachine;
  readonly file: ToyFile;
  readonly content: Uint8Array;
  readonly mappings: Mapping[] = [];
  readonly chance: Chance;
  readonly name: string;
  readonly options: ModelOptions;

  constructor(seed: number, options: ModelOptions) {
    this.m = new ToyMachine(options.frames, seed);
    this.options = options;
    this.name = `seed ${seed}`;
    this.chance = new Chance(seed + 7);
    if (options.daemon) this.m.daemon();
    this.file = this.m.file(options.filePages, seed);
    for (let i = 0; i < 4; i++) this.file.holes.add(this.chance.below(options.filePages));
    for (const hole of this.file.holes) this.file.disk.fill(0, hole * PAGE, (hole + 1) * PAGE);
    this.content = this.file.disk.slice();
    for (let i = 0; i < 4; i++) {
      const flags = i < 2 ? MapFlag.SHARED : MapFlag.PRIVATE;
      const space = i === 1 ? this.mappings[0].space : this.m.space();
      const length = options.filePages * PAGE;
      const va = space.mmap({ length, prot: RW, flags, object: this.file.object });
      this.mappings.push(new Mapping(space, va, i >= 2));
    }
  }

  *thread(): Sleeps<void> {
    for (let turn = 0; turn < this.options.turns; turn++) {
      yield* this.step(this.mappings[this.chance.below(4)], this.chance.below(20));
      if (this.chance.below(4) === 0) yield* this.m.sched.preempt();
    }
  }

  *step(mapping: Mapping, what: number): Sleeps<void> {
    const { chance, content } = this;
    const { space } = mapping;
    const page = chance.below(this.options.filePages);
    const va = mapping.va + page * PAGE;
    const at = chance.below(PAGE - 8);
    if (what < 7) {
      const bytes = new Uint8Array(8);
      this.ok(yield* space.read(va + at, bytes));
      expect([...bytes], this.name).toEqual([...mapping.page(content, page).slice(at, at + 8)]);
    } else if (what < 13) {
      const bytes = Uint8Array.from({ length: 8 }, () => chance.below(256));
      const error = yield* space.write(va + at, bytes);
      if (error === E.EFAULT) return; // another thread has the page read-only just now
      this.ok(error);
      mapping.ownPage(content, page).set(bytes, at);
    } else if (what < 15) {
      const flags = [MsFlag.SYNC, MsFlag.ASYNC, MsFlag.SYNC | MsFlag.INVALIDATE][chance.below(3)];
      const error = yield* msync(space, va, (1 + chance.below(3)) * PAGE, flags);
      expect([E.OK, E.ENOMEM, E.EBUSY], this.name).toContain(error);
    } else if (what < 16) {
      const error = yield* madvise(space, va, PAGE, ADVICE[chance.below(ADVICE.length)]);
      this.ok(error);
    } else if (what < 18) {
      yield* this.device(mapping, page, chance.below(2) === 0);
    } else if (what < 19) {
      const flags = [Pgo.CLEANIT, Pgo.CLEANIT | Pgo.FREE, Pgo.DEACTIVATE][chance.below(3)];
      this.ok(yield* this.file.put(page * PAGE, (page + 4) * PAGE, flags));
    } else {
      this.ok(space.mprotect(va, PAGE, Prot.READ));
      yield* this.m.sched.preempt();
      this.ok(space.mprotect(va, PAGE, RW));
    }
  }

  /** A device reads or writes a page that is wired for it, some time later. */
  *device(mapping: Mapping, page: number, write: boolean): Sleeps<void> {
    const { m, content, chance } = this;
    const { space } = mapping;
    const va = mapping.va + page * PAGE;
    const error = yield* space.wire(va, PAGE, write ? Prot.WRITE : Prot.READ);
    if (error === E.EFAULT) return;
    this.ok(error);
    const frame = space.pmap.frameAt(va);
    // A private page that could be written to was copied.
    if (frame !== this.file.object.lookup(page)) mapping.ownPage(content, page);
    yield* m.sched.pause("device", 1 + chance.below(3000));
    if (space.pmap.frameAt(va) === frame) {
      const start = m.mem.byteOffset(frame);
      const bytes = m.mem.bytes(frame).subarray(start, start + PAGE);
      if (write) {
        bytes.fill(chance.below(256), 16, 48);
        mapping.page(content, page).set(bytes.subarray(16, 48), 16);
      } else {
        const model = mapping.page(content, page);
        expect([...bytes.subarray(0, 64)], this.name).toEqual([...model.slice(0, 64)]);
      }
    }
    space.unwire(va, PAGE);
  }

  ok(error: Errno): void {
    expect(error, this.name).toBe(E.OK);
  }
}

/** Run the threads to their end, and compare everything with the model. */
export function runMappedModel(seed: number, options: ModelOptions): void {
  const model = new MappedModel(seed, options);
  const { m, file, content, name } = model;
  let ended = 0;
  for (let i = 0; i < options.threads; i++) {
    m.sched.spawn(
      `t${i}`,
      (function* () {
        yield* model.thread();
        ended++;
      })(),
    );
  }
  m.sched.pump();
  expect(ended, `${name}: ${m.sched.report()}`).toBe(options.threads);
  m.pages.check();
  for (const mapping of model.mappings) {
    const bytes = new Uint8Array(content.length);
    model.ok(m.run(mapping.space.read(mapping.va, bytes)));
    for (let page = 0; page < options.filePages; page++) {
      const got = bytes.subarray(page * PAGE, (page + 1) * PAGE);
      const same = Buffer.compare(got, mapping.page(content, page)) === 0;
      expect(same, `${name}: page ${page} of mapping ${model.mappings.indexOf(mapping)}`).toBe(
        true,
      );
    }
    mapping.space.check();
  }
  model.ok(m.run(file.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO)));
  expect(Buffer.compare(file.disk, content), `${name}: the disk`).toBe(0);
  m.finish();
}
