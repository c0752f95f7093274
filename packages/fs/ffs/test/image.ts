/** The fixtures: images that makefs made, and what other readers found in them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const FIXTURES = new URL("../../../../fixtures/ffs/", import.meta.url);

export const FIXTURE_NAMES = ["ffs1-le-4k", "ffs2-le-8k"] as const;

interface ManifestEntry {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly mtime: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly target?: string;
  readonly names?: readonly string[];
  readonly ino?: number;
  /** [first fragment, count] */
  readonly frags?: readonly (readonly [number, number])[];
}

export interface Manifest {
  readonly rawBytes: number;
  readonly rawSha256: string;
  readonly format: { readonly blockSize: number; readonly fragmentSize: number };
  readonly entries: readonly ManifestEntry[];
}

export function fixtureBytes(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(new URL(`${name}.img.gz`, FIXTURES))));
}

export function manifest(name: string): Manifest {
  const text = readFileSync(new URL(`${name}.manifest.json`, FIXTURES), "utf8");
  return JSON.parse(text) as Manifest;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
