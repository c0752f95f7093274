/**
 * The fast paths of loads against the slow one, a page at a time through addRange, as the originals
 * do it: the model and the draws of load-direct.test.ts and of its long run.
 */
import type { DmaContext, Segment } from "@physio/busdma";
import { createTag, FIXED, SegList } from "@physio/busdma";
import { addRange, defineBackend, loadDirect } from "@physio/busdma/impl";
import { Mbuf } from "@physio/carriers/mbuf";
import { Errno, KiB, MiB, PAGE_SIZE, pageOffset } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem, Prot } from "@physio/pmap";
import { Trace } from "@physio/trace";
import fc from "fast-check";
import { expect } from "vitest";

export const BASE = 2 ** 40;
const nothing = () => Errno.OK;
export const backend = defineBackend({
  name: "none",
  tagCreate: () => null,
  tagDestroy: nothing,
  mapCreate: () => null,
  mapDestroy: nothing,
  memAlloc: () => null,
  memFree: nothing,
  loadBuffer: nothing,
  loadPhys: nothing,
  loadPages: nothing,
  complete: nothing,
  sync: nothing,
  unload: nothing,
  isIdentity: () => true,
});

/** RAM on both sides of 4 GiB; `frames` are mapped in a row at BASE. */
export function mapped(pages: readonly number[]): Pmap {
  const mem = new PhysMem({
    banks: [
      { base: PAGE_SIZE, size: 8 * MiB - PAGE_SIZE },
      { base: 2 ** 32, size: 8 * MiB },
    ],
  });
  for (const bank of mem.banks) {
    const pages = (bank.end - bank.base) / PAGE_SIZE;
    mem.allocContig(pages, { low: bank.base, high: bank.end - 1 });
  }
  const first = [mem.frameOf(MiB), mem.frameOf(2 ** 32)];
  const pmap = new Kmem(mem).pmaps.create("test");
  pages.forEach((n, i) => {
    pmap.enter(BASE + i * PAGE_SIZE, first[n % 2] + Math.floor(n / 2), Prot.READ | Prot.WRITE);
  });
  return pmap;
}

interface Case {
  readonly pages: readonly number[];
  readonly offset: number;
  readonly length: number;
  readonly maxSegSize: number;
  readonly boundary: number;
  readonly segments: number;
}

interface Outcome {
  readonly errno: Errno;
  readonly segs: readonly Segment[];
}

function slow(c: Case, pmap: Pmap, maxSegSize: number): Outcome {
  const segs = new SegList(c.segments);
  const va = BASE + c.offset;
  for (let done = 0; done < c.length; ) {
    const pa = pmap.extract(va + done);
    const size = Math.min(c.length - done, PAGE_SIZE - pageOffset(pa));
    if (!addRange(segs, pa as number, size, maxSegSize, c.boundary)) {
      return { errno: Errno.EFBIG, segs: segs.toArray() };
    }
    done += size;
  }
  return { errno: Errno.OK, segs: segs.toArray() };
}

export function fast(c: Case, pmap: Pmap): { outcome: Outcome; maxSegSize: number; flat: boolean } {
  const context: DmaContext = { backend, semantics: FIXED, kernelPmap: pmap, trace: new Trace(1) };
  const { boundary, segments, maxSegSize } = c;
  const tag = createTag(context, null, { maxSize: 4 * MiB, boundary, segments, maxSegSize });
  if (!tag.flat) return { outcome: { errno: Errno.OK, segs: [] }, maxSegSize, flat: false };
  const errno = loadDirect(tag, pmap, BASE + c.offset, c.length, tag.segs);
  return { outcome: { errno, segs: tag.segs.toArray() }, maxSegSize: tag.maxSegSize, flat: true };
}

/** Runs of neighbouring frames with jumps between them, as a fragmented machine gives. */
const pages = fc
  .array(fc.tuple(fc.nat(1500), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 30 })
  .map((runs) => runs.flatMap(([start, n]) => Array.from({ length: n }, (_, i) => start + 2 * i)));

const cases = pages.chain((list) =>
  fc
    .record({
      offset: fc.oneof(fc.constant(0), fc.nat(PAGE_SIZE - 1)),
      cut: fc.nat(list.length * PAGE_SIZE - 1),
      maxSegSize: fc.oneof(
        fc.constantFrom(PAGE_SIZE, 8 * KiB, 64 * KiB, 4 * MiB),
        fc.integer({ min: PAGE_SIZE, max: 100_000 }),
      ),
      boundary: fc.constantFrom(0, 0, PAGE_SIZE, 16 * KiB, 64 * KiB, MiB, 4 * MiB),
      segments: fc.oneof(fc.constant(1000), fc.integer({ min: 1, max: 40 })),
    })
    .map(({ cut, ...rest }): Case => {
      const length = Math.max(1, list.length * PAGE_SIZE - rest.offset - cut);
      return { pages: list, length, ...rest };
    }),
);

/** How many of the cases took the fast path, and of those how many did not fit. */
export interface Seen {
  readonly flat: number;
  readonly efbig: number;
}

/** Random ranges. */
export function rangesAgree(numRuns: number, seed: number): Seen {
  let efbig = 0;
  let flat = 0;
  fc.assert(
    fc.property(cases, (c) => {
      const pmap = mapped(c.pages);
      const got = fast(c, pmap);
      if (!got.flat) return;
      flat++;
      const wanted = slow(c, pmap, got.maxSegSize);
      if (wanted.errno === Errno.EFBIG) efbig++;
      expect(got.outcome.errno).toBe(wanted.errno);
      if (wanted.errno === Errno.OK) expect(got.outcome.segs).toEqual(wanted.segs);
    }),
    { numRuns, seed },
  );
  return { flat, efbig };
}

/** Random mbuf chains. */
export function chainsAgree(numRuns: number, seed: number): Seen {
  let efbig = 0;
  let flat = 0;
  const parts = fc.array(fc.tuple(fc.nat(), fc.nat(9000)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(cases, parts, (c, drawn) => {
      const pmap = mapped(c.pages);
      const context = { backend, semantics: FIXED, kernelPmap: pmap, trace: new Trace(1) };
      const { boundary, segments, maxSegSize } = c;
      const tag = createTag(context, null, { maxSize: 4 * MiB, boundary, segments, maxSegSize });
      if (!tag.flat) return;
      flat++;
      const wanted = new SegList(c.segments);
      let error: Errno = Errno.OK;
      let chain: Mbuf | null = null;
      let tail: Mbuf | null = null;
      let sum = 0;
      let at = c.offset;
      for (const [random, length] of drawn) {
        // Every third follows the one before, so that segments join.
        const data = random % 3 === 0 ? at : random % (c.pages.length * PAGE_SIZE);
        const len = Math.min(length, c.pages.length * PAGE_SIZE - data);
        const m: Mbuf = Object.assign(new Mbuf(), { data: BASE + data, len });
        if (tail === null) chain = m;
        else tail.next = m;
        tail = m;
        sum += len;
        at = data + len;
        for (let done = 0; done < len && error === Errno.OK; ) {
          const pa = pmap.extract(m.data + done);
          const run = Math.min(len - done, PAGE_SIZE - pageOffset(pa));
          const fits = addRange(wanted, pa as number, run, tag.maxSegSize, boundary);
          if (!fits) error = Errno.EFBIG;
          done += run;
        }
      }
      if (error === Errno.EFBIG) efbig++;
      if (sum === 0) error = Errno.EINVAL;
      const segs = tag.segList();
      expect(tag.createMap().loadMbufSg(chain!, segs)).toBe(error);
      expect(segs.toArray()).toEqual(error === Errno.OK ? wanted.toArray() : []);
    }),
    { numRuns, seed },
  );
  return { flat, efbig };
}
