/** The root bus: what a device is given when it is attached, and its interrupt line. */
import type { DmaTag } from "@physio/busdma";
import { createTag, FIXED } from "@physio/busdma";
import { defineBackend } from "@physio/busdma/impl";
import { Errno, ErrnoError, GiB, MAXADDR, MAXADDR_32BIT, MiB, Panic } from "@physio/kern";
import type { MmioHandler } from "@physio/membus";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import type { AttachOptions, Device, HardwareSlot } from "../src/index.ts";
import { InterruptLine, RootBus } from "../src/index.ts";

const BASE = 3 * GiB;
const PAGE = 4096;

/** A chip of one register that counts what is written to it. */
class Chip implements MmioHandler {
  readonly slot: HardwareSlot;
  value = 0;

  constructor(slot: HardwareSlot) {
    this.slot = slot;
  }

  mmioRead(offset: number): number {
    return this.value + offset;
  }

  mmioWrite(_offset: number, _size: number, value: number): void {
    this.value = value;
  }
}

function machine(mmioSize = 16 * PAGE) {
  const trace = new Trace();
  const sched = new Scheduler({ trace });
  const mem = new PhysMem({ banks: [{ base: MiB, size: MiB }] });
  const membus = new Membus({ mem, trace, now: () => sched.now });
  const refuse = (): never => {
    throw new Error("nobody loads");
  };
  const backend = defineBackend({
    name: "none",
    tagCreate: () => null,
    tagDestroy: () => {},
    mapCreate: refuse,
    mapDestroy: refuse,
    memAlloc: refuse,
    memFree: refuse,
    loadBuffer: refuse,
    loadPhys: refuse,
    loadPages: refuse,
    complete: refuse,
    sync: refuse,
    unload: refuse,
    isIdentity: refuse,
  });
  const kernelPmap = new Kmem(mem).pmap;
  const dmaTag = createTag({ backend, semantics: FIXED, kernelPmap, trace }, null, {});
  const bus = new RootBus({ sched, membus, dmaTag, mmioBase: BASE, mmioSize });
  const attach = (name: string, options: Partial<AttachOptions> = {}): Device =>
    bus.attach({ name, windowSize: PAGE, hardware: (slot) => new Chip(slot), ...options });
  return { sched, membus, bus, dmaTag, attach };
}

const baseOf = (device: Device): number => device.regs.window.base - BASE;

function errnoOf(run: () => unknown): number {
  try {
    run();
    return Errno.OK;
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    return error.errno;
  }
}

describe("attach", () => {
  test("gives each device a window of its own, aligned to its size", () => {
    const { attach, bus } = machine();
    const sizes = [1, 4, 1, 2, 4].map((pages) => pages * PAGE);
    const devices = sizes.map((windowSize, i) => attach(`dev${i}`, { windowSize }));
    const ranges = devices.map((d, i) => [baseOf(d), baseOf(d) + sizes[i]]);
    for (const [i, [start, end]] of ranges.entries()) {
      expect(start % sizes[i]).toBe(0);
      expect(start).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(16 * PAGE);
      for (const [j, other] of ranges.entries()) {
        if (i !== j) expect(end <= other[0] || other[1] <= start).toBe(true);
      }
    }
    expect(bus.devices).toEqual(devices);
  });

  test("connects the registers to the chip, and the chip to the rest", () => {
    const { attach, sched, membus } = machine();
    const slots: HardwareSlot[] = [];
    const [a, b] = ["a", "b"].map((name) =>
      attach(name, {
        reach: MAXADDR_32BIT,
        hardware: (slot) => {
          slots.push(slot);
          return new Chip(slot);
        },
      }),
    );
    a.regs.write4(0, 7);
    expect([a.regs.read4(0), a.regs.read4(8), b.regs.read4(0)]).toEqual([7, 15, 0]);
    expect([slots[0].intr, slots[0].port, slots[0].sched]).toEqual([a.intr, a.port, sched]);
    expect(a.port).not.toBe(b.port);
    expect(membus.ports).toEqual([a.port, b.port]);
    expect([a.port.name, a.port.highest, a.name, a.parent]).toEqual([
      "a",
      MAXADDR_32BIT,
      "a",
      null,
    ]);
    expect(a.lock.owned).toBe(false);
  });

  test("refuses a name that is taken with EEXIST", () => {
    const { attach, bus } = machine();
    attach("a");
    expect(errnoOf(() => attach("a"))).toBe(Errno.EEXIST);
    expect(bus.devices.length).toBe(1);
  });

  test.each([0, 1, 2048, 3 * PAGE, PAGE + 1, -PAGE, Number.NaN])(
    "refuses a window of %d bytes with EINVAL",
    (windowSize) => {
      const { attach } = machine();
      expect(errnoOf(() => attach("a", { windowSize }))).toBe(Errno.EINVAL);
    },
  );

  test("is ENOMEM when no window fits, and smaller ones still fit", () => {
    const { attach, bus } = machine(4 * PAGE);
    attach("a");
    expect(errnoOf(() => attach("b", { windowSize: 4 * PAGE }))).toBe(Errno.ENOMEM);
    for (const name of ["b", "c", "d"]) attach(name);
    expect(errnoOf(() => attach("e"))).toBe(Errno.ENOMEM);
    expect(bus.devices.map((d) => d.name)).toEqual(["a", "b", "c", "d"]);
  });

  test("that fails in the chip takes no window and no name", () => {
    const { attach, bus } = machine(PAGE);
    const hardware = () => {
      throw new ErrnoError(Errno.EINVAL, "chip");
    };
    expect(errnoOf(() => attach("a", { hardware }))).toBe(Errno.EINVAL);
    expect(bus.devices).toEqual([]);
    expect(baseOf(attach("a"))).toBe(0);
  });
});

describe("the DMA tag of a device", () => {
  test("is the parent's when the device reaches everything", () => {
    const { attach, dmaTag } = machine();
    expect(attach("a").dmaTag).toBe(dmaTag);
    expect(attach("b", { reach: MAXADDR }).dmaTag).toBe(dmaTag);
  });

  test("is narrowed to the device's reach, which its children cannot widen", () => {
    const { attach, dmaTag } = machine();
    const tag: DmaTag = attach("a", { reach: MAXADDR_32BIT }).dmaTag;
    expect([tag.parent, tag.lowAddr]).toEqual([dmaTag, MAXADDR_32BIT]);
    expect(tag.child({ lowAddr: MAXADDR }).lowAddr).toBe(MAXADDR_32BIT);
    expect(dmaTag.lowAddr).toBe(MAXADDR);
  });
});

describe("an interrupt", () => {
  test("is lost before a handler is set up", () => {
    const sched = new Scheduler();
    const line = new InterruptLine(sched, "a");
    line.raise();
    let taken = 0;
    line.setup(() => taken++);
    sched.pump();
    expect([line.raised, taken]).toEqual([1, 0]);
    line.raise();
    sched.pump();
    expect([line.raised, taken]).toEqual([2, 1]);
  });

  test("runs its handler in a thread, once for all that came before it ran", () => {
    const sched = new Scheduler();
    const line = new InterruptLine(sched, "a");
    const log: string[] = [];
    line.setup(() => log.push(sched.current?.name ?? "outside"));
    for (let i = 0; i < 3; i++) line.raise();
    expect(log).toEqual([]);
    sched.pump();
    expect([line.raised, log]).toEqual([3, ["intr: a"]]);
  });

  test("that comes while the handler runs makes it run again", () => {
    const sched = new Scheduler();
    const line = new InterruptLine(sched, "a");
    let runs = 0;
    line.setup(() => {
      runs++;
      if (runs < 4) line.raise();
    });
    line.raise();
    sched.pump();
    expect(runs).toBe(4);
  });

  test("does not run its handler inside of DELAY, but hardware goes on there", () => {
    const { bus, sched, attach } = machine();
    const device = attach("a");
    let taken = 0;
    device.intr.setup(() => taken++);
    sched.after(
      sched.event(() => device.intr.raise()),
      500,
    );
    bus.delay(1000);
    expect([sched.now, device.intr.raised, taken]).toEqual([1000, 1, 0]);
    sched.pump();
    expect(taken).toBe(1);
  });

  test("has one handler only", () => {
    const line = new InterruptLine(new Scheduler(), "a");
    line.setup(() => {});
    expect(() => line.setup(() => {})).toThrow(Panic);
  });
});
