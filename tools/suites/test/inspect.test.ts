/**
 * What a debugger sees: public classes print themselves, and every flag family prints its bits.
 */
import { inspect } from "node:util";
import { Buf, BufFlag } from "@physio/blkio";
import { BusDma, Sync } from "@physio/busdma";
import { Bio, BioFlag } from "@physio/carriers";
import { formatBits, KiB, MAXADDR_32BIT } from "@physio/kern";
import { MemoryMedia, machine, pc32BitDma } from "@physio/machine";
import { PmapBit, Prot } from "@physio/pmap";
import { Ktr } from "@physio/trace";
import { Pg, Pgo, Ufp } from "@physio/uvm";
import { namei } from "@physio/vfs";
import { expect, test } from "vitest";
import { fixture } from "../src/fixtures.ts";

test("tags, maps, zones and segment lists say what they are", () => {
  const m = machine(pc32BitDma({ bouncePages: 8 }));
  const tag = m.dmaTag.child({ lowAddr: MAXADDR_32BIT, maxSize: 16 * KiB, segments: 4 });
  const map = tag.createMap();
  let segments = "";
  map.load(m.kmem.alloc(8 * KiB), 8 * KiB, (_arg, segs) => (segments = inspect(segs)), null);
  expect(inspect(tag)).toBe(
    "DmaTag(x86, reaches up to 0xffffffff, align 1, boundary 0, max 16384 in 4 segments of 16384, 0x0, 1 maps)",
  );
  expect(segments).toMatch(/^SegList\(1\/4\) \[0x[0-9a-f]+\+8192\]$/);
  expect(inspect(map)).toBe("DmaMap(not waiting, 2 pages of zone0, needs 0, 0 reserved)");
  expect(inspect(m.bouncePool.zones[0])).toBe(
    "BounceZone(zone0 up to 0xffffffff: 4 pages, 2 free, 0 reserved, 2 active, 0 maps wait)",
  );
  map.unload();
});

test("vnodes, pages, objects, devices, threads and machines say what they are", () => {
  const m = machine(pc32BitDma({}));
  const media = new MemoryMedia(fixture("man-2k-rev0").bytes);
  m.runSync(
    (function* () {
      const mount = yield* m.mount(yield* m.attachDisk("nvme0", media));
      const vp = yield* namei(yield* mount.root(), "/");
      expect(inspect(vp)).toMatch(/^Vnode\(directory 2 of nvme0, 2048 bytes, 2 uses, 0 pages\)$/);
      const object = m.pages.newObject();
      const frame = m.pages.alloc(object, 7);
      expect(m.pages.describe(frame)).toMatch(
        new RegExp(
          `^Page\\(frame ${frame}, page 7 of object ${object.id}, 0x4d<BUSY,TABLED,CLEAN,FAKE>, no queue\\)$`,
        ),
      );
      expect(inspect(object)).toBe(`UvmObject(${object.id}, 1 pages)`);
      expect(inspect(m.sched.current)).toMatch(/^Thread#\d+\(main, running\)$/);
      m.pages.free(frame);
    })(),
  );
  expect(inspect(m.bus.devices[0])).toMatch(/^Device\(nvme0 at 0x[0-9a-f]+\)$/);
  expect(inspect(m)).toMatch(/^Machine\(pc-32bit-dma, \d+ KiB, 1 disks, \d+ ns\)$/);
});

test("bufs and bios say what they are", () => {
  const buf = new Buf();
  buf.blkno = 8;
  buf.bcount = 4096;
  buf.resid = 4096;
  buf.flags = BufFlag.READ | BufFlag.BUSY;
  buf.error = 5;
  expect(inspect(buf)).toBe("Buf(block 8, 4096 bytes, 4096 left, 0x11<READ,BUSY>, EIO)");
  const bio = new Bio();
  bio.offset = 512;
  bio.bcount = 1024;
  expect(inspect(bio)).toBe("Bio(READ 512+1024, 0x0)");
});

test("every bit of every flag family has a name", () => {
  for (const family of [BioFlag, BufFlag, BusDma, Ktr, Pg, Pgo, PmapBit, Prot, Sync, Ufp]) {
    for (const [name, bit] of Object.entries(family)) {
      if (bit === 0 || name === "ALL") continue;
      expect(formatBits(family, bit)).toBe(`0x${bit.toString(16)}<${name}>`);
    }
  }
});
