/**
 * Worker of the M2, M4 and M5 rows: translation, switches and copies, and what each is held against.
 */
import type { VirtAddr } from "@physio/kern";
import { GiB, PAGE_SIZE } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem, Prot } from "@physio/pmap";
import { byteCases, COPY, scattered } from "./byte-cases.ts";
import type { Case, Rounds } from "./cases.ts";
import { boxed, makeCase, measureRounds, sink, warm } from "./cases.ts";
import { memoryCases, newMemory } from "./memory-cases.ts";
import { Random } from "./random.ts";
import { timeCases } from "./time-cases.ts";

const PAGE = PAGE_SIZE;
const MAPPINGS = 2 ** 20;
const LEAF = 512;
/** A slice: some milliseconds, less than a turn of the host's scheduler. */
const LOOKUPS = MAPPINGS / 32;
const BASE = 4 * GiB;
/** Buffers of 64 KiB on either side: together more than the nearest caches hold. */
const BUFFERS = 64;
const COPIES = 256;
const ROUNDS = 5;
const SLICES = 16;

/** A page table without anything else: an array of leaves of frames. */
class PlainTable {
  readonly leaves: (Int32Array | null)[];

  constructor(base: VirtAddr, pages: number) {
    const first = base / PAGE / LEAF;
    this.leaves = Array.from({ length: first + pages / LEAF }, (_, i) =>
      i < first ? null : new Int32Array(LEAF).fill(-1),
    );
  }

  set(va: VirtAddr, frame: number): void {
    const page = Math.floor(va / PAGE);
    this.leaves[Math.floor(page / LEAF)]![page % LEAF] = frame;
  }

  extract(va: VirtAddr): number {
    const page = Math.floor(va / PAGE);
    const leaf = this.leaves[(page / LEAF) | 0];
    if (leaf === null) return -1;
    const frame = leaf[page & (LEAF - 1)];
    return frame < 0 ? -1 : frame * PAGE + (va & (PAGE - 1));
  }
}

/** M2: a million mappings to random frames, looked up in random order. */
function extractCases(): Case[] {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: 2 * GiB },
      { base: 4 * GiB, size: 6 * GiB },
    ],
  });
  const user = new Kmem(mem).pmaps.create("user");
  const plain = new PlainTable(BASE, MAPPINGS);
  const random = new Random(11);
  const frames = random.order(MAPPINGS);
  const order = random.order(MAPPINGS);
  const first = mem.allocContig(MAPPINGS);
  const vas = Float64Array.from(order, (page) => BASE + page * PAGE + random.below(PAGE));
  for (let i = 0; i < MAPPINGS; i++) {
    user.kenter(BASE + i * PAGE, first + frames[i], Prot.READ);
    plain.set(BASE + i * PAGE, frames[i]);
  }
  // Both go through the whole sequence, a slice at a time.
  let [ours, theirs] = [0, 0];
  const extract = makeCase("extract a million", LOOKUPS, (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += user.extract(vas[ours]);
      ours = (ours + 1) % MAPPINGS;
    }
    sink.total += sum;
  });
  const peer = makeCase("plain table", LOOKUPS, (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += plain.extract(vas[theirs]);
      theirs = (theirs + 1) % MAPPINGS;
    }
    sink.total += sum;
  });
  return [extract, peer];
}

function copies(name: string, body: (buffer: number) => void): Case {
  return makeCase(name, COPIES, (n) => {
    for (let i = 0; i < n; i++) body(i % BUFFERS);
  });
}

/** M5: 64 KiB between kernel memory and the host, and between two arrays of the host. */
function copyCases(): Case[] {
  const kmem = new Kmem(newMemory());
  const { space } = kmem;
  const make = () => Array.from({ length: BUFFERS }, (_, i) => new Uint8Array(COPY).fill(i + 1));
  const [host, from] = [make(), make()];
  const kernel = boxed(Array.from({ length: BUFFERS }, () => kmem.alloc(COPY)));
  const pieces = boxed(Array.from({ length: BUFFERS }, () => scattered(kmem, 17) + 0x234));
  for (let i = 0; i < BUFFERS; i++) {
    kmem.write(kernel[i], from[i]);
    kmem.write(pieces[i], from[i]);
  }
  return [
    copies("in", (i) => space.copyin(kernel[i], host[i], 0, COPY)),
    copies("out", (i) => space.copyout(kernel[i], host[i], 0, COPY)),
    copies("in, scattered", (i) => space.copyin(pieces[i], host[i], 0, COPY)),
    copies("out, scattered", (i) => space.copyout(pieces[i], host[i], 0, COPY)),
    copies("memcpy", (i) => host[i].set(from[i])),
  ];
}

export function measurePaths(): Rounds {
  const others = [...memoryCases(), ...byteCases(), ...timeCases()];
  const own = [...extractCases(), ...copyCases()];
  warm([...others, ...own]);
  const switches = others.filter(({ name }) => ["bare", "block", "sleep"].includes(name));
  return measureRounds([...own, ...switches], others, ROUNDS, SLICES);
}
