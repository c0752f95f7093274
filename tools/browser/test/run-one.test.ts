/**
 * A run outside of the command line is the same run.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { expect, test } from "vitest";
import { FIXTURES, loadSubject, nodeHasher, ROOT } from "../src/in-node.ts";
import type { RunOptions, RunResult } from "../src/run-one.ts";
import { runPlan, verifyBytes, verifyTogether } from "../src/run-one.ts";

const DEMO = ["lic-1k", "hdr-4k", "man-2k-rev0"];
const man = loadSubject("man-2k-rev0");

function run(more: Partial<RunOptions> = {}): RunResult {
  const options = { profile: "pc-32bit-dma", seed: 7, newHasher: nodeHasher, ...more };
  return verifyBytes(man.image, man.manifest, options);
}

/** What the command line prints as JSON. */
function physio(...args: readonly string[]) {
  const main = join(ROOT, "packages/top/cli/src/main.ts");
  const argv = ["--conditions=@physio/source", main, ...args, "--json"];
  const done = spawnSync(process.execPath, argv, { encoding: "utf8" });
  expect(done.stderr).toBe("");
  return JSON.parse(done.stdout);
}

test("an image is verified whole, twice with the same trace", () => {
  const first = run();
  expect(first).toMatchObject({ ok: true, files: 80, failures: [], deferrals: 0 });
  expect(first.traceHash).toMatch(/^[0-9a-f]{16}$/);
  expect(run()).toEqual(first);
});

test("another seed, profile or pool is another run with the same data", () => {
  const runs = [run(), run({ seed: 8 }), run({ profile: "pc" }), run({ bouncePages: 2 })];
  expect(new Set(runs.map((r) => r.traceHash)).size).toBe(4);
  for (const result of runs) expect(result).toMatchObject({ ok: true, files: 80 });
  expect(runs[3].deferrals).toBeGreaterThan(0);
});

test("one image: the run of `physio verify`", () => {
  const image = join(FIXTURES, "man-2k-rev0.img.gz");
  const manifest = join(FIXTURES, "man-2k-rev0.manifest.json");
  const args = ["--profile", "pc-32bit-dma", "--seed", "7"];
  const printed = physio("verify", image, "--manifest", manifest, ...args);
  const { traceHash, virtualTime } = run();
  expect([printed.traceHash, printed.io.virtualTime]).toEqual([traceHash, virtualTime]);
});

test("the demo's images: the run of `physio demo`", () => {
  const options = { profile: "pc-32bit-dma", seed: 3, bouncePages: 2, newHasher: nodeHasher };
  const { traceHash, deferrals, files } = verifyTogether(DEMO.map(loadSubject), options);
  const printed = physio("demo", "--seed", "3", "--bounce-pages", "2");
  expect([printed.traceHash, printed.io.deferrals]).toEqual([traceHash, deferrals]);
  expect(printed.images.reduce((sum: number, i: { files: number }) => sum + i.files, 0)).toBe(
    files,
  );
});

test("the hash that pages use gives the same run", () => {
  const newHasher = () => {
    const hash = sha256.create();
    return {
      update: (bytes: Uint8Array) => void hash.update(bytes),
      digest: () => bytesToHex(hash.digest()),
    };
  };
  expect(run({ newHasher })).toEqual(run());
});

test("a manifest that says something else is noticed", () => {
  const { entries } = man.manifest as { entries: { path: string; sha256?: string }[] };
  const victim = entries.find((entry) => entry.sha256 !== undefined);
  const wrong = entries.map((e) => (e === victim ? { ...e, sha256: "0".repeat(64) } : e));
  const options = { profile: "pc", seed: 1, newHasher: nodeHasher };
  const result = verifyBytes(man.image, { entries: wrong }, options);
  expect(result).toMatchObject({ ok: false, files: 79 });
  expect(result.failures.map((failure) => failure.path)).toEqual([victim?.path]);
  expect(verifyBytes(man.image, { entries: [] }, options).ok, "nothing verified").toBe(false);
});

test("a plan's results come in the order of its seeds, whatever ran before", async () => {
  const plan = { images: ["man-2k-rev0"], profile: "pc", bouncePages: 0, seeds: [1, 2, 3] };
  const forwards = await runPlan(plan, [man], nodeHasher);
  const backwards = await runPlan({ ...plan, seeds: [3, 2, 1] }, [man], nodeHasher);
  expect(backwards.toReversed()).toEqual(forwards);
});
