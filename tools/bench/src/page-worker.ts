/**
 * Worker of the T9 rows: what a million resident pages cost. Needs --expose-gc.
 */
import { NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import type { UvmObject } from "@physio/uvm";
import { UvmPages } from "@physio/uvm";
import type { Rounds } from "./cases.ts";
import { makeCase, measureRounds, sink, warm } from "./cases.ts";
import { collect } from "./garbage.ts";
import { memoryCases } from "./memory-cases.ts";
import { Random } from "./random.ts";
import { timeCases } from "./time-cases.ts";

const MANY = 1_000_000;
const FEW = 1000;
const LOOKUPS = 2 ** 20;
const COLLECTIONS = 9;

export interface PageOutput {
  /** Bytes that a million resident pages added. */
  readonly grown: number;
  /** Bytes of that in columns and other arrays, beside the heap. */
  readonly arrays: number;
  /** Milliseconds of a full collection, before the pages and with them. */
  readonly gcBefore: number;
  readonly gcAfter: number;
  readonly lookups: Rounds;
}

function newPages(frames: number): UvmPages {
  const mem = new PhysMem({ banks: [{ base: 0, size: frames * PAGE_SIZE }] });
  const { pmaps } = new Kmem(mem);
  return new UvmPages({ mem, pmaps, sched: new Scheduler(), trace: new Trace(64) });
}

/** An object with pages 0 … count − 1, as reads leave them: not busy, on the active queue. */
function resident(pages: UvmPages, count: number): UvmObject {
  const object = pages.newObject();
  for (let i = 0; i < count; i++) {
    const frame = pages.alloc(object, i);
    if (frame === NO_FRAME) throw new Error(`no frame for page ${i}`);
    pages.unbusy(frame);
    pages.activate(frame);
  }
  return object;
}

/** Milliseconds; the best of some: the collector's own threads suffer most from other load. */
function collection(): number {
  const times = Array.from({ length: COLLECTIONS }, () => {
    const begin = performance.now();
    collect();
    return performance.now() - begin;
  });
  return Math.min(...times);
}

/** Lookups of pages of `object` in random order. */
function lookupCase(name: string, object: UvmObject) {
  const random = new Random(5);
  const sequence = Int32Array.from({ length: LOOKUPS }, () => random.below(object.pageCount));
  let next = 0; // it goes through the whole sequence, a slice at a time
  return makeCase(name, LOOKUPS / 32, (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += object.lookup(sequence[next]);
      next = (next + 1) % LOOKUPS;
    }
    sink.total += sum;
  });
}

export function measurePages(): PageOutput {
  const others = [...memoryCases(), ...timeCases()];
  warm(others);
  const few = resident(newPages(4 * FEW), FEW);
  const gcBefore = collection();
  const before = process.memoryUsage();
  const pages = newPages(MANY * 1.04);
  const many = resident(pages, MANY);
  const gcAfter = collection();
  const after = process.memoryUsage();
  const arrays = after.external - before.external;
  const cases = [lookupCase("few", few), lookupCase("many", many)];
  warm(cases);
  const lookups = measureRounds(cases, others);
  if (pages.resident !== MANY) throw new Error(`${pages.resident} pages are resident`);
  return { grown: after.heapUsed - before.heapUsed + arrays, arrays, gcBefore, gcAfter, lookups };
}
