/**
 * The slow obvious model of several pmaps: a list of mappings, searched from its first to its last.
 */
import { NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { Pmap, Pmaps } from "@physio/pmap";
import { PTE_PROT, Pte } from "@physio/pmap";

export interface Mapping {
  readonly pmap: number;
  readonly page: number;
  frame: number;
  prot: number;
  wired: boolean;
  managed: boolean;
  /** Bits UNCACHED and WRITE_COMBINING. */
  attr: number;
}

export class PvModel {
  mappings: Mapping[];

  constructor() {
    this.mappings = [];
  }

  at(pmap: number, page: number): Mapping | undefined {
    return this.mappings.find((m) => m.pmap === pmap && m.page === page);
  }

  in(pmap: number, page: number, count: number): Mapping[] {
    return this.mappings.filter((m) => m.pmap === pmap && m.page >= page && m.page < page + count);
  }

  of(frame: number): Mapping[] {
    return this.mappings.filter((m) => m.managed && m.frame === frame);
  }

  drop(gone: readonly Mapping[]): void {
    this.mappings = this.mappings.filter((m) => !gone.includes(m));
  }

  /** @returns false: another frame is wired there. */
  put(mapping: Mapping): boolean {
    const old = this.at(mapping.pmap, mapping.page);
    if (old?.wired === true && old.frame !== mapping.frame) return false;
    if (old !== undefined) this.drop([old]);
    this.mappings.push(mapping);
    return true;
  }

  protect(some: readonly Mapping[], prot: number): void {
    for (const m of some) m.prot &= prot;
    this.drop(some.filter((m) => m.prot === 0));
  }
}

function pteOf(m: Mapping | undefined): number {
  if (m === undefined) return 0;
  return (m.prot & PTE_PROT) | (m.wired ? Pte.WIRED : 0) | (m.managed ? Pte.MANAGED : 0) | m.attr;
}

/** All that the pmaps say, and the same out of the model, as lists to be compared. */
export function everything(
  pmaps: Pmaps,
  spaces: readonly Pmap[],
  frames: readonly number[],
  pages: readonly (readonly [number, number])[],
): number[][] {
  return [
    spaces.map((p) => p.residentCount),
    spaces.map((p) => p.wiredCount),
    frames.map((f) => pmaps.mappings(f)),
    frames.map((f) => pmaps.wiredMappings(f)),
    frames.map((f) => Number(pmaps.isWriteMapped(f))),
    pages.map(([p, page]) => spaces[p].pteAt(page * PAGE_SIZE)),
    pages.map(([p, page]) => spaces[p].frameAt(page * PAGE_SIZE)),
  ];
}

export function everythingOf(
  model: PvModel,
  spaces: readonly Pmap[],
  frames: readonly number[],
  pages: readonly (readonly [number, number])[],
): number[][] {
  const { mappings } = model;
  return [
    spaces.map((_, p) => mappings.filter((m) => m.pmap === p).length),
    spaces.map((_, p) => mappings.filter((m) => m.pmap === p && m.wired).length),
    frames.map((f) => model.of(f).length),
    frames.map((f) => model.of(f).filter((m) => m.wired).length),
    frames.map((f) => Number(model.of(f).some((m) => (m.prot & Pte.WRITE) !== 0))),
    pages.map(([p, page]) => pteOf(model.at(p, page))),
    pages.map(([p, page]) => model.at(p, page)?.frame ?? NO_FRAME),
  ];
}
