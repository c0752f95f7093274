/**
 * Verification finds what is wrong, names it, and finds nothing else.
 *
 * Places of blocks come from the manifests (debugfs), so a flipped byte is put where an independent
 * reader says that the byte lies.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Media } from "@physio/machine";
import { ioStatistics, MemoryMedia, pc, pc32BitDma } from "@physio/machine";
import type { Failure, VerifyReport } from "@physio/machine/verify";
import { parseManifest } from "@physio/machine/verify";
import { afterAll, expect, test } from "vitest";
import { physio, scratchFolder } from "../src/cli.ts";
import { examine } from "../src/examine.ts";
import type { Fixture, FixtureEntry } from "../src/fixtures.ts";
import { blockAt, entryOf, FIXTURE_NAMES, fixture, inodeOffset } from "../src/fixtures.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);

const lic = fixture("lic-1k");
const hdr = fixture("hdr-4k");
const man = fixture("man-2k-rev0");

const check = (of: Fixture, media: Media, entries = of.entries): VerifyReport =>
  examine(media, parseManifest({ entries })).report;

/** Verify with one bit of a byte turned over. */
function flipped(of: Fixture, block: number, offset = 0): VerifyReport {
  const bytes = of.bytes.slice();
  bytes[block * of.blockSize + offset] ^= 0x10;
  return check(of, new MemoryMedia(bytes));
}

const paths = (report: VerifyReport): string[] => report.failures.map((f) => f.path).sort();

/** All names of the inode at `path`. */
const namesOf = (of: Fixture, path: string): string[] =>
  of.entries
    .filter((e) => e.ino === entryOf(of, path).ino)
    .map((e) => e.path)
    .sort();

/** Logical block of the first data at or after byte `offset`. */
const lbnOf = (of: Fixture, offset: number): number => Math.floor(offset / of.blockSize);

// ---- clean images

for (const name of FIXTURE_NAMES) {
  test(`${name}: every entry agrees, with and without bounce pages, and the bytes are equal`, () => {
    const of = fixture(name);
    const manifest = parseManifest({ entries: of.entries });
    const [low, high] = [pc32BitDma(), pc()].map((config) =>
      examine(new MemoryMedia(of.bytes.slice()), manifest, config),
    );
    expect(low.report).toEqual(high.report);
    expect(low.report).toMatchObject({ failures: [], unlisted: 0 });
    const { files, directories, others } = low.report;
    expect(files + directories + others).toBe(of.entries.length);
    expect(ioStatistics(low.machine).bouncedPages).toBeGreaterThan(0);
    expect(ioStatistics(high.machine)).toMatchObject({ bouncedPages: 0, bouncePages: 0 });
  });
}

for (const name of FIXTURE_NAMES) {
  test(`${name}: the command takes the image raw and as gzip`, async () => {
    const of = fixture(name);
    const raw = join(scratch.path, `${name}.img`);
    writeFileSync(raw, of.bytes);
    const runs = await Promise.all(
      [raw, of.gz].map((image) => physio("verify", image, "--manifest", of.manifest, "--json")),
    );
    for (const run of runs) {
      expect([run.code, run.err]).toEqual([0, ""]);
      const { ok, images } = JSON.parse(run.text);
      expect([ok, images[0].failures, images[0].unlisted]).toEqual([true, [], 0]);
      const { files, directories, others } = images[0];
      expect(files + directories + others).toBe(of.entries.length);
    }
  });
}

// ---- one flipped byte

const double = (of: Fixture): number => 12 + of.blockSize / 4;
const triple = (of: Fixture): number => double(of) + (of.blockSize / 4) ** 2;

/** One data block of each kind: [what, fixture, path, logical block]. */
const PLACES: readonly (readonly [string, Fixture, string, number])[] = [
  ["a direct block", lic, "/licences/GPL-2", 3],
  ["a block behind the single indirect one", lic, "/fragmented-by-gaps", 20],
  ["a block behind the double indirect one", lic, "/sparse-dind", 900],
  ["the last block of a file", lic, "/sparse-dind", 9002],
  ["a direct block of a sparse file", lic, "/sparse-tind", 0],
  ["a block behind the triple indirect one", lic, "/sparse-tind", lbnOf(lic, 67_382_272)],
  ["the last block with data", hdr, "/past-4g", lbnOf(hdr, 4_299_214_848)],
  ["the last direct block", man, "/sparse-boundaries", 11],
  ["the first single indirect block", man, "/sparse-boundaries", 12],
  ["the last single indirect block", man, "/sparse-boundaries", double(man) - 1],
  ["the first double indirect block", man, "/sparse-boundaries", double(man)],
  ["a block behind the triple indirect one", man, "/sparse-tind", triple(man)],
];

for (const [what, of, path, lbn] of PLACES) {
  test(`a flipped byte in ${what} of ${of.name}:${path} is reported there and nowhere else`, () => {
    const block = blockAt(entryOf(of, path), lbn);
    expect(block, `${path} has logical block ${lbn}`).toBeGreaterThan(0);
    expect(paths(flipped(of, block))).toEqual(namesOf(of, path));
  });
}

test("a byte that is not zero outside of the `data` ranges is found, with its offset", () => {
  for (const of of [lic, man]) {
    const bytes = of.bytes.slice();
    const entry = entryOf(of, "/sparse-tind");
    const text = entryOf(of, of === lic ? "/licences/GPL-2" : "/late");
    const slot = inodeOffset(of, entry.ino as number) + 40 + 4 * 5;
    new DataView(bytes.buffer).setUint32(slot, blockAt(text, 0), true);
    const offset = 5 * of.blockSize;
    expect(check(of, new MemoryMedia(bytes)).failures).toEqual([
      { path: "/sparse-tind", reason: `byte ${offset} is not zero`, offset },
    ]);
  }
});

for (const [of, path] of [
  [lic, "/sparse-tind"],
  [hdr, "/past-4g"],
  [man, "/sparse-tind"],
] as const) {
  test(`${of.name}:${path}: a flipped byte in each range of data is reported with the range`, () => {
    const entry = entryOf(of, path);
    for (const { offset, length } of entry.data!) {
      const { failures } = flipped(of, blockAt(entry, lbnOf(of, offset as number)));
      expect(failures.map((f) => [f.path, f.range])).toEqual([[path, { offset, length }]]);
    }
  });
}

test("a flipped byte in the block of a slow symlink is reported as another target", () => {
  for (const path of ["/slow-60-bytes", "/slow-long"]) {
    const { failures } = flipped(lic, blockAt(entryOf(lic, path), 0), 7);
    expect(failures.map((f) => f.path)).toEqual([path]);
    expect(failures[0].reason).toMatch(/^target is /);
  }
});

test("a flipped byte in a name: the directory lacks it, the file is missing", () => {
  const { bytes } = lic;
  const block = blockAt(entryOf(lic, "/licences"), 0);
  const at = Buffer.from(bytes.buffer).indexOf("GPL-2", block * lic.blockSize, "latin1");
  expect(Math.floor(at / lic.blockSize)).toBe(block);
  const report = flipped(lic, block, at % lic.blockSize);
  const lost = paths(report).filter((path) => path !== "/licences");
  expect(paths(report)).toContain("/licences");
  expect(lost.length).toBe(1);
  expect(lost[0]).toMatch(/^\/licences\/GPL-2/);
  expect(report.unlisted).toBe(1);
});

test("a flipped byte in an entry's length: the directory cannot be read, what is below is missing", () => {
  const block = blockAt(entryOf(lic, "/licences"), 0);
  const report = flipped(lic, block, 4); // rec_len of "."
  const below = lic.entries.map((e) => e.path).filter((path) => path.startsWith("/licences/"));
  expect(paths(report)).toEqual(["/licences", ...below].sort());
});

// ---- manifests that disagree

const GPL = entryOf(lic, "/licences/GPL-2");
const swapIn = (changed: Partial<FixtureEntry>, path = GPL.path): FixtureEntry[] =>
  lic.entries.map((e) => (e.path === path ? { ...e, ...changed } : e));

const ZEROS = "0".repeat(64);
const DISAGREEMENTS: readonly (readonly [string, FixtureEntry[], string, RegExp])[] = [
  ["size", swapIn({ size: 1 }), GPL.path, /^size is \d+, manifest says 1$/],
  ["sha256", swapIn({ sha256: ZEROS }), GPL.path, /^sha256 is [0-9a-f]{64}, manifest says 0{64}$/],
  ["type", swapIn({ type: "directory" }), GPL.path, /^type is regular/],
  ["mode", swapIn({ mode: "4755" }), GPL.path, /^mode is 0644, manifest says 4755$/],
  ["uid", swapIn({ uid: 77 }), GPL.path, /^uid is 0, manifest says 77$/],
  ["gid", swapIn({ gid: 77 }), GPL.path, /^gid is 0/],
  ["links", swapIn({ links: 9 }), GPL.path, /^link count is /],
  ["ino", swapIn({ ino: 3 }), GPL.path, /^inode is /],
  ["mtime", swapIn({ mtime: 1 }), GPL.path, /^mtime is /],
  ["sectors", swapIn({ sectors: 1 }), GPL.path, /^sector count is /],
  ["target", swapIn({ target: "b" }, "/slow-long"), "/slow-long", /^target is /],
  ["rdev", swapIn({ rdev: [5, 2] }, "/console"), "/console", /^device is 5:1, .* 5:2$/],
  [
    "names, one more",
    swapIn({ names: [".", "..", "x"] }, "/empty-dir"),
    "/empty-dir",
    /no entry "x"/,
  ],
  ["names, one less", swapIn({ names: ["."] }, "/empty-dir"), "/empty-dir", /an entry "\.\."/],
  ["a target of what is no symlink", swapIn({ target: "b" }), GPL.path, /^is a regular, .*target/],
  [
    "a hash of what is no file",
    swapIn({ sha256: ZEROS }, "/pipe"),
    "/pipe",
    /^is a FIFO, .*sha256/,
  ],
  [
    "a range, where there is no hash of the whole",
    lic.entries.map(({ sha256, ...e }) =>
      e.path === "/sparse-tind"
        ? { ...e, data: e.data!.map((r) => ({ ...r, sha256: ZEROS })) }
        : { ...e, ...(sha256 === undefined ? {} : { sha256 }) },
    ),
    "/sparse-tind",
    /^the range 0\+1024 differs \(sha256\)$/,
  ],
];

for (const [what, entries, path, reason] of DISAGREEMENTS) {
  test(`a manifest with a wrong ${what}: that path, that reason, nothing else`, () => {
    const { failures } = check(lic, new MemoryMedia(lic.bytes.slice()), entries);
    expect(failures.map((f) => f.path)).toEqual([path]);
    expect(failures[0].reason).toMatch(reason);
  });
}

test("a path that is not in the image is a failure with ENOENT", () => {
  const entries = [...lic.entries, { path: "/licences/nope" }, { path: "/no/such" }];
  const { failures } = check(lic, new MemoryMedia(lic.bytes.slice()), entries);
  const reason = "is not in the image: ENOENT";
  expect(failures).toEqual([
    { path: "/licences/nope", reason },
    { path: "/no/such", reason },
  ] satisfies Failure[]);
});

test("what the manifest does not list is read, counted, and not judged", () => {
  const entries = lic.entries.filter((e) => !e.path.startsWith("/licences"));
  const report = check(lic, new MemoryMedia(lic.bytes.slice()), entries);
  expect(report.failures).toEqual([]);
  expect(report.unlisted).toBe(lic.entries.length - entries.length);
});

test("an unlisted file of 2 TiB of holes takes no time: holes are not read", () => {
  const bytes = hdr.bytes.slice();
  const inode = inodeOffset(hdr, entryOf(hdr, "/holes").ino as number);
  new DataView(bytes.buffer).setUint32(inode + 108, 0x200, true); // i_size_high
  const entries = hdr.entries.filter((e) => e.path !== "/holes");
  expect(check(hdr, new MemoryMedia(bytes), entries)).toMatchObject({ failures: [], unlisted: 1 });
});
