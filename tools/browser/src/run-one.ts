/**
 * One run on one machine: images verified one after the other, and the hash of its trace.
 *
 * This file runs unchanged in a page, under this Node and, without its types, under Node 20: it
 * imports nothing of any host. With the images of the demo a run is what `physio demo` does, with
 * one image what `physio verify` does, and has the same trace hash.
 */
import { Errno } from "@physio/kern";
import type { Machine, Media } from "@physio/machine";
import { ioStatistics, machine, profileNamed } from "@physio/machine";
import type { Failure, Hasher } from "@physio/machine/verify";
import { parseManifest, verifyImage, verifyMapped } from "@physio/machine/verify";
import { Ktr } from "@physio/trace";
import { memoryRun } from "./memory-run.ts";

/** An unpacked image and the parsed JSON that says what it should hold. */
export interface Subject {
  readonly image: Uint8Array;
  readonly manifest: unknown;
}

export interface RunOptions {
  readonly profile: string;
  readonly seed: number;
  /** Most bounce pages for each disk; 0 or absent: no limit. */
  readonly bouncePages?: number;
  readonly newHasher: () => Hasher;
}

/** What a run found. Plain data: it travels as JSON. */
export interface RunResult {
  /** Everything agrees with the manifests, and neither bus nor device refused anything. */
  readonly ok: boolean;
  /** Regular files that agree. */
  readonly files: number;
  readonly failures: readonly Failure[];
  readonly traceHash: string;
  /** Nanoseconds on the machine's clock at the end. */
  readonly virtualTime: number;
  /** Loads that had to wait for bounce pages. */
  readonly deferrals: number;
}

/** The profile of a run without a disk: see memory-run.ts. */
export const MEMORY = "memory";

/** The same run under several seeds. Plain data. */
export interface Plan {
  /** Names of images; one machine reads all of them. None for MEMORY. */
  readonly images: readonly string[];
  /** Of a machine, or MEMORY. */
  readonly profile: string;
  readonly bouncePages: number;
  readonly seeds: readonly number[];
}

/** A medium over bytes that stay as they are, so that any number of runs share them. */
function readOnly(bytes: Uint8Array): Media {
  return {
    size: bytes.length,
    read(offset, to, at, length) {
      const held = Math.max(0, Math.min(length, bytes.length - offset));
      to.set(bytes.subarray(offset, offset + held), at);
      to.fill(0, at + held, at + length);
      return Errno.OK;
    },
    write: () => Errno.EROFS,
    flush: () => Errno.OK,
  };
}

function* mountDisk(m: Machine, bytes: Uint8Array) {
  const disk = yield* m.attachDisk(`nvme${m.nvme.length}`, readOnly(bytes));
  return yield* m.mount(disk);
}

/** Verify several images on one machine, one disk each. @throws {ErrnoError} not an image, not a manifest, no such profile. */
export function verifyTogether(subjects: readonly Subject[], options: RunOptions): RunResult {
  const { profile, seed, bouncePages = 0, newHasher } = options;
  const m = machine(profileNamed(profile, { seed, bouncePages }));
  m.ktr.mask = Ktr.ALL;
  let files = 0;
  const failures: Failure[] = [];
  for (const { image, manifest } of subjects) {
    const expected = parseManifest(manifest);
    const mount = m.runSync(mountDisk(m, image));
    const report = m.runSync(verifyImage(m, mount, expected, { newHasher }));
    const mapped = m.runSync(verifyMapped(m, mount, expected, newHasher));
    m.runSync(mount.unmount());
    files += report.files;
    failures.push(...report.failures);
    if (mapped?.agrees === false) failures.push({ path: mapped.path, reason: "differs, mapped" });
  }
  m.sched.pump();
  m.checkQuiet();
  const { busFaults, deviceErrors, virtualTime, deferrals } = ioStatistics(m);
  const ok = files > 0 && failures.length === 0 && busFaults === 0 && deviceErrors === 0;
  return { ok, files, failures, traceHash: m.ktr.hash(), virtualTime, deferrals };
}

/** Verify one image on a machine of its own. @throws {ErrnoError} as verifyTogether. */
export function verifyBytes(image: Uint8Array, manifest: unknown, options: RunOptions): RunResult {
  return verifyTogether([{ image, manifest }], options);
}

/** A run of memory alone in the words of the others: its steps count as files. */
function memoryResult(seed: number): RunResult {
  const { ok, steps, wrong, traceHash, virtualTime } = memoryRun(seed);
  const failures = ok ? [] : [{ path: "memory", reason: `${wrong} wrong bytes, ${steps} steps` }];
  return { ok, files: steps, failures, traceHash, virtualTime, deferrals: 0 };
}

/** Run a plan; between two seeds the host gets its turn. @returns one result a seed, in the order of the seeds. */
export async function runPlan(
  plan: Plan,
  subjects: readonly Subject[],
  newHasher: () => Hasher,
): Promise<RunResult[]> {
  const { profile, bouncePages, seeds } = plan;
  const results: RunResult[] = [];
  for (const seed of seeds) {
    if (profile === MEMORY) results.push(memoryResult(seed));
    else results.push(verifyTogether(subjects, { profile, seed, bouncePages, newHasher }));
    await new Promise<void>((resolve) => hostTimer.setTimeout(resolve, 0));
  }
  return results;
}

/** The one thing of the host that is used: browsers and Node both have it. */
const hostTimer = globalThis as unknown as { setTimeout(then: () => void, ms: number): unknown };
