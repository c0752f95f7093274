/**
 * Loads that must wait for bounce pages: who is told what, in which order, and who holds what.
 */
import type { DmaMap } from "@physio/busdma";
import { BusDma, dfltLock, FIXED, SEED } from "@physio/busdma";
import { Errno, MAXADDR, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { SmallMachine, stateOf } from "./machine.ts";

const { OK, EBUSY, EFBIG, EINPROGRESS, ENOMEM } = Errno;
const PAGE = PAGE_SIZE;

/** A pool of 4 pages, one tag, and maps by name, each with a buffer of 4 pages out of reach. */
function setUp(names: string, semantics?: typeof SEED) {
  const machine = new SmallMachine(4, semantics);
  const tag = machine.tag({ maxSize: 4 * PAGE });
  const maps = new Map<string, DmaMap>();
  const buffers = new Map<string, number>();
  for (const name of names) {
    maps.set(name, tag.createMap());
    buffers.set(name, machine.buffer(4));
  }
  const map = (name: string) => maps.get(name)!;
  /** Load `pages` pages of the map's buffer. */
  const load = (name: string, pages: number, flags = 0) =>
    machine.load(map(name), buffers.get(name)!, pages * PAGE, name, flags);
  /** Load a list of ranges of so many pages each. */
  const loadList = (name: string, pages: number[], flags = 0) => {
    let at = 0;
    const list = pages.map((n) => {
      at += n;
      return { base: buffers.get(name)! + (at - n) * PAGE, length: n * PAGE };
    });
    return map(name).loadMem({ kind: "vlist", list }, machine.note(name), null, flags);
  };
  const unload = (name: string) => {
    map(name).unload();
    machine.sched.pump();
  };
  return { machine, tag, maps, map, load, loadList, unload, buffers };
}

test("too few pages and NOWAIT: ENOMEM to both, and nothing is taken", () => {
  const t = setUp("ab");
  expect([t.load("a", 3), t.load("b", 2, BusDma.NOWAIT)]).toEqual([OK, ENOMEM]);
  expect(t.machine.last()).toMatchObject({ who: "b", error: ENOMEM, segs: [] });
  expect(t.machine.counts()).toEqual([[4, 1, 0, 3]]);
  expect(t.load("b", 1, BusDma.NOWAIT)).toBe(OK);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("a load that waits is resumed from the thread with the driver's lock held", () => {
  const t = setUp("ab");
  expect([t.load("a", 4), t.load("b", 2)]).toEqual([OK, EINPROGRESS]);
  expect(t.machine.order()).toEqual(["a"]);
  t.map("a").unload();
  expect(t.machine.order()).toEqual(["a"]);
  t.machine.sched.pump();
  expect(t.machine.results.map((r) => [r.who, r.error, r.locked])).toEqual([
    ["a", OK, false],
    ["b", OK, true],
  ]);
  expect(t.machine.mutex.owned).toBe(false);
  expect(t.machine.pool.zones[0].totalDeferred).toBe(1);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("the time that each load waited is added up", () => {
  const t = setUp("abc");
  const { sched, pool } = t.machine;
  expect([t.load("a", 4), t.load("b", 4)]).toEqual([OK, EINPROGRESS]);
  sched.delay(1000);
  expect(t.load("c", 1)).toBe(EINPROGRESS);
  sched.delay(500);
  t.unload("a");
  expect(pool.zones[0].deferredTime).toBe(1500);
  sched.delay(20);
  t.unload("b");
  expect(pool.zones[0].deferredTime).toBe(1500 + 520);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("waiting loads are served in their order; one unload may release several", () => {
  const t = setUp("abcd");
  expect([t.load("a", 4), t.load("b", 2), t.load("c", 2), t.load("d", 1)]).toEqual([
    OK,
    EINPROGRESS,
    EINPROGRESS,
    EINPROGRESS,
  ]);
  t.unload("a");
  expect(t.machine.order()).toEqual(["a", "b", "c"]);
  t.unload("c");
  expect(t.machine.order()).toEqual(["a", "b", "c", "d"]);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("the head of the queue keeps what it got and holds up smaller loads behind it", () => {
  const t = setUp("abcd");
  expect([t.load("a", 1), t.load("b", 2)]).toEqual([OK, OK]);
  expect([t.load("c", 3), t.load("d", 1)]).toEqual([EINPROGRESS, EINPROGRESS]);
  expect(stateOf(t.map("c")).reserved).toBe(1);
  t.unload("a");
  expect(t.machine.counts()).toEqual([[4, 0, 2, 2]]);
  expect(t.machine.order()).toEqual(["a", "b"]);
  t.unload("b");
  expect(t.machine.order()).toEqual(["a", "b", "c", "d"]);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("a load that needs no page goes past those who wait", () => {
  const t = setUp("ab");
  const near = t.machine.buffer(4, false);
  const c = t.tag.createMap();
  expect([t.load("a", 4), t.load("b", 1)]).toEqual([OK, EINPROGRESS]);
  expect(t.machine.load(c, near, 4 * PAGE, "c")).toBe(OK);
  expect(t.machine.last().segs).toEqual([[t.machine.kmem.pmap.extract(near), 4 * PAGE]]);
  t.unload("a");
  t.machine.tearDown([...t.maps.values(), c], [t.tag]);
});

test("a callback that unloads feeds the next one", () => {
  const t = setUp("abc");
  expect(t.load("a", 4)).toBe(OK);
  for (const name of "bc") {
    const note = t.machine.note(name);
    const { callback, map } = { callback: note, map: t.map(name) };
    const error = map.load(
      t.buffers.get(name)!,
      4 * PAGE,
      (arg: null, segs, count, failed) => {
        callback(arg, segs, count, failed);
        map.unload();
      },
      null,
    );
    expect(error).toBe(EINPROGRESS);
  }
  t.unload("a");
  expect(t.machine.order()).toEqual(["a", "b", "c"]);
  expect(t.machine.counts()).toEqual([[4, 4, 0, 0]]);
});

test("EBUSY: a map with pages, a map that waits, a map that is about to be resumed", () => {
  const t = setUp("ab");
  expect([t.load("a", 4), t.load("b", 1)]).toEqual([OK, EINPROGRESS]);
  expect([t.map("a").destroy(), t.map("b").destroy(), t.tag.destroy()]).toEqual([
    EBUSY,
    EBUSY,
    EBUSY,
  ]);
  t.map("a").unload();
  expect(t.map("b").destroy()).toBe(EBUSY);
  expect(() => t.map("b").unload()).toThrow(Panic);
  t.machine.sched.pump();
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("a tag without a lock function panics when its load is resumed", () => {
  const machine = new SmallMachine(1);
  const tag = machine.tag({ maxSize: PAGE, lock: dfltLock });
  const [a, b] = [tag.createMap(), tag.createMap()];
  const va = machine.buffer(1);
  expect([machine.load(a, va, 8, "a"), machine.load(b, va, 8, "b")]).toEqual([OK, EINPROGRESS]);
  a.unload();
  expect(() => machine.sched.pump()).toThrow(Panic);
  expect(machine.order()).toEqual(["a"]);
});

test("a load that needs more pages than there are is ENOMEM at once, to both", () => {
  const machine = new SmallMachine(4);
  const tag = machine.tag({ maxSize: 8 * PAGE, segments: 4 });
  const [a, b] = [tag.createMap(), tag.createMap()];
  const va = machine.buffer(8);
  expect(machine.load(a, va, 5 * PAGE, "a")).toBe(ENOMEM);
  expect(machine.last()).toMatchObject({ who: "a", error: ENOMEM });
  expect(machine.load(b, va, 4 * PAGE, "b")).toBe(OK);
  machine.tearDown([a, b], [tag]);
});

test("in seed such a load waits for ever, and so does all that comes after", () => {
  const machine = new SmallMachine(4, SEED);
  const tag = machine.tag({ maxSize: 8 * PAGE, segments: 4 });
  const [a, b] = [tag.createMap(), tag.createMap()];
  const va = machine.buffer(8);
  expect(machine.load(a, va, 5 * PAGE, "a")).toBe(EINPROGRESS);
  expect(machine.load(b, va, PAGE, "b")).toBe(EINPROGRESS);
  machine.sched.pump();
  expect(machine.order()).toEqual([]);
});

test("EFBIG goes to the callback only, and gives everything back", () => {
  const machine = new SmallMachine(4);
  const tag = machine.tag({ maxSize: 4 * PAGE, segments: 4, maxSegSize: 1024 });
  const map = tag.createMap();
  expect(machine.load(map, machine.buffer(4), 4 * PAGE)).toBe(OK);
  expect(machine.last()).toMatchObject({ error: EFBIG, segs: [] });
  expect(machine.counts()).toEqual([[4, 4, 0, 0]]);
  expect(map.destroy()).toBe(OK);
});

test("in seed EFBIG keeps pages until unload, and what was promised even longer", () => {
  const machine = new SmallMachine(4, SEED);
  const tag = machine.tag({ maxSize: 4 * PAGE, segments: 4, maxSegSize: 1024 });
  const map = tag.createMap();
  expect(machine.load(map, machine.buffer(4), 4 * PAGE)).toBe(OK);
  expect(machine.last()).toMatchObject({ error: EFBIG, segs: [] });
  expect(machine.counts()).toEqual([[4, 0, 2, 2]]);
  expect(map.destroy()).toBe(EBUSY);
  map.unload();
  expect(machine.counts()).toEqual([[4, 2, 2, 0]]);
});

test("a list load that stalls midway gives back what it took and is resumed with all of it", () => {
  const t = setUp("ab");
  expect([t.load("a", 2), t.loadList("b", [2, 2])]).toEqual([OK, EINPROGRESS]);
  const state = stateOf(t.map("b"));
  expect([state.needed, state.reserved, state.pages.count]).toEqual([4, 2, 0]);
  expect(t.machine.counts()).toEqual([[4, 0, 2, 2]]);
  t.unload("a");
  expect(t.machine.order()).toEqual(["a", "b"]);
  expect(t.machine.last().segs.reduce((sum, [, length]) => sum + length, 0)).toBe(4 * PAGE);
  expect([state.needed, state.reserved, state.pages.count]).toEqual([0, 0, 4]);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

test("in seed the stalled list keeps the first range's pages and takes more when resumed", () => {
  const t = setUp("ab", SEED);
  expect([t.load("a", 2), t.loadList("b", [1, 2])]).toEqual([OK, EINPROGRESS]);
  expect(stateOf(t.map("b")).pages.count).toBe(1);
  t.unload("a");
  // The first range has used a page of the second's promise, and the second is short of one again.
  expect(t.machine.order()).toEqual(["a", "b"]);
  expect(stateOf(t.map("b")).pages.count).toBe(3);
});

test("a list that stalls again makes way for those who came before", () => {
  const t = setUp("xyzw");
  expect([t.load("x", 2), t.load("z", 4), t.loadList("y", [2, 2])]).toEqual([
    OK,
    EINPROGRESS,
    EINPROGRESS,
  ]);
  t.unload("x");
  expect(t.load("w", 3)).toBe(EINPROGRESS);
  t.unload("z");
  // y stalls in its second range while w has half of its pages: w must not wait for y's.
  expect(t.machine.order()).toEqual(["x", "z", "w"]);
  t.unload("w");
  expect(t.machine.order()).toEqual(["x", "z", "w", "y"]);
  t.machine.tearDown([...t.maps.values()], [t.tag]);
});

for (const [semantics, head, kept] of [
  [FIXED, 2, 0],
  [SEED, 1, 1],
] as const) {
  test(`a newcomer behind the head of the queue keeps ${kept} pages in ${semantics.name}`, () => {
    const machine = new SmallMachine(5, semantics);
    const tag = machine.tag({ maxSize: 4 * PAGE });
    const va = machine.buffer(4);
    const [a, b] = [tag.createMap(), tag.createMap()];
    expect(machine.counts()).toEqual([[5, 5, 0, 0]]);
    expect([machine.load(a, va, 4 * PAGE, "a"), machine.load(b, va, 3 * PAGE, "b")]).toEqual([
      OK,
      EINPROGRESS,
    ]);
    // The zone grows under the waiting map.
    const [more] = machine.frames(1, false);
    machine.pool.zones[0].addPage(machine.mem.addrOf(more), more);
    const c = tag.createMap();
    expect(machine.load(c, va, 2 * PAGE, "c")).toBe(EINPROGRESS);
    expect([stateOf(b).reserved, stateOf(c).reserved]).toEqual([head, kept]);
    a.unload();
    machine.sched.pump();
    expect(machine.order()).toEqual(["a", "b", "c"]);
    machine.tearDown([a, b, c], [tag]);
  });
}

test("a list that can never have its pages is ENOMEM and leaves none behind", () => {
  const machine = new SmallMachine(4);
  const tag = machine.tag({ maxSize: 8 * PAGE, segments: 4 });
  const map = tag.createMap();
  const list = [3, 2].map((pages) => ({ base: machine.buffer(4), length: pages * PAGE }));
  expect(map.loadMem({ kind: "vlist", list }, machine.note("a"), null)).toBe(ENOMEM);
  expect(machine.order()).toEqual(["a"]);
  expect(machine.counts()).toEqual([[4, 4, 0, 0]]);
  machine.tearDown([map], [tag]);
});

test("maps of two tags wait in one queue when their tags share a zone", () => {
  const machine = new SmallMachine(4);
  const tags = [machine.tag({ maxSize: 2 * PAGE }), machine.tag({ maxSize: 2 * PAGE })];
  const maps = [tags[0].createMap(), tags[1].createMap(), tags[1].createMap()];
  const va = machine.buffer(4);
  const load = (i: number, pages: number) => machine.load(maps[i], va, pages * PAGE, `${i}`);
  expect([load(0, 2), load(1, 2), load(2, 1)]).toEqual([OK, OK, EINPROGRESS]);
  expect(machine.counts()).toEqual([[4, 0, 0, 4]]);
  maps[0].unload();
  machine.sched.pump();
  expect(machine.order()).toEqual(["0", "1", "2"]);
  machine.tearDown(maps, tags);
});

test("maps of two zones do not wait for each other", () => {
  const machine = new SmallMachine(4);
  const near = machine.tag({ maxSize: 2 * PAGE });
  const nearer = machine.tag({ maxSize: 2 * PAGE, lowAddr: 2 ** 21 - 1 });
  const maps = [near.createMap(), nearer.createMap(), nearer.createMap()];
  const va = machine.buffer(2);
  const load = (i: number, pages: number) => machine.load(maps[i], va, pages * PAGE, `${i}`);
  expect([load(1, 2), load(2, 1), load(0, 2)]).toEqual([OK, EINPROGRESS, OK]);
  expect(machine.counts()).toEqual([
    [2, 0, 0, 2],
    [2, 0, 0, 2],
  ]);
  maps[0].unload();
  machine.sched.pump();
  expect(machine.order()).toEqual(["1", "0"]);
  maps[1].unload();
  machine.sched.pump();
  expect(machine.order()).toEqual(["1", "0", "2"]);
  machine.tearDown(maps, [near, nearer]);
});

test("the first map of a tag is ENOMEM without its pages; later ones are content", () => {
  const machine = new SmallMachine(3);
  const tag = machine.tag({ maxSize: 2 * PAGE });
  const maps = [tag.createMap(), tag.createMap(), tag.createMap()];
  expect(machine.counts()).toEqual([[3, 3, 0, 0]]);
  expect(() => machine.tag({ maxSize: PAGE }).createMap()).toThrow("ENOMEM");
  for (const map of maps) expect(map.destroy()).toBe(OK);
  expect(tag.destroy()).toBe(OK);
});

test("a tag that reaches everything has maps without bounce state", () => {
  const machine = new SmallMachine(4);
  const tag = machine.tag({ lowAddr: MAXADDR, maxSize: 4 * PAGE });
  const map = tag.createMap();
  expect(map.md).toBe(null);
  expect(machine.load(map, machine.buffer(4), 4 * PAGE)).toBe(OK);
  expect(machine.counts()).toEqual([]);
  machine.tearDown([map], [tag]);
});
