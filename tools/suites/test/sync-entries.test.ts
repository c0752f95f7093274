/** Entries of sync lists are the pool's: a load takes them, and whatever ends it gives them back. */
import { BusDma } from "@physio/busdma";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { CACHED_KINDS } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EFBIG } = Errno;

describe.each(CACHED_KINDS)("on $name", ({ make }) => {
  test("a load takes them, its unload gives them back", () => {
    const machine = make();
    const { syncSlab } = machine.pool;
    const tag = machine.tag();
    const maps = [tag.createMap(), tag.createMap()];
    const frames = machine.frames(8);
    const va = machine.map(frames.filter((_, i) => i % 2 === 0));
    expect(syncSlab.used).toBe(0);
    expect(maps.map((map) => machine.load(map, va, 4 * PAGE))).toEqual([OK, OK]);
    expect(syncSlab.used).toBe(10);
    maps[0].unload();
    expect(syncSlab.used).toBe(5);
    machine.tearDown(maps, [tag]);
  });

  test("a load that does not fit keeps none", () => {
    const machine = make();
    const tag = machine.tag({ segments: 1, maxSegSize: PAGE });
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(2), 2 * PAGE)).toBe(OK);
    expect([machine.last().error, machine.pool.syncSlab.used]).toEqual([EFBIG, 0]);
    machine.tearDown([map], [tag]);
  });

  test("memory that is freed while it is loaded gives back its own", () => {
    const machine = make();
    const tag = machine.tag({ maxSize: 2 * PAGE });
    const memory = tag.allocMem(BusDma.NOWAIT)!;
    expect(machine.load(memory.map, memory.memory.va, 2 * PAGE)).toBe(OK);
    expect(machine.pool.syncSlab.used).toBeGreaterThan(0);
    tag.freeMem(memory.memory.va, memory.map);
    machine.tearDown([], [tag]);
  });
});
