/**
 * Each decision of the arm64 backend both ways, and those of DmaSemantics that show in it.
 */
import type { Arm64Decisions } from "@physio/arch-arm64";
import { ARM64_FIXED, ARM64_SEED } from "@physio/arch-arm64";
import type { DmaSemantics } from "@physio/busdma";
import { BusDma, FIXED, SEED, Sync } from "@physio/busdma";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { CachedMachine, HIGH, LINE, REACH, stateOf } from "./machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EFBIG, ENOMEM, EINPROGRESS } = Errno;

/** A machine with all decisions of the original, and `name` as given. */
function only(name: keyof Arm64Decisions, fixed: boolean, semantics = SEED): CachedMachine {
  const decisions = { ...ARM64_SEED, [name]: fixed };
  return new CachedMachine({ semantics, cache: null, backend: { decisions } });
}

/** The other one of two semantics, in `names`. */
const mixed = (names: readonly (keyof DmaSemantics)[], fixed: boolean): DmaSemantics => ({
  ...SEED,
  ...Object.fromEntries(names.map((name) => [name, fixed])),
});

const ways = [true, false] as const;

test("the context's semantics stand for a set of decisions, of all names", () => {
  expect(Object.keys(ARM64_SEED)).toEqual(Object.keys(ARM64_FIXED));
  expect(Object.values(ARM64_SEED)).toEqual(Object.keys(ARM64_FIXED).map(() => false));
  expect(Object.values(ARM64_FIXED)).toEqual(Object.keys(ARM64_FIXED).map(() => true));
});

for (const fixed of ways) {
  test(`cutAfterBounce ${fixed}: a small maxSegSize takes ${fixed ? "one page" : "a page for each piece, till the count is used up"}`, () => {
    const machine = only("cutAfterBounce", fixed);
    const map = machine.tag({ lowAddr: REACH, maxSegSize: 1024 }).createMap();
    expect(machine.load(map, machine.buffer(1), PAGE)).toBe(OK);
    const low = machine.last().segs.filter(([addr]) => addr <= REACH);
    expect(low.map(([, size]) => size)).toEqual(fixed ? [1024, 1024, 1024, 1024] : [1024]);
    expect(machine.last().segs.length).toBe(4);
  });

  test(`cutAfterBounce ${fixed}: sync entries ${fixed ? "do not overlap" : "overlap"} where the boundary cuts a piece`, () => {
    const machine = only("cutAfterBounce", fixed);
    const map = machine.tag({ boundary: 1024, maxSegSize: 1024 }).createMap();
    const va = machine.buffer(1) + 512;
    expect(machine.load(map, va, 2048)).toBe(OK);
    map.sync(Sync.PREWRITE);
    const length = fixed ? 2048 : 1024;
    const first = ["clean", "kernel", va, length];
    expect(machine.calls).toEqual(fixed ? [first] : [first, ["clean", "kernel", va + 512, 1536]]);
  });

  test(`memoryByPage ${fixed}: memory of scattered pages is ${fixed ? "translated" : "taken for contiguous"}`, () => {
    const machine = only("memoryByPage", fixed);
    const tag = machine.tag({ maxSize: 2 * PAGE, segments: 2 });
    const memory = tag.allocMem()!;
    const { va } = memory.memory;
    // The second page moves elsewhere.
    machine.kmem.pmap.remove(va + PAGE, PAGE);
    const [frame] = machine.frames(1, MiB);
    machine.kmem.pmap.kenter(va + PAGE, frame, 3);
    expect(machine.load(memory.map, va, 2 * PAGE)).toBe(OK);
    const first = machine.kmem.pmap.extract(va);
    const second = machine.mem.addrOf(frame);
    const pages = [
      [first, PAGE],
      [second, PAGE],
    ];
    expect(machine.last().segs).toEqual(fixed ? pages : [[first, 2 * PAGE]]);
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

  test(`entriesKeepKind ${fixed}: pages behind an mbuf ${fixed ? "are an entry of their own" : "lengthen its entry"}`, () => {
    const machine = only("entriesKeepKind", fixed);
    const map = machine.tag().createMap();
    const [a, b] = machine.frames(2);
    const mapped = new Mbuf();
    mapped.flags = MbufFlag.PKTHDR;
    mapped.data = machine.map([a]);
    mapped.len = PAGE;
    mapped.packetLength = 2 * PAGE;
    const unmapped = new Mbuf();
    const none = { va: 0, len: 0 };
    unmapped.flags = MbufFlag.EXT | MbufFlag.EXTPG;
    unmapped.len = PAGE;
    const { mem } = machine;
    const shape = { firstOffset: 0, lastLength: PAGE, header: none, trailer: none };
    unmapped.pages = { memory: mem, frames: [b], ...shape };
    mapped.next = unmapped;
    expect(map.loadMbuf(mapped, () => {}, null)).toBe(OK);
    map.sync(Sync.PREWRITE);
    expect(machine.calls).toEqual(
      fixed
        ? [
            ["clean", "kernel", mapped.data, PAGE],
            ["clean", "phys", mem.addrOf(b), PAGE],
          ]
        : [["clean", "kernel", mapped.data, 2 * PAGE]],
    );
  });

  test(`mbufRuleByRange ${fixed}: what follows an mbuf ${fixed ? "obeys" : "is free of"} the line rule`, () => {
    const machine = only("mbufRuleByRange", fixed);
    const tag = machine.tag();
    const map = tag.createMap();
    const va = machine.buffer(1);
    const { backend, segs, kernelPmap } = tag;
    const load = (flags: number) =>
      backend.loadBuffer(tag, map, kernelPmap, va + 1, 10, flags, segs);
    expect(load(BusDma.LOAD_MBUF)).toBe(OK);
    expect(stateOf(map).bounce!.pages.count).toBe(0);
    expect(load(0)).toBe(OK);
    expect(stateOf(map).bounce!.pages.count).toBe(fixed ? 1 : 0);
    map.unload();
    expect(load(0)).toBe(OK);
    expect(stateOf(map).bounce!.pages.count).toBe(1);
  });

  test(`directBeforeCopies ${fixed}: POSTREAD maintains data in place ${fixed ? "first" : "last"}`, () => {
    const machine = only("directBeforeCopies", fixed);
    const map = machine.tag().createMap();
    const va = machine.buffer(2);
    expect(machine.load(map, va, PAGE + 10)).toBe(OK);
    map.sync(Sync.POSTREAD);
    const spaces = machine.calls.map(([, space]) => space);
    expect(spaces).toEqual(fixed ? ["kernel", "phys"] : ["phys", "kernel"]);
  });

  // ---- of DmaSemantics

  test(`clearReservation ${fixed}: after EFBIG ${fixed ? "nothing stays" : "a page stays"} reserved`, () => {
    const machine = new CachedMachine({
      cache: null,
      semantics: mixed(["clearReservation"], fixed),
    });
    const tag = machine.tag({ lowAddr: REACH, maxSize: 4 * PAGE, segments: 1, maxSegSize: PAGE });
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(4), 4 * PAGE)).toBe(OK);
    expect(machine.last().error).toBe(EFBIG);
    expect(stateOf(map).bounce!.pages.count).toBe(0);
    expect(machine.counts()[0][2]).toBe(fixed ? 0 : 2);
    expect(map.destroy()).toBe(OK);
  });

  test(`chunksStayInPage ${fixed}: a misaligned start counts ${fixed ? "what is needed" : "a page too many"}`, () => {
    const machine = new CachedMachine({
      cache: null,
      semantics: mixed(["chunksStayInPage"], fixed),
    });
    const tag = machine.tag({ alignment: 64, flags: BusDma.COHERENT });
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(4) + 1, 3 * PAGE - 1)).toBe(OK);
    const { bounce } = stateOf(map);
    expect([bounce!.pages.count, bounce!.needed]).toEqual(fixed ? [1, 0] : [1, 2]);
  });

  test(`stalledLoadStartsOver ${fixed}: a list that stalls midway ${fixed ? "keeps nothing" : "keeps what it had"}`, () => {
    const names = ["stalledLoadStartsOver", "clearReservation"] as const;
    const machine = new CachedMachine({ cache: null, pages: 4, semantics: mixed(names, fixed) });
    const tag = machine.tag({ lowAddr: REACH, maxSize: 3 * PAGE });
    const [holder, waiter] = [tag.createMap(), tag.createMap()];
    const [held, first, second] = [machine.buffer(3), machine.buffer(1), machine.buffer(1)];
    expect(machine.load(holder, held, 3 * PAGE, "holder")).toBe(OK);
    const list = [
      { base: machine.buffer(1, MiB), length: PAGE },
      { base: first, length: PAGE },
      { base: second, length: PAGE },
    ];
    const load = waiter.loadMem({ kind: "vlist", list }, machine.note("waiter"), null);
    expect(load).toBe(EINPROGRESS);
    const { bounce, list: entries } = stateOf(waiter);
    expect([bounce!.pages.count, entries.count]).toEqual(fixed ? [0, 0] : [1, 1]);
    if (!fixed) return; // the original waits on, and adds to them
    holder.unload();
    machine.sched.pump();
    expect(machine.last().who).toBe("waiter");
    expect(machine.last().segs.reduce((sum, [, n]) => sum + n, 0)).toBe(3 * PAGE);
    machine.tearDown([holder, waiter], [tag]);
  });

  test(`refuseImpossible ${fixed}: more pages than there are is ${fixed ? "ENOMEM" : "waited for"}`, () => {
    const names = ["refuseImpossible"] as const;
    const machine = new CachedMachine({ cache: null, pages: 2, semantics: mixed(names, fixed) });
    const map = machine.tag({ lowAddr: REACH, maxSize: PAGE }).createMap();
    expect(machine.load(map, machine.buffer(3), 3 * PAGE)).toBe(fixed ? ENOMEM : EINPROGRESS);
  });

  test(`syncEachOperation ${fixed}: PREWRITE with POSTREAD ${fixed ? "does both" : "panics, after it cleaned bounced data"}`, () => {
    const names = ["syncEachOperation"] as const;
    const machine = new CachedMachine({ cache: null, semantics: mixed(names, fixed) });
    const map = machine.tag().createMap();
    expect(machine.load(map, machine.buffer(2), PAGE + 10)).toBe(OK);
    const sync = () => map.sync(Sync.PREWRITE | Sync.POSTREAD);
    if (fixed) sync();
    else expect(sync).toThrow(Panic);
    const done = machine.calls.map(([call, space]) => `${call} ${space}`);
    const both = ["invalidate phys", "invalidate kernel", "clean phys", "clean kernel"];
    expect(done).toEqual(fixed ? both : ["clean phys"]);
    expect(machine.pool.zones[0].totalBounced).toBe(2);
  });

  test(`testEveryPage ${fixed}: a range that leaves the reach midway ${fixed ? "is not" : "passes for"} identity`, () => {
    const machine = new CachedMachine({ cache: null, semantics: mixed(["testEveryPage"], fixed) });
    const tag = machine.tag({ lowAddr: HIGH + PAGE - 1 });
    expect(tag.backend.isIdentity(tag, HIGH, PAGE)).toBe(true);
    expect(tag.backend.isIdentity(tag, HIGH, 2 * PAGE)).toBe(!fixed);
    expect(tag.backend.isIdentity(tag, HIGH + PAGE, PAGE)).toBe(false);
    expect(tag.backend.isIdentity(tag, HIGH + 1, LINE)).toBe(false);
    expect(tag.backend.isIdentity(tag, HIGH, LINE + 1)).toBe(false);
  });

  test(`failedMapNotCounted ${fixed}: a map without pages is ENOMEM, ${fixed ? "and no map" : "but counts"}`, () => {
    const names = ["failedMapNotCounted"] as const;
    const machine = new CachedMachine({ cache: null, pages: 2, semantics: mixed(names, fixed) });
    const tag = machine.tag({ maxSize: 4 * PAGE });
    expect(() => tag.createMap()).toThrow("ENOMEM");
    expect(machine.pool.zones[0].mapCount).toBe(fixed ? 0 : 1);
    expect(tag.mapCount).toBe(0);
    expect(machine.counts()).toEqual([[2, 2, 0, 0]]);
  });

  test(`freeByAllocation ${fixed}: a small block after a large one goes back to ${fixed ? "its own" : "the page"} allocator`, () => {
    const freed: string[] = [];
    const names = ["freeByAllocation"] as const;
    const machine = new CachedMachine({
      cache: null,
      semantics: mixed(names, fixed),
      backend: {
        allocator: {
          alloc: ({ uncacheable }) => (uncacheable ? -1 : machine.buffer(1)),
          free: (_va, size, how) => freed.push(`${size} ${how}`),
        },
      },
    });
    const tag = machine.tag({ maxSize: 100 });
    const memory = tag.allocMem()!;
    expect(tag.allocMem(BusDma.COHERENT)).toBe(null);
    memory.free();
    expect(freed).toEqual([fixed ? "128 small" : "128 pages"]);
  });
}

test("seed and fixed tags take their decisions from the context", () => {
  for (const [semantics, rules] of [
    [SEED, ARM64_SEED],
    [FIXED, ARM64_FIXED],
  ] as const) {
    const machine = new CachedMachine({ cache: null, semantics });
    expect((machine.tag().md as { rules: unknown }).rules).toBe(rules);
  }
});
