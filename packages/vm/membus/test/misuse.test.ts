/** What is refused at once, with the values: ports used by their own translations, configurations that lack something, arrays of the wrong kind. */
import { Errno, ErrnoError, Panic } from "@physio/kern";
import { formatFault, Membus } from "@physio/membus";
import { Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import { bytes, Clock, HIGH, LOW, machine, ramp, source } from "./fixture.ts";

const errno = (code: Errno) => expect.objectContaining({ errno: code });
const REGISTERS = { mmioRead: () => 7, mmioWrite: () => {} };

describe("time", () => {
  test("of posted writes is the scheduler's own, whatever `now` says", () => {
    const clock = new Clock();
    const { bus, mem } = machine({ now: () => 0, sched: clock });
    const port = bus.devicePort({ name: "nic0", posted: { depth: 4, latency: 100 } });
    clock.advance(1000);
    port.write(LOW, bytes(5));
    clock.advance(100);
    const seen = new Uint8Array(1);
    mem.read(LOW, seen);
    expect([seen[0], port.postedWrites, clock.pending]).toEqual([5, 0, 0]);
  });

  test("of faults is the scheduler's by default, and 0 without one", () => {
    const { mem } = machine();
    const sched = new Clock();
    sched.advance(77);
    const trace = new Trace();
    const port = new Membus({ mem, trace, sched }).devicePort({ name: "nic0" });
    port.read32(0);
    expect([port.faults[0].time, new Membus({ mem, trace }).now()]).toEqual([77, 0]);
  });
});

describe("a translation", () => {
  test("that uses the port that asks panics, and the next access is asked anew", () => {
    const { bus } = machine();
    const port = bus.devicePort({ name: "nic0" });
    const table = new Uint8Array(64);
    port.translation = {
      granule: 4096,
      translate: (_requester, address) => {
        if (address < 4096) port.read(HIGH, table);
        return LOW + (address % 4096);
      },
    };
    const seen = new Uint8Array(4);
    expect(() => port.read(0, seen)).toThrow("membus: port nic0 is used by its own translation");
    expect(() => port.write(0, seen)).toThrow(Panic);
    expect([...seen]).toEqual([0, 0, 0, 0]);
    expect(port.write(4096, bytes(3))).toBe(Errno.OK);
  });

  test("is not asked about an access that has no room", () => {
    const { bus } = machine();
    let asked = 0;
    const translate = () => {
      asked++;
      return LOW;
    };
    const port = bus.devicePort({ name: "nic0", translation: { granule: 4096, translate } });
    expect(() => port.read(0, new Uint8Array(4), 2, 4)).toThrow("at 2 of an array of 4");
    expect(() => port.write(0, new Uint8Array(4), 0, 5)).toThrow(Panic);
    expect([asked, port.faultCount]).toEqual([0, 0]);
  });

  test("that refuses is recorded with the granule that it refused", () => {
    const { bus } = machine();
    const translate = (_requester: number, address: number) => (address < 8192 ? LOW : -1);
    const port = bus.devicePort({ name: "nic0", translation: { granule: 4096, translate } });
    const window = { bus: 2 ** 40, phys: 4096, size: 65_536 };
    const behind = bus.devicePort({
      name: "nic1",
      window,
      translation: { granule: 4096, translate },
    });
    port.read(4000, new Uint8Array(10_000));
    behind.read(2 ** 40 + 4100, new Uint8Array(8));
    port.read32(2 ** 52 - 2);
    expect([...port.faults, ...behind.faults].map(({ granule }) => granule)).toEqual([
      8192,
      undefined,
      8192,
    ]);
    expect(formatFault(port.faults[0])).toBe("nic0 read 0xfa0+10000: not translated (0x2000)");
  });

  test("that cannot translate is EINVAL at once", () => {
    const { bus } = machine();
    const translation = { granule: 4096 } as never;
    const make = () => bus.devicePort({ name: "nic0", translation });
    expect(make).toThrow("membus: port nic0: a translation without `translate`: EINVAL");
    const granule = { granule: "4096", translate: () => LOW } as never;
    expect(() => bus.devicePort({ name: "nic0", translation: granule })).toThrow(ErrnoError);
    expect(bus.ports.length).toBe(1);
  });
});

test("an access at NaN panics, and no record holds it", () => {
  const { device, bus } = machine();
  for (const access of [
    () => device.read(Number.NaN, new Uint8Array(1)),
    () => device.write(Number.NaN, bytes(1)),
    () => device.read32(Number.NaN),
    () => device.write32(Number.NaN, 1),
  ]) {
    expect(access).toThrow("toy0:");
  }
  expect([bus.faultCount, device.faults]).toEqual([0, []]);
});

describe("a bus", () => {
  const cache = { line: 64, random: source(1) };

  test("with a cache for memory that another one caches is EBUSY", () => {
    const { mem, bus } = machine({ cache });
    const second = () => new Membus({ mem, trace: new Trace(), cache });
    expect(second).toThrow(errno(Errno.EBUSY));
    expect(mem.cachedBy).toBe(bus.cpu);
    expect(new Membus({ mem, trace: new Trace() }).cpu.coherent).toBe(true);
  });

  for (const [name, wrong] of Object.entries({
    "no random source": { line: 64 },
    "a random source that is none": { line: 64, random: {} },
    "sets that are a string": { ...cache, sets: "64" },
    "ways that are a string": { ...cache, ways: "4" },
    "a line that is a string": { ...cache, line: "64" },
  })) {
    test(`with a cache of ${name} is EINVAL`, () => {
      expect(() => machine({ cache: wrong as never })).toThrow(errno(Errno.EINVAL));
    });
  }

  test("maps no window without a handler: EINVAL", () => {
    const { bus } = machine();
    for (const handler of [undefined, null, {}, { mmioRead: () => 0 }]) {
      const window = { name: "nic0", base: 2 ** 40, size: 4096, handler: handler as never };
      expect(() => bus.mapWindow(window)).toThrow("membus: window nic0 without a handler: EINVAL");
    }
    expect(() => bus.spaceAt(2 ** 40, 4)).toThrow(errno(Errno.ENXIO));
  });

  test("maps no window at a string, and makes no port of strings: EINVAL", () => {
    const { bus } = machine({ sched: new Clock() });
    const window = { name: "nic0", base: "4096", size: 4096, handler: REGISTERS } as never;
    expect(() => bus.mapWindow(window)).toThrow(errno(Errno.EINVAL));
    for (const config of [
      { width: "32" },
      { highest: "4096" },
      { requester: "1" },
      { window: { bus: "0", phys: LOW, size: 4096 } },
      { posted: { depth: "4", latency: 1 } },
      { posted: { depth: 4, latency: "1" } },
      { name: 5 },
    ]) {
      const made = () => bus.devicePort({ name: "nic0", ...config } as never);
      expect(made, JSON.stringify(config)).toThrow(errno(Errno.EINVAL));
    }
  });
});

describe("a window that is unmapped", () => {
  const window = { name: "nic0", base: 2 ** 40, size: 4096, handler: REGISTERS };

  test("gives its addresses back, and its spaces panic", () => {
    const { bus } = machine();
    const space = bus.mapWindow(window);
    const other = bus.mapWindow({ ...window, name: "nic1", base: 2 ** 40 + 4096 });
    const part = space.subregion(16, 16);
    const found = bus.spaceAt(2 ** 40, 8);
    bus.unmapWindow(space);
    for (const gone of [space, part, found]) {
      expect(() => gone.read4(0)).toThrow("nic0: offset 0, but the window is unmapped");
      expect(() => gone.write4(0, 1)).toThrow(Panic);
    }
    expect(() => bus.spaceAt(2 ** 40, 8)).toThrow(errno(Errno.ENXIO));
    expect(other.read4(0)).toBe(7);
    const again = bus.mapWindow(window); // the same object, in the same place
    expect([again.read4(0), bus.spaceAt(2 ** 40, 8).read1(3)]).toEqual([7, 7]);
    expect(() => space.read4(0)).toThrow(Panic);
  });

  test("is so once, as a whole, and on its own bus: else EINVAL", () => {
    const { bus } = machine();
    const space = bus.mapWindow(window);
    expect(() => bus.unmapWindow(space.subregion(0, 8))).toThrow("of which this is 0+8: EINVAL");
    expect(() => machine().bus.unmapWindow(space)).toThrow("not mapped: EINVAL");
    bus.unmapWindow(bus.spaceAt(2 ** 40, 4096));
    expect(() => bus.unmapWindow(space)).toThrow(errno(Errno.EINVAL));
  });
});

test("words go to and from arrays of words only", () => {
  const { bus } = machine();
  const space = bus.mapWindow({ name: "nic0", base: 2 ** 40, size: 4096, handler: REGISTERS });
  const octets = new Uint8Array(4) as never;
  for (const access of [
    () => space.readMulti4(0, octets),
    () => space.writeMulti4(0, octets),
    () => space.readRegion4(0, octets),
    () => space.writeRegion4(0, octets),
    () => space.readPair(0, octets),
  ]) {
    expect(access).toThrow(Panic);
  }
});

test("maintenance of a range that is none panics on every machine", () => {
  for (const { cpu } of [machine(), machine({ cache: { line: 64, random: source(1) } })]) {
    for (const [pa, length] of [
      [-64, 64],
      [0.5, 64],
      [Number.NaN, 64],
      [LOW, -1],
      [LOW, Number.NaN],
    ]) {
      const text = `cpu: maintenance of ${pa}+${length}`;
      expect(() => cpu.writeBack(pa, length)).toThrow(text);
      expect(() => cpu.invalidate(pa, length)).toThrow(text);
      expect(() => cpu.writeBackInvalidate(pa, length)).toThrow(text);
    }
    cpu.writeBackInvalidate(LOW, 0);
  }
});

test("moves by frame panic on a place, an offset or a length that is none, on every machine", () => {
  for (const { cpu, mem } of [machine(), machine({ cache: { line: 64, random: source(1) } })]) {
    const frame = mem.frameOf(HIGH);
    const data = ramp(8);
    for (const [offset, at, length] of [
      [0, 0.5, 4],
      [0, 0, 2.5],
      [0.5, 0, 4],
      [-1, 0, 4],
      [0, -1, 4],
      [0, 5, 4],
      [0, 0, Number.NaN],
      [Number.NaN, 0, 4],
    ]) {
      const copy = () => cpu.copyFrame(frame, offset, frame, 100 + at, length);
      if (at === 0) expect(copy).toThrow("cpu: copy of");
      expect(() => cpu.readFrame(frame, offset, data, at, length)).toThrow("of an array of 8");
      expect(() => cpu.writeFrame(frame, offset, data, at, length)).toThrow("of an array of 8");
    }
    expect([...data]).toEqual([...ramp(8)]);
  }
});
