/**
 * The fast paths of loads against the slow one: a page at a time through addRange, as the originals
 * do it.
 */
import type { SegList } from "@physio/busdma";
import { createTag, FIXED, SEED as SEED_SEMANTICS } from "@physio/busdma";
import { Mbuf } from "@physio/carriers/mbuf";
import { Errno, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import { BASE, backend, chainsAgree, fast, mapped, rangesAgree } from "./load-cases.ts";

const SEED = Number(process.env.PHYSIO_SEED ?? 1);

describe("loadDirect", () => {
  test("gives the segments of a page at a time, also where it does not fit", () => {
    const { flat, efbig } = rangesAgree(1500, SEED);
    expect(flat).toBeGreaterThan(1000);
    expect(efbig).toBeGreaterThan(50);
  });

  test("a page that is not mapped panics, first, middle or last", () => {
    for (const hole of [0, 3, 7]) {
      const pmap = mapped([0, 2, 4, 6, 8, 10, 12, 14]);
      pmap.remove(BASE + hole * PAGE_SIZE, PAGE_SIZE);
      const c = { pages: [], offset: 5, length: 8 * PAGE_SIZE - 5, maxSegSize: MiB };
      expect(() => fast({ ...c, boundary: 0, segments: 9 }, pmap)).toThrow(Panic);
    }
  });
});

describe("loads of mbuf chains of a map that never bounces", () => {
  test("give the segments of a page at a time, also where they do not fit", () => {
    const { flat, efbig } = chainsAgree(1500, SEED);
    expect(flat).toBeGreaterThan(1000);
    expect(efbig).toBeGreaterThan(50);
  });

  test("an mbuf over the end of a page table's leaf does not disturb the next one before it", () => {
    const pmap = mapped(Array.from({ length: 520 }, (_, i) => 2 * i));
    const context = { backend, semantics: FIXED, kernelPmap: pmap, trace: new Trace(1) };
    const map = createTag(context, null, { maxSize: MiB }).createMap();
    const next = Object.assign(new Mbuf(), { data: BASE + 3 * PAGE_SIZE, len: 8 });
    const m = Object.assign(new Mbuf(), { data: BASE + 511 * PAGE_SIZE, len: 2 * PAGE_SIZE, next });
    const segs = map.tag.segList();
    expect(map.loadMbufSg(m, segs)).toBe(Errno.OK);
    expect(segs.toArray()).toEqual([
      { addr: pmap.extract(m.data), len: 2 * PAGE_SIZE },
      { addr: pmap.extract(next.data), len: 8 },
    ]);
  });

  test("a load of a map that never bounces keeps maxSize in fixed, not in seed", () => {
    const pmap = mapped([0, 2, 4]);
    for (const [semantics, error] of [
      [FIXED, Errno.EINVAL],
      [SEED_SEMANTICS, Errno.OK],
    ] as const) {
      const context = { backend, semantics, kernelPmap: pmap, trace: new Trace(1) };
      const map = createTag(context, null, { maxSize: PAGE_SIZE }).createMap();
      const told: Errno[] = [];
      const note = (_arg: null, _segs: SegList, _count: number, e: Errno) => told.push(e);
      expect(map.load(BASE, PAGE_SIZE, note, null)).toBe(Errno.OK);
      expect(map.load(BASE, PAGE_SIZE + 1, note, null)).toBe(error);
      for (const length of [0, -1, Number.NaN])
        expect(map.load(BASE, length, note, null)).toBe(error);
      expect(told).toEqual([Errno.OK, error, error, error, error]);
    }
  });

  test("a negative length or NaN in a chain is EINVAL, an empty mbuf is passed over", () => {
    const pmap = mapped([0, 2]);
    const context = { backend, semantics: FIXED, kernelPmap: pmap, trace: new Trace(1) };
    const map = createTag(context, null, { maxSize: MiB }).createMap();
    for (const [len, error] of [
      [0, Errno.OK],
      [-1, Errno.EINVAL],
      [Number.NaN, Errno.EINVAL],
    ] as const) {
      const next = Object.assign(new Mbuf(), { data: BASE, len });
      const m = Object.assign(new Mbuf(), { data: BASE, len: 8, next });
      expect(map.loadMbufSg(m, map.tag.segList())).toBe(error);
    }
  });

  test("an mbuf that is not mapped panics, in its first page or a later one", () => {
    const pmap = mapped([0, 2, 4]);
    const context = { backend, semantics: FIXED, kernelPmap: pmap, trace: new Trace(1) };
    const tag = createTag(context, null, { maxSize: 4 * MiB });
    for (const data of [
      BASE + 3 * PAGE_SIZE,
      BASE + 2 * PAGE_SIZE + 1,
      0,
      -5,
      2 ** 50,
      Number.NaN,
    ]) {
      const m = Object.assign(new Mbuf(), { data, len: PAGE_SIZE });
      expect(() => tag.createMap().loadMbufSg(m, tag.segList())).toThrow(Panic);
    }
  });
});
