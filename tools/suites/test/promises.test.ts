/**
 * Promises of bus_dma(9) that hold on every machine: what flags may and may not change, and lists of
 * segments that are longer than a list begins with.
 */
import type { SegList } from "@physio/busdma";
import { BUS_SPACE_UNRESTRICTED, BusDma, Sync } from "@physio/busdma";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, KiB, MAXADDR, MiB, PAGE_SIZE } from "@physio/kern";
import type { Machine } from "@physio/machine";
import { machine, PROFILE_NAMES, profileNamed } from "@physio/machine";
import { describe, expect, test } from "vitest";

const boot = (name: string, ram = 64 * MiB): Machine => machine(profileNamed(name, { ram }));
/** More than a list begins with. */
const SEGMENTS = 4200;

/** `count` ranges of a cache line with a gap behind each: none of them bounces on a board. */
const gaps = (base: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ base: base + i * 128, length: 64 }));

describe.each(PROFILE_NAMES)("%s", (name) => {
  test("ALLOCNOW of a tag for DMA memory only takes pages that nobody uses", () => {
    const m = boot(name);
    const lowAddr = m.mem.top - 16 * MiB;
    const limits = { lowAddr, maxSize: 8 * KiB, segments: 1, alignment: 8 * KiB };
    const plain = m.dmaTag.child(limits);
    const before = plain.allocMem()!;
    expect([before.load() % (8 * KiB), m.bouncePool.totalPages]).toEqual([0, 0]);
    const eager = m.dmaTag.child({ ...limits, flags: BusDma.ALLOCNOW });
    const taken = m.bouncePool.totalPages;
    expect(taken).toBeGreaterThan(0);
    const mem = eager.allocMem()!;
    mem.load();
    // The memory obeys the tag, so nothing of it ever bounces.
    expect(m.bouncePool.zones.map((z) => z.free)).toEqual([taken]);
    for (const { map } of [before, mem]) map.unload();
    for (const each of [before, mem]) each.free();
    expect([plain.destroy(), eager.destroy()]).toEqual([0, 0]);
  });

  test("a COHERENT map and a NOCACHE load are loaded and synced as others are", () => {
    const m = boot(name);
    const device = m.membus.devicePort({ name: "toy0" });
    const tag = m.dmaTag.child({ maxSize: 4 * KiB, segments: 1 });
    const va = m.kmem.alloc(4 * KiB);
    const seen = ([0, BusDma.COHERENT] as const).flatMap((create) =>
      ([0, BusDma.NOCACHE] as const).map((load) => {
        const map = tag.createMap(create);
        const found: { segs: number[][]; bytes: Uint8Array } = {
          segs: [],
          bytes: new Uint8Array(4),
        };
        m.kmem.write(va, Uint8Array.of(1, 2, 3, create + load));
        const told = (_arg: null, segs: SegList) => {
          found.segs = segs.toArray().map((s) => [s.addr, s.len]);
        };
        expect(map.load(va, 4 * KiB, told, null, load)).toBe(Errno.OK);
        map.sync(Sync.PREWRITE); // still owed, and it does what it must
        device.read(found.segs[0][0], found.bytes);
        map.sync(Sync.POSTWRITE);
        expect([...found.bytes]).toEqual([1, 2, 3, (create + load) % 256]);
        map.unload();
        map.destroy();
        return found.segs;
      }),
    );
    for (const segs of seen) expect(segs).toEqual(seen[0]);
  });

  test("an unrestricted tag has as many segments as a load needs", () => {
    const m = boot(name);
    const maxSegSize = 4 * KiB;
    const tag = m.dmaTag.child({ maxSize: MAXADDR, segments: BUS_SPACE_UNRESTRICTED, maxSegSize });
    const map = tag.createMap();
    const counts: number[] = [];
    const note = (_arg: null, segs: SegList, count: number, error: Errno) => {
      const bytes = segs.len.subarray(0, count).reduce((sum, len) => sum + len, 0);
      counts.push(error === Errno.OK ? count : -error, bytes);
      map.unload();
    };
    // Pages in a row, and ranges with gaps: more than a list begins with, of both.
    const va = m.kmem.alloc(SEGMENTS * PAGE_SIZE);
    map.load(va, SEGMENTS * PAGE_SIZE, note, null);
    map.loadMem({ kind: "vlist", list: gaps(va, SEGMENTS) }, note, null);
    const list = tag.segList();
    const chain = chainOf(va, SEGMENTS);
    expect([map.loadMbufSg(chain, list), list.count]).toEqual([Errno.OK, SEGMENTS]);
    expect([list.addr[1] - list.addr[0], list.len[SEGMENTS - 1]]).toEqual([16, 8]);
    map.unload();
    expect(counts).toEqual([SEGMENTS, SEGMENTS * PAGE_SIZE, SEGMENTS, SEGMENTS * 64]);
  });

  test("a tag of more segments than a list begins with is EFBIG at its own limit", () => {
    const m = boot(name);
    const tag = m.dmaTag.child({ maxSize: MiB, segments: 5000, maxSegSize: 4 * KiB });
    const va = m.kmem.alloc(128 * KiB);
    const list = tag.segList();
    const outcome = [5000, 5001].map((count) => {
      const map = tag.createMap();
      const error = map.loadMbufSg(chainOf(va, count), list);
      map.unload();
      return [error, list.count];
    });
    expect(outcome).toEqual([
      [Errno.OK, 5000],
      [Errno.EFBIG, 0],
    ]);
  });
});

/** A packet of `count` mbufs of 8 bytes, 16 bytes apart. */
function chainOf(va: number, count: number): Mbuf {
  const head = Object.assign(new Mbuf(), { flags: MbufFlag.PKTHDR, packetLength: count * 8 });
  let last = head;
  for (let i = 0; i < count; i++) {
    if (i > 0) last = last.next = new Mbuf();
    last.data = va + i * 16;
    last.len = 8;
  }
  return head;
}
