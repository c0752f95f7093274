/**
 * Bytes on every kind of machine: right syncs give right bytes, whatever is loaded under whatever
 * constraints, and whenever the cache evicts or reads ahead; where devices do not snoop, each sync
 * that a driver leaves out gives wrong ones.
 */
import { x86Backend } from "@physio/arch-x86";
import { BusDma, Sync } from "@physio/busdma";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { source } from "../src/backends.ts";
import type { CachedKind } from "../src/cached-machine.ts";
import {
  arm64Machine,
  CACHED_KINDS,
  CachedMachine,
  HIGH,
  LINE,
  pattern,
  REACH,
  riscvMachine,
  seeds,
} from "../src/cached-machine.ts";
import type { Client, Draw, Form } from "../src/transfer.ts";
import { complaint, drawClient, drawConstraints, FORMS, memdescOf } from "../src/transfer.ts";

const PAGE = PAGE_SIZE;
const ALL = process.env.PHYSIO_ALL !== undefined; // CI sets it

/** Bytes of all client pages as they must be: the plain array of the model. */
class Model {
  readonly bytes: Uint8Array;
  readonly #machine: CachedMachine;
  readonly #client: Client;

  constructor(machine: CachedMachine, client: Client, seed: number) {
    this.#machine = machine;
    this.#client = client;
    this.bytes = pattern(seed, client.ma.length * PAGE);
    machine.kmem.write(client.va, this.bytes);
  }

  /** The transfer's bytes. */
  get(): Uint8Array {
    return Uint8Array.from(
      this.#client.ranges.flatMap(([at, n]) => [...this.bytes.subarray(at, at + n)]),
    );
  }

  /** What the device wrote. */
  set(data: Uint8Array): void {
    let done = 0;
    for (const [at, n] of this.#client.ranges) {
      this.bytes.set(data.subarray(done, done + n), at);
      done += n;
    }
  }

  /** The CPU stores beside the transfer, or touches anything of it. */
  noise(draw: Draw, stores: boolean): void {
    const { va, ranges } = this.#client;
    for (let i = draw(6); i > 0; i--) {
      const at = draw(this.bytes.length);
      if (stores && ranges.every(([from, n]) => at < from || at >= from + n)) {
        this.bytes[at] = draw(256);
        this.#machine.kmem.write(va + at, this.bytes.subarray(at, at + 1));
      } else this.#machine.cpuRead(va + at, 1);
    }
  }

  check(): void {
    expect(this.#machine.cpuRead(this.#client.va, this.bytes.length)).toEqual(this.bytes);
  }
}

interface Kind {
  readonly name: string;
  readonly runs: number;
  readonly make: (seed: number) => CachedMachine;
  /** Whether the CPU may store beside the data of `form` while a device works. */
  readonly storesBeside: (form: Form) => boolean;
}

const always = (): boolean => true;
const coherent = { cache: null, backend: { coherent: true } } as const;

const kinds: readonly Kind[] = [
  {
    name: "x86",
    runs: 20,
    make: (seed) =>
      new CachedMachine(({ pool, kmem }) => x86Backend(pool, kmem), { seed, cache: null }),
    storesBeside: always,
  },
  {
    name: "arm64",
    runs: 40,
    make: (seed) => arm64Machine({ seed }),
    // Neighbours of an mbuf's data are left alone: that is what frees it of the line rule.
    storesBeside: (form) => form !== "mbuf",
  },
  {
    name: "coherent arm64",
    runs: 15,
    make: (seed) => arm64Machine({ seed, ...coherent }),
    storesBeside: always,
  },
  {
    name: "riscv",
    runs: 30,
    make: (seed) => riscvMachine({ seed }),
    storesBeside: () => false, // there is no line rule
  },
  {
    name: "coherent riscv",
    runs: 15,
    make: (seed) => riscvMachine({ seed, ...coherent }),
    storesBeside: always,
  },
];

function transfer(kind: Kind, seed: number, form: Form): Errno {
  const random = source(seed);
  const draw = (n: number) => random.next() % n;
  const machine = kind.make(seed);
  const tag = machine.tag(drawConstraints(draw));
  const map = tag.createMap();
  const client = drawClient(machine, draw, form);
  const model = new Model(machine, client, seed);
  const stores = kind.storesBeside(form);
  const answer = map.loadMem(memdescOf(machine, client, form), machine.note(), null, BusDma.NOWAIT);
  const { error, segs } = machine.last();
  expect([Errno.OK, Errno.EFBIG, Errno.ENOMEM]).toContain(error);
  expect(answer).toBe(error === Errno.ENOMEM ? error : Errno.OK);
  if (error === Errno.OK) {
    expect(complaint(tag, segs, client.length)).toBeNull();
    for (let round = draw(3); round >= 0; round--) {
      const [write, read] = [draw(2) === 0, draw(2) === 0];
      map.sync((write ? Sync.PREWRITE : 0) | (read || !write ? Sync.PREREAD : 0));
      model.noise(draw, stores);
      if (write) expect(machine.deviceRead(segs)).toEqual(model.get());
      model.noise(draw, stores);
      if (read || !write) {
        const data = pattern(seed + round + 1, client.length);
        machine.deviceWrite(segs, data);
        model.noise(draw, stores);
        map.sync(Sync.POSTREAD | (write ? Sync.POSTWRITE : 0));
        model.set(data);
      } else map.sync(Sync.POSTWRITE);
      model.check();
      model.noise(draw, true);
    }
  }
  map.unload();
  model.check();
  machine.tearDown([map], [tag]);
  expect(machine.device.faultCount).toBe(0);
  return error;
}

for (const kind of kinds) {
  describe(`on ${kind.name}`, () => {
    for (const form of FORMS) {
      test(`right syncs give right bytes for any ${form}`, () => {
        const errors = seeds(ALL ? 120 : kind.runs).map((seed) => {
          try {
            return transfer(kind, seed, form);
          } catch (error) {
            throw new Error(`replay: PHYSIO_SEED=${seed}`, { cause: error });
          }
        });
        const good = errors.filter((error) => error === Errno.OK);
        expect(good.length).toBeGreaterThan(errors.length / 3);
      });
    }
  });
}

// ---- each sync that is left out

/** Bytes that a line may hold back, and none that chance moves. */
const STILL = { evictOneIn: 0x4000_0000, prefetchOneIn: 0x4000_0000, sets: 1024, ways: 4 };

interface Place {
  readonly name: string;
  readonly offset: number;
  readonly lowAddr?: number;
}

const places: readonly Place[] = [
  { name: "used in place", offset: 0 },
  { name: "bounced for its address", offset: 0, lowAddr: REACH },
  { name: "in parts of lines", offset: 1 },
];
const LENGTH = 4 * LINE - 2;

function leftOut(make: CachedKind["make"]): void {
  for (const { name, offset, lowAddr } of places) {
    const start = () => {
      const machine = make({ cache: STILL });
      const tag = machine.tag(lowAddr === undefined ? {} : { lowAddr });
      const map = tag.createMap();
      const va = machine.buffer(1) + offset;
      const length = offset === 0 ? 4 * LINE : LENGTH;
      const [old, data] = [pattern(1, length), pattern(2, length)];
      machine.kmem.write(va, old);
      expect(machine.load(map, va, length)).toBe(Errno.OK);
      return { machine, map, va, length, old, data, segs: machine.last().segs };
    };

    test(`data ${name}: without PREWRITE the device reads stale bytes`, () => {
      const { machine, map, old, segs } = start();
      expect(machine.deviceRead(segs)).not.toEqual(old);
      map.sync(Sync.PREWRITE);
      expect(machine.deviceRead(segs)).toEqual(old);
    });

    test(`data ${name}: without POSTREAD the CPU reads stale bytes`, () => {
      const { machine, map, va, length, data, segs } = start();
      map.sync(Sync.PREREAD);
      machine.cpuRead(va, length); // a line read ahead
      machine.deviceWrite(segs, data);
      expect(machine.cpuRead(va, length)).not.toEqual(data);
      map.sync(Sync.POSTREAD);
      expect(machine.cpuRead(va, length)).toEqual(data);
    });
  }
}

function dirtyLines(make: CachedKind["make"]): void {
  test("without PREREAD a dirty line falls on what the device wrote", () => {
    for (const pre of [true, false]) {
      const machine = make({ cache: STILL });
      const map = machine.tag().createMap();
      const va = machine.buffer(1);
      const [old, data] = [pattern(1, PAGE), pattern(2, PAGE)];
      machine.kmem.write(va, old);
      expect(machine.load(map, va, PAGE)).toBe(Errno.OK);
      if (pre) map.sync(Sync.PREREAD);
      machine.deviceWrite(machine.last().segs, data);
      // The cache needs the room, as it does sooner or later.
      machine.bus.cpu.writeBack(machine.kmem.pmap.extract(va), PAGE);
      map.sync(Sync.POSTREAD);
      expect(machine.cpuRead(va, PAGE)).toEqual(pre ? data : old);
    }
  });

  test("without PREREAD a dirty line falls on a bounce page, too", () => {
    for (const pre of [true, false]) {
      const machine = make({ cache: STILL });
      const tag = machine.tag({ lowAddr: REACH });
      const map = tag.createMap();
      const va = machine.buffer(1);
      const data = pattern(2, PAGE);
      expect(machine.load(map, va, PAGE)).toBe(Errno.OK);
      const { segs } = machine.last();
      machine.bus.cpu.write(segs[0][0], pattern(1, PAGE)); // the page's last use left it dirty
      if (pre) map.sync(Sync.PREREAD);
      machine.deviceWrite(segs, data);
      machine.bus.cpu.writeBack(segs[0][0], PAGE);
      map.sync(Sync.POSTREAD);
      expect(machine.cpuRead(va, PAGE)).toEqual(pre ? data : pattern(1, PAGE));
    }
  });
}

function withoutLines(make: CachedKind["make"]): void {
  test("uncached memory needs no sync, and has no lines", () => {
    for (const flags of [BusDma.COHERENT, BusDma.NOCACHE]) {
      const machine = make();
      const tag = machine.tag({ maxSize: 2 * PAGE });
      const memory = tag.allocMem(flags)!;
      const at = memory.load();
      const { va } = memory.memory;
      machine.kmem.write(va, pattern(1, 2 * PAGE));
      expect(machine.deviceRead([[at, 2 * PAGE]])).toEqual(pattern(1, 2 * PAGE));
      machine.deviceWrite([[at, 2 * PAGE]], pattern(2, 2 * PAGE));
      expect(machine.cpuRead(va, 2 * PAGE)).toEqual(pattern(2, 2 * PAGE));
      memory.map.sync(Sync.PREREAD | Sync.PREWRITE);
      memory.map.sync(Sync.POSTREAD);
      expect(machine.calls).toEqual([]);
      memory.map.unload();
      memory.free();
      machine.tearDown([], [tag]);
    }
  });

  test("cached memory needs its syncs", () => {
    const machine = make({ cache: STILL });
    const tag = machine.tag({ maxSize: 100 });
    const memory = tag.allocMem()!;
    const at = memory.load();
    machine.kmem.write(memory.memory.va, pattern(1, 100));
    expect(machine.deviceRead([[at, 100]])).not.toEqual(pattern(1, 100));
    memory.map.sync(Sync.PREWRITE);
    expect(machine.deviceRead([[at, 100]])).toEqual(pattern(1, 100));
    memory.map.unload();
    memory.free();
    machine.tearDown([], [tag]);
  });

  test("a coherent tag bounces for its reach, and makes no cache call", () => {
    const machine = make({ cache: null });
    const tag = machine.tag({ lowAddr: REACH, flags: BusDma.COHERENT });
    const child = machine.tag({ lowAddr: HIGH * 2 }, tag);
    for (const t of [tag, child]) {
      const map = t.createMap();
      const va = machine.buffer(2) + 10;
      machine.kmem.write(va, pattern(1, PAGE));
      expect(machine.load(map, va, PAGE)).toBe(Errno.OK);
      map.sync(Sync.PREWRITE | Sync.PREREAD);
      expect(machine.deviceRead(machine.last().segs)).toEqual(pattern(1, PAGE));
      machine.deviceWrite(machine.last().segs, pattern(2, PAGE));
      map.sync(Sync.POSTREAD);
      expect(machine.cpuRead(va, PAGE)).toEqual(pattern(2, PAGE));
      map.unload();
      expect(map.destroy()).toBe(Errno.OK);
    }
    expect(machine.calls).toEqual([]);
    machine.tearDown([], [child, tag]);
  });
}

for (const { name, make } of CACHED_KINDS) {
  describe(`on ${name}`, () => {
    leftOut(make);
    dirtyLines(make);
    withoutLines(make);
  });
}

test("arm64: the line rule keeps what the CPU stores beside a buffer while the device writes it", () => {
  const machine = arm64Machine({ cache: STILL });
  const map = machine.tag().createMap();
  const page = machine.buffer(1);
  const [data, beside] = [pattern(1, 100), pattern(2, 20)];
  expect(machine.load(map, page + 20, 100)).toBe(Errno.OK);
  map.sync(Sync.PREREAD);
  machine.kmem.write(page, beside);
  machine.kmem.write(page + 120, beside);
  machine.deviceWrite(machine.last().segs, data);
  map.sync(Sync.POSTREAD);
  expect(machine.cpuRead(page, 140)).toEqual(Uint8Array.from([...beside, ...data, ...beside]));
});
