/** What the backends of machines with caches have in common, on each: tags, maps, memory, bad input. */
import { BusDma, SEED } from "@physio/busdma";
import { Errno, ErrnoError, PAGE_SIZE, Panic } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { CachedKind, CachedMachine } from "../src/cached-machine.ts";
import { CACHED_KINDS, HIGH, REACH } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EBUSY, EINPROGRESS } = Errno;
const low = { lowAddr: REACH };

function tagsAndMaps({ make }: CachedKind): void {
  test("ALLOCNOW with too few pages is ENOMEM, and the zone keeps what it got", () => {
    const machine = make({ cache: null, pages: 3 });
    const options = { ...low, maxSize: 4 * PAGE, flags: BusDma.ALLOCNOW };
    expect(() => machine.tag(options)).toThrow("ENOMEM");
    expect(machine.counts()).toEqual([[3, 3, 0, 0]]);
  });

  test("a map is EBUSY while it has bounce pages, or ranges to maintain", () => {
    const machine = make({ cache: null });
    for (const options of [{}, low]) {
      const tag = machine.tag(options);
      const map = tag.createMap();
      const va = machine.buffer(1);
      for (const length of [PAGE, 10]) {
        expect(machine.load(map, va, length)).toBe(OK);
        expect(map.destroy()).toBe(EBUSY);
        map.unload();
      }
      machine.tearDown([map], [tag]);
    }
  });

  test("deferred loads are served in their order, with the lock held", () => {
    const machine = make({ pages: 3 });
    const tag = machine.tag({ ...low, maxSize: 2 * PAGE });
    const maps = [0, 1, 2].map(() => tag.createMap());
    const va = machine.buffer(2);
    const answers = maps.map((map, i) => machine.load(map, va, 2 * PAGE, `m${i}`));
    expect(answers).toEqual([OK, EINPROGRESS, EINPROGRESS]);
    for (const [i, map] of maps.entries()) {
      expect(machine.last().who).toBe(`m${i}`);
      map.unload();
      machine.sched.pump();
    }
    machine.tearDown(maps, [tag]);
  });

  test("memory counts as a map of its tag, and a result that breaks the alignment is marked", () => {
    const alloc = (): number => machine.buffer(1) + 8;
    const machine: CachedMachine = make({
      cache: null,
      backend: { allocator: { alloc, free: () => {} } },
    });
    const tag = machine.tag({ maxSize: 128, alignment: 64 });
    const got = tag.allocMem()!;
    expect(got.memory.misaligned).toBe(true);
    expect(tag.destroy()).toBe(EBUSY);
    expect(() => got.map.destroy()).toThrow(Panic);
    got.free();
    machine.tearDown([], [tag]);
  });
}

function badInput({ name, make }: CachedKind): void {
  test("a cache line that makes no sense is EINVAL", () => {
    for (const cacheLine of [0, 48, -64, Number.NaN, 2 * PAGE, 32]) {
      expect(() => make({ backend: { cacheLine } })).toThrow(ErrnoError);
    }
    expect(make().context.backend.name).toBe(name);
  });

  test("broken contracts panic and say what is wrong", () => {
    const machine = make({ cache: null, semantics: SEED });
    const va = machine.buffer(2);
    const odd = machine.tag({ alignment: 48, flags: BusDma.COHERENT }).createMap();
    expect(() => machine.load(odd, va, 64)).toThrow("alignment 48 is not a power of 2");
    const cut = machine.tag({ boundary: 3000 }).createMap();
    expect(() => machine.load(cut, va, 64)).toThrow("boundary 3000 is not a power of 2");
    const map = machine.tag().createMap();
    const hole = { kind: "paddr", pa: 2 * HIGH, length: 64 } as const;
    expect(() => map.loadMem(hole, machine.note(), null)).toThrow("the page is not RAM");
    const unmapped = machine.tag({ maxSegSize: 64 }).createMap();
    expect(() => machine.load(unmapped, va + 2 * PAGE, 64)).toThrow("nothing is mapped");
    const bounced = machine.tag(low).createMap();
    expect(() => machine.load(bounced, va + PAGE, 2 * PAGE)).toThrow("nothing is mapped");
    const none = { kind: "vmpages", ma: [-1], offset: 0, length: 64 } as const;
    expect(() => map.loadMem(none, machine.note(), null)).toThrow(Panic);
  });
}

for (const kind of CACHED_KINDS) {
  describe(`backend ${kind.name}`, () => {
    tagsAndMaps(kind);
    badInput(kind);
  });
}
