/**
 * Examining an image in this process: mount, verify, unmount, with an end in sight.
 *
 * The scheduler runs in slices; when it has taken more steps or more time than any honest image
 * needs, that is a `Hang`, an error like any other. Whatever the outcome, the machine must be quiet
 * afterwards: `checkQuiet` panics on anything left over.
 */
import { createHash } from "node:crypto";
import type { Machine, MachineConfig, Media } from "@physio/machine";
import { machine, pc32BitDma } from "@physio/machine";
import type { Hasher, Manifest, VerifyReport } from "@physio/machine/verify";
import { verifyImage } from "@physio/machine/verify";
import type { Sleeps } from "@physio/sched";

/** Not an errno, not a panic: the image made the machine run on and on. */
class Hang extends Error {}

export function newHasher(): Hasher {
  const hash = createHash("sha256");
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest("hex") };
}

export interface Limits {
  readonly steps: number;
  readonly milliseconds: number;
}

const GENEROUS: Limits = Object.freeze({ steps: 4_000_000, milliseconds: 20_000 });
const SLICE = 2000;

/** Milliseconds of the processor: a busy host is no hang. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Run `body` as a thread of `m`, at most so far. @throws {Hang} */
export function runBounded<T>(m: Machine, body: Sleeps<T>, limits: Limits = GENEROUS): T {
  const thread = m.sched.start(body);
  const begin = cpuTime();
  for (let steps = 0; !m.sched.advance(thread, SLICE); steps += SLICE) {
    const spent = cpuTime() - begin;
    if (steps > limits.steps || spent > limits.milliseconds)
      throw new Hang(`after ${steps} steps, ${Math.round(spent)} ms`);
  }
  return m.sched.resultOf<T>(thread);
}

function* verifyMedia(m: Machine, media: Media, manifest: Manifest): Sleeps<VerifyReport> {
  const disk = yield* m.attachDisk("nvme0", media);
  const mount = yield* m.mount(disk);
  const report = yield* verifyImage(m, mount, manifest, { newHasher });
  yield* mount.unmount();
  return report;
}

export interface Examination {
  readonly machine: Machine;
  readonly report: VerifyReport;
}

/** Verify a medium on a new machine. @throws {ErrnoError} it cannot be mounted; {Hang}; {Panic}. */
export function examine(
  media: Media,
  manifest: Manifest,
  config: MachineConfig = pc32BitDma(),
  limits: Limits = GENEROUS,
): Examination {
  const m = machine(config);
  try {
    return { machine: m, report: runBounded(m, verifyMedia(m, media, manifest), limits) };
  } finally {
    m.sched.pump();
    m.checkQuiet();
  }
}
