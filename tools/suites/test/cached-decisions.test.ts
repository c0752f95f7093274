/**
 * The decisions that the backends of machines with caches share, both ways, and those of DmaSemantics
 * that show in each of them alike. What only one of them decides is in its own file beside this one.
 */
import type { DmaSemantics } from "@physio/busdma";
import { FIXED, SEED, Sync } from "@physio/busdma";
import { Errno, MiB, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { CachedKind } from "../src/cached-machine.ts";
import { CACHED_KINDS, REACH, stateOf } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EFBIG, ENOMEM, EINPROGRESS } = Errno;

/** The other one of two semantics, in `names`. */
const mixed = (names: readonly (keyof DmaSemantics)[], fixed: boolean): DmaSemantics => ({
  ...SEED,
  ...Object.fromEntries(names.map((name) => [name, fixed])),
});

function sets({ make, decisions: { seed, fixed } }: CachedKind): void {
  test("the context's semantics stand for a set of decisions, of all names", () => {
    expect(Object.keys(seed)).toEqual(Object.keys(fixed));
    expect(new Set(Object.values(seed))).toEqual(new Set([false]));
    expect(new Set(Object.values(fixed))).toEqual(new Set([true]));
    for (const [semantics, rules] of [
      [SEED, seed],
      [FIXED, fixed],
    ] as const) {
      const machine = make({ cache: null, semantics });
      expect((machine.tag().md as { rules: unknown }).rules).toBe(rules);
    }
  });
}

function own({ only }: CachedKind, fixed: boolean): void {
  test(`cutAfterBounce ${fixed}: sync entries ${fixed ? "do not overlap" : "overlap"} where the boundary cuts a piece`, () => {
    const machine = only("cutAfterBounce", fixed);
    const map = machine.tag({ boundary: 1024, maxSegSize: 1024 }).createMap();
    const va = machine.buffer(1) + 512;
    expect(machine.load(map, va, 2048)).toBe(OK);
    map.sync(Sync.PREWRITE);
    const first = ["clean", "kernel", va, fixed ? 2048 : 1024];
    expect(machine.calls).toEqual(fixed ? [first] : [first, ["clean", "kernel", va + 512, 1536]]);
  });

  test(`listGrows ${fixed}: buffers that adjoin in memory only ${fixed ? "fit" : "do not fit"} one segment`, () => {
    const machine = only("listGrows", fixed);
    const map = machine.tag({ segments: 1 }).createMap();
    const [a, b] = machine.frames(2);
    const list = [
      { base: machine.map([a]), length: PAGE },
      { base: machine.map([b]), length: PAGE },
    ];
    expect(map.loadMem({ kind: "vlist", list }, machine.note(), null)).toBe(OK);
    expect(machine.last().error).toBe(fixed ? OK : EFBIG);
    if (fixed) expect(machine.last().segs).toEqual([[machine.mem.addrOf(a), 2 * PAGE]]);
  });
}

function ofSemantics({ make }: CachedKind, fixed: boolean): void {
  test(`stalledLoadStartsOver ${fixed}: a list that stalls midway ${fixed ? "keeps nothing" : "keeps what it had"}`, () => {
    const semantics = mixed(["stalledLoadStartsOver", "clearReservation"], fixed);
    const machine = make({ cache: null, pages: 4, semantics });
    const tag = machine.tag({ lowAddr: REACH, maxSize: 3 * PAGE });
    const [holder, waiter] = [tag.createMap(), tag.createMap()];
    expect(machine.load(holder, machine.buffer(3), 3 * PAGE, "holder")).toBe(OK);
    const list = [MiB, undefined, undefined].map((bank) => ({
      base: machine.buffer(1, bank),
      length: PAGE,
    }));
    const load = waiter.loadMem({ kind: "vlist", list }, machine.note("waiter"), null);
    expect(load).toBe(EINPROGRESS);
    const { bounce, list: entries } = stateOf(waiter);
    expect([bounce!.pages.count, entries.count]).toEqual(fixed ? [0, 0] : [1, 1]);
    if (!fixed) return; // the original waits on, and adds to them
    holder.unload();
    machine.sched.pump();
    expect(machine.last()).toMatchObject({ who: "waiter", error: OK });
    expect(machine.last().segs.reduce((sum, [, n]) => sum + n, 0)).toBe(3 * PAGE);
    machine.tearDown([holder, waiter], [tag]);
  });

  test(`refuseImpossible ${fixed}: more pages than there are is ${fixed ? "ENOMEM" : "waited for"}`, () => {
    const machine = make({ cache: null, pages: 2, semantics: mixed(["refuseImpossible"], fixed) });
    const map = machine.tag({ lowAddr: REACH, maxSize: PAGE }).createMap();
    expect(machine.load(map, machine.buffer(3), 3 * PAGE)).toBe(fixed ? ENOMEM : EINPROGRESS);
  });

  test(`failedMapNotCounted ${fixed}: a map without pages is ENOMEM, ${fixed ? "and no map" : "but counts"}`, () => {
    const semantics = mixed(["failedMapNotCounted"], fixed);
    const machine = make({ cache: null, pages: 2, semantics });
    const tag = machine.tag({ lowAddr: REACH, maxSize: 4 * PAGE });
    expect(() => tag.createMap()).toThrow("ENOMEM");
    expect(machine.pool.zones[0].mapCount).toBe(fixed ? 0 : 1);
    expect(tag.mapCount).toBe(0);
    expect(machine.counts()).toEqual([[2, 2, 0, 0]]);
  });
}

for (const kind of CACHED_KINDS) {
  describe(`backend ${kind.name}`, () => {
    sets(kind);
    for (const fixed of [true, false]) {
      own(kind, fixed);
      ofSemantics(kind, fixed);
    }
  });
}
