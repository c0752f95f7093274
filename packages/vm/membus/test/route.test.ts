/** The way to RAM: address lines, a bridge's window, a translation; and what contradicts itself. */
import { Errno, ErrnoError, GiB, MAXADDR, Panic } from "@physio/kern";
import type { DevicePortConfig, Translation } from "@physio/membus";
import { DevicePort, formatFault } from "@physio/membus";
import { describe, expect, test } from "vitest";
import { BASES, bytes, dice, HIGH, LOW, machine, ramp, SIZE, seeds, TOP } from "./fixture.ts";

function bench(config: Partial<DevicePortConfig> = {}) {
  const m = machine();
  const port = m.bus.devicePort({ name: "nic0", ...config });
  const reasons = () => port.faults.map(({ reason }) => reason);
  const ram = (pa: number, length: number) => {
    const seen = new Uint8Array(length);
    m.mem.read(pa, seen);
    return [...seen];
  };
  return { ...m, port, reasons, ram };
}

/** Pages of `granule` bytes at bus addresses; a page that is not there is refused. */
function table(granule: number, pages: [bus: number, pa: number][], readOnly: number[] = []) {
  const map = new Map(pages);
  const asked: string[] = [];
  const translation: Translation = {
    granule,
    translate(requester, address, write) {
      asked.push(`${requester}:${address}${write ? "w" : "r"}`);
      const page = address - (address % granule);
      const pa = map.get(page);
      if (pa === undefined || (write && readOnly.includes(page))) return -1;
      return pa + (address % granule);
    },
  };
  return { translation, asked };
}

describe("address lines", () => {
  test("bound the reach, and `highest` may bound it further", () => {
    expect(bench({ width: 32 }).port.highest).toBe(2 ** 32 - 1);
    expect(bench({ width: 52 }).port.highest).toBe(MAXADDR);
    expect(bench({ width: 1 }).port.highest).toBe(1);
    expect(bench({ width: 32, highest: 2 ** 31 }).port.highest).toBe(2 ** 31);
    expect(bench({ width: 32, highest: 2 ** 32 - 1 }).port.highest).toBe(2 ** 32 - 1);
    expect(bench().port.highest).toBe(MAXADDR);
    expect(bench({ highest: 2 ** 53 - 1 }).port.highest).toBe(MAXADDR);
    const { port, reasons } = bench({ width: 33 });
    expect([port.read32(LOW), port.read32(HIGH), reasons()]).toEqual([
      0,
      0xffff_ffff,
      ["beyond reach"],
    ]);
  });

  test("of 52 bits reach the last byte of memory", () => {
    const { port, reasons } = bench();
    expect(port.write32(TOP + SIZE - 4, 0x8765_4321)).toBe(Errno.OK);
    expect([port.read32(TOP + SIZE - 4), port.read32(TOP + SIZE - 3)]).toEqual([
      0x8765_4321, 0xffff_ffff,
    ]);
    expect(reasons()).toEqual(["beyond reach"]);
  });

  const contradictions: Partial<DevicePortConfig>[] = [
    { width: 0 },
    { width: 53 },
    { width: 31.5 },
    { width: Number.NaN },
    { highest: -1 },
    { highest: 0.5 },
    { highest: Number.NaN },
    { highest: Number.POSITIVE_INFINITY },
    { width: 32, highest: 2 ** 32 },
    { requester: -1 },
    { requester: Number.NaN },
    { requester: 0.5 },
    { window: { bus: 0, phys: LOW, size: 0 } },
    { window: { bus: -1, phys: LOW, size: 4096 } },
    { window: { bus: 0, phys: Number.NaN, size: 4096 } },
    { window: { bus: 0, phys: 0.5, size: 4096 } },
    { window: { bus: 0, phys: LOW, size: Number.NaN } },
    { window: { bus: 2 ** 52 - 4096, phys: LOW, size: 4097 } },
    { window: { bus: 0, phys: 2 ** 52 - 4096, size: 4097 } },
    { width: 32, window: { bus: 2 ** 32, phys: LOW, size: 4096 } },
    { translation: { granule: 0, translate: () => 0 } },
    { translation: { granule: 4095, translate: () => 0 } },
    { translation: { granule: Number.NaN, translate: () => 0 } },
  ];
  for (const config of contradictions) {
    test(`that are contradicted are EINVAL: ${JSON.stringify(config)}`, () => {
      expect(() => bench(config)).toThrow(ErrnoError);
      expect(() => bench(config)).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
    });
  }

  test("that are contradicted are named with the values, and make no port", () => {
    const { bus } = machine();
    expect(() => bus.devicePort({ name: "nic0", width: 32, highest: 2 ** 32 })).toThrow(
      "membus: port nic0: highest address 4294967296, width 32, requester 0: EINVAL",
    );
    const window = { bus: 7, phys: LOW, size: 0 };
    expect(() => bus.devicePort({ name: "nic0", window })).toThrow(
      "membus: port nic0: window 7+0 to 65536, highest address 4503599627370495: EINVAL",
    );
    expect(bus.ports.map(({ name }) => name)).toEqual(["toy0"]);
    expect(new DevicePort(bus, { name: "loose" }).highest).toBe(MAXADDR);
  });
});

describe("a bridge's window", () => {
  const window = { bus: 0x8000_0000, phys: HIGH, size: SIZE };

  test("gives bus addresses their meaning", () => {
    const { port, ram } = bench({ width: 32, window });
    expect(port.write(0x8000_0000, ramp(4))).toBe(Errno.OK);
    expect(port.write(0x8000_ffff, bytes(9))).toBe(Errno.OK);
    expect([ram(HIGH, 4), ram(HIGH + SIZE - 1, 1)]).toEqual([[1, 2, 3, 4], [9]]);
    expect(port.read32(0x8000_0000)).toBe(0x0403_0201);
  });

  test("passes nothing that is outside of it, not even in part", () => {
    const { port, reasons, ram } = bench({ window });
    for (const address of [LOW, HIGH, 0x7fff_ffff, 0x8001_0000, 0x8000_fffe]) {
      expect(port.write(address, ramp(3))).toBe(Errno.EFAULT);
    }
    expect(reasons()).toEqual(new Array(5).fill("outside window"));
    expect(ram(HIGH, 4)).toEqual([0, 0, 0, 0]);
  });

  test("may lead to addresses below and above its own, and to no RAM", () => {
    const down = bench({ window: { bus: TOP, phys: LOW, size: SIZE } });
    expect([down.port.write32(TOP + 8, 5), down.ram(LOW + 8, 1)]).toEqual([0, [5]]);
    const up = bench({ window: { bus: 0, phys: TOP, size: SIZE } });
    expect([up.port.write32(SIZE - 4, 5), up.ram(TOP + SIZE - 4, 1)]).toEqual([0, [5]]);
    const off = bench({ window: { bus: 0, phys: LOW, size: SIZE + 1 } });
    expect([off.port.read32(SIZE - 3), off.reasons()]).toEqual([0xffff_ffff, ["no memory"]]);
  });
});

describe("a translation", () => {
  test("takes an access apart at its granules, and asks once for each", () => {
    const { translation, asked } = table(4096, [
      [0, HIGH],
      [4096, LOW],
      [8192, TOP + SIZE - 4096],
    ]);
    const { port, ram } = bench({ translation, requester: 0x100 });
    const data = ramp(4096 + 6);
    expect(port.write(4093, data)).toBe(Errno.OK);
    expect(asked).toEqual(["256:4093w", "256:4096w", "256:8192w"]);
    expect([ram(HIGH + 4093, 3), ram(LOW, 2), ram(TOP + SIZE - 4096, 4)]).toEqual([
      [1, 2, 3],
      [4, 5],
      [4, 5, 6, 0],
    ]);
    const seen = new Uint8Array(4102);
    expect(port.read(4093, seen)).toBe(Errno.OK);
    expect(Buffer.compare(seen, data)).toBe(0);
    expect(asked.slice(3)).toEqual(["256:4093r", "256:4096r", "256:8192r"]);
  });

  test("that refuses one piece refuses the access, and nothing moves", () => {
    const { translation } = table(4096, [
      [0, HIGH],
      [8192, LOW],
    ]);
    const { port, ram, reasons } = bench({ translation });
    const data = new Uint8Array(3 * 4096).fill(7);
    expect([port.write(0, data), port.read(0, data), port.read32(4094)]).toEqual([
      Errno.EFAULT,
      Errno.EFAULT,
      0xffff_ffff,
    ]);
    expect([ram(HIGH, 1), data[0], reasons()]).toEqual([
      [0],
      7,
      new Array(3).fill("not translated"),
    ]);
    expect(port.faults[0]).toMatchObject({ address: 0, length: 3 * 4096, direction: "write" });
  });

  test("that leads beyond RAM in one piece is no memory, and nothing moves", () => {
    const { translation } = table(4096, [
      [0, HIGH],
      [4096, 0],
    ]);
    const { port, ram, reasons } = bench({ translation });
    expect([port.write(0, new Uint8Array(8192).fill(7)), ram(HIGH, 1), reasons()]).toEqual([
      Errno.EFAULT,
      [0],
      ["no memory"],
    ]);
  });

  test("may allow reads and refuse writes", () => {
    const { translation } = table(4096, [[0, LOW]], [0]);
    const { port, reasons } = bench({ translation });
    expect([port.read32(0), port.write32(0, 1), reasons()]).toEqual([0, 14, ["not translated"]]);
  });

  test("may come and go", () => {
    const { translation } = table(4096, [[0, LOW]]);
    const { port, reasons } = bench();
    expect([port.translation, port.read32(0), reasons()]).toEqual([
      null,
      0xffff_ffff,
      ["no memory"],
    ]);
    port.translation = translation;
    expect([port.read32(0), port.read32(LOW), port.translation === translation]).toEqual([
      0,
      0xffff_ffff,
      true,
    ]);
    expect(() => {
      port.translation = { granule: 3, translate: () => 0 };
    }).toThrow("membus: port nic0: granule of 3 bytes: EINVAL");
    expect(port.translation).toBe(translation);
    port.translation = null;
    expect([port.read32(0), port.read32(LOW)]).toEqual([0xffff_ffff, 0]);
  });

  test("stands behind the reach and the window of the port", () => {
    const { translation, asked } = table(4096, [[0, LOW]]);
    const window = { bus: 0x8000_0000, phys: 0, size: 8192 };
    const { port, reasons } = bench({ width: 32, window, translation });
    expect([port.read32(0x8000_0ffc), port.read32(0), port.read32(2 ** 32)]).toEqual([
      0, 0xffff_ffff, 0xffff_ffff,
    ]);
    expect([asked, reasons()]).toEqual([["0:4092r"], ["outside window", "beyond reach"]]);
  });

  test("takes an access of more pieces than its columns had room for", () => {
    const pages = Array.from({ length: 64 }, (_, i): [number, number] => [i * 512, LOW + i * 1024]);
    const { translation } = table(512, pages);
    const { port, ram } = bench({ translation });
    const data = ramp(64 * 512, 3);
    expect(port.write(0, data)).toBe(Errno.OK);
    expect(ram(LOW + 63 * 1024, 2)).toEqual([3, 4]);
    const seen = new Uint8Array(data.length);
    expect([port.read(0, seen), Buffer.compare(seen, data)]).toEqual([Errno.OK, 0]);
  });

  test("that answers with no address panics with it", () => {
    for (const answer of [Number.NaN, 0.5, -2, 2 ** 53, Number.POSITIVE_INFINITY]) {
      const { port } = bench({ translation: { granule: 4096, translate: () => answer } });
      expect(() => port.read32(0x20)).toThrow(`membus: port nic0: 0x20 translated to ${answer}`);
    }
  });

  test("agrees with a page table of single bytes", () => {
    for (const seed of seeds(40)) {
      const draw = dice(seed);
      const granule = 2 ** (4 + draw(5));
      const at = draw(2) === 0 ? 0 : 2 ** 44 - 16 * granule;
      const pages: [number, number][] = [];
      for (let i = 0; i < 32; i++) {
        if (draw(8) === 0) continue;
        const far = draw(12) === 0 ? GiB : BASES[draw(3)] + granule * draw(SIZE / granule);
        pages.push([at + i * granule, far]);
      }
      const { translation } = table(granule, pages);
      const { port, mem } = bench({ translation });
      const known = new Map(pages);
      const one = new Uint8Array(1);
      for (let n = 0; n < 100; n++) {
        const address = at + draw(32 * granule);
        const length = 1 + draw(3 * granule);
        const data = Uint8Array.from({ length }, () => draw(256));
        const places = Array.from(data, (_, i) => {
          const page = known.get(address + i - ((address + i) % granule));
          return page === undefined ? -1 : page + ((address + i) % granule);
        });
        const ok = places.every((pa) => pa >= 0 && mem.isRam(pa, 1));
        const distinct = new Set(places).size === length;
        const write = draw(2) === 0;
        const given = data.slice();
        const result = write ? port.write(address, data) : port.read(address, data);
        expect(result, `seed ${seed}, step ${n}`).toBe(ok ? Errno.OK : Errno.EFAULT);
        if (!ok || !distinct) expect(data.length).toBe(length);
        if (!ok) expect(data, `seed ${seed}, step ${n}`).toEqual(given);
        else if (!write || distinct) {
          const seen = places.map((pa) => (mem.read(pa, one) === Errno.OK ? one[0] : -1));
          expect([...data], `seed ${seed}, step ${n}`).toEqual(seen);
        }
      }
    }
  });
});

describe("an access", () => {
  test("of nothing is OK wherever it is, and asks nobody", () => {
    const { translation, asked } = table(4096, []);
    const { port } = bench({ width: 16, translation });
    const nothing = new Uint8Array(0);
    for (const address of [0, 2 ** 40, -1, Number.NaN]) {
      expect([port.read(address, nothing), port.write(address, nothing)]).toEqual([0, 0]);
    }
    expect([asked, port.faultCount]).toEqual([[], 0]);
  });

  test("beyond its array, or of no length, panics with the values and moves nothing", () => {
    const { port, mem } = bench();
    const data = ramp(8);
    for (const [at, length] of [
      [0, 9],
      [5, 4],
      [-1, 4],
      [0.5, 4],
      [Number.NaN, 4],
      [0, -1],
      [0, 2.5],
      [0, Number.NaN],
      [9, undefined],
    ]) {
      expect(() => port.read(LOW, data, at, length)).toThrow(Panic);
      expect(() => port.write(LOW, data, at, length)).toThrow(Panic);
    }
    expect(() => port.write(LOW, data, 5, 4)).toThrow("nic0: 0x10000+4 at 5 of an array of 8");
    expect(() => port.write(LOW, data, 0, -1)).toThrow("nic0: -1 bytes at 0");
    expect([[...data], mem.touchedBytes, port.faultCount]).toEqual([[...ramp(8)], 0, 0]);
  });

  test("of a word takes any 32 bits, signed or not", () => {
    const { port, ram } = bench();
    expect([port.write32(LOW, 0x8000_0001), ram(LOW, 4)]).toEqual([0, [1, 0, 0, 0x80]]);
    expect([port.write32(LOW, -2), port.read32(LOW)]).toEqual([0, 0xffff_fffe]);
    for (const value of [2 ** 32, -(2 ** 31) - 1, 0.5, Number.NaN]) {
      expect(() => port.write32(LOW, value)).toThrow(`nic0: write32 of ${value} to 0x10000`);
    }
    expect(port.write32(LOW + SIZE - 2, 1)).toBe(Errno.EFAULT);
  });
});

test("a fault names its requester, and the hook sees every one", () => {
  const { bus, port, clock } = bench({ requester: 0x1a8 });
  const seen: string[] = [];
  expect(bus.onFault).toBe(null);
  bus.onFault = (fault) => {
    seen.push(`${fault.time} ${formatFault(fault)} of ${bus.faultCount}`);
  };
  clock.now = 9;
  port.read(0, new Uint8Array(2));
  bus.ports[0].write32(-4, 1);
  expect(seen).toEqual([
    "9 nic0 (requester 0x1a8) read 0x0+2: no memory of 1",
    "9 toy0 write -4+4: beyond reach of 2",
  ]);
  for (let i = 0; i < 100; i++) port.read32(0);
  expect([seen.length, port.faults.length, port.faultCount]).toEqual([102, 64, 101]);
  bus.onFault = null;
  port.read32(0);
  expect([seen.length, port.faultCount]).toEqual([102, 102]);
});
