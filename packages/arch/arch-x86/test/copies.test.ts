/**
 * Which copies a sync makes, in which direction and how long, and that all go through the CPU's port.
 */
import { x86Backend } from "@physio/arch-x86";
import { createTag, FIXED, SEED, Sync } from "@physio/busdma";
import { BouncePool } from "@physio/busdma-bounce";
import type { Frame } from "@physio/kern";
import { Errno, MiB, PAGE_SIZE } from "@physio/kern";
import { SysctlTree } from "@physio/trace";
import { expect, test } from "vitest";
import { pattern } from "./bytes.ts";
import { REACH, SmallMachine } from "./machine.ts";

const PAGE = PAGE_SIZE;

/** [from the client to the pool, length] of each copy. */
type Copies = [boolean, number][];

/** A machine whose pool hands out `supply`, and what the pool's CPU is seen to copy. */
function setUp(supply: readonly number[], semantics = FIXED) {
  const machine = new SmallMachine(0, semantics);
  const left = [...supply];
  const copies: Copies = [];
  const { cpu } = machine.pool;
  // A copy is a read and then a write of as much; the pool's pages are the only ones within reach.
  let read: [boolean, number] | null = null;
  cpu.watcher = {
    cpu: (pa, length, write) => {
      if (!write) {
        expect(read).toBe(null);
        read = [pa > REACH, length];
        return;
      }
      expect(read).toEqual([pa <= REACH, length]);
      copies.push(read!);
      read = null;
    },
    device: () => {},
  };
  const { mem, sched } = machine;
  const { trace } = machine.context;
  const pool = new BouncePool({
    mem,
    cpu,
    sched,
    trace,
    sysctl: new SysctlTree(),
    allocPage: () => {
      const pa = left.shift();
      if (pa === undefined) return -1;
      mem.allocContig(1, { low: pa, high: pa + PAGE - 1 });
      return pa;
    },
  });
  const context = { ...machine.context, backend: x86Backend(pool, machine.kmem) };
  const tag = createTag(context, null, { lowAddr: REACH, maxSize: 4 * PAGE, segments: 8 });
  return { machine, context, tag, copies, cpu };
}

/** The bytes of `pages` through PREWRITE and POSTREAD. @returns the lengths of the copies, the same both ways. */
function copiesOf(supply: readonly number[], pick: (first: Frame) => Frame[]): number[] {
  const { machine, tag, copies, cpu } = setUp(supply);
  const [first] = machine.frames(8);
  const frames = pick(first);
  const va = machine.map(frames);
  const length = frames.length * PAGE - 96;
  const [out, back] = [pattern(1, length), pattern(2, length)];
  machine.kmem.write(va + 64, out);
  const map = tag.createMap();
  expect(machine.load(map, va + 64, length)).toBe(Errno.OK);
  map.sync(Sync.PREWRITE);
  expect(machine.deviceRead(machine.last().segs)).toEqual(out);
  machine.deviceWrite(machine.last().segs, back);
  const made = copies.splice(0);
  map.sync(Sync.POSTREAD);
  expect(machine.clientRead(va + 64, length)).toEqual(back);
  expect(made.every(([toPool]) => toPool)).toBe(true);
  expect(copies).toEqual(made.map(([, n]) => [false, n]));
  // The same when nobody watches.
  cpu.watcher = null;
  map.sync(Sync.PREWRITE);
  expect(machine.deviceRead(machine.last().segs)).toEqual(back);
  machine.deviceWrite(machine.last().segs, out);
  map.sync(Sync.POSTREAD);
  expect(machine.clientRead(va + 64, length)).toEqual(out);
  return made.map(([, n]) => n);
}

const low = (i: number) => MiB + i * PAGE;
const inRow = [0, 1, 2, 3, 4, 5, 6, 7].map(low);

test("a first chunk that ends inside its pool page is a copy of its own, whole pages that adjoin are one", () => {
  const copies = copiesOf(inRow, (f) => [f, f + 1, f + 2, f + 3]);
  expect(copies).toEqual([PAGE - 64, 3 * PAGE - 32]);
});

test("a jump in the client's memory ends a copy", () => {
  const copies = copiesOf(inRow, (f) => [f, f + 1, f + 3, f + 4]);
  expect(copies).toEqual([PAGE - 64, PAGE, 2 * PAGE - 32]);
});

test("a jump in the pool ends a copy", () => {
  const copies = copiesOf([low(0), low(1), low(3), low(4)], (f) => [f, f + 1, f + 2, f + 3]);
  expect(copies).toEqual([PAGE - 64, PAGE, 2 * PAGE - 32]);
});

test("pages in the wrong order are not joined", () => {
  const copies = copiesOf([low(3), low(2), low(1), low(0)], (f) => [f, f + 1, f + 2, f + 3]);
  expect(copies).toEqual([PAGE - 64, PAGE, PAGE, PAGE - 32]);
});

test("seed: a chunk over two client pages is one copy where they adjoin, two where they do not", () => {
  for (const [jump, wanted] of [
    [1, [PAGE]],
    [2, [PAGE - 1, 1]],
  ] as const) {
    const { machine, context, copies } = setUp([low(0), low(1)], SEED);
    const [first] = machine.frames(4);
    const va = machine.map([first, first + jump]);
    // An alignment rounds the chunk of PAGE - 1 bytes up, past the page.
    const map = createTag(context, null, { alignment: 2, maxSize: 2 * PAGE }).createMap();
    expect(machine.load(map, va + 1, PAGE)).toBe(Errno.OK);
    map.sync(Sync.PREWRITE);
    expect(copies).toEqual(wanted.map((n) => [true, n]));
  }
});
