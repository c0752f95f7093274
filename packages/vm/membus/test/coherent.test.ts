/** Coherent and incoherent devices side by side on a machine with a cache: who sees whose bytes. */
import { Errno, ErrnoError, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import {
  BASES,
  bytes,
  Clock,
  dice,
  HIGH,
  LOW,
  machine,
  ramp,
  SIZE,
  seeds,
  source,
} from "./fixture.ts";

function bench(seed = 1, config = {}) {
  const clock = new Clock();
  const cache = { line: 64, sets: 8, ways: 2, random: source(seed), ...config };
  const m = machine({ cache, sched: clock });
  const snooping = m.bus.devicePort({ name: "nic0", coherent: true });
  const seen = new Uint8Array(1);
  const cpuSees = (pa: number) => {
    m.cpu.read(pa, seen);
    return seen[0];
  };
  const deviceSees = (pa: number, port = snooping) => {
    port.read(pa, seen);
    return seen[0];
  };
  return { ...m, clock, snooping, cpuSees, deviceSees };
}

describe("a coherent device", () => {
  test("reads what the CPU stored, and the line stays", () => {
    const { cpu, device, deviceSees } = bench();
    cpu.write(HIGH + 100, bytes(7));
    expect(deviceSees(HIGH + 100, device)).toBe(0); // past the cache
    expect(deviceSees(HIGH + 100)).toBe(7);
    expect([cpu.cache?.contains(HIGH + 100), cpu.cache?.isDirty(HIGH + 100)]).toEqual([
      true,
      false,
    ]);
  });

  test("writes what the CPU sees at once, and loses nothing beside it", () => {
    const { cpu, device, snooping, cpuSees } = bench();
    cpu.write(LOW, bytes(1, 2, 3));
    expect(snooping.write(LOW + 1, bytes(9))).toBe(Errno.OK);
    expect([cpuSees(LOW), cpuSees(LOW + 1), cpuSees(LOW + 2)]).toEqual([1, 9, 3]);
    device.write(LOW + 1, bytes(8));
    expect(cpuSees(LOW + 1)).toBe(9); // the CPU's line is stale
    expect(cpu.cache?.lostDirtyLines).toBe(0);
  });

  test("does so over pages, and through a translation", () => {
    const { cpu, snooping, cpuSees } = bench();
    const data = ramp(3 * PAGE_SIZE);
    cpu.write(HIGH, data);
    const seen = new Uint8Array(data.length);
    snooping.read(HIGH, seen);
    expect(Buffer.compare(seen, data)).toBe(0);
    snooping.translation = {
      granule: PAGE_SIZE,
      translate: (_requester, address) => LOW + ((address + PAGE_SIZE) % SIZE),
    };
    cpu.write(LOW + PAGE_SIZE, bytes(5, 6));
    snooping.write(1, bytes(7));
    expect([cpuSees(LOW + PAGE_SIZE), cpuSees(LOW + PAGE_SIZE + 1)]).toEqual([5, 7]);
  });

  test("with posted writes snoops when they arrive", () => {
    const { bus, cpu, clock, cpuSees } = bench();
    const posted = { depth: 4, latency: 100 };
    const port = bus.devicePort({ name: "nic1", coherent: true, posted });
    cpu.write(LOW, bytes(1, 2));
    port.write(LOW, bytes(9));
    expect([cpuSees(LOW), cpuSees(LOW + 1)]).toEqual([1, 2]);
    cpu.write(LOW + 2, bytes(3));
    clock.advance(100);
    expect([cpuSees(LOW), cpuSees(LOW + 1), cpuSees(LOW + 2)]).toEqual([9, 2, 3]);
  });

  test("is what every device is on a machine without a cache", () => {
    const plain = machine();
    expect([plain.device.coherent, bench().device.coherent, bench().snooping.coherent]).toEqual([
      true,
      false,
      true,
    ]);
    expect(plain.bus.devicePort({ name: "nic0", coherent: false }).coherent).toBe(true);
    const wrong = () => plain.bus.devicePort({ name: "nic0", coherent: 1 as never });
    expect(wrong).toThrow(ErrnoError);
    expect(plain.bus.ports.length).toBe(2);
  });
});

test("CPU and coherent device see one memory, whatever the cache does by itself", () => {
  for (const seed of seeds(60)) {
    const draw = dice(seed);
    const { cpu, snooping } = bench(seed, { evictOneIn: 5, prefetchOneIn: 5 });
    const base = BASES[draw(3)] + PAGE_SIZE - 512;
    const model = new Uint8Array(1024);
    for (let n = 0; n < 200; n++) {
      const at = draw(1024);
      const length = Math.min(1024 - at, 1 + draw(draw(4) === 0 ? 1024 : 90));
      const data = Uint8Array.from({ length }, () => draw(256));
      const agent = draw(2) === 0 ? cpu : snooping;
      if (draw(2) === 0) {
        expect(agent.write(base + at, data)).toBe(Errno.OK);
        model.set(data, at);
      } else {
        expect(agent.read(base + at, data)).toBe(Errno.OK);
        const same = Buffer.compare(data, model.subarray(at, at + length));
        expect(same, `seed ${seed}, step ${n}`).toBe(0);
      }
      cpu.check();
    }
  }
});
