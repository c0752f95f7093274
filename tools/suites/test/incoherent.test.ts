/**
 * Boards whose devices do not snoop the CPU's cache: whole images are read right, since every part of
 * the way maintains the cache; and with any one kind of maintenance left out they are not.
 */
import { Sync } from "@physio/busdma";
import { Errno, Panic } from "@physio/kern";
import type { MachineConfig } from "@physio/machine";
import { arm64, ioStatistics, MemoryMedia, machine, riscv } from "@physio/machine";
import { parseManifest, verifyImage } from "@physio/machine/verify";
import { describe, expect, test } from "vitest";
import { newHasher } from "../src/examine.ts";
import { fixture } from "../src/fixtures.ts";

const IMAGE = "man-2k-rev0";

/** Read the whole image on such a machine. @returns files that agree, and what does not. */
function read(config: MachineConfig): { files: number; failures: number; faults: number } {
  const { bytes, entries } = fixture(IMAGE);
  const m = machine(config);
  const disk = m.runSync(m.attachDisk("nvme0", new MemoryMedia(bytes.slice())));
  const mount = m.runSync(m.mount(disk));
  const report = m.runSync(verifyImage(m, mount, parseManifest({ entries }), { newHasher }));
  m.runSync(mount.unmount());
  m.sched.pump();
  m.checkQuiet();
  const { busFaults, deviceErrors } = ioStatistics(m);
  return {
    files: report.files,
    failures: report.failures.length,
    faults: busFaults + deviceErrors,
  };
}

describe("a whole image", () => {
  for (const make of [arm64, riscv]) {
    for (const cacheLine of make === arm64 ? ([32, 64, 128] as const) : ([64] as const)) {
      for (const coherent of cacheLine === 64 ? [false, true] : [false]) {
        test(`on ${make({}).profile}, lines of ${cacheLine}, ${coherent ? "" : "not "}coherent`, () => {
          for (const seed of [1, 2]) {
            const result = read(make({ seed, cacheLine, coherent, verify: true }));
            expect(result, `seed ${seed}`).toEqual({ files: 80, failures: 0, faults: 0 });
          }
        });
      }
    }
  }
});

/** The machine with a backend whose `sync` forgets `operation`. */
function forgetful(config: MachineConfig, operation: Sync): MachineConfig {
  return {
    ...config,
    dmaBackend: (pool, kmem, membus) => {
      const whole = config.dmaBackend(pool, kmem, membus);
      return { ...whole, sync: (tag, map, ops) => whole.sync(tag, map, ops & ~operation) };
    },
  };
}

test("without the invalidation after the device wrote, the image is not read right", () => {
  const outcomes = [1, 2, 3].map((seed) => {
    try {
      const config = arm64({ seed });
      const { failures } = read(forgetful(config, Sync.POSTREAD | Sync.PREREAD));
      return failures > 0;
    } catch (error) {
      return error instanceof Panic || (error as { errno?: number }).errno !== Errno.OK;
    }
  });
  expect(outcomes).toContain(true);
});
