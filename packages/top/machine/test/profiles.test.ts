/** Options of the profiles: what each makes of the machine that is built. */
import { SEED, Sync } from "@physio/busdma";
import { Errno, ErrnoError, MAXADDR_24BIT, MAXADDR_32BIT, MiB, PAGE_SIZE } from "@physio/kern";
import type { CacheOptions, MachineConfig } from "@physio/machine";
import {
  arm64,
  machine,
  PROFILE_NAMES,
  pc,
  pc32BitDma,
  profileNamed,
  riscv,
} from "@physio/machine";
import { describe, expect, test } from "vitest";

const ram = 64 * MiB;
const all = () => 0;

/** The errno that making a tag with a filter throws; OK: it was made. */
function filterOn(config: MachineConfig): Errno {
  const m = machine(config);
  try {
    m.dmaTag.child({ lowAddr: MAXADDR_24BIT, filter: all, maxSize: PAGE_SIZE });
    return Errno.OK;
  } catch (error) {
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

describe.each(PROFILE_NAMES)("%s", (name) => {
  test("filters are honoured unless the option refuses them", () => {
    expect(filterOn(profileNamed(name, { ram }))).toBe(Errno.OK);
    expect(filterOn(profileNamed(name, { ram, filters: "honoured" }))).toBe(Errno.OK);
    expect(filterOn(profileNamed(name, { ram, filters: "refused" }))).toBe(Errno.EINVAL);
  });

  test("a machine that refuses filters still makes tags without one", () => {
    const m = machine(profileNamed(name, { ram, filters: "refused" }));
    expect(m.dmaTag.child({ lowAddr: MAXADDR_32BIT, maxSize: PAGE_SIZE }).filtered).toBe(false);
  });

  test("semantics, seed and trace are the options'", () => {
    const m = machine(profileNamed(name, { ram, semantics: SEED, seed: 5 }));
    expect([m.dmaTag.context.semantics.name, m.config.seed]).toEqual(["seed", 5]);
  });
});

test("a filter of a machine that honours them lets addresses of the window pass", () => {
  const m = machine(pc({ ram }));
  const tag = m.dmaTag.child({ lowAddr: MAXADDR_24BIT, filter: all, maxSize: PAGE_SIZE });
  expect(tag.isIdentity(32 * MiB, PAGE_SIZE)).toBe(true);
});

/** Write to memory that a device reads without, then with PREWRITE. @returns what it saw. */
function twoReads(config: MachineConfig): number[] {
  const m = machine(config);
  const device = m.membus.devicePort({ name: "toy0" });
  const map = m.dmaTag.child({ maxSize: PAGE_SIZE }).createMap();
  const va = m.kmem.alloc(PAGE_SIZE);
  m.kmem.write(va, Uint8Array.of(7, 0, 0, 0));
  let address = -1;
  map.load(
    va,
    PAGE_SIZE,
    (_arg, segs) => {
      address = segs.addr[0];
    },
    null,
  );
  const seen = [device.read32(address)];
  map.sync(Sync.PREWRITE);
  seen.push(device.read32(address));
  map.unload();
  return seen;
}

describe.each([
  ["arm64", arm64],
  ["riscv", riscv],
] as const)("%s with cache options", (_name, make: (o: CacheOptions) => MachineConfig) => {
  test("cacheLine 64 and not coherent are what is had without options", () => {
    expect(make({}).dataCache).toEqual(make({ cacheLine: 64, coherent: false }).dataCache);
    expect(make({}).dataCache?.line).toBe(64);
  });

  test("cacheLine is the cache's line, and memory for DMA is aligned to it", () => {
    for (const cacheLine of [32, 64, 128] as const) {
      const m = machine(make({ ram, cacheLine }));
      expect(m.config.dataCache?.line).toBe(cacheLine);
      const mem = m.dmaTag.child({ maxSize: 100, segments: 1 }).allocMem();
      expect(mem === null ? -1 : mem.load() % cacheLine).toBe(0);
    }
  });

  test("a device that does not snoop sees a write after PREWRITE only, one that snoops at once", () => {
    expect(twoReads(make({ ram, cacheLine: 64, coherent: false }))).toEqual([0, 7]);
    expect(twoReads(make({ ram, coherent: true }))).toEqual([7, 7]);
  });
});

test("machine takes a profile as it is, or as its arch", () => {
  const config = arm64({ ram, cacheLine: 64, coherent: false });
  expect(machine(config).config).toBe(config);
  expect(machine({ arch: config }).config).toBe(config);
});

test("an unknown profile is EINVAL and lists those that exist", () => {
  const message = `EINVAL: profile "vax" (there are: ${PROFILE_NAMES.join(", ")})`;
  expect(() => profileNamed("vax")).toThrow(message.slice(8));
  expect(PROFILE_NAMES).toContain(pc32BitDma({ ram }).profile);
});
