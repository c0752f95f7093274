/**
 * Running plans in this process, on images from the fixtures.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { Hasher } from "@physio/machine/verify";
import type { Plan, RunResult, Subject } from "./run-one.ts";
import { runPlan } from "./run-one.ts";

/** The checkout, and the folder of its images. */
export const ROOT: string = fileURLToPath(new URL("../../..", import.meta.url));
export const FIXTURES: string = join(ROOT, "fixtures/ext2");

export function nodeHasher(): Hasher {
  const hash = createHash("sha256");
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest("hex") };
}

/** An image of the fixtures, unpacked. @throws the host's error: there is none of that name. */
export function loadSubject(name: string): Subject {
  const gz = readFileSync(join(FIXTURES, `${name}.img.gz`));
  const manifest = readFileSync(join(FIXTURES, `${name}.manifest.json`), "utf8");
  return { image: gunzipSync(gz), manifest: JSON.parse(manifest) };
}

export function runInNode(plan: Plan): Promise<RunResult[]> {
  return runPlan(plan, plan.images.map(loadSubject), nodeHasher);
}
