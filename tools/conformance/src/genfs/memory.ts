/**
 * The memory of a scenario's pages and of its user.
 *
 * Pages come filled with 0xDB, as many as the scenario allows; where a page is mapped, it is mapped
 * once, in a space that has nothing else.
 */
import type { FileOffset, Frame } from "@physio/kern";
import { NO_FRAME, PAGE_SIZE, pageOffset, roundPage, truncPage } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { Kmem, Pmap } from "@physio/pmap";
import { PmapSpace, Prot } from "@physio/pmap";
import { crc32, pattern } from "./pattern.ts";
import type { UserSpec } from "./vectors.ts";

/** What a page is filled with before anybody has used it. */
const FRESH = 0xdb;

/** Where frames for pages come from. */
export class PageSupply {
  readonly #mem: PhysMem;
  /** Pages that exist. */
  readonly #resident: () => number;
  /** As many as there may be. */
  #most: number;

  constructor(mem: PhysMem, resident: () => number) {
    this.#mem = mem;
    this.#resident = resident;
    this.#most = Infinity;
  }

  /** From now on only `more` pages can be allocated, and those that are freed again; −1: any number. */
  limit(more: number): void {
    this.#most = more < 0 ? Infinity : this.#resident() + more;
  }

  allocFrame(): Frame {
    if (this.#resident() >= this.#most) return NO_FRAME;
    const frame = this.#mem.allocFrame();
    if (frame !== NO_FRAME) this.#mem.fillFrames(frame, 0, PAGE_SIZE, FRESH);
    return frame;
  }
}

/** The mapping of the file: page by page, where its offset says. */
export class FileMapping {
  readonly #pmap: Pmap;

  constructor(kmem: Kmem) {
    this.#pmap = kmem.pmaps.create("file");
  }

  map(offset: FileOffset, frame: Frame, writable: boolean): void {
    this.#pmap.enter(offset as number, frame, writable ? Prot.READ | Prot.WRITE : Prot.READ);
  }

  /** "-", "r" or "w". */
  rights(offset: FileOffset): string {
    const pte = this.#pmap.pteAt(offset as number);
    if ((pte & Prot.WRITE) !== 0) return "w";
    return (pte & Prot.READ) === 0 ? "-" : "r";
  }
}

/** User memory for direct I/O. */
export class UserMemory {
  readonly space: PmapSpace;
  readonly #mem: PhysMem;
  readonly #pmap: Pmap;
  readonly #spec: UserSpec;

  constructor(kmem: Kmem, spec: UserSpec) {
    const { base, bytes, seed } = spec;
    const [readOnly, length] = spec.readOnly;
    this.#mem = kmem.mem;
    this.#pmap = kmem.pmaps.create("user");
    this.#spec = spec;
    this.space = new PmapSpace(this.#pmap, false, kmem.cpu);
    for (let va = truncPage(base); va < roundPage(base + bytes); va += PAGE_SIZE) {
      const frame = kmem.mem.allocFrame();
      if (frame === NO_FRAME) throw new Error(`no memory for ${bytes} bytes of user memory`);
      kmem.mem.fillFrames(frame, 0, PAGE_SIZE, 0);
      const writable = va < truncPage(readOnly) || va >= roundPage(readOnly + length);
      this.#pmap.enter(va, frame, writable || length === 0 ? Prot.READ | Prot.WRITE : Prot.READ);
    }
    this.#eachRun(pattern(seed, bytes), (frame, offset, run) =>
      this.#mem.writeFrames(frame, offset, run, 0, run.length),
    );
  }

  checksum(): number {
    const bytes = new Uint8Array(this.#spec.bytes);
    this.#eachRun(bytes, (frame, offset, run) =>
      this.#mem.readFrames(frame, offset, run, 0, run.length),
    );
    return crc32(bytes);
  }

  /** Call `visit` for each page of user memory, with its part of `bytes`. */
  #eachRun(
    bytes: Uint8Array,
    visit: (frame: Frame, offset: number, run: Uint8Array) => void,
  ): void {
    const { base } = this.#spec;
    for (let at = 0; at < bytes.length; ) {
      const offset = pageOffset(base + at);
      const length = Math.min(bytes.length - at, PAGE_SIZE - offset);
      visit(this.#pmap.frameAt(base + at), offset, bytes.subarray(at, at + length));
      at += length;
    }
  }
}
