/**
 * Verifying an image: walk its tree, read everything, compare with a manifest.
 *
 * One thread walks, several read, so that the disk has more than one request at a time and the
 * machine's seed has something to choose. Every path of the manifest must be found; paths that it
 * does not list are read and counted, not judged.
 */
import type { Bytes } from "@physio/kern";
import { ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Mount, Vnode } from "@physio/vfs";
import { namei } from "@physio/vfs";
import { FileReader, walkTree } from "../files.ts";
import type { Machine } from "../machine.ts";
import type { Hasher, Mismatch, Tools } from "./compare.ts";
import { compareAttributes, compareContents } from "./compare.ts";
import type { Manifest, ManifestEntry } from "./manifest.ts";

/** What is wrong, and where. */
export interface Failure extends Mismatch {
  readonly path: string;
}

export interface VerifyReport {
  /** Paths that agree with the manifest, by kind. */
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Sum of the sizes of the files that agree. */
  readonly bytes: Bytes;
  /** Paths in the image that the manifest does not list. */
  readonly unlisted: number;
  readonly failures: readonly Failure[];
}

export interface VerifyOptions {
  readonly newHasher: () => Hasher;
  /** Threads that read; default 4. */
  readonly readers?: number;
  /** Directory that the manifest's paths begin at; default: the root. */
  readonly below?: string;
  /** Called after each path. */
  readonly progress?: (done: number, path: string) => void;
}

/** Paths that wait for a reader at most. */
const BACKLOG = 64;

interface Job {
  readonly path: string;
  readonly vp: Vnode;
}

class Verifier {
  readonly machine: Machine;
  readonly options: VerifyOptions;
  readonly entries: Map<string, ManifestEntry>;
  readonly failures: Failure[];
  readonly failed: Set<string>;
  readonly jobs: Job[];
  files: number;
  directories: number;
  others: number;
  bytes: Bytes;
  unlisted: number;
  done: number;
  walking: boolean;
  readersLeft: number;

  constructor(machine: Machine, manifest: Manifest, options: VerifyOptions) {
    this.machine = machine;
    this.options = options;
    this.entries = new Map(manifest.entries.map((entry) => [entry.path, entry]));
    this.failures = [];
    this.failed = new Set();
    this.jobs = [];
    this.files = 0;
    this.directories = 0;
    this.others = 0;
    this.bytes = 0;
    this.unlisted = 0;
    this.done = 0;
    this.walking = true;
    this.readersLeft = options.readers ?? 4;
  }

  /** Report a path; only the first finding, since its walker and its reader may both object. */
  fail(path: string, mismatch: Mismatch): void {
    if (this.failed.has(path)) return;
    this.failed.add(path);
    this.failures.push({ path, ...mismatch });
    this.entries.delete(path);
  }

  broken(path: string, error: ErrnoError): void {
    this.fail(path, { reason: error.message });
  }

  *found(path: string, vp: Vnode): Sleeps<void> {
    while (this.jobs.length >= BACKLOG)
      yield* this.machine.sched.sleep(this.jobs, "verify backlog");
    this.jobs.push({ path, vp });
    this.machine.sched.wakeupOne(this);
  }

  /** A reader thread: take paths until the walk is over and none is left. */
  *readLoop(): Sleeps<void> {
    const { sched, kmem } = this.machine;
    const tools: Tools = { reader: new FileReader(kmem), newHasher: this.options.newHasher };
    while (this.walking || this.jobs.length > 0) {
      const job = this.jobs.shift();
      if (job === undefined) {
        yield* sched.sleep(this, "verify jobs");
        continue;
      }
      sched.wakeup(this.jobs);
      yield* this.judge(tools, job);
      job.vp.mount.vrele(job.vp);
      this.options.progress?.(++this.done, job.path);
    }
    tools.reader.close();
    this.readersLeft--;
    sched.wakeup(this.options);
  }

  *judge(tools: Tools, { path, vp }: Job): Sleeps<void> {
    const entry = this.entries.get(path);
    const attr = vp.ops.getattr(vp);
    const wrong = entry === undefined ? [] : compareAttributes(entry, attr);
    if (wrong.length === 0) {
      const mismatch = yield* this.contents(tools, entry ?? { path }, vp);
      if (mismatch !== null) wrong.push(mismatch);
    }
    if (wrong.length > 0) this.fail(path, wrong[0]);
    else if (entry === undefined) this.unlisted++;
    else this.count(attr.type, attr.size);
    this.entries.delete(path);
  }

  *contents(tools: Tools, entry: ManifestEntry, vp: Vnode): Sleeps<Mismatch | null> {
    try {
      return yield* compareContents(tools, entry, vp);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      return { reason: error.message };
    }
  }

  count(type: string, size: Bytes): void {
    if (type === "regular") {
      this.files++;
      this.bytes += size;
    } else if (type === "directory") this.directories++;
    else this.others++;
  }
}

/** The directory where the walk begins, referenced. */
function* topOf(mount: Mount, below: string | undefined): Sleeps<Vnode> {
  const root = yield* mount.root();
  if (below === undefined) return root;
  try {
    return yield* namei(root, below);
  } finally {
    mount.vrele(root);
  }
}

/** Compare everything on `mount` with `manifest`. @throws {ErrnoError} EIO, ENOTDIR, ENOENT: there is no root directory. */
export function* verifyImage(
  machine: Machine,
  mount: Mount,
  manifest: Manifest,
  options: VerifyOptions,
): Sleeps<VerifyReport> {
  const verifier = new Verifier(machine, manifest, options);
  const root = yield* topOf(mount, options.below);
  for (let i = verifier.readersLeft; i > 0; i--)
    machine.sched.spawn(`verify ${i}`, verifier.readLoop());
  yield* walkTree(root, verifier);
  mount.vrele(root);
  verifier.walking = false;
  machine.sched.wakeup(verifier);
  while (verifier.readersLeft > 0) yield* machine.sched.sleep(options, "verify readers");
  for (const path of [...verifier.entries.keys()])
    verifier.fail(path, { reason: "is not in the image: ENOENT" });
  const { files, directories, others, bytes, unlisted, failures } = verifier;
  return { files, directories, others, bytes, unlisted, failures };
}
