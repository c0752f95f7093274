/** The direct map: RAM at fixed kernel addresses, beside what `enter` deals with. */
import { Errno, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { isModified, isReferenced, leafOf, Prot, PTE_PROT, Pte, Run } from "@physio/pmap";
import { expect, test } from "vitest";
import { bench, expectErrno, expectPanic, fill, RW } from "./fixture.ts";

const BASE = 2 ** 47;
/** RAM at 0, at 2^33 (in its second section from the middle on), around 2^47, and up to 2^52. */
const BANKS = [
  { base: 0, size: MiB },
  { base: 2 ** 33 + 6 * MiB, size: 6 * MiB },
  { base: 2 ** 47 - MiB, size: 2 * MiB },
  { base: 2 ** 52 - MiB, size: MiB },
];

function direct() {
  const b = bench({ banks: BANKS });
  const { mem, pmaps } = b;
  return {
    b,
    mem,
    pmaps,
    kernel: pmaps.kernel,
    direct: pmaps.direct,
    space: b.space(pmaps.kernel),
  };
}

const cases: { name: string; pa: number; ram: boolean }[] = [
  { name: "the first byte of all", pa: 0, ram: true },
  { name: "the last byte of a bank", pa: MiB - 1, ram: true },
  { name: "the byte behind a bank", pa: MiB, ram: false },
  { name: "the byte before a bank", pa: 2 ** 33 + 6 * MiB - 1, ram: false },
  { name: "a byte above 2^33", pa: 2 ** 33 + 7 * MiB + 123, ram: true },
  { name: "the last byte below 2^47", pa: 2 ** 47 - 1, ram: true },
];
for (const { name, pa, ram } of cases) {
  test(`${name} is ${ram ? "" : "not "}in the direct map, both ways`, () => {
    const { mem, direct: map, kernel } = direct();
    expect([map.va(pa), map.pa(pa + BASE)]).toEqual(ram ? [pa + BASE, pa] : [-1, -1]);
    expect(kernel.frameAt(pa + BASE)).toBe(mem.frameOf(pa));
    expect(kernel.extract(pa + BASE)).toBe(ram ? pa : -1);
    expect(kernel.pteAt(pa + BASE)).toBe(ram ? RW : 0);
  });
}

test("RAM from 2^47 on has no place in it", () => {
  const { mem, direct: map, kernel } = direct();
  for (const pa of [2 ** 47, 2 ** 47 + MiB - 1, 2 ** 52 - 1]) {
    expect(mem.frameOf(pa)).not.toBe(NO_FRAME);
    expect([map.va(pa), map.pa(pa + BASE), kernel.frameAt(pa + BASE)]).toEqual([-1, -1, -1]);
  }
});

test("what is no address is in it neither way", () => {
  const { direct: map } = direct();
  expect(map.base).toBe(BASE);
  for (const a of [-1, -BASE, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 52]) {
    expect([map.va(a), map.pa(a)]).toEqual([-1, -1]);
  }
  expect([map.pa(0), map.pa(BASE - 1)]).toEqual([-1, -1]);
});

test("bytes move through it, page by page and over leaves, with no mapping counted", () => {
  const { mem, kernel, space, direct: map, pmaps } = direct();
  const pa = 2 ** 33 + 8 * MiB - PAGE_SIZE - 100; // the section ends at 8 MiB
  const data = Uint8Array.from({ length: 2 * PAGE_SIZE + 200 }, (_, i) => (i * 31) & 0xff);
  expect(space.copyout(map.va(pa), data, 0, data.length)).toBe(data.length);
  const [seen, again] = [fill(data.length, 0), fill(data.length, 0)];
  mem.read(pa, seen);
  expect(space.copyin(map.va(pa), again, 0, again.length)).toBe(again.length);
  expect([Buffer.compare(seen, data), Buffer.compare(again, data)]).toEqual([0, 0]);
  expect([kernel.residentCount, kernel.wiredCount, pmaps.pv.count]).toEqual([0, 0, 0]);
});

test("a copy stops where RAM ends", () => {
  const { space, direct: map } = direct();
  expect(space.copyin(map.va(MiB - 10), fill(100, 0), 0, 100)).toBe(10);
  expect(space.copyout(map.va(2 ** 47 - 10), fill(100, 1), 0, 100)).toBe(10);
  expect(space.copyin(BASE + MiB, fill(100, 0), 0, 100)).toBe(0);
});

test("a run of memory is as long as the bank's RAM", () => {
  const { kernel, direct: map, mem } = direct();
  const run = new Run();
  const pa = 2 ** 33 + 6 * MiB + 5;
  kernel.run(map.va(pa), 8 * MiB, RW, run);
  expect([run.frame, run.length, run.attr]).toEqual([mem.frameOf(pa), 6 * MiB - 5, 0]);
});

test("a leaf of it holds the frames of 512 pages, and no frame where there is no RAM", () => {
  const { kernel, mem } = direct();
  const leaf = kernel.leaf(leafOf(BASE + 2 ** 33 + 6 * MiB));
  expect(leaf?.[0]).toBe(mem.frameOf(2 ** 33 + 6 * MiB));
  const low = kernel.leaf(leafOf(BASE));
  expect([low?.[0], low?.[255], low?.[256]]).toEqual([0, 255, NO_FRAME]);
  expect(kernel.leaf(leafOf(BASE + 2 ** 40))).toBe(null);
});

test("it may be read and written, and nothing else", () => {
  const { kernel, direct: map } = direct();
  expect(kernel.pteAt(map.va(0)) & PTE_PROT).toBe(RW);
  expect(kernel.pteAt(map.va(0)) & (Pte.MANAGED | Pte.WIRED)).toBe(0);
  expect(kernel.access(map.va(0), Prot.EXECUTE)).toBe(NO_FRAME);
});

test("it marks no frame as used or written, where other mappings do", () => {
  const { b, mem, kernel, space, direct: map } = direct();
  const frame = b.frame();
  kernel.enter(0x1000, frame, RW);
  const low = mem.allocContig(1, { high: MiB });
  space.copyout(map.va(mem.addrOf(low)), fill(1, 1), 0, 1);
  expect([isReferenced(mem, low), isModified(mem, low)]).toEqual([false, false]);
  space.copyout(0x1000, fill(1, 1), 0, 1);
  expect(mem.section(frame).pmapBits[frame & ROW_MASK]).toBe(3);
  mem.freeFrame(low);
});

test("enter and its like are EINVAL there, and change nothing", () => {
  const { b, mem, kernel, pmaps } = direct();
  const frame = b.frame();
  const va = BASE + mem.addrOf(mem.frameOf(0));
  expectErrno(() => kernel.enter(va, frame, RW), Errno.EINVAL);
  expectErrno(() => kernel.kenter(va, frame, RW), Errno.EINVAL);
  expectErrno(() => kernel.remove(va, PAGE_SIZE), Errno.EINVAL);
  expectErrno(() => kernel.remove(va - PAGE_SIZE, 2 * PAGE_SIZE), Errno.EINVAL);
  expectErrno(() => kernel.protect(va, PAGE_SIZE, Prot.READ), Errno.EINVAL);
  expectErrno(() => kernel.unwire(va, PAGE_SIZE), Errno.EINVAL);
  expectErrno(() => kernel.changeAttr(va, PAGE_SIZE, 0), Errno.EINVAL);
  expect([kernel.pteAt(va), kernel.frameAt(va), pmaps.mappings(frame)]).toEqual([RW, 0, 0]);
  kernel.enter(BASE - PAGE_SIZE, frame, RW);
  expect(kernel.residentCount).toBe(1);
});

test("a frame is held through it only when it is allocated", () => {
  const { b, mem, kernel, direct: map } = direct();
  const low = mem.allocContig(1, { high: MiB });
  const va = map.va(mem.addrOf(low));
  expect(kernel.extractAndHold(va, RW)).toBe(low);
  expect(mem.unwire(low)).toBe(0);
  mem.freeFrame(low);
  expectPanic(() => kernel.extractAndHold(va, RW), `frame ${low}`);
  b.pmaps.check();
});

test("other pmaps have none of it", () => {
  const { b, pmaps } = direct();
  const user = pmaps.create("user");
  expect(user.frameAt(BASE)).toBe(NO_FRAME);
  user.enter(BASE, b.frame(), RW);
  expect(user.residentCount).toBe(1);
});
