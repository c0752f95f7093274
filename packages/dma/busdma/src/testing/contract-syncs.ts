/** The contract of sync: what each operation must have brought about, and what it must leave alone. */
import type { PhysAddr, VirtAddr } from "@physio/kern";
import { PAGE_SIZE } from "@physio/kern";
import { BusDma, Sync } from "../flags.ts";
import type { DmaMap } from "../map.ts";
import type { Segment } from "../seg-list.ts";
import type { DmaTag } from "../tag.ts";
import { Bed, must, mustEqual, pattern } from "./bed.ts";
import type { KitCase } from "./suite.ts";
import type { MakeBackend } from "./under-test.ts";
import { HIGH_BANK, LOW_BANK, REACH } from "./under-test.ts";

const PAGE = PAGE_SIZE;
const BEFORE = 100;
const LENGTH = 2 * PAGE;
const WHOLE = 3 * PAGE;
const { PREREAD, PREWRITE, POSTREAD, POSTWRITE } = Sync;

/** One transfer in hand: two pages in the middle of three. */
class Transfer {
  readonly bed: Bed;
  readonly tag: DmaTag;
  readonly map: DmaMap;
  readonly va: VirtAddr;
  readonly other: VirtAddr;
  readonly segs: readonly Segment[];
  /** What the client's pages hold, as far as the CPU is concerned. */
  readonly bytes: Uint8Array;

  constructor(make: MakeBackend, bank: PhysAddr, flags: BusDma = 0) {
    this.bed = new Bed(make, 16, 1);
    this.tag = this.bed.tag({ lowAddr: REACH, maxSize: 4 * PAGE, flags });
    this.map = this.tag.createMap();
    this.va = this.bed.buffer(3, bank);
    this.other = this.bed.buffer(8, LOW_BANK);
    this.bytes = pattern(1, WHOLE);
    this.bed.unit.kmem.write(this.va, this.bytes);
    this.segs = this.bed.loaded(this.map, this.va + BEFORE, LENGTH);
  }

  /** What is the device's. */
  get data(): Uint8Array {
    return this.bytes.subarray(BEFORE, BEFORE + LENGTH);
  }

  /** The CPU does other things: dirty lines of the transfer leave its caches. */
  churn(): void {
    this.bed.cpuRead(this.other, 8 * PAGE);
  }

  /** The CPU stores something else everywhere. */
  store(seed: number): void {
    this.bytes.set(pattern(seed, WHOLE));
    this.bed.unit.kmem.write(this.va, this.bytes);
  }

  /** The device writes everything. */
  deviceWrite(seed: number): void {
    this.data.set(pattern(seed, LENGTH));
    this.bed.deviceWrite(this.tag, this.segs, this.data);
  }

  deviceSees(): void {
    mustEqual(this.bed.deviceRead(this.tag, this.segs), this.data, "what the device reads");
  }

  clientHas(): void {
    mustEqual(this.bed.cpuRead(this.va, WHOLE), this.bytes, "what the client has");
  }

  end(): void {
    this.clientHas();
    this.bed.tearDown([this.map], [this.tag]);
  }
}

function toDevice(t: Transfer): void {
  t.store(2);
  t.map.sync(PREWRITE);
  t.deviceSees();
  t.map.sync(POSTWRITE);
  t.clientHas();
  t.store(3);
  t.map.sync(PREWRITE);
  t.deviceSees();
  t.map.sync(POSTWRITE);
}

function fromDevice(t: Transfer): void {
  t.map.sync(PREREAD);
  t.bed.cpuRead(t.va, WHOLE); // what it has now is nobody's business, but caches may keep it
  t.deviceWrite(2);
  t.churn();
  t.map.sync(POSTREAD);
  t.clientHas();
  t.store(3);
  t.map.sync(PREREAD);
  t.deviceWrite(4);
  t.churn();
  t.map.sync(POSTREAD);
}

function bothWays(t: Transfer): void {
  t.store(2);
  t.map.sync(PREREAD | PREWRITE);
  t.deviceSees();
  // The device writes a part only: the rest stays the client's.
  const [first] = t.segs;
  const part = { addr: first.addr + 10, len: 30 };
  t.data.set(pattern(3, 30), 10);
  t.bed.deviceWrite(t.tag, [part], pattern(3, 30));
  t.map.sync(POSTREAD | POSTWRITE);
}

function ring(t: Transfer): void {
  t.map.sync(PREREAD | PREWRITE);
  for (let round = 2; round < 6; round++) {
    t.deviceWrite(round);
    // One call ends a transfer and begins the next.
    t.map.sync(POSTREAD | PREWRITE);
    t.clientHas();
    t.deviceSees();
    t.map.sync(PREREAD);
  }
  t.deviceWrite(7);
  t.map.sync(POSTREAD | POSTWRITE);
}

function forgotten(make: MakeBackend): void {
  const t = new Transfer(make, HIGH_BANK, BusDma.COHERENT);
  t.map.sync(PREREAD);
  t.bed.deviceWrite(t.tag, t.segs, pattern(2, LENGTH));
  t.map.unload();
  t.end();
}

function apart(make: MakeBackend): void {
  const t = new Transfer(make, HIGH_BANK);
  const other = t.tag.createMap();
  const va = t.bed.buffer(2, HIGH_BANK);
  const bytes = pattern(9, 2 * PAGE);
  t.bed.unit.kmem.write(va, bytes);
  const segs = t.bed.loaded(other, va, 2 * PAGE);
  other.sync(PREWRITE);
  t.map.sync(PREREAD);
  t.deviceWrite(5);
  mustEqual(t.bed.deviceRead(t.tag, segs), bytes, "what the device reads for the other map");
  t.map.sync(POSTREAD);
  t.clientHas();
  other.sync(POSTWRITE);
  mustEqual(t.bed.cpuRead(va, 2 * PAGE), bytes, "the other map's client");
  other.unload();
  must(other.destroy() === 0, "destroy of the other map");
  t.end();
}

const WORK: readonly (readonly [string, (t: Transfer) => void])[] = [
  ["PREWRITE gives the device what the CPU stored, POSTWRITE changes nothing", toDevice],
  ["PREREAD and POSTREAD give the client what the device wrote, and nothing beside it", fromDevice],
  ["both directions at once keep what the device did not write", bothWays],
  ["one call that ends a transfer and begins the next does both", ring],
];

export function syncCases(make: MakeBackend): KitCase[] {
  const kinds: readonly (readonly [string, PhysAddr, BusDma])[] = [
    ["in place", LOW_BANK, 0],
    ["out of reach", HIGH_BANK, 0],
    ["out of reach, page offsets kept", HIGH_BANK, BusDma.KEEP_PG_OFFSET],
  ];
  const cases = WORK.flatMap(([name, work]) =>
    kinds.map(([kind, bank, flags]) => ({
      name: `data ${kind}: ${name}`,
      run: () => {
        const transfer = new Transfer(make, bank, flags);
        work(transfer);
        transfer.end();
      },
    })),
  );
  return [
    ...cases,
    { name: "unload copies nothing", run: () => forgotten(make) },
    { name: "two transfers do not touch each other", run: () => apart(make) },
  ];
}
