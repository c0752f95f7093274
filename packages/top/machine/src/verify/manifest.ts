/**
 * Manifests: what an independent reader found in an image.
 *
 * A manifest is JSON with `entries`, one a path. Only `path` must be there; whatever else an entry
 * says is compared. `data` lists the ranges of a sparse file that are not zero, so that it need not
 * be hashed whole.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno, ErrnoError, isWhole } from "@physio/kern";

/** A range of a file with its own hash. */
export interface DataRange {
  readonly offset: FileOffset;
  readonly length: Bytes;
  readonly sha256: string;
}

export interface ManifestEntry {
  readonly path: string;
  readonly type?: string;
  readonly size?: Bytes;
  readonly sha256?: string;
  readonly data?: readonly DataRange[];
  readonly target?: string;
  readonly names?: readonly string[];
  readonly ino?: number;
  /** Permission bits as octal text. */
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly links?: number;
  readonly sectors?: number;
  readonly mtime?: number;
  readonly rdev?: readonly [number, number];
}

export interface Manifest {
  readonly entries: readonly ManifestEntry[];
}

type Fields = Readonly<Record<string, unknown>>;

const isText = (v: unknown): boolean => typeof v === "string";
const isCount = (v: unknown): boolean => typeof v === "number" && isWhole(v);
const isHash = (v: unknown): boolean => typeof v === "string" && /^[0-9a-f]{64}$/i.test(v);
const isRange = (v: unknown): boolean => {
  const r = v as Fields | null;
  return (
    typeof r === "object" &&
    r !== null &&
    isCount(r.offset) &&
    isCount(r.length) &&
    isHash(r.sha256)
  );
};

/** What each known field must be; unknown fields are nobody's business. */
const FIELDS: Readonly<Record<string, (v: unknown) => boolean>> = Object.freeze({
  path: (v: unknown) => typeof v === "string" && v.startsWith("/"),
  type: isText,
  size: isCount,
  sha256: isHash,
  data: (v: unknown) => Array.isArray(v) && v.every(isRange),
  target: isText,
  names: (v: unknown) => Array.isArray(v) && v.every(isText),
  ino: isCount,
  mode: (v: unknown) => typeof v === "string" && /^[0-7]+$/.test(v),
  uid: isCount,
  gid: isCount,
  links: isCount,
  sectors: isCount,
  mtime: (v: unknown) => typeof v === "number" && Number.isFinite(v),
  rdev: (v: unknown) => Array.isArray(v) && v.length === 2 && v.every(isCount),
});

/** @throws {ErrnoError} EINVAL: what about `value` is not a manifest. */
export function parseManifest(value: unknown): Manifest {
  const bad = (why: string) => new ErrnoError(Errno.EINVAL, `not a manifest: ${why}`);
  const { entries } = (typeof value === "object" && value !== null ? value : {}) as Fields;
  if (!Array.isArray(entries)) throw bad('no list "entries"');
  const paths = new Set<string>();
  for (const [i, entry] of entries.entries()) {
    if (typeof entry !== "object" || entry === null || !("path" in entry)) {
      throw bad(`entry ${i} has no "path"`);
    }
    for (const [name, good] of Object.entries(FIELDS)) {
      const field = (entry as Fields)[name];
      if (field !== undefined && !good(field)) {
        throw bad(`entry ${i}: "${name}" is ${JSON.stringify(field).slice(0, 80)}`);
      }
    }
    const { path } = entry as ManifestEntry;
    if (paths.has(path)) throw bad(`entry ${i}: "${path}" comes twice`);
    paths.add(path);
  }
  return { entries: entries as ManifestEntry[] };
}
