/**
 * A long random walk of maps over one small pool: at every step the pages add up, every loaded map
 * shows its own bytes to the device, and in the end all loads were answered and all pages are free.
 */
import type { DmaMap, DmaSemantics, DmaTag, SegList } from "@physio/busdma";
import { BusDma, FIXED, SEED, Sync } from "@physio/busdma";
import { Errno, PAGE_SIZE } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Run } from "./bytes.ts";
import { pattern } from "./bytes.ts";
import { SmallMachine, stateOf } from "./machine.ts";

const PAGE = PAGE_SIZE;
const STEPS = 5000;
const PAGES = 6;
const MAPS = 6;

interface Client {
  readonly map: DmaMap;
  readonly va: number;
  readonly bytes: Uint8Array;
  /** Callbacks that are due. */
  due: number;
  loaded: boolean;
}

class Walk {
  readonly machine: SmallMachine;
  readonly tags: readonly DmaTag[];
  readonly clients: readonly Client[];
  readonly #lists: boolean;
  /** Outcomes seen, to show that the walk goes everywhere. */
  readonly seen: Set<string>;

  constructor(semantics: DmaSemantics) {
    this.machine = new SmallMachine(8, semantics);
    this.#lists = semantics === FIXED;
    this.seen = new Set();
    const sizes = { maxSize: PAGES * PAGE, segments: 4, maxSegSize: 2 * PAGE };
    this.tags = [this.machine.tag(sizes), this.machine.tag({ ...sizes, segments: PAGES })];
    this.clients = Array.from({ length: MAPS }, (_, i) => {
      const tag = this.tags[i % 2];
      const bytes = pattern(i + 1, PAGES * PAGE);
      // Every other page is within reach.
      const frames = Array.from({ length: PAGES }, (_, p) => this.machine.frames(2, p % 3 < 2)[0]);
      const va = this.machine.map(frames);
      this.machine.kmem.write(va, bytes);
      return { map: this.#firstMap(tag), va, bytes, due: 0, loaded: false };
    });
  }

  #firstMap(tag: DmaTag): DmaMap {
    // The pool is smaller than what both tags want at first: the second attempt takes what there is.
    try {
      return tag.createMap();
    } catch {
      this.seen.add("no pages for a first map");
      return tag === this.tags[1] ? this.tags[0].createMap() : this.tags[1].createMap();
    }
  }

  /** One step out of three random numbers. */
  step(who: number, what: number, random: number): void {
    const client = this.clients[who % MAPS];
    const { map } = client;
    const action = what % 8;
    if (action < 4 && !client.loaded && !map.waiting) this.#load(client, what, random);
    else if (action < 7 && client.loaded) this.#unload(client);
    else if (action === 7) this.machine.sched.pump();
    this.#check();
  }

  #load(client: Client, what: number, random: number): void {
    const offset = random % (2 * PAGE);
    const length = 1 + ((random >>> 4) % (PAGES * PAGE - offset));
    const flags = what % 16 < 8 ? BusDma.NOWAIT : BusDma.WAITOK;
    const callback = (_arg: null, segs: SegList, _count: number, error: Errno) => {
      client.due--;
      client.loaded = true;
      this.seen.add(`callback ${error}`);
      if (error !== Errno.OK) return;
      const runs = segs.toArray().map((s): Run => [s.addr as number, s.len]);
      client.map.sync(Sync.PREWRITE);
      const got = this.machine.deviceRead(runs);
      expect(got).toEqual(client.bytes.subarray(offset, offset + length));
    };
    client.due++;
    const start = client.va + offset;
    const first = Math.floor(length / 2);
    const asList = this.#lists && random % 3 === 0 && first > 0;
    const error = asList
      ? client.map.loadMem(
          {
            kind: "vlist",
            list: [
              { base: start, length: first },
              { base: start + first, length: length - first },
            ],
          },
          callback,
          null,
          flags,
        )
      : client.map.load(start, length, callback, null, flags);
    this.seen.add(`load ${error}`);
  }

  #unload(client: Client): void {
    client.map.unload();
    client.loaded = false;
  }

  #check(): void {
    this.machine.counts();
    const [zone] = this.machine.pool.zones;
    let [active, reserved] = [0, 0];
    for (const { map, due, loaded } of this.clients) {
      active += stateOf(map).pages.count;
      reserved += stateOf(map).reserved;
      expect(map.waiting).toBe(due > 0);
      if (loaded) expect(due).toBe(0);
    }
    expect([zone.active, zone.reserved]).toEqual([active, reserved]);
  }

  /** Unload what is loaded until nobody waits. */
  finish(): void {
    for (let rounds = 0; rounds <= MAPS; rounds++) {
      this.machine.sched.pump();
      for (const client of this.clients) if (client.loaded) this.#unload(client);
    }
    this.machine.sched.pump();
    this.#check();
    expect(this.clients.map((client) => client.due)).toEqual(this.clients.map(() => 0));
  }
}

const steps = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), {
  minLength: STEPS,
  maxLength: STEPS,
});

for (const seed of [1, 2]) {
  test(`${STEPS} steps under fixed, seed ${seed}: pages add up, everybody is served, nothing is left`, () => {
    const walk = new Walk(FIXED);
    for (const [who, what, random] of fc.sample(steps, { seed, numRuns: 1 })[0]) {
      walk.step(who, what, random);
    }
    walk.finish();
    const { OK, EFBIG, ENOMEM, EINPROGRESS } = Errno;
    for (const error of [OK, EFBIG, ENOMEM]) expect(walk.seen).toContain(`callback ${error}`);
    for (const error of [OK, ENOMEM, EINPROGRESS]) expect(walk.seen).toContain(`load ${error}`);
    walk.machine.tearDown(
      walk.clients.map((client) => client.map),
      walk.tags,
    );
  });
}

test(`${STEPS} steps under seed: pages add up`, () => {
  const walk = new Walk(SEED);
  for (const [who, what, random] of fc.sample(steps, { seed: 4, numRuns: 1 })[0]) {
    walk.step(who, what, random);
  }
  expect(walk.seen).toContain(`load ${Errno.EINPROGRESS}`);
});
