/**
 * `physio verify` and `physio demo`: read images whole and compare them with their manifests.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Errno, ErrnoError } from "@physio/kern";
import type { IoStatistics } from "@physio/machine";
import { ioStatistics } from "@physio/machine";
import type { Hasher, Manifest, MappedReport, VerifyReport } from "@physio/machine/verify";
import { parseManifest, verifyImage, verifyMapped } from "@physio/machine/verify";
import { formatFault } from "@physio/membus";
import type { CopyReport } from "./demo.ts";
import { hostError } from "./host-error.ts";
import { progressBar } from "./output.ts";
import { printReport } from "./report.ts";
import type { CommonOptions, Session } from "./session.ts";
import { about, withSession } from "./session.ts";

/** An image and what it should hold. */
export interface Subject {
  readonly image: string;
  readonly manifest: string;
}

export interface ImageResult extends VerifyReport {
  readonly image: string;
  /** One of its files, read again through a mapping; null: none is fit for it. */
  readonly mapped: MappedReport | null;
}

/** Everything that the two commands report. */
export interface RunResult {
  readonly profile: string;
  readonly seed: number;
  readonly ok: boolean;
  readonly images: readonly ImageResult[];
  readonly io: IoStatistics;
  /** Host time that the machine took for it, without unpacking images. */
  readonly seconds: number;
  readonly megabytesPerSecond: number;
  readonly processMemory: number;
  readonly traceHash: string;
  readonly faults: readonly string[];
  /** The demo's: a tree copied into a new image, read again. */
  readonly copies?: CopyReport;
}

export function newHasher(): Hasher {
  const hash = createHash("sha256");
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest("hex") };
}

/** @throws {ErrnoError} with the path in front: the host's error, or EINVAL: not a manifest. */
export function readManifest(path: string): Manifest {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw hostError(error, `${path}: cannot read`);
  }
  try {
    return parseManifest(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new ErrnoError(Errno.EINVAL, `${path}: not a manifest: not JSON`);
    throw about(path, error);
  }
}

/** Verify one image on a machine that runs already. */
async function verifyOne(session: Session, subject: Subject): Promise<ImageResult> {
  const manifest = readManifest(subject.manifest);
  const mount = await session.mountImage(subject.image);
  const bar = progressBar(manifest.entries.length, session.options.json === true);
  try {
    const body = verifyImage(session.machine, mount, manifest, {
      newHasher,
      progress: (done, path) => bar.update(done, path),
    });
    const report = session.run(body);
    const mapped = session.run(verifyMapped(session.machine, mount, manifest, newHasher));
    session.run(mount.unmount());
    return { image: basename(subject.image), ...report, mapped };
  } catch (error) {
    throw about(subject.image, error);
  } finally {
    bar.stop();
  }
}

/** Verify all subjects on one machine, and what else is to be done; print the report. @returns the exit code. */
export async function verifyAll(
  subjects: readonly Subject[],
  options: CommonOptions,
  copy: (() => Promise<CopyReport>) | null = null,
): Promise<number> {
  return await withSession(options, async (session) => {
    const images: ImageResult[] = [];
    for (const subject of subjects) images.push(await verifyOne(session, subject));
    session.finish();
    const result = resultOf(session, images);
    const copies = copy === null ? null : await copy();
    const whole = copies === null ? result : { ...result, ok: result.ok && copies.ok, copies };
    printReport(whole, session);
    return whole.ok ? 0 : 1;
  });
}

function resultOf(session: Session, images: readonly ImageResult[]): RunResult {
  const { machine, options, seconds } = session;
  const io = ioStatistics(machine);
  const agree = images.every(
    ({ failures, mapped }) => failures.length === 0 && mapped?.agrees !== false,
  );
  const faults = machine.membus.ports.flatMap((port) => port.faults);
  return {
    profile: options.profile,
    seed: options.seed,
    ok: agree && io.busFaults === 0 && io.deviceErrors === 0,
    images,
    io,
    seconds,
    megabytesPerSecond: seconds === 0 ? 0 : io.ioBytes / 1e6 / seconds,
    processMemory: process.memoryUsage.rss(),
    traceHash: machine.ktr.hash(),
    faults: faults.map(formatFault),
  };
}
