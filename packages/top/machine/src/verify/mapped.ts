/**
 * Reading a file through a mapping: every page comes in by a fault.
 *
 * Of an image's manifest one file is taken that is worth it, mapped into an address space of its own
 * and read as a program reads memory; its hash must be the manifest's.
 */
import type { Bytes } from "@physio/kern";
import { Errno, KiB, MiB } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { MapFlag, Vmspace } from "@physio/uvm";
import type { Mount, Vnode } from "@physio/vfs";
import { namei } from "@physio/vfs";
import type { Machine } from "../machine.ts";
import type { Hasher } from "./compare.ts";
import type { Manifest } from "./manifest.ts";

const CHUNK = 64 * KiB;
const MOST = 4 * MiB;

export interface MappedReport {
  readonly path: string;
  readonly bytes: Bytes;
  /** Faults that it took. */
  readonly faults: number;
  readonly agrees: boolean;
}

/** Map the largest file of the manifest up to 4 MiB and read it. @returns null: there is none. @throws {ErrnoError} the path is not there, EIO. */
export function* verifyMapped(
  machine: Machine,
  mount: Mount,
  manifest: Manifest,
  newHasher: () => Hasher,
): Sleeps<MappedReport | null> {
  const sizeOf = (size: number | undefined) => (size === undefined || size > MOST ? 0 : size);
  const entry = manifest.entries
    .filter((e) => e.sha256 !== undefined && sizeOf(e.size) > 0)
    .reduce<Manifest["entries"][number] | null>(
      (best, e) => (best === null || sizeOf(e.size) > sizeOf(best.size) ? e : best),
      null,
    );
  if (entry === null) return null;
  const root = yield* mount.root();
  try {
    const vp = yield* namei(root, entry.path);
    const hasher = newHasher();
    const faults = yield* readMapped(machine, vp, hasher);
    const report = { path: entry.path, bytes: vp.size, faults, agrees: faults >= 0 };
    mount.vrele(vp);
    return { ...report, agrees: report.agrees && hasher.digest() === entry.sha256!.toLowerCase() };
  } finally {
    mount.vrele(root);
  }
}

/** Hash a file through a mapping. @returns faults; −1: a page could not be had. */
function* readMapped(machine: Machine, vp: Vnode, hasher: Hasher): Sleeps<number> {
  const space = new Vmspace({ pages: machine.pages, name: "reader" });
  const size = vp.size as number;
  const va = space.mmap({
    length: size,
    prot: Prot.READ,
    flags: MapFlag.SHARED,
    object: vp.object,
  });
  const bytes = new Uint8Array(CHUNK);
  let error: Errno = Errno.OK;
  for (let at = 0; at < size && error === Errno.OK; at += CHUNK) {
    const chunk = bytes.subarray(0, Math.min(CHUNK, size - at));
    error = yield* space.read(va + at, chunk);
    hasher.update(chunk);
  }
  const { faults } = space;
  space.free();
  return error === Errno.OK ? faults : -1;
}
