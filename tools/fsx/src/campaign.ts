/**
 * A campaign: many operations, in runs of some thousands that each begin on a fresh file system.
 *
 * Every image that a run leaves is judged by e2fsck, where that is installed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "@physio/machine";
import type { OpList } from "./list.ts";
import { drawOps, FLAG_SETS } from "./ops.ts";
import type { Failure, Truncate } from "./run.ts";
import { runList } from "./run.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly ops: number;
  readonly profile: string;
  readonly blockSize: number;
  readonly threads: number;
  readonly set: string;
  /** For a planted fault. */
  readonly truncate?: Truncate;
}

export interface CampaignResult {
  readonly done: number;
  /** The first list that failed. */
  readonly list: OpList | null;
  readonly failure: Failure | null;
}

/** Operations of one run. */
const RUN = 2500;
const IMAGE = "image";
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

/** Runs until one fails, or all operations are done. */
export function campaign(options: CampaignOptions): CampaignResult {
  let done = 0;
  for (let run = 0; done < options.ops; run++) {
    const list = listOf(options, run, Math.min(RUN, options.ops - done));
    const failure = tryList(list, options.truncate);
    if (failure !== null) return { done: done + failure.at, list, failure };
    done += list.ops.length;
  }
  return { done, list: null, failure: null };
}

/** Run a list and judge the image. @returns why it failed; null: it did not. */
export function tryList(list: OpList, truncate?: Truncate): Failure | null {
  const { failure, image } = runList(list, truncate);
  if (failure !== null || image === null) return failure;
  const verdict = judge(image);
  return verdict === null ? null : { at: list.ops.length, why: `e2fsck: ${verdict}` };
}

function listOf(options: CampaignOptions, run: number, count: number): OpList {
  const { profile, blockSize, threads, set } = options;
  const seed = options.seed * 1000 + run;
  const ops = drawOps(seededRandom(seed), FLAG_SETS[set], count, threads);
  return { profile, blockSize, seed, threads, set, ops };
}

/** What e2fsck says of an image; null: it is clean, or there is no e2fsck. */
function judge(image: Uint8Array): string | null {
  const folder = mkdtempSync(join(tmpdir(), "fsx-"));
  try {
    writeFileSync(join(folder, IMAGE), image);
    const run = spawnSync("e2fsck", ["-fn", IMAGE], { cwd: folder, env: { PATH, LC_ALL: "C" } });
    if (run.error !== undefined || run.status === 0) return null;
    return `exit code ${run.status}: ${run.stdout}${run.stderr}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
