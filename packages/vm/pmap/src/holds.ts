/**
 * Holds: pages that somebody wired through an address space (`PmapSpace.wire`) and will unwire by
 * their addresses.
 *
 * A hold wires the frame and marks the mapping; holds of a page are counted, and all but the last
 * only count. What a page holds is remembered here and not looked up again: whoever unmaps the page
 * in between takes the mapping, and the hold ends with the frame that it began with. While a page is
 * held no other frame is entered there. Pages of the direct map always map the same frame, so only
 * their frames are wired. Follows vm_map_wire and the wire counts of its entries.
 *
 * Invariant (`check`): a held page maps its frame, wired, or nothing; the frame is wired at least as
 * often as the page is held. Only a pmap owns one.
 */
import type { Frame } from "@physio/kern";
import { Errno, ErrnoError, hex, NO_FRAME, panic } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import type { PageTable } from "./page-table.ts";
import { LEAF_PAGES, leafAddr } from "./page-table.ts";
import type { Pmap } from "./pmap.ts";
import type { Prot } from "./prot.ts";
import { Pte } from "./prot.ts";

// This module's own names: the compiler folds them.
const LEAF = LEAF_PAGES;
const WIRED = Pte.WIRED;
const { OK, EFAULT, ENOMEM } = Errno;
/** As often as physmem wires a frame. */
const MOST = 0xffff;

/** By page of a leaf: its frame or NO_FRAME, how often it is held, whether its mapping is wired by `enter`, too. */
class HeldLeaf {
  readonly frames: Int32Array;
  readonly counts: Uint16Array;
  readonly own: Uint8Array;

  constructor() {
    this.frames = new Int32Array(LEAF).fill(NO_FRAME);
    this.counts = new Uint16Array(LEAF);
    this.own = new Uint8Array(LEAF);
  }
}

export class Holds {
  /** Pages held. */
  pages: number;
  readonly #pmap: Pmap;
  readonly #table: PageTable;
  readonly #leaves: Map<number, HeldLeaf>;

  constructor(pmap: Pmap, table: PageTable) {
    this.pages = 0;
    this.#pmap = pmap;
    this.#table = table;
    this.#leaves = new Map();
  }

  /** Hold a page. @returns OK; EFAULT: it is not mapped for `access`; ENOMEM: its frame is wired 65,535 times. */
  hold(leaf: number, index: number, access: Prot): Errno {
    const table = this.#table;
    const frame = table.frame(leaf, index);
    const pte = table.pte(leaf, index);
    if (frame === NO_FRAME || (pte & access) !== access) return EFAULT;
    const { mem } = this.#pmap;
    mem.assertAllocated(frame); // the direct map has all frames
    if (mem.section(frame).wireCount[frame & ROW_MASK] >= MOST) return ENOMEM;
    mem.wire(frame);
    if (this.#pmap.isDirect(leaf)) return OK;
    const held = this.#leaves.get(leaf) ?? this.#make(leaf);
    held.counts[index]++;
    if (held.counts[index] > 1) return OK;
    held.frames[index] = frame;
    held.own[index] = pte & WIRED;
    this.pages++;
    this.#mark(leaf, index, pte | WIRED);
    return OK;
  }

  /** Whether `release` of a page undoes something. */
  isHeld(leaf: number, index: number): boolean {
    if (!this.#pmap.isDirect(leaf)) return this.#frame(leaf, index) !== NO_FRAME;
    const frame = this.#table.frame(leaf, index);
    return frame !== NO_FRAME && this.#wires(frame) > 0;
  }

  /** End one hold. => the page is held. */
  release(leaf: number, index: number): void {
    const { mem } = this.#pmap;
    if (this.#pmap.isDirect(leaf)) {
      mem.unwire(this.#table.frame(leaf, index));
      return;
    }
    const held = this.#leaves.get(leaf)!;
    const frame = held.frames[index];
    held.counts[index]--;
    if (held.counts[index] === 0) {
      held.frames[index] = NO_FRAME;
      this.pages--;
      const pte = this.#table.pte(leaf, index);
      if (pte !== 0 && held.own[index] === 0) this.#mark(leaf, index, pte & ~WIRED);
    }
    mem.unwire(frame);
  }

  /**
   * What `enter` makes of `pte` at a page.
   * @throws {ErrnoError} EBUSY: another frame is held there.
   */
  entry(leaf: number, index: number, frame: Frame, pte: Pte): Pte {
    const held = this.#frame(leaf, index);
    if (held === NO_FRAME) return pte;
    if (held !== frame) refuseBusy(this.#pmap.name, leaf, index, frame, held);
    this.#leaves.get(leaf)!.own[index] = pte & WIRED;
    return pte | WIRED;
  }

  /** Whether the mapping of a page is wired by `enter`, whoever else holds it. */
  isWired(leaf: number, index: number): boolean {
    if ((this.#table.pte(leaf, index) & WIRED) === 0) return false;
    return this.#frame(leaf, index) === NO_FRAME || this.#leaves.get(leaf)!.own[index] !== 0;
  }

  /** End the wiring by `enter`. => there is one. */
  unwire(leaf: number, index: number): void {
    if (this.#frame(leaf, index) !== NO_FRAME) this.#leaves.get(leaf)!.own[index] = 0;
    else this.#mark(leaf, index, this.#table.pte(leaf, index) & ~WIRED);
  }

  /** Walk all holds and panic on a broken invariant. */
  check(): void {
    let pages = 0;
    for (const [leaf, { frames, counts }] of this.#leaves) {
      for (let index = 0; index < LEAF; index++) {
        const frame = frames[index];
        if ((frame === NO_FRAME) !== (counts[index] === 0)) this.#broken(leaf, index);
        if (frame === NO_FRAME) continue;
        pages++;
        const pte = this.#table.pte(leaf, index);
        const right = this.#table.frame(leaf, index) === frame && (pte & WIRED) !== 0;
        if (!(pte === 0 || right) || this.#wires(frame) < counts[index]) this.#broken(leaf, index);
      }
    }
    if (pages !== this.pages) {
      panic(`pmap ${this.#pmap.name}: ${pages} pages are held, counted ${this.pages}`);
    }
  }

  /** The frame that a page holds, or NO_FRAME. */
  #frame(leaf: number, index: number): Frame {
    const held = this.pages === 0 ? undefined : this.#leaves.get(leaf);
    return held === undefined ? NO_FRAME : held.frames[index];
  }

  #wires(frame: Frame): number {
    return this.#pmap.mem.section(frame).wireCount[frame & ROW_MASK];
  }

  /** Give a mapped page this entry, and count whether it is wired. */
  #mark(leaf: number, index: number, pte: Pte): void {
    const was = this.#table.pte(leaf, index);
    this.#table.setPte(leaf, index, pte);
    if (((was ^ pte) & WIRED) !== 0) this.#pmap.wiredCount += (pte & WIRED) === 0 ? -1 : 1;
  }

  #make(leaf: number): HeldLeaf {
    const held = new HeldLeaf();
    this.#leaves.set(leaf, held);
    return held;
  }

  #broken(leaf: number, index: number): never {
    const { frames, counts } = this.#leaves.get(leaf)!;
    const what = `frame ${frames[index]}, ${counts[index]} times`;
    panic(`pmap ${this.#pmap.name}: ${hex(leafAddr(leaf, index))} holds ${what}`);
  }
}

/** `frame` is not entered where `held` has to stay. */
export function refuseBusy(
  name: string,
  leaf: number,
  index: number,
  frame: Frame,
  held: Frame,
): never {
  throw new ErrnoError(
    Errno.EBUSY,
    `pmap ${name}: frame ${frame} at ${hex(leafAddr(leaf, index))}, where frame ${held} is wired`,
  );
}
