/**
 * A toy device and its driver on machines of three kinds, under dmacheck: memory that the device
 * reaches, memory that must bounce, and caches that it does not snoop.
 *
 * The driver is correct, or has one mistake. Its device moves bytes at once, by bus addresses only.
 */
import { arm64Backend } from "@physio/arch-arm64";
import { x86Backend } from "@physio/arch-x86";
import type { DmaMap, DmaTag, SegList, TagOptions } from "@physio/busdma";
import { createTag, FIXED, Sync } from "@physio/busdma";
import { BouncePool } from "@physio/busdma-bounce";
import type { Dmacheck } from "@physio/dmacheck";
import { dmacheck } from "@physio/dmacheck";
import type { Bytes, VirtAddr } from "@physio/kern";
import { GiB, KiB, MAXADDR, MAXADDR_32BIT, MiB } from "@physio/kern";
import type { DevicePort } from "@physio/membus";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";

export const KINDS = Object.freeze(["x86", "x86 that bounces", "arm64"] as const);
export type Kind = (typeof KINDS)[number];

const { PREREAD, PREWRITE, POSTREAD, POSTWRITE } = Sync;

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export function numbers(seed: number): { next(): number } {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  return { next };
}

export class ToyRig {
  readonly kmem: Kmem;
  readonly sched: Scheduler;
  readonly port: DevicePort;
  readonly check: Dmacheck;
  /** The device's tag. */
  readonly tag: DmaTag;
  readonly #reach: number;

  constructor(kind: Kind, all = true, maxPages = 64) {
    const low = { base: MiB, size: MiB };
    const mem = new PhysMem({ banks: [low, { base: 8 * GiB, size: 4 * MiB }] });
    this.sched = new Scheduler();
    const trace = new Trace();
    const cache = { line: 64, sets: 64, ways: 2, random: numbers(1) };
    const now = () => this.sched.now;
    const cached = kind === "arm64" ? { cache } : {};
    const membus = new Membus({ mem, trace, now, ...cached });
    this.kmem = new Kmem(mem, { cpu: membus.cpu });
    const { kmem } = this;
    const allocPage = (high: number) => {
      const frame = mem.allocContig(1, { high: Math.min(high, 2 * MiB - 1) });
      return frame < 0 ? -1 : mem.addrOf(frame);
    };
    const pool = new BouncePool({
      mem,
      cpu: membus.cpu,
      sched: this.sched,
      trace,
      sysctl: new SysctlTree(),
      maxPages,
      allocPage,
    });
    const inner = kind === "arm64" ? arm64Backend({ pool, kmem }) : x86Backend(pool, kmem);
    this.check = dmacheck(inner, { membus, all });
    const { backend } = this.check;
    const context = { backend, semantics: FIXED, kernelPmap: kmem.pmap, trace };
    this.#reach = kind === "x86 that bounces" ? MAXADDR_32BIT : MAXADDR;
    this.port = membus.devicePort({ name: "toy0", highest: this.#reach });
    this.tag = createTag(context, null, {});
    this.check.own(this.tag, "toy0");
  }

  child(options: TagOptions = {}): DmaTag {
    const given = { lowAddr: this.#reach, maxSize: 64 * KiB, segments: 32, lock: () => {} };
    return this.tag.child({ ...given, ...options });
  }
}

/** Mistakes, and the rule that names each. */
export const MISTAKES = Object.freeze({
  "loads again without an unload": "load-of-loaded",
  "unloads twice": "not-loaded",
  "syncs after the unload": "not-loaded",
  "forgets PREWRITE": "no-prewrite",
  "writes after PREWRITE": "no-prewrite",
  "forgets PREREAD": "no-preread",
  "forgets POSTREAD": "no-postread",
  "forgets POSTWRITE": "no-postwrite",
  "mixes PRE and POST": "mixed-sync",
  "keeps the segment list": "stale-segments",
  "retries after EFBIG": "efbig-kept",
  "destroys its loaded map": "destroy-of-loaded",
  "forgets a map": "map-leak",
  "unloads before the device is done": "stray-access",
  "loads one buffer twice": "overlap",
} as const);
export type Mistake = keyof typeof MISTAKES;

export class ToyDriver {
  readonly #rig: ToyRig;
  readonly #mistake: Mistake | null;
  readonly #tag: DmaTag;
  readonly #map: DmaMap;
  readonly #buffer: VirtAddr;
  readonly #size: Bytes;

  constructor(rig: ToyRig, mistake: Mistake | null, size: Bytes = 8 * KiB) {
    this.#rig = rig;
    this.#mistake = mistake;
    this.#tag = rig.child();
    this.#map = this.#tag.createMap();
    this.#buffer = rig.kmem.alloc(size);
    this.#size = size;
  }

  /** Give bytes to the device. @returns what it saw. */
  send(bytes: Uint8Array): Uint8Array {
    const { kmem } = this.#rig;
    const seen = new Uint8Array(this.#size);
    kmem.write(this.#buffer, bytes);
    const segs = this.#load(this.#map);
    if (this.#does("loads again without an unload")) this.#load(this.#map);
    if (!this.#does("forgets PREWRITE")) this.#map.sync(PREWRITE);
    if (this.#does("writes after PREWRITE")) kmem.write(this.#buffer, bytes.subarray(0, 64));
    if (this.#does("unloads before the device is done")) this.#map.unload();
    this.#each(segs, (addr, at, len) => this.#rig.port.read(addr, seen, at, len));
    if (this.#does("unloads before the device is done")) return seen;
    if (this.#does("mixes PRE and POST")) this.#map.sync(POSTWRITE | PREREAD);
    if (!this.#does("forgets POSTWRITE")) this.#map.sync(POSTWRITE);
    this.#map.unload();
    if (this.#does("syncs after the unload")) this.#map.sync(POSTREAD);
    return seen;
  }

  /** Have `bytes` from the device. @returns what the CPU saw. */
  receive(bytes: Uint8Array): Uint8Array {
    const got = new Uint8Array(this.#size);
    const segs = this.#load(this.#map);
    if (!this.#does("forgets PREREAD")) this.#map.sync(PREREAD);
    if (this.#does("loads one buffer twice")) {
      const other = this.#tag.createMap();
      this.#load(other);
      other.sync(PREREAD);
    }
    // It looks whether the answer is there already: not yet.
    this.#rig.kmem.read(this.#buffer, got);
    this.#each(segs, (addr, at, len) => this.#rig.port.write(addr, bytes, at, len));
    if (!this.#does("forgets POSTREAD")) this.#map.sync(POSTREAD);
    this.#rig.kmem.read(this.#buffer, got);
    if (this.#does("destroys its loaded map")) this.#map.destroy();
    this.#map.unload();
    if (this.#does("unloads twice")) this.#map.unload();
    return got;
  }

  /** A packet in too many pieces. */
  fragments(): void {
    const tag = this.#rig.child({ segments: 2, maxSegSize: 512 });
    const map = tag.createMap();
    map.load(this.#buffer, this.#size, () => {}, null);
    if (!this.#does("retries after EFBIG")) map.unload();
    map.load(this.#buffer, 1024, () => {}, null);
    map.unload();
    map.destroy();
    tag.destroy();
  }

  detach(): void {
    if (!this.#does("forgets a map")) this.#map.destroy();
    this.#tag.destroy();
  }

  #does(mistake: Mistake): boolean {
    return this.#mistake === mistake;
  }

  /** @returns [bus address, bytes] of the segments. */
  #load(map: DmaMap): [number, number][] {
    let kept: SegList | null = null;
    let segs: [number, number][] = [];
    map.load(
      this.#buffer,
      this.#size,
      (_arg, list) => {
        kept = list;
        segs = list.toArray().map((s) => [s.addr, s.len]);
      },
      null,
    );
    if (!this.#does("keeps the segment list")) return segs;
    return (kept as SegList | null)!.toArray().map((s) => [s.addr, s.len]);
  }

  #each(
    segs: readonly [number, number][],
    move: (addr: number, at: number, len: number) => void,
  ): void {
    let at = 0;
    for (const [addr, len] of segs) {
      move(addr, at, len);
      at += len;
    }
  }
}
