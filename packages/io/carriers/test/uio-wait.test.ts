/**
 * uiomoveWait: moves over pages that come while it sleeps, against the bytes of a plain move, and what
 * is left when one does not come.
 */
import { Uio, UioRw, uiomoveWait } from "@physio/carriers";
import type { VirtAddr } from "@physio/kern";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { AddressSpace } from "@physio/pmap";
import { copyinAll, copyoutAll, Kmem, PmapSpace, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import fc from "fast-check";
import { expect, test } from "vitest";

const SEED = Number(process.env.PHYSIO_SEED ?? 1);
const BASE = 0x10_0000;
const PAGES = 5;

/** A space whose pages are somewhere else until `wire` has slept for them. */
class SlowSpace implements AddressSpace {
  readonly pmap: PmapSpace["pmap"];
  readonly kernel = false;
  readonly sched: Scheduler;
  readonly #space: PmapSpace;
  /** Frames of the pages from BASE on; −1: cannot be had. */
  readonly frames: number[];
  /** Pages whose mapping somebody takes while nobody holds them. */
  thief: boolean;
  wires: [VirtAddr, number, Prot][];
  wired: number;

  constructor(resident: readonly boolean[], gone: readonly number[] = []) {
    const mem = new PhysMem({ banks: [{ base: PAGE_SIZE, size: 64 * PAGE_SIZE }] });
    const { pmaps, cpu } = new Kmem(mem);
    this.sched = new Scheduler();
    this.#space = new PmapSpace(pmaps.create("user"), false, cpu);
    this.pmap = this.#space.pmap;
    this.thief = false;
    this.wires = [];
    this.wired = 0;
    this.frames = Array.from({ length: PAGES }, () => mem.allocFrame());
    for (let i = 0; i < PAGES; i++) this.#enter(i);
    const content = Uint8Array.from({ length: PAGES * PAGE_SIZE }, (_, i) => (i * 7) % 251);
    expect(copyoutAll(this.#space, BASE, content)).toBe(Errno.OK);
    for (let i = 0; i < PAGES; i++) if (resident[i] !== true) this.#remove(i);
    for (const i of gone) this.frames[i] = -1;
  }

  #enter(page: number): void {
    this.pmap.enter(BASE + page * PAGE_SIZE, this.frames[page], Prot.READ | Prot.WRITE);
  }

  #remove(page: number): void {
    this.pmap.remove(BASE + page * PAGE_SIZE, PAGE_SIZE);
  }

  all(): Uint8Array {
    for (let i = 0; i < PAGES; i++) this.#enter(i);
    const out = new Uint8Array(PAGES * PAGE_SIZE);
    expect(copyinAll(this.#space, BASE, out)).toBe(Errno.OK);
    return out;
  }

  copyin(va: VirtAddr, to: Uint8Array, at: number, length: number): number {
    return this.#space.copyin(va, to, at, length);
  }

  copyout(va: VirtAddr, from: Uint8Array, at: number, length: number): number {
    return this.#space.copyout(va, from, at, length);
  }

  copyinFrames(va: VirtAddr, frame: number, offset: number, length: number): number {
    return this.#space.copyinFrames(va, frame, offset, length);
  }

  copyoutFrames(va: VirtAddr, frame: number, offset: number, length: number): number {
    return this.#space.copyoutFrames(va, frame, offset, length);
  }

  *wire(va: VirtAddr, length: number, access: Prot): Sleeps<Errno> {
    this.wires.push([va - BASE, length, access]);
    const page = Math.floor((va - BASE) / PAGE_SIZE);
    yield* this.sched.pause("fault", 5);
    if (this.thief) for (let i = 0; i < PAGES; i++) if (i !== page) this.#remove(i);
    if (!(this.frames[page] >= 0)) return Errno.EFAULT;
    this.#enter(page);
    this.wired++;
    return yield* this.#space.wire(va, length, access);
  }

  unwire(va: VirtAddr, length: number): void {
    this.wired--;
    this.#space.unwire(va, length);
  }
}

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 3 + 1) % 251);

function move(space: SlowSpace, uio: Uio, buffer: Uint8Array, at: number, length: number): Errno {
  const error = space.sched.runSync(uiomoveWait(buffer, at, length, uio));
  expect(space.wired).toBe(0);
  return error;
}

test("a move sleeps once for each page that is missing, and wires no more than it moves", () => {
  const space = new SlowSpace([true, false, true, false, true]);
  const want = space.all().slice(100, 100 + 4 * PAGE_SIZE);
  for (const i of [1, 3]) space.pmap.remove(BASE + i * PAGE_SIZE, PAGE_SIZE);
  const uio = new Uio(UioRw.WRITE, space, [{ base: BASE + 100, length: 4 * PAGE_SIZE }], 50);
  const out = new Uint8Array(4 * PAGE_SIZE + 9);
  expect(move(space, uio, out, 9, 4 * PAGE_SIZE)).toBe(Errno.OK);
  expect(out.subarray(9)).toEqual(want);
  expect(space.wires).toEqual([
    [PAGE_SIZE, PAGE_SIZE, Prot.READ],
    [3 * PAGE_SIZE, PAGE_SIZE, Prot.READ],
  ]);
  expect([uio.resid, uio.offset]).toEqual([0, 50 + 4 * PAGE_SIZE]);
});

test("no more is wired than the uio may have", () => {
  const space = new SlowSpace([]);
  const uio = new Uio(UioRw.READ, space, [{ base: BASE + 7, length: 100 }], 0);
  uio.resid = 40;
  expect(move(space, uio, bytes(100), 0, 100)).toBe(Errno.OK);
  expect(space.wires).toEqual([[7, 40, Prot.WRITE]]);
  expect([uio.resid, uio.offset, uio.iov[0].length]).toEqual([0, 40, 60]);
});

test("a move to resident pages sleeps not at all", () => {
  const space = new SlowSpace([true, true, true, true, true]);
  const uio = new Uio(UioRw.READ, space, [{ base: BASE, length: 9000 }], 0);
  const generator = uiomoveWait(bytes(9000), 0, 9000, uio);
  expect(generator.next()).toEqual({ done: true, value: Errno.OK });
  expect(space.all().subarray(0, 9000)).toEqual(bytes(9000));
});

test("a page that cannot be had ends the move there, with what was moved accounted for", () => {
  for (const rw of [UioRw.READ, UioRw.WRITE]) {
    const space = new SlowSpace([false, false, false], [2]);
    const iov = [
      { base: BASE + 4000, length: 200 },
      { base: BASE + 2 * PAGE_SIZE - 10, length: 500 },
    ];
    const uio = new Uio(rw, space, iov, 0);
    expect(move(space, uio, bytes(700), 0, 700)).toBe(Errno.EFAULT);
    expect([uio.resid, uio.offset, uio.iovIndex]).toEqual([490, 210, 1]);
    expect(uio.iov[1]).toEqual({ base: BASE + 2 * PAGE_SIZE, length: 490 });
  }
});

test("kernel memory is not waited for, and a uio without a space panics", () => {
  const mem = new PhysMem({ banks: [{ base: PAGE_SIZE, size: 64 * PAGE_SIZE }] });
  const { space } = new Kmem(mem);
  const uio = new Uio(UioRw.READ, space, [{ base: BASE, length: 8 }], 0);
  expect(uiomoveWait(bytes(8), 0, 8, uio).next()).toEqual({ done: true, value: Errno.EFAULT });
  const nobody = new Uio(UioRw.READ, null, [{ base: BASE, length: 8 }], 0);
  expect(() => uiomoveWait(bytes(8), 0, 8, nobody).next()).toThrow(Panic);
});

test("any ranges, pages and directions give the bytes of a space with all pages", () => {
  const range = fc.tuple(fc.nat(3 * PAGE_SIZE), fc.nat(2 * PAGE_SIZE - 1));
  const property = fc.property(
    fc.array(range, { minLength: 1, maxLength: 4 }),
    fc.array(fc.boolean(), { minLength: PAGES, maxLength: PAGES }),
    fc.boolean(),
    fc.boolean(),
    fc.nat(12_000),
    (list, resident, thief, read, length) => {
      const space = new SlowSpace(resident);
      space.thief = thief;
      const whole = new SlowSpace(Array.from({ length: PAGES }, () => true));
      const uios = [space, whole].map((s) => {
        const iov = list.map(([at, n]) => ({ base: BASE + at, length: n }));
        return new Uio(read ? UioRw.READ : UioRw.WRITE, s, iov, 0);
      });
      const buffers = [bytes(length + 3), bytes(length + 3)];
      expect(move(space, uios[0], buffers[0], 3, length)).toBe(Errno.OK);
      expect(move(whole, uios[1], buffers[1], 3, length)).toBe(Errno.OK);
      expect(whole.wires).toEqual([]);
      expect(buffers[0]).toEqual(buffers[1]);
      expect(uios[0].iov).toEqual(uios[1].iov);
      expect([uios[0].resid, uios[0].offset]).toEqual([uios[1].resid, uios[1].offset]);
      expect(space.all()).toEqual(whole.all());
    },
  );
  fc.assert(property, { seed: SEED, numRuns: 60 });
});
