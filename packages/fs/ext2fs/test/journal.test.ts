/**
 * A dirty ext3 journal is replayed in memory: against a crashed Linux, e2fsck, and an obvious model.
 */
import { createHash } from "node:crypto";
import { BufFlag } from "@physio/blkio";
import { Uio, UioRw } from "@physio/carriers";
import { Errno } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { Sb } from "../src/layout.ts";
import { judged, run, Workshop } from "./e2fsprogs.ts";
import type { ManifestEntry } from "./image.ts";
import { fixtureBytes, manifest } from "./image.ts";
import type { Transaction } from "./journal-image.ts";
import {
  BLOCK,
  COPIES,
  diskOf,
  drawLog,
  END,
  FIRST,
  filled,
  firstDifference,
  JournalImage,
} from "./journal-image.ts";
import { expectReplayed } from "./journal-replayed.ts";
import { errorOf, Mounted } from "./mounted.ts";

const ALL = process.env.PHYSIO_ALL === "1";
const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);
const SEQUENCE_MAX = 2 ** 32 - 1;
const work = new Workshop();

// ---- a crashed Linux

describe("ext3-crash-1k", () => {
  interface Entry extends ManifestEntry {
    readonly sha256?: string;
  }
  const entries: readonly Entry[] = manifest("ext3-crash-1k").entries;
  const content = function* (m: Mounted, vp: Vnode): Sleeps<string> {
    const hash = createHash("sha256");
    const va = m.kmem.alloc(16_384);
    for (let at = 0; at < vp.size; at += 16_384) {
      const length = Math.min(16_384, vp.size - at);
      const uio = new Uio(UioRw.READ, m.kmem.space, [{ base: va, length }], at);
      expect(yield* vp.ops.read(vp, uio, 0)).toBe(Errno.OK);
      const bytes = new Uint8Array(length);
      m.kmem.read(va, bytes);
      hash.update(bytes);
    }
    m.kmem.free(va, 16_384);
    return hash.digest("hex");
  };

  test("has every entry and every byte that e2fsck and Linux replay, and nothing is written", () => {
    const bytes = fixtureBytes("ext3-crash-1k");
    const m = new Mounted(bytes);
    const { superblock } = manifest("ext3-crash-1k");
    expect(m.ext2.mount.readOnly).toBe(true);
    expect(m.ext2.freeBlocks).toBe(superblock["Free blocks"]);
    expect(m.ext2.freeInodes).toBe(superblock["Free inodes"]);
    for (const entry of entries) {
      const { ino, size, links, sectors, mtime } = m.sync(entry.path, (vp) => vp.ops.getattr(vp));
      expect({ ...entry, ino, size, links, sectors, mtime }).toEqual(entry);
      if (entry.sha256 !== undefined)
        expect(
          m.with(entry.path, (vp) => content(m, vp)),
          entry.path,
        ).toBe(entry.sha256);
    }
    m.finish();
    expect(firstDifference(bytes, fixtureBytes("ext3-crash-1k"))).toBe(-1);
  });

  test("lacks files without its journal", () => {
    const bytes = fixtureBytes("ext3-crash-1k");
    bytes[1024 + 96] = 2; // filetype alone
    const m = new Mounted(bytes);
    const found = entries.filter(({ path }) => errorOf(() => m.inoOf(path)) === "OK");
    expect(found.length).toBeLessThan(entries.length);
    m.finish();
  });
});

// ---- logs written by hand

const A = filled(0xaa);
const B = filled(0xbb);
const M = filled(0xc0);

const LOGS: readonly (readonly [string, Transaction[]])[] = [
  ["no transaction", []],
  ["one", [{ copies: [[3000, A]] }]],
  ["the newest copy of a block", [{ copies: [[3000, A]] }, { copies: [[3000, B]] }]],
  [
    "two copies in one transaction",
    [
      {
        copies: [
          [3000, A],
          [3000, B],
        ],
      },
    ],
  ],
  [
    "copies that begin with the magic number",
    [
      {
        copies: [
          [3000, M],
          [3001, A],
          [3002, M],
        ],
      },
    ],
  ],
  [
    "more copies than a descriptor lists",
    [{ copies: Array.from({ length: 300 }, (_, i) => [3000 + i, filled(i % 256)] as const) }],
  ],
  [
    "a transaction that was not committed",
    [
      { copies: [[3000, A]] },
      {
        copies: [
          [3000, B],
          [3001, B],
        ],
        commit: false,
      },
    ],
  ],
  ["nothing but one that was not committed", [{ copies: [[3000, A]], commit: false }]],
  [
    "a block revoked later",
    [
      {
        copies: [
          [3000, A],
          [3001, A],
        ],
      },
      { revokes: [3000] },
    ],
  ],
  ["a block revoked in its own transaction", [{ copies: [[3000, A]], revokes: [3000] }]],
  ["a block revoked before", [{ revokes: [3000] }, { copies: [[3000, A]] }]],
  [
    "a block revoked between",
    [{ copies: [[3000, A]] }, { revokes: [3000] }, { copies: [[3000, B]] }],
  ],
  [
    "a block revoked twice",
    [{ copies: [[3000, A]] }, { revokes: [3000] }, { copies: [[3000, B]] }, { revokes: [3000] }],
  ],
  [
    "a revocation that was not committed",
    [{ copies: [[3000, A]] }, { revokes: [3000], commit: false }],
  ],
  ["a transaction of nothing", [{}, { copies: [[3000, A]] }]],
];

describe.each([
  ["at the start of the ring", FIRST, 1],
  ["over the end of the ring", END - 2, 1],
  ["over the last sequence number", 500, SEQUENCE_MAX],
])("a log %s", (_where, start, sequence) => {
  test.each(LOGS)("with %s", (_what, log) => {
    const image = new JournalImage(start, sequence);
    for (const transaction of log) image.append(transaction);
    expectReplayed(image, log);
  });
});

test("a read of parts of blocks has both kinds", () => {
  const rising = new Uint8Array(BLOCK).map((_, i) => i >> 3);
  const log = { copies: [[3000, rising] as const, [3002, rising] as const] };
  const m = new Mounted(new JournalImage().append(log).bytes);
  const body = function* (): Sleeps<Uint8Array> {
    const buf = yield* m.cache.bread(m.ext2.disk, 3000 * 2 + 1, 2048);
    const bytes = m.cache.copy(buf, new Uint8Array(2048));
    m.cache.forget(buf);
    return bytes;
  };
  const bytes = m.sched.runSync(body());
  expect([0, 511, 512, 1535, 1536, 2047].map((at) => bytes[at])).toEqual([64, 127, 0, 0, 0, 63]);
  m.finish();
});

test("a write is EROFS, and a flush has nothing to do", () => {
  const m = new Mounted(new JournalImage().append({ copies: [[3000, A]] }).bytes);
  const send = (flags: BufFlag): Errno => {
    const va = m.kmem.alloc(BLOCK);
    const buf = m.bufs.get();
    buf.flags |= flags;
    buf.data = va;
    buf.blkno = 6000;
    buf.bcount = flags === 0 ? BLOCK : 0;
    m.ext2.disk.strategy(buf);
    const error = m.sched.runSync(m.bufs.biowait(buf));
    m.bufs.put(buf);
    m.kmem.free(va, BLOCK);
    return error;
  };
  expect([send(0), send(BufFlag.FLUSH)]).toEqual([Errno.EROFS, Errno.OK]);
  m.finish();
});

test("older transactions behind the end of the log are not replayed", () => {
  const image = new JournalImage(FIRST, 7);
  const old = new JournalImage(FIRST, 5)
    .append({ copies: [[3002, B]] })
    .append({ copies: [[3000, B]] });
  for (let at = FIRST; at < END; at++)
    image.put(at, old.bytes.slice(old.byteOf(at), old.byteOf(at) + BLOCK));
  const log = [{ copies: [[3001, A]] as const }];
  expectReplayed(image.append(log[0]), log);
});

test("a log of version 1 has no features", () => {
  const image = new JournalImage(FIRST, 1, 0xff);
  image.view.setUint32(image.byteOf(0) + 4, 3);
  const log = [{ copies: [[3000, A]] as const }];
  expectReplayed(image.append(log[0]), log);
});

test("a log that says it is empty is not replayed", () => {
  const image = new JournalImage().append({ copies: [[3000, A]] });
  image.view.setUint32(image.byteOf(0) + 28, 0);
  expectReplayed(image, []);
});

test("a disk with a clean journal is mounted for reading, as it is", () => {
  const image = new JournalImage();
  image.view.setUint32(1024 + 96, 2, true);
  expectReplayed(image, []);
});

// ---- any log

test("any log: as the model has it", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + (ALL ? 300 : 8); seed++) {
    const { image, log } = drawLog(seed);
    expectReplayed(image, log, `replay with PHYSIO_SEED=${seed}`);
  }
});

judged("any log: e2fsck replays it to the same blocks", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + (ALL ? 200 : 3); seed++) {
    const { image } = drawLog(seed);
    const path = work.file("log.img", image.bytes);
    const { code, text } = run("e2fsck", ["-fy", "-E", "journal_only", path]);
    expect([0, 1], `seed ${seed}: ${text}`).toContain(code);
    const m = new Mounted(image.bytes);
    const disk = diskOf(m, 0, image.bytes.length / BLOCK);
    m.finish();
    const own = [1, image.byteOf(0) / BLOCK]; // super blocks of the file system and of the journal
    const difference = firstDifference(disk, work.read(path), 0, own);
    expect(difference, `replay with PHYSIO_SEED=${seed}`).toBe(-1);
  }
});

judged("a log that debugfs wrote, with a block revoked: as debugfs replays it", () => {
  const path = work.path("debugfs.img");
  const text = work.file("text", Buffer.concat([filled(0x77), filled(0xc0), filled(0x79)]));
  run("mke2fs", ["-q", "-F", "-t", "ext3", "-b", "1024", "-N", "64", "-J", "size=1", path, "4M"]);
  const commands = ["jo", `jw -b 3000-3002 ${text}`, "jw -r 3002", "jc"].join("\n");
  run("debugfs", ["-w", "-f", work.file("commands", Buffer.from(`${commands}\n`)), path]);
  const m = new Mounted(work.read(path));
  const disk = diskOf(m, ...COPIES);
  m.finish();
  expect([3000, 3001, 3002].map((block) => disk[block * BLOCK])).toEqual([0x77, 0xc0, 0]);
  run("debugfs", ["-w", "-R", "jr", path]);
  expect(firstDifference(disk, work.read(path), COPIES[0])).toBe(-1);
});

judged("with blocks of 4 KiB, a super block in the middle of a copy", () => {
  const path = work.path("4k.img");
  run("mke2fs", ["-q", "-F", "-t", "ext3", "-b", "4096", "-N", "64", "-J", "size=4", path, "16M"]);
  const block = work.read(path).slice(0, 4096);
  block.set(Buffer.from("REPLAYED"), 1024 + Sb.volumeName);
  const commands = `jo\njw -b 0 ${work.file("block", block)}\njc\n`;
  run("debugfs", ["-w", "-f", work.file("commands", Buffer.from(commands)), path]);
  const m = new Mounted(work.read(path));
  expect(m.ext2.sb.volumeName).toBe("REPLAYED");
  expect(m.inoOf("/lost+found")).toBe(11);
  m.finish();
});
