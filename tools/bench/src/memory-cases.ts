/**
 * Cases of frames, addresses, mappings and kernel memory.
 */
import type { VirtAddr } from "@physio/kern";
import { GiB, MiB, PAGE_SIZE, TiB } from "@physio/kern";
import type { ContigLimits } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import type { Pmap, Zone } from "@physio/pmap";
import { Kmem, Prot } from "@physio/pmap";
import { Arena } from "@physio/vmem";
import type { Case } from "./cases.ts";
import { boxed, makeCase, sink } from "./cases.ts";

const PAGE = PAGE_SIZE;
const RW = Prot.READ | Prot.WRITE;
const OPERATIONS = 20_000;
/** Pages, or pieces, that a case goes through. */
const SPREAD = 64;

/** RAM below and above a hole, as a PC has it. */
export const newMemory = (): PhysMem =>
  new PhysMem({
    banks: [
      { base: 0, size: 2 * GiB },
      { base: 4 * GiB, size: 6 * GiB },
    ],
  });

function frameCases(mem: PhysMem): Case[] {
  const burst = new Int32Array(256);
  const limits: Partial<ContigLimits> = Object.freeze({ align: 64 * 1024, high: 64 * GiB });
  return [
    makeCase("frame", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) mem.freeFrame(mem.allocFrame());
    }),
    makeCase("frames by 256", OPERATIONS, (n) => {
      for (let i = 0; i < n; i += burst.length) {
        for (let k = 0; k < burst.length; k++) burst[k] = mem.allocFrame();
        for (let k = 0; k < burst.length; k++) mem.freeFrame(burst[k]);
      }
    }),
    makeCase("contig", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) mem.freeFrame(mem.allocContig(16, limits), 16);
    }),
  ];
}

/** An arena with holes: every second piece of what it first gave is held. */
function newArena(quantumCacheMax: number): Arena {
  const arena = new Arena("bench", PAGE, { quantumCacheMax });
  arena.add(TiB, 4 * GiB);
  const pieces = Array.from({ length: 512 }, (_, i) => arena.alloc(PAGE * (1 + (i % 7))));
  for (let i = 0; i < pieces.length; i += 2) arena.free(pieces[i], PAGE * (1 + (i % 7)));
  return arena;
}

function arenaCases(): Case[] {
  const plain = newArena(0);
  const cached = newArena(8 * PAGE);
  const sizes = boxed([PAGE, 2 * PAGE, 5 * PAGE, 12 * PAGE]);
  return [
    makeCase("vmem alloc", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) plain.free(plain.alloc(sizes[i % 4]), sizes[i % 4]);
    }),
    makeCase("vmem xalloc", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) {
        const at = plain.xalloc(sizes[i % 4], 16 * PAGE, 0, MiB);
        plain.free(at, sizes[i % 4]);
      }
    }),
    makeCase("vmem cached", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) cached.free(cached.alloc(sizes[i % 3]), sizes[i % 3]);
    }),
  ];
}

/** Addresses of pages, and a frame for each. */
function pagesAt(mem: PhysMem, base: VirtAddr): { vas: readonly number[]; frames: Int32Array } {
  return {
    vas: boxed(Array.from({ length: SPREAD }, (_, i) => base + i * PAGE)),
    frames: Int32Array.from({ length: SPREAD }, () => mem.allocFrame()),
  };
}

/** `suffix`: whose pmap it is; its addresses begin at `base`. */
function mappingCases(mem: PhysMem, pmap: Pmap, suffix: string, base: VirtAddr): Case[] {
  const { vas, frames } = pagesAt(mem, base);
  const fixed = pagesAt(mem, base + GiB);
  for (let i = 0; i < SPREAD; i++) pmap.enter(fixed.vas[i], fixed.frames[i], RW);
  return [
    makeCase(`enter + remove${suffix}`, OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) {
        pmap.enter(vas[i % SPREAD], frames[i % SPREAD], RW);
        pmap.remove(vas[i % SPREAD], PAGE);
      }
    }),
    makeCase(`kenter + remove${suffix}`, OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) {
        pmap.kenter(vas[i % SPREAD], frames[i % SPREAD], RW);
        pmap.remove(vas[i % SPREAD], PAGE);
      }
    }),
    makeCase(`extract${suffix}`, OPERATIONS, (n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += pmap.extract(fixed.vas[i % SPREAD]);
      sink.total += sum;
    }),
    makeCase(`protect${suffix}`, OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) {
        pmap.protect(fixed.vas[i % SPREAD], PAGE, i % 2 === 0 ? Prot.READ : RW);
      }
    }),
  ];
}

function kmemCase(kmem: Kmem, name: string, size: number, operations: number): Case {
  return makeCase(name, operations, (n) => {
    for (let i = 0; i < n; i++) kmem.free(kmem.alloc(size), size);
  });
}

function zoneCases(kmem: Kmem): Case[] {
  const zone: Zone = kmem.zone("bench", 200);
  zone.alloc(); // a slab that stays
  return [
    makeCase("zone", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) zone.free(zone.alloc());
    }),
    kmemCase(kmem, "kmem 100 B", 100, OPERATIONS),
    kmemCase(kmem, "kmem 4 KiB", PAGE, OPERATIONS / 4),
    kmemCase(kmem, "kmem 64 KiB", 16 * PAGE, OPERATIONS / 40),
  ];
}

export function memoryCases(): Case[] {
  const mem = newMemory();
  const kmem = new Kmem(mem);
  const user = kmem.pmaps.create("user");
  return [
    ...frameCases(mem),
    ...arenaCases(),
    ...mappingCases(mem, kmem.pmap, "", kmem.arena.alloc(2 * GiB)),
    ...mappingCases(mem, user, ", user", 0x7f00_0000_0000),
    ...zoneCases(kmem),
  ];
}
