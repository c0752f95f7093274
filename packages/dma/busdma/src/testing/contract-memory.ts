/** The contract of memAlloc and memFree: memory obeys its tag, is zero when asked, and comes back. */
import { Errno, MAXADDR, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { TagOptions } from "../constraints.ts";
import { BusDma, Sync } from "../flags.ts";
import { Bed, must, mustEqual, mustErrno, pattern } from "./bed.ts";
import type { Piece } from "./segments.ts";
import { wrongSegments } from "./segments.ts";
import type { KitCase } from "./suite.ts";
import type { MakeBackend } from "./under-test.ts";
import { REACH } from "./under-test.ts";

const PAGE = PAGE_SIZE;

const TAGS: readonly (readonly [string, TagOptions])[] = [
  ["a few bytes", { maxSize: 40 }],
  ["a few aligned bytes", { maxSize: 40, alignment: 256, segments: 1 }],
  ["a page", { maxSize: PAGE, segments: 1 }],
  ["pages in a row", { maxSize: 5 * PAGE, segments: 1 }],
  ["pages in a row within reach", { maxSize: 5 * PAGE, segments: 1, lowAddr: REACH }],
  ["pages apart", { maxSize: 5 * PAGE, segments: 5, maxSegSize: PAGE }],
  ["pages apart within reach", { maxSize: 5 * PAGE - 1, segments: 8, lowAddr: REACH }],
  ["aligned to more than a page", { maxSize: 2 * PAGE, segments: 1, alignment: 4 * PAGE }],
  ["within a boundary", { maxSize: 2 * PAGE, segments: 1, boundary: 4 * PAGE }],
  ["a few bytes within reach", { maxSize: 100, segments: 1, lowAddr: REACH }],
];

const FLAGS: readonly (readonly [string, BusDma])[] = [
  ["", 0],
  [", coherent", BusDma.COHERENT],
  [", not cached", BusDma.NOCACHE],
];

function obeys(make: MakeBackend, options: TagOptions, flags: BusDma): void {
  const bed = new Bed(make, 8, 1);
  const tag = bed.tag(options);
  for (let round = 0; round < 3; round++) {
    const memory = tag.allocMem(BusDma.NOWAIT | BusDma.ZERO | flags);
    must(memory !== null, "there is no memory");
    if (memory === null) return;
    const { va, size, misaligned } = memory.memory;
    must(size >= tag.maxSize && !misaligned, `${size} bytes, misaligned ${misaligned}`);
    mustEqual(bed.cpuRead(va, tag.maxSize), new Uint8Array(tag.maxSize), "memory asked to be zero");
    const segs = bed.loaded(memory.map, va, tag.maxSize);
    const pieces: Piece[] = [];
    for (let done = 0; done < tag.maxSize; ) {
      const length = Math.min(tag.maxSize - done, PAGE - pageOffset(va + done));
      pieces.push({ pa: bed.unit.kmem.pmap.extract(va + done), length });
      done += length;
    }
    const wrong = wrongSegments(bed, tag, pieces, segs, false);
    must(wrong === null, `segments of the memory: ${wrong}`);
    const bytes = pattern(round, tag.maxSize);
    bed.unit.kmem.write(va, bytes);
    memory.map.sync(Sync.PREWRITE | Sync.PREREAD);
    mustEqual(bed.deviceRead(tag, segs), bytes, "what the device reads");
    bytes.set(pattern(round + 7, tag.maxSize));
    bed.deviceWrite(tag, segs, bytes);
    memory.map.sync(Sync.POSTREAD | Sync.POSTWRITE);
    mustEqual(bed.cpuRead(va, tag.maxSize), bytes, "what the CPU reads");
    memory.map.unload();
    memory.free();
  }
  bed.tearDown([], [tag]);
}

function comesBack(make: MakeBackend): void {
  const bed = new Bed(make, 8, 2);
  const { mem } = bed.unit.kmem;
  const tag = bed.tag({ maxSize: 6 * PAGE, segments: 1 });
  tag.allocMem()?.free();
  const before = mem.freeFrames;
  for (let round = 0; round < 10; round++) {
    const memory = tag.allocMem();
    must(memory !== null && mem.freeFrames <= before - 6, "6 pages took fewer frames");
    memory?.free();
  }
  must(mem.freeFrames === before, `${before - mem.freeFrames} frames are lost`);
  bed.tearDown([], [tag]);
}

function tooMuch(make: MakeBackend): void {
  const bed = new Bed(make, 8, 3);
  const { mem } = bed.unit.kmem;
  for (const maxSize of [(mem.totalFrames + 1) * PAGE, MAXADDR]) {
    for (const segments of [1, 4096]) {
      const tag = bed.tag({ maxSize, segments, maxSegSize: segments === 1 ? maxSize : PAGE });
      must(tag.allocMem() === null, `${maxSize} bytes in ${segments} segments`);
      bed.tearDown([], [tag]);
    }
  }
}

function foreign(make: MakeBackend): void {
  const bed = new Bed(make, 8, 4);
  const tag = bed.tag({ maxSize: PAGE });
  const memory = tag.allocMem();
  const map = tag.createMap();
  must(memory !== null, "there is no memory");
  if (memory === null) return;
  const panics = (work: () => void) => {
    try {
      work();
    } catch {
      return true;
    }
    return false;
  };
  must(
    panics(() => tag.freeMem(memory.memory.va, map)),
    "memory is freed with another map",
  );
  must(
    panics(() => memory.map.destroy()),
    "the map of memory is destroyed by itself",
  );
  memory.free();
  mustErrno(map.destroy(), Errno.OK, "destroy of the other map");
  bed.tearDown([], [tag]);
}

export function memoryCases(make: MakeBackend): KitCase[] {
  const cases = TAGS.flatMap(([name, options]) =>
    FLAGS.map(([how, flags]) => ({
      name: `DMA memory obeys its tag, and carries data both ways: ${name}${how}`,
      run: () => obeys(make, options, flags),
    })),
  );
  return [
    ...cases,
    { name: "DMA memory comes back to the machine", run: () => comesBack(make) },
    { name: "more DMA memory than there is is null", run: () => tooMuch(make) },
    {
      name: "DMA memory goes with the map that came with it, and no other way",
      run: () => foreign(make),
    },
  ];
}
