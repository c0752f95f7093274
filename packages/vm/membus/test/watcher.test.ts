/** Watchers are told of each access once, before it happens, on machines with and without a cache. */
import { MiB } from "@physio/kern";
import type { AccessWatcher } from "@physio/membus";
import { CacheAttr, Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Trace } from "@physio/trace";
import { expect, test } from "vitest";

const BASE = 4096 * MiB;

function watched(cached: boolean) {
  const mem = new PhysMem({ banks: [{ base: BASE, size: MiB }] });
  const cache = { line: 64, sets: 4, ways: 2, random: { next: () => 0 } } as const;
  const bus = new Membus({ mem, trace: new Trace(), now: () => 0, ...(cached ? { cache } : {}) });
  const port = bus.devicePort({ name: "toy0" });
  const told: [string, number, number, boolean][] = [];
  const watcher: AccessWatcher = {
    device: (by, address, length, write) => told.push([by.name, address - BASE, length, write]),
    cpu: (pa, length, write) => told.push(["cpu", pa - BASE, length, write]),
  };
  bus.watcher = watcher;
  bus.cpu.watcher = watcher;
  return { mem, bus, port, told };
}

test.each([false, true])("every kind of access (a cache: %s)", (cached) => {
  const { mem, bus, port, told } = watched(cached);
  const bytes = new Uint8Array(100);
  const frame = mem.frameOf(BASE);
  const { cpu } = bus;
  port.read(BASE + 1, bytes);
  port.write(BASE + 2, bytes, 10, 20);
  port.read32(BASE + 4);
  port.write32(BASE + 8, 1);
  port.read(BASE - 8, bytes, 0, 4); // refused by the bus
  cpu.read(BASE + 16, bytes);
  cpu.write(BASE + 32, bytes, 50, 8, CacheAttr.UNCACHED);
  cpu.readFrame(frame, 64, bytes, 0, 3);
  cpu.writeFrame(frame, 65, bytes, 0, 4);
  cpu.zeroFrame(frame, 66, 5);
  cpu.zero(BASE + 70, 6);
  cpu.copy(BASE + 512, BASE + 256, 7);
  cpu.copyFrame(frame, 513, frame, 257, 8);
  cpu.read(BASE, bytes, 0, 0);
  port.read(BASE, bytes, 0, 0);
  expect(told).toEqual([
    ["toy0", 1, 100, false],
    ["toy0", 2, 20, true],
    ["toy0", 4, 4, false],
    ["toy0", 8, 4, true],
    ["toy0", -8, 4, false],
    ["cpu", 16, 100, false],
    ["cpu", 32, 8, true],
    ["cpu", 64, 3, false],
    ["cpu", 65, 4, true],
    ["cpu", 66, 5, true],
    ["cpu", 70, 6, true],
    ["cpu", 256, 7, false],
    ["cpu", 512, 7, true],
    ["cpu", 257, 8, false],
    ["cpu", 513, 8, true],
  ]);
});
