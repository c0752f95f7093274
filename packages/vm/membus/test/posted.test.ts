/** Posted writes: on their way in order, and what brings them in. */
import { Errno, ErrnoError } from "@physio/kern";
import type { DevicePortConfig } from "@physio/membus";
import { Membus } from "@physio/membus";
import { Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import { BASES, bytes, Clock, dice, HIGH, LOW, machine, ramp, SIZE, seeds } from "./fixture.ts";

function bench(depth = 4, latency = 100, config: Partial<DevicePortConfig> = {}) {
  const clock = new Clock();
  const m = machine({ now: () => clock.now, sched: clock });
  const port = m.bus.devicePort({ name: "nic0", posted: { depth, latency }, ...config });
  const ram = (pa: number): number => {
    const seen = new Uint8Array(1);
    m.mem.read(pa, seen);
    return seen[0];
  };
  return { ...m, clock, port, ram };
}

describe("a posted write", () => {
  test("reaches RAM when its latency has passed, and so do those behind it", () => {
    const { clock, port, ram } = bench();
    expect(port.write(HIGH, bytes(1))).toBe(Errno.OK);
    clock.advance(40);
    port.write(HIGH + 1, bytes(2));
    expect([ram(HIGH), ram(HIGH + 1), port.postedWrites]).toEqual([0, 0, 2]);
    clock.advance(59);
    expect(ram(HIGH)).toBe(0);
    clock.advance(1);
    expect([ram(HIGH), ram(HIGH + 1), port.postedWrites]).toEqual([1, 0, 1]);
    clock.advance(40);
    expect([ram(HIGH + 1), port.postedWrites, clock.pending]).toEqual([2, 0, 0]);
  });

  test("that finds the queue full pushes the oldest out", () => {
    const { port, ram } = bench(3);
    for (let i = 0; i < 5; i++) port.write(LOW + i, bytes(i + 1));
    expect([0, 1, 2, 3, 4].map((i) => ram(LOW + i))).toEqual([1, 2, 0, 0, 0]);
    expect(port.postedWrites).toBe(3);
  });

  test("is pushed by a read of its own port, not of another one, and not by the CPU", () => {
    const { port, device, cpu } = bench();
    const seen = new Uint8Array(1);
    port.write(LOW, bytes(1));
    cpu.read(LOW, seen);
    expect([device.read32(LOW), seen[0], port.postedWrites]).toEqual([0, 0, 1]);
    expect([port.read32(LOW), port.postedWrites]).toEqual([1, 0]);
    expect(device.read32(LOW)).toBe(1);
  });

  test("is pushed by a read that the bus refuses, too", () => {
    const { port } = bench();
    port.write(LOW, bytes(1));
    expect([port.read32(0), port.postedWrites]).toEqual([0xffff_ffff, 0]);
  });

  test("arrives at a flush, and the event that is left over does no harm", () => {
    const { clock, port, ram } = bench();
    port.write(LOW, bytes(1));
    port.flush();
    expect([ram(LOW), port.postedWrites, clock.pending]).toEqual([1, 0, 1]);
    clock.advance(50);
    port.write(LOW, bytes(2));
    clock.advance(50); // the old event
    expect([ram(LOW), port.postedWrites]).toEqual([1, 1]);
    clock.advance(50);
    expect([ram(LOW), port.postedWrites, clock.pending]).toEqual([2, 0, 0]);
  });

  test("arrives before a read of its device's registers returns, not at a register write", () => {
    const { bus, port, ram } = bench();
    const handler = {
      mmioRead: () => {
        port.write(LOW + 1, bytes(2)); // posted by the read itself: before its completion
        return 7;
      },
      mmioWrite: () => {},
    };
    const own = bus.mapWindow({ name: "nic0", base: 0xfe00_0000, size: 16, handler, port });
    const other = bus.mapWindow({ name: "toy0", base: 0xfe01_0000, size: 16, handler });
    port.write(LOW, bytes(1));
    own.write4(0, 0);
    other.read4(0);
    expect([ram(LOW), port.postedWrites]).toEqual([0, 2]);
    expect([own.read4(0), ram(LOW), ram(LOW + 1), port.postedWrites]).toEqual([7, 1, 2, 0]);
    port.write(LOW, bytes(3));
    expect([own.read1(1), ram(LOW)]).toEqual([7, 3]);
  });

  test("keeps its bytes though the device changes its buffer", () => {
    const { port } = bench();
    const buffer = bytes(1, 2, 3, 4);
    port.write(LOW, buffer);
    buffer.fill(9);
    expect(port.read32(LOW)).toBe(0x0403_0201);
  });

  test("of many bytes takes a place per 256, and one more per page that it enters", () => {
    const { port, ram } = bench(16);
    port.write(LOW, ramp(256));
    expect(port.postedWrites).toBe(1);
    port.write(LOW + 4096, ramp(600));
    expect(port.postedWrites).toBe(4);
    port.write(LOW + 8190, ramp(4));
    expect(port.postedWrites).toBe(6);
    port.write(LOW + 0x4000, ramp(8192)); // more than the queue holds: its first half is in RAM
    expect([port.postedWrites, ram(LOW + 0x4fff), ram(LOW + 0x5000)]).toEqual([16, 0, 0]);
    expect([ram(LOW + 0x4ffe), port.bytesWritten]).toEqual([255, 256 + 600 + 4 + 8192]);
  });

  test("that the bus refuses is a fault at once, and takes no place", () => {
    const { port, clock } = bench();
    clock.now = 77;
    expect(port.write(LOW + SIZE - 1, bytes(1, 2))).toBe(Errno.EFAULT);
    expect(port.faults).toMatchObject([{ direction: "write", reason: "no memory", time: 77 }]);
    expect([port.postedWrites, clock.pending, port.bytesWritten]).toEqual([0, 0, 0]);
  });

  test("goes where the translation led when it was posted", () => {
    const { port, ram } = bench();
    const pages = new Map([[0, LOW]]);
    port.translation = {
      granule: 4096,
      translate: (_requester, address) => pages.get(address - (address % 4096)) ?? -1,
    };
    port.write(0, bytes(1));
    pages.set(0, HIGH);
    port.flush();
    expect([ram(LOW), ram(HIGH)]).toEqual([1, 0]);
  });
});

test("a later write wins over an earlier one to the same place", () => {
  const { port, ram } = bench();
  port.write(LOW, bytes(1));
  port.write(LOW, bytes(2));
  port.flush();
  expect(ram(LOW)).toBe(2);
});

test("RAM is at any time what a queue of the model has delivered", () => {
  for (const seed of seeds(80)) {
    const draw = dice(seed);
    const depth = 1 + draw(6);
    const latency = draw(30);
    const { clock, port, mem } = bench(depth, latency);
    const base = BASES[draw(3)] + 4096 - 512;
    const ram = new Uint8Array(1024);
    let queue: { at: number; data: Uint8Array; due: number }[] = [];
    const deliver = (count: number) => {
      for (const { at, data } of queue.slice(0, count)) ram.set(data, at);
      queue = queue.slice(count);
    };
    for (let n = 0; n < 150; n++) {
      const at = draw(1024);
      const length = Math.min(1024 - at, 1 + (draw(5) === 0 ? draw(1024) : draw(20)));
      const data = Uint8Array.from({ length }, () => draw(256));
      switch (draw(8)) {
        case 0:
          port.flush();
          deliver(queue.length);
          break;
        case 1: {
          const seen = new Uint8Array(length);
          port.read(base + at, seen);
          deliver(queue.length);
          expect(seen, `seed ${seed}, step ${n}`).toEqual(ram.slice(at, at + length));
          break;
        }
        case 2:
        case 3:
          clock.advance(draw(20));
          deliver(queue.filter(({ due }) => due <= clock.now).length);
          break;
        default:
          port.write(base + at, data);
          for (let from = 0; from < length; ) {
            const page = at + from < 512 ? 512 : 1024;
            const to = Math.min(length, from + 256, page - at);
            queue.push({ at: at + from, data: data.slice(from, to), due: clock.now + latency });
            from = to;
          }
          deliver(Math.max(0, queue.length - depth));
      }
      const seen = new Uint8Array(1024);
      mem.read(base, seen);
      expect(Buffer.compare(seen, ram), `seed ${seed}, step ${n}`).toBe(0);
      expect(port.postedWrites, `seed ${seed}, step ${n}`).toBe(queue.length);
    }
    clock.advance(1000);
    expect([port.postedWrites, clock.pending]).toEqual([0, 0]);
  }
});

describe("refused", () => {
  for (const [depth, latency] of [
    [0, 1],
    [-1, 1],
    [1.5, 1],
    [Number.NaN, 1],
    [65_537, 1],
    [1, -1],
    [1, 0.5],
    [1, Number.NaN],
    [1, Number.POSITIVE_INFINITY],
  ]) {
    test(`a queue ${depth} deep with a latency of ${latency} is EINVAL`, () => {
      expect(() => bench(depth, latency)).toThrow(ErrnoError);
      expect(() => bench(depth, latency)).toThrow(
        `membus: port nic0: posted writes ${depth} deep, latency ${latency} ns: EINVAL`,
      );
    });
  }

  test("a queue on a machine without a scheduler is EINVAL, and makes no port", () => {
    const { mem } = machine();
    const bus = new Membus({ mem, trace: new Trace(), now: () => 0 });
    const make = () => bus.devicePort({ name: "nic0", posted: { depth: 1, latency: 1 } });
    expect(make).toThrow("membus: port nic0: posted writes without a scheduler: EINVAL");
    expect(bus.ports).toEqual([]);
  });
});

test("a port without a queue needs no scheduler, and a flush does nothing", () => {
  const { device } = machine();
  device.write(LOW, bytes(1));
  device.flush();
  expect([device.postedWrites, device.read32(LOW)]).toEqual([0, 1]);
});
