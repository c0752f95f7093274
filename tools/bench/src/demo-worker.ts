/**
 * Worker of the demo row: reads images whole, as `physio verify` does, and tells how fast.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Machine } from "@physio/machine";
import { MemoryMedia, machine, pc, pc32BitDma } from "@physio/machine";
import type { Hasher, Manifest } from "@physio/machine/verify";
import { parseManifest, verifyImage } from "@physio/machine/verify";
import type { Sleeps } from "@physio/sched";
import type { Mount } from "@physio/vfs";

export interface DemoInput {
  readonly image: string;
  readonly manifest: string;
}

/** Megabytes (10^6 bytes) of file contents a second. */
export interface DemoOutput {
  readonly direct: number;
  readonly bounced: number;
}

function newHasher(): Hasher {
  const hash = createHash("sha256");
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest("hex") };
}

function* mounted(m: Machine, bytes: Uint8Array): Sleeps<Mount> {
  const disk = yield* m.attachDisk("nvme0", new MemoryMedia(bytes));
  return yield* m.mount(disk);
}

/** Read everything on a new machine. @returns megabytes a second. */
function verify(m: Machine, image: Uint8Array, manifest: Manifest): number {
  const begin = performance.now();
  const mount = m.runSync(mounted(m, image));
  const report = m.runSync(verifyImage(m, mount, manifest, { newHasher }));
  const seconds = (performance.now() - begin) / 1000;
  if (report.failures.length > 0) {
    const [first] = report.failures;
    throw new Error(`verify: ${report.failures.length} failures, first ${JSON.stringify(first)}`);
  }
  return report.bytes / 1e6 / seconds;
}

export function measureDemo(input: DemoInput): DemoOutput {
  const raw = readFileSync(input.image);
  const image = new Uint8Array(input.image.endsWith(".gz") ? gunzipSync(raw) : raw);
  const manifest = parseManifest(JSON.parse(readFileSync(input.manifest, "utf8")));
  const best = (boot: () => Machine) =>
    Math.max(...[1, 2, 3].map(() => verify(boot(), image, manifest)));
  return { direct: best(() => machine(pc({}))), bounced: best(() => machine(pc32BitDma({}))) };
}
