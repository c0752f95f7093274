/**
 * A disk that fails in places: the files that lie there are named with EIO, all others verify.
 */
import type { Errno } from "@physio/kern";
import { Errno as E } from "@physio/kern";
import type { MachineConfig } from "@physio/machine";
import { ioStatistics, MemoryMedia, pc, pc32BitDma } from "@physio/machine";
import { parseManifest } from "@physio/machine/verify";
import { expect, test } from "vitest";
import type { Examination } from "../src/examine.ts";
import { examine } from "../src/examine.ts";
import type { Fixture } from "../src/fixtures.ts";
import { blockAt, entryOf, fixture } from "../src/fixtures.ts";

const lic = fixture("lic-1k");
const hdr = fixture("hdr-4k");

/** A medium that cannot read [`from`, `to`). */
class WornMedia extends MemoryMedia {
  readonly from: number;
  readonly to: number;
  refused: number;

  constructor(bytes: Uint8Array, from: number, to: number) {
    super(bytes);
    this.from = from;
    this.to = to;
    this.refused = 0;
  }

  override read(offset: number, to: Uint8Array, at: number, length: number): Errno {
    if (offset >= this.to || offset + length <= this.from)
      return super.read(offset, to, at, length);
    this.refused++;
    return E.EIO;
  }
}

function withFault(of: Fixture, block: number, config: MachineConfig = pc32BitDma()): Examination {
  const media = new WornMedia(of.bytes.slice(), block * of.blockSize, (block + 1) * of.blockSize);
  const result = examine(media, parseManifest({ entries: of.entries }), config);
  expect(media.refused).toBeGreaterThan(0);
  return result;
}

const CONFIGS = {
  pc: pc(),
  "pc-32bit-dma": pc32BitDma(),
  "a tiny pool": pc32BitDma({ bouncePages: 4 }),
};

for (const [name, config] of Object.entries(CONFIGS)) {
  test(`${name}: a data block that cannot be read gives EIO for its file only`, () => {
    const { report, machine } = withFault(hdr, blockAt(entryOf(hdr, "/churn/grow-a"), 30), config);
    expect(report.failures.map((f) => [f.path, f.reason])).toEqual([
      ["/churn/grow-a", "read: EIO"],
    ]);
    expect(report.files + report.directories + report.others).toBe(hdr.entries.length - 1);
    expect(ioStatistics(machine).deviceErrors).toBeGreaterThan(0);
  });
}

test("an indirect block that cannot be read gives EIO for its file only", () => {
  const entry = entryOf(lic, "/fragmented-by-gaps");
  const { report } = withFault(lic, entry.indirect![0][1]);
  expect(report.failures.map((f) => [f.path, f.reason])).toEqual([[entry.path, "read: EIO"]]);
});

test("a range of a sparse file that cannot be read is named with its offset", () => {
  const entry = entryOf(hdr, "/past-4g");
  const { offset } = entry.data![1];
  const { report } = withFault(hdr, blockAt(entry, offset / hdr.blockSize));
  expect(report.failures).toEqual([{ path: entry.path, reason: "read: EIO", offset }]);
});

test("a directory block that cannot be read: the directory has EIO, its files are missing", () => {
  const { report } = withFault(lic, blockAt(entryOf(lic, "/licences"), 0));
  const at = report.failures.find((f) => f.path === "/licences");
  expect(at?.reason).toMatch(/EIO$/);
  const below = lic.entries.filter((e) => e.path.startsWith("/licences/")).map((e) => e.path);
  expect(report.failures.map((f) => f.path).sort()).toEqual(["/licences", ...below].sort());
});

test("a symlink's block that cannot be read gives EIO for the symlink only", () => {
  const { report } = withFault(lic, blockAt(entryOf(lic, "/slow-long"), 0));
  expect(report.failures.map((f) => f.path)).toEqual(["/slow-long"]);
  expect(report.failures[0].reason).toMatch(/EIO$/);
});

test("the super block cannot be read: no mount, EIO", () => {
  expect(() => withFault(lic, 1)).toThrow(/super block.*: EIO$/);
});

test("the group descriptors cannot be read: no mount, EIO", () => {
  expect(() => withFault(lic, 2)).toThrow(/descriptor.*: EIO$/);
});
