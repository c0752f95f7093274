/** The contract of tagCreate, tagDestroy, mapCreate and mapDestroy: who is busy, who is out of pages, and what is left. */
import { Errno, PAGE_SIZE } from "@physio/kern";
import { BusDma } from "../flags.ts";
import { Bed, must, mustErrno, mustThrow } from "./bed.ts";
import type { KitCase } from "./suite.ts";
import type { MakeBackend } from "./under-test.ts";
import { HIGH_BANK, LOW_BANK, REACH } from "./under-test.ts";

const PAGE = PAGE_SIZE;
const POOL = 60;

const mustBeShort = (make: () => unknown, what: string) => mustThrow(make, Errno.ENOMEM, what);

/** Of every backend. */
export function tagCases(make: MakeBackend): KitCase[] {
  return [
    {
      name: "a tag is EBUSY while it has maps, and goes after the last",
      run: () => {
        const bed = new Bed(make, POOL, 1);
        const tag = bed.tag({ lowAddr: REACH });
        const [a, b] = [tag.createMap(), tag.createMap()];
        mustErrno(tag.destroy(), Errno.EBUSY, "destroy of a tag with two maps");
        mustErrno(a.destroy(), Errno.OK, "destroy of a map that was never loaded");
        mustErrno(tag.destroy(), Errno.EBUSY, "destroy of a tag with a map");
        bed.tearDown([b], [tag]);
      },
    },
    {
      name: "a tag is EBUSY while it has DMA memory, and goes after it is freed",
      run: () => {
        const bed = new Bed(make, POOL, 2);
        const tag = bed.tag({ maxSize: 100 });
        const memory = tag.allocMem();
        must(memory !== null, "100 bytes of DMA memory are not to be had");
        mustErrno(tag.destroy(), Errno.EBUSY, "destroy of a tag with memory");
        memory?.free();
        bed.tearDown([], [tag]);
      },
    },
    {
      name: "a map that is loaded goes after its unload, and leaves nothing",
      run: () => {
        const bed = new Bed(make, POOL, 3);
        const tag = bed.tag();
        const map = tag.createMap();
        for (let round = 0; round < 3; round++) {
          bed.loaded(map, bed.buffer(1, LOW_BANK), PAGE);
          map.unload();
        }
        bed.tearDown([map], [tag]);
      },
    },
    {
      name: "many tags and maps come and go, and leave nothing",
      run: () => {
        const bed = new Bed(make, POOL, 4);
        for (let round = 0; round < 8; round++) {
          const alignment = round % 4 === 0 ? 1 : 64;
          const tag = bed.tag({ lowAddr: REACH, alignment, maxSize: PAGE });
          const child = bed.tag({ maxSize: PAGE, segments: 1 }, tag);
          const maps = [tag.createMap(), child.createMap(), tag.createMap()];
          bed.tearDown(maps, [child, tag]);
        }
      },
    },
  ];
}

/** Of those with a pool of bounce pages. */
export function bouncingTagCases(make: MakeBackend): KitCase[] {
  return [
    {
      name: "a map that holds bounce pages is EBUSY, and goes after its unload",
      run: () => {
        const bed = new Bed(make, POOL, 1);
        const tag = bed.tag({ lowAddr: REACH, maxSize: 4 * PAGE });
        const map = tag.createMap();
        bed.loaded(map, bed.buffer(2, HIGH_BANK), 2 * PAGE);
        must(bed.counts().active > 0, "a load out of reach holds no bounce page");
        mustErrno(map.destroy(), Errno.EBUSY, "destroy of a map with bounce pages");
        mustErrno(tag.destroy(), Errno.EBUSY, "destroy of its tag");
        bed.tearDown([map], [tag]);
      },
    },
    {
      name: "ALLOCNOW with too few pages is ENOMEM, and its zone keeps what it got",
      run: () => {
        const bed = new Bed(make, 3, 2);
        const options = { lowAddr: REACH, maxSize: 8 * PAGE, flags: BusDma.ALLOCNOW };
        mustBeShort(() => bed.tag(options), "ALLOCNOW of 8 pages out of 3");
        must(bed.counts().total <= 3, "more pages than there are");
        bed.tearDown([], []);
      },
    },
    {
      name: "ALLOCNOW with enough pages has them when the tag is made",
      run: () => {
        const bed = new Bed(make, POOL, 3);
        const tag = bed.tag({ lowAddr: REACH, maxSize: 4 * PAGE, flags: BusDma.ALLOCNOW });
        must(bed.counts().free >= 4, "ALLOCNOW of 4 pages gave fewer");
        const map = tag.createMap();
        bed.loaded(map, bed.buffer(4, HIGH_BANK), 4 * PAGE);
        bed.tearDown([map], [tag]);
      },
    },
    {
      name: "the first map of a tag is ENOMEM without its pages, and counts nowhere",
      run: () => {
        const bed = new Bed(make, 1, 4);
        const tag = bed.tag({ lowAddr: REACH, maxSize: 8 * PAGE, segments: 8 });
        mustBeShort(() => tag.createMap(), "a first map with 1 page of 8");
        bed.tearDown([], [tag]);
      },
    },
  ];
}
