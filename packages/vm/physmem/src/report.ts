/**
 * What the allocator counts, and its free lists as text.
 *
 * The counters are plain fields that only the allocator writes; `formatFreeLists` follows the
 * vm.phys_free sysctl of sys/vm/vm_phys.c.
 */
import { PAGE_SIZE } from "@physio/kern";
import { MAX_ORDER, REACHES } from "./buddy.ts";

/** Counted since boot. */
export class AllocCounters {
  /** Frames that allocFrame handed out. */
  allocs: number;
  /** Calls of freeFrame, whatever their count. */
  frees: number;
  /** Ranges that allocContig handed out, and requests for one that had to scan. */
  contigAllocs: number;
  contigScans: number;
  /** Requests that ended with NO_FRAME. */
  failures: number;
  /** Times the hooks were asked for frames, and times a shortage was told. */
  reclaims: number;
  shortages: number;

  constructor() {
    this.allocs = 0;
    this.frees = 0;
    this.contigAllocs = 0;
    this.contigScans = 0;
    this.failures = 0;
    this.reclaims = 0;
    this.shortages = 0;
  }
}

/** Frames of one domain. */
export interface DomainFrames {
  readonly totalFrames: number;
  readonly freeFrames: number;
}

/** What the text is made from: PhysMem. */
export interface FreeLists {
  readonly domainCount: number;
  domain(domain: number): DomainFrames;
  freeBlocks(domain: number, reach: number): number[];
}

const REACH_NAMES = ["24 bits", "32 bits", "all addresses"];

/**
 * The free blocks of every domain and reach by order, largest first; single frames in the cache
 * count as blocks of order 0.   @bsd #P[no pools] vm.phys_free
 */
export function formatFreeLists(mem: FreeLists): string {
  const lines: string[] = [];
  for (let d = 0; d < mem.domainCount; d++) {
    const { freeFrames, totalFrames } = mem.domain(d);
    lines.push(`DOMAIN ${d}: ${freeFrames} of ${totalFrames} frames are free`);
    const blocks = Array.from({ length: REACHES }, (_, reach) => mem.freeBlocks(d, reach));
    const used = [2, 1, 0].filter((reach) => blocks[reach].some((count) => count > 0));
    if (used.length === 0) continue;
    const names = used.map((reach) => REACH_NAMES[reach].padStart(14)).join("");
    lines.push(`  ORDER (SIZE)  |${names}`);
    for (let order = MAX_ORDER; order >= 0; order--) {
      const size = `${(PAGE_SIZE * 2 ** order) / 1024}K`;
      const counts = used.map((reach) => String(blocks[reach][order]).padStart(14)).join("");
      lines.push(`  ${String(order).padStart(5)} (${size.padStart(5)}) |${counts}`);
    }
  }
  return lines.join("\n");
}
