/**
 * The decisions of the arm64 backend both ways, and those of DmaSemantics that show in it; what riscv
 * decides the same way is in cached-decisions.test.ts.
 */
import type { Arm64Decisions } from "@physio/arch-arm64";
import { ARM64_SEED } from "@physio/arch-arm64";
import type { DmaSemantics } from "@physio/busdma";
import { BusDma, SEED, Sync } from "@physio/busdma";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import type { CachedMachine } from "../src/cached-machine.ts";
import { arm64Machine, HIGH, LINE, REACH, stateOf } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EFBIG } = Errno;

/** A machine with all decisions of the original, and `name` as given. */
function only(name: keyof Arm64Decisions, fixed: boolean, semantics = SEED): CachedMachine {
  const decisions = { ...ARM64_SEED, [name]: fixed };
  return arm64Machine({ semantics, cache: null, backend: { decisions } });
}

/** The other one of two semantics, in `names`. */
const mixed = (names: readonly (keyof DmaSemantics)[], fixed: boolean): DmaSemantics => ({
  ...SEED,
  ...Object.fromEntries(names.map((name) => [name, fixed])),
});

const ways = [true, false] as const;

for (const fixed of ways) {
  test(`cutAfterBounce ${fixed}: a small maxSegSize takes ${fixed ? "one page" : "a page for each piece, till the count is used up"}`, () => {
    const machine = only("cutAfterBounce", fixed);
    const map = machine.tag({ lowAddr: REACH, maxSegSize: 1024 }).createMap();
    expect(machine.load(map, machine.buffer(1), PAGE)).toBe(OK);
    const low = machine.last().segs.filter(([addr]) => addr <= REACH);
    expect(low.map(([, size]) => size)).toEqual(fixed ? [1024, 1024, 1024, 1024] : [1024]);
    expect(machine.last().segs.length).toBe(4);
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
    const machine = arm64Machine({
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
    const machine = arm64Machine({
      cache: null,
      semantics: mixed(["chunksStayInPage"], fixed),
    });
    const tag = machine.tag({ alignment: 64, flags: BusDma.COHERENT });
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(4) + 1, 3 * PAGE - 1)).toBe(OK);
    const { bounce } = stateOf(map);
    expect([bounce!.pages.count, bounce!.needed]).toEqual(fixed ? [1, 0] : [1, 2]);
  });

  test(`syncEachOperation ${fixed}: PREWRITE with POSTREAD ${fixed ? "does both" : "panics, after it cleaned bounced data"}`, () => {
    const names = ["syncEachOperation"] as const;
    const machine = arm64Machine({ cache: null, semantics: mixed(names, fixed) });
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
    const machine = arm64Machine({ cache: null, semantics: mixed(["testEveryPage"], fixed) });
    const tag = machine.tag({ lowAddr: HIGH + PAGE - 1 });
    expect(tag.backend.isIdentity(tag, HIGH, PAGE)).toBe(true);
    expect(tag.backend.isIdentity(tag, HIGH, 2 * PAGE)).toBe(!fixed);
    expect(tag.backend.isIdentity(tag, HIGH + PAGE, PAGE)).toBe(false);
    expect(tag.backend.isIdentity(tag, HIGH + 1, LINE)).toBe(false);
    expect(tag.backend.isIdentity(tag, HIGH, LINE + 1)).toBe(false);
  });

  test(`freeByAllocation ${fixed}: a small block after a large one goes back to ${fixed ? "its own" : "the page"} allocator`, () => {
    const freed: string[] = [];
    const names = ["freeByAllocation"] as const;
    const machine = arm64Machine({
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
