/**
 * How many copies a sync makes, and that they go through the CPU's port.
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

/** A machine whose pool hands out `supply`, and the lengths of the copies that its CPU made. */
function setUp(supply: readonly number[], semantics = FIXED) {
  const machine = new SmallMachine(0, semantics);
  const left = [...supply];
  const lengths: number[] = [];
  // The port of SmallMachine's kmem, counted.
  const cpu = Object.assign(Object.create(machine.kmem.cpu) as typeof machine.kmem.cpu, {
    copy: (to: number, from: number, length: number) => {
      lengths.push(length);
      return machine.mem.copy(to, from, length);
    },
  });
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
  return { machine, context, tag, lengths };
}

/** The bytes of `pages` through PREWRITE and POSTREAD. @returns the lengths of the copies of one way. */
function copiesOf(supply: readonly number[], pick: (first: Frame) => Frame[]): number[] {
  const { machine, tag, lengths } = setUp(supply);
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
  const made = lengths.splice(0);
  map.sync(Sync.POSTREAD);
  expect(machine.clientRead(va + 64, length)).toEqual(back);
  expect(lengths).toEqual(made);
  return made;
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
    const { machine, context, lengths } = setUp([low(0), low(1)], SEED);
    const [first] = machine.frames(4);
    const va = machine.map([first, first + jump]);
    // An alignment rounds the chunk of PAGE - 1 bytes up, past the page.
    const map = createTag(context, null, { alignment: 2, maxSize: 2 * PAGE }).createMap();
    expect(machine.load(map, va + 1, PAGE)).toBe(Errno.OK);
    map.sync(Sync.PREWRITE);
    expect(lengths).toEqual(wanted);
  }
});
