/**
 * The fixtures with what their manifests tell of block maps.
 *
 * The manifests were made with debugfs, so the place of every data and indirect block is known
 * without asking the code under test.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { ManifestEntry } from "@physio/machine/verify";
import { ROOT } from "./cli.ts";

/** [logical block, physical block, count] */
type BlockRun = readonly [number, number, number];

export interface FixtureEntry extends ManifestEntry {
  readonly runs?: readonly BlockRun[];
  readonly indirect?: readonly (readonly [string, number])[];
  readonly fast?: boolean;
}

export interface Fixture {
  readonly name: string;
  readonly blockSize: number;
  readonly inodeSize: number;
  readonly groups: number;
  readonly entries: readonly FixtureEntry[];
  readonly gz: string;
  readonly manifest: string;
  /** The image, unpacked. Not to be written. */
  readonly bytes: Uint8Array;
}

export const FIXTURE_NAMES = Object.freeze(["lic-1k", "hdr-4k", "man-2k-rev0"] as const);

function load(name: string): Fixture {
  const gz = join(ROOT, "fixtures/ext2", `${name}.img.gz`);
  const manifest = join(ROOT, "fixtures/ext2", `${name}.manifest.json`);
  const { entries, superblock } = JSON.parse(readFileSync(manifest, "utf8"));
  const first = superblock["First block"];
  return {
    name,
    blockSize: superblock["Block size"],
    inodeSize: superblock["Inode size"] ?? 128,
    groups: Math.ceil((superblock["Block count"] - first) / superblock["Blocks per group"]),
    entries,
    gz,
    manifest,
    bytes: new Uint8Array(gunzipSync(readFileSync(gz))), // a Buffer's slice() would not copy
  };
}

const loaded: Map<string, Fixture> = new Map();

/** A fixture, read once. */
export function fixture(name: (typeof FIXTURE_NAMES)[number]): Fixture {
  const known = loaded.get(name) ?? load(name);
  loaded.set(name, known);
  return known;
}

/** The entry of a path. @throws when the manifest lacks it: the suite is wrong then. */
export function entryOf(of: Fixture, path: string): FixtureEntry {
  const entry = of.entries.find((e) => e.path === path);
  if (entry === undefined) throw new Error(`${of.name} has no ${path}`);
  return entry;
}

/** Physical block of logical block `lbn` of an entry; -1 in a hole. */
export function blockAt(entry: FixtureEntry, lbn: number): number {
  const run = entry.runs?.find(([from, , count]) => lbn >= from && lbn < from + count);
  return run === undefined ? -1 : run[1] + lbn - run[0];
}

/** Byte of the table of group descriptors. */
export function groupTable(of: Fixture): number {
  return of.blockSize === 1024 ? 2048 : of.blockSize;
}

/** Byte where an inode lies. */
export function inodeOffset(of: Fixture, ino: number): number {
  const view = new DataView(of.bytes.buffer);
  const perGroup = view.getUint32(1024 + 40, true);
  const group = Math.floor((ino - 1) / perGroup);
  const table = view.getUint32(groupTable(of) + 32 * group + 8, true);
  return table * of.blockSize + ((ino - 1) % perGroup) * of.inodeSize;
}
