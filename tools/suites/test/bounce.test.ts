/**
 * The bounce path is real: without the copies of `sync` the bytes are wrong, from a toy device up
 * to whole images; and where nothing is bounced, the copies are not missed.
 */
import type { Disk } from "@physio/blkio";
import { Sync } from "@physio/busdma";
import { GiB, KiB, MAXADDR, MAXADDR_32BIT } from "@physio/kern";
import type { Machine, MachineConfig } from "@physio/machine";
import { ioStatistics, MemoryMedia, machine, pc, pc32BitDma } from "@physio/machine";
import type { VerifyReport } from "@physio/machine/verify";
import { parseManifest, verifyImage } from "@physio/machine/verify";
import type { Sleeps } from "@physio/sched";
import { afterEach, expect, test } from "vitest";
import { newHasher } from "../src/examine.ts";
import { fixture } from "../src/fixtures.ts";
import { textOf } from "../src/make-image.ts";

/** Sync operations that the machines of this file leave out. */
let leftOut = 0;
afterEach(() => {
  leftOut = 0;
});

/** The machine, with a bus_dma backend whose `sync` can be made to forget. */
function forgetful(config: MachineConfig): Machine {
  return machine({
    ...config,
    dmaBackend: (pool, kmem, membus) => {
      const whole = config.dmaBackend(pool, kmem, membus);
      return { ...whole, sync: (tag, map, ops) => whole.sync(tag, map, ops & ~leftOut) };
    },
  });
}

const LENGTH = 16 * KiB;
const OUT = textOf("from the CPU", LENGTH);
const IN = textOf("from the device", LENGTH);

/** A device reads a buffer and writes it anew. @returns what the device saw, and what the CPU. */
function exchange(config: MachineConfig, highest: number) {
  const m = forgetful(config);
  const device = m.membus.devicePort({ name: "toy0", highest });
  const tag = m.dmaTag.child({ lowAddr: highest, maxSize: LENGTH, segments: 4 });
  const map = tag.createMap();
  const buffer = m.kmem.alloc(LENGTH);
  expect(m.kmem.pmap.extract(buffer)).toBeGreaterThanOrEqual(4 * GiB);
  m.kmem.write(buffer, OUT);
  const seen = new Uint8Array(LENGTH);
  const got = new Uint8Array(LENGTH);
  map.load(
    buffer,
    LENGTH,
    (_arg, segs) => {
      const each = (use: (addr: number, part: Uint8Array) => void, bytes: Uint8Array) => {
        for (let i = 0, at = 0; i < segs.count; at += segs.len[i++])
          use(segs.addr[i], bytes.subarray(at, at + segs.len[i]));
      };
      map.sync(Sync.PREWRITE);
      each((addr, part) => device.read(addr, part), seen);
      map.sync(Sync.POSTWRITE);
      map.sync(Sync.PREREAD);
      each((addr, part) => device.write(addr, part), IN);
      map.sync(Sync.POSTREAD);
    },
    null,
  );
  m.kmem.read(buffer, got);
  map.unload();
  return { seen: Buffer.from(seen), got: Buffer.from(got), m };
}

test("bounced: with both syncs the device and the CPU see each other's bytes", () => {
  const { seen, got, m } = exchange(pc32BitDma(), MAXADDR_32BIT as number);
  expect([seen.equals(OUT), got.equals(IN)]).toEqual([true, true]);
  expect(m.bouncePool.zones.reduce((sum, z) => sum + z.pagesCopied, 0)).toBe(8);
});

test("bounced, without PREWRITE: the device sees something else", () => {
  leftOut = Sync.PREWRITE as number;
  const { seen } = exchange(pc32BitDma(), MAXADDR_32BIT as number);
  expect(seen.equals(OUT)).toBe(false);
});

test("bounced, without POSTREAD: the CPU still sees its own bytes", () => {
  leftOut = Sync.POSTREAD as number;
  const { got } = exchange(pc32BitDma(), MAXADDR_32BIT as number);
  expect(got.equals(OUT)).toBe(true);
});

test("not bounced: the bytes are the device's and the CPU's, whatever is synced", () => {
  leftOut = (Sync.PREWRITE | Sync.POSTREAD) as number;
  const { seen, got } = exchange(pc(), MAXADDR as number);
  expect([seen.equals(OUT), got.equals(IN)]).toEqual([true, true]);
});

// ---- the NVMe driver

/** Write `bytes` to the start of a disk, in one buf. */
function* writeDisk(m: Machine, disk: Disk, bytes: Uint8Array): Sleeps<number> {
  const buf = m.bufs.get();
  buf.data = m.kmem.alloc(bytes.length);
  m.kmem.write(buf.data, bytes);
  buf.blkno = 0;
  buf.bcount = bytes.length;
  buf.bufsize = bytes.length;
  disk.strategy(buf);
  const error = yield* m.bufs.biowait(buf);
  m.kmem.free(buf.data, bytes.length);
  m.bufs.put(buf);
  return error as number;
}

/** Write through the driver, forgetting `forget` on the way. @returns whether the medium has the bytes. */
function writeArrives(config: MachineConfig, forget: number): boolean {
  const m = forgetful(config);
  const media = new MemoryMedia(new Uint8Array(64 * KiB));
  const disk = m.runSync(m.attachDisk("nvme0", media));
  leftOut = forget;
  expect(m.runSync(writeDisk(m, disk, OUT))).toBe(0);
  m.sched.pump();
  m.checkQuiet();
  return Buffer.from(media.bytes.subarray(0, LENGTH)).equals(OUT);
}

test("a disk gets what is written to it, bounced or not, unless a bounced PREWRITE is left out", () => {
  expect(writeArrives(pc32BitDma(), 0)).toBe(true);
  expect(writeArrives(pc(), 0)).toBe(true);
  expect(writeArrives(pc32BitDma(), Sync.PREWRITE as number)).toBe(false);
  expect(writeArrives(pc(), Sync.PREWRITE as number)).toBe(true);
});

function* verifyForgetting(m: Machine, forget: number): Sleeps<VerifyReport> {
  const of = fixture("hdr-4k");
  const disk = yield* m.attachDisk("nvme0", new MemoryMedia(of.bytes.slice()));
  const mount = yield* m.mount(disk);
  leftOut = forget;
  const manifest = parseManifest({ entries: of.entries });
  return yield* verifyImage(m, mount, manifest, { newHasher });
}

test("an image does not verify when a bounced POSTREAD is left out after the mount", () => {
  const m = forgetful(pc32BitDma());
  let failed = 0;
  try {
    failed = m.runSync(verifyForgetting(m, Sync.POSTREAD as number)).failures.length;
  } catch {
    failed = 1; // not even the root could be read
  }
  expect(failed).toBeGreaterThan(0);
  expect(ioStatistics(m).bouncePages).toBeGreaterThan(0);
});

test("the same machine without bouncing does not miss it", () => {
  const m = forgetful(pc());
  const report = m.runSync(verifyForgetting(m, Sync.POSTREAD as number));
  expect(report.failures).toEqual([]);
  expect(ioStatistics(m).bouncedPages).toBe(0);
});
