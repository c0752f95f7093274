/**
 * Worker of T7: the dirty pages of an object of 16 MiB, by its index and by the native peer's bitmap.
 */
import { MiB, PAGE_SIZE } from "@physio/kern";
import { PageIndex, PageTag } from "@physio/uvm";
import type { Rounds } from "./cases.ts";
import { makeCase, measureRounds, sink, warm } from "./cases.ts";
import { nativeRound } from "./native.ts";
import { Random } from "./random.ts";

const PAGES = (16 * MiB) / PAGE_SIZE;
const DIRTY = Math.round(PAGES / 10);
const SCANS = 500;
const ROUNDS = 5;

export interface ScanInput {
  /** The compiled peer. */
  readonly native: string;
}

/** Which pages are dirty: a tenth, here and there. */
function dirtyPages(): boolean[] {
  const dirty = new Array<boolean>(PAGES).fill(false);
  for (const page of new Random(9).order(PAGES).subarray(0, DIRTY)) dirty[page] = true;
  return dirty;
}

/** The bitmap as the peer reads it. */
function bitmap(dirty: readonly boolean[]): string {
  const words = Array.from({ length: PAGES / 64 }, (_, i) => {
    const bits = dirty.slice(i * 64, i * 64 + 64).reverse();
    return BigInt(`0b${bits.map(Number).join("")}`).toString(16);
  });
  return words.join("\n");
}

/** An index of pages in frames in a row, those tagged that are dirty. */
function makeIndex(dirty: readonly boolean[]): PageIndex {
  const index = new PageIndex();
  dirty.forEach((is, page) => {
    index.insert(page, page);
    if (is) index.set(PageTag.DIRTY, page);
  });
  return index;
}

export function measureScans({ native }: ScanInput): Rounds {
  const dirty = dirtyPages();
  const index = makeIndex(dirty);
  const into = new Float64Array(2 * PAGES);
  const gather = makeCase("gather", SCANS, (n) => {
    for (let i = 0; i < n; i++) sink.total += index.gather(PageTag.DIRTY, 0, PAGES, into);
  });
  const walk = makeCase("walk", SCANS, (n) => {
    for (let i = 0; i < n; i++) {
      let page = index.nextTagged(PageTag.DIRTY, 0, PAGES);
      for (; page >= 0; page = index.nextTagged(PageTag.DIRTY, page + 1, PAGES)) sink.total += page;
    }
  });
  const cases = [gather, walk];
  warm(cases, 40);
  const input = bitmap(dirty);
  const rounds: Rounds = { gather: [], walk: [], native: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, times] of Object.entries(measureRounds(cases, [], 1))) {
      rounds[name].push(...times);
    }
    rounds.native.push(nativeRound(native, SCANS * 10, input).scan);
  }
  if (index.gather(PageTag.DIRTY, 0, PAGES, into) !== DIRTY) throw new Error("pages were missed");
  return rounds;
}
