/** dmacheck over real backends: each mistake of a driver is named, and correct drivers are not. */
import type { DmaMap, LoadCallback } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import { Errno, KiB, Panic } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { Kind, Mistake } from "../src/toy-dma.ts";
import { KINDS, MISTAKES, numbers, ToyDriver, ToyRig } from "../src/toy-dma.ts";

const SIZE = 8 * KiB;
const OUT = Uint8Array.from({ length: SIZE }, (_, i) => (i * 7 + 1) % 251);
const IN = Uint8Array.from({ length: SIZE }, (_, i) => (i * 11 + 5) % 253);
const { PREREAD, PREWRITE, POSTREAD, POSTWRITE } = Sync;

/** All that the driver does. @returns what each side saw. */
function drive(rig: ToyRig, mistake: Mistake | null) {
  const driver = new ToyDriver(rig, mistake);
  const seen = driver.send(OUT);
  const got = driver.receive(IN);
  driver.fragments();
  driver.detach();
  return { seen, got };
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe.each(KINDS)("%s", (kind) => {
  test("a correct driver moves its bytes and is not named", () => {
    const rig = new ToyRig(kind);
    const { seen, got } = drive(rig, null);
    expect([same(seen, OUT), same(got, IN)]).toEqual([true, true]);
    expect(rig.check.report()).toBe("dmacheck: no findings");
  });

  test.each(Object.entries(MISTAKES))("a driver that %s breaks %s", (mistake, rule) => {
    const rig = new ToyRig(kind, false);
    try {
      drive(rig, mistake as Mistake);
    } catch (error) {
      if (!(error instanceof Panic)) throw error; // arm64 takes no mixed syncs
    }
    expect(rig.check.findings.map((finding) => finding.rule.id)).toEqual([rule]);
    expect(rig.check.findings[0].owner).toBe("toy0");
  });
});

test("a driver that forgets POSTREAD works on x86 and reads stale lines on arm64; it is named on both", () => {
  const worked = (["x86", "arm64"] as const).map((kind) => {
    const rig = new ToyRig(kind, false);
    const { got } = drive(rig, "forgets POSTREAD");
    expect(rig.check.findings.map((finding) => finding.rule.id)).toEqual(["no-postread"]);
    return same(got, IN);
  });
  expect(worked).toEqual([true, false]);
});

/** One buffer and its map in a walk of legal operations. */
class Walker {
  readonly #rig: ToyRig;
  readonly #next: () => number;
  readonly #map: DmaMap;
  readonly #va: number;
  readonly #bytes: Uint8Array;
  #segs: [number, number][] = [];
  #loaded = false;
  /** Legal for the device now, and what a POST is owed for. */
  #mayRead = false;
  #mayWrite = false;
  #didRead = false;
  #didWrite = false;

  constructor(rig: ToyRig, map: DmaMap, next: () => number) {
    this.#rig = rig;
    this.#map = map;
    this.#next = next;
    this.#va = rig.kmem.alloc(SIZE);
    this.#bytes = new Uint8Array(SIZE);
  }

  step(): void {
    if (this.#map.waiting) return;
    const what = this.#next() % 8;
    if (what === 0) this.#touch(true);
    else if (what === 1) this.#touch(false);
    else if (!this.#loaded) this.#load();
    else if (what < 4) this.#pre();
    else if (what === 4) this.#post();
    else if (what < 7) this.#device();
    else this.#unload();
  }

  finish(): void {
    if (this.#map.waiting || !this.#loaded) return;
    this.#map.sync(POSTREAD | POSTWRITE);
    this.#didRead = false;
    this.#didWrite = false;
    this.#unload();
  }

  get map(): DmaMap {
    return this.#map;
  }

  #touch(write: boolean): void {
    if (this.#didWrite || (write && this.#didRead)) return;
    const at = this.#next() % SIZE;
    const part = this.#bytes.subarray(0, 1 + (this.#next() % (SIZE - at)));
    if (write) {
      this.#rig.kmem.write(this.#va + at, part);
      this.#mayRead = false;
      this.#mayWrite = false;
    } else this.#rig.kmem.read(this.#va + at, part);
  }

  #load(): void {
    const at = this.#next() % SIZE;
    const length = 1 + (this.#next() % (SIZE - at));
    const cut = this.#next() % length;
    const done: LoadCallback<null> = (_arg, segs, _count, error) => {
      if (error !== Errno.OK) {
        this.#map.unload();
        return;
      }
      this.#segs = segs.toArray().map((s) => [s.addr, s.len]);
      this.#loaded = true;
      this.#mayRead = false;
      this.#mayWrite = false;
    };
    if (cut === 0 || this.#next() % 2 === 0) this.#map.load(this.#va + at, length, done, null);
    else {
      const list = [
        { base: this.#va + at, length: cut },
        { base: this.#va + at + cut, length: length - cut },
      ];
      this.#map.loadMem({ kind: "vlist", list }, done, null);
    }
  }

  #pre(): void {
    const ops = [PREREAD, PREWRITE, PREREAD | PREWRITE][this.#next() % 3];
    this.#map.sync(ops);
    if ((ops & PREWRITE) !== 0) this.#mayRead = true;
    if ((ops & PREREAD) !== 0) this.#mayWrite = true;
  }

  #post(): void {
    const ops = [POSTREAD, POSTWRITE, POSTREAD | POSTWRITE][this.#next() % 3];
    this.#map.sync(ops);
    if ((ops & POSTWRITE) !== 0) this.#didRead = false;
    if ((ops & POSTREAD) === 0) return;
    if (this.#didWrite) this.#mayWrite = false;
    this.#didWrite = false;
  }

  #device(): void {
    const write = this.#next() % 2 === 0;
    if (write ? !this.#mayWrite : !this.#mayRead) return;
    const [addr, len] = this.#segs[this.#next() % this.#segs.length];
    const at = this.#next() % len;
    const part = this.#bytes.subarray(0, 1 + (this.#next() % (len - at)));
    if (write) {
      this.#rig.port.write(addr + at, part);
      this.#didWrite = true;
    } else {
      this.#rig.port.read(addr + at, part);
      this.#didRead = true;
    }
  }

  #unload(): void {
    if (this.#didRead || this.#didWrite) return;
    this.#map.unload();
    this.#loaded = false;
  }
}

function walk(kind: Kind, seed: number, steps: number): string {
  const rig = new ToyRig(kind, true, 6);
  const random = numbers(seed);
  const next = () => random.next();
  const tag = rig.child({ maxSize: SIZE });
  const walkers = Array.from({ length: 5 }, () => new Walker(rig, tag.createMap(), next));
  for (let i = 0; i < steps; i++) {
    walkers[next() % walkers.length].step();
    if (next() % 16 === 0) rig.sched.pump();
  }
  // Those who wait get their pages from those who end.
  while (walkers.some((w) => w.map.waiting)) {
    for (const walker of walkers) walker.finish();
    rig.sched.pump();
  }
  for (const walker of walkers) {
    walker.finish();
    expect(walker.map.destroy()).toBe(Errno.OK);
  }
  expect(tag.destroy()).toBe(Errno.OK);
  return rig.check.report();
}

test.each(KINDS)("%s: random walks of legal operations give no finding", (kind) => {
  for (let seed = 1; seed <= 12; seed++) {
    expect(walk(kind, seed, 2500), `seed ${seed}`).toBe("dmacheck: no findings");
  }
});
