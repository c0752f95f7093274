/**
 * Entry point: one seed names one run, whatever runs it.
 *
 *   node --conditions=@physio/source tools/browser/src/determinism.ts [--seeds N]
 *
 * The demo under N seeds (50), a run of memory alone, and for each seed a run of another kind: in this Node from the
 * sources, in Node 20 from the built packages and in Chromium. For one seed all must have the same
 * trace hash, files and virtual time, and all data must be right. Node 20 takes the seeds
 * backwards, so that a run which depends on the ones before it shows. Exit codes as main.ts; 3:
 * Node 20 or Chromium is missing, the others were compared.
 */
import { parseArgs } from "node:util";
import { PageRunner } from "./chromium.ts";
import { complain, HostMissing, wholeNumber } from "./command.ts";
import type { HostResults } from "./compare.ts";
import { complaints, planName, Tally } from "./compare.ts";
import { runInNode } from "./in-node.ts";
import { Node20Runner } from "./node20.ts";
import type { Plan, RunResult } from "./run-one.ts";
import { MEMORY } from "./run-one.ts";

const DEMO = ["lic-1k", "hdr-4k", "man-2k-rev0"];
const DEFAULT_SEEDS = "50";
/** Seeds of the runs that only look whether another shape of image changes anything. */
const FEW = 5;
const HOSTS = 3;

/** What a host made of all plans. */
interface Host {
  readonly name: string;
  readonly results: readonly (readonly RunResult[])[];
}

function plansFor(count: number): Plan[] {
  const seeds = Array.from({ length: count }, (_, i) => i + 1);
  const few = seeds.slice(0, FEW);
  const [odd, even] = [1, 0].map((rest) => seeds.filter((seed) => seed % 2 === rest));
  const bounced = "pc-32bit-dma";
  return [
    { images: DEMO, profile: bounced, bouncePages: 0, seeds },
    { images: ["man-2k-rev0"], profile: "pc", bouncePages: 0, seeds: odd },
    { images: ["man-2k-rev0"], profile: bounced, bouncePages: 2, seeds: even },
    { images: [], profile: MEMORY, bouncePages: 0, seeds },
    { images: ["man-2k-rev0"], profile: "arm64", bouncePages: 0, seeds: few },
    { images: ["lic-1k"], profile: "pc", bouncePages: 0, seeds: few },
    { images: ["lic-1k"], profile: bounced, bouncePages: 4, seeds: few },
    { images: DEMO, profile: bounced, bouncePages: 2, seeds: few },
  ].filter((plan) => plan.seeds.length > 0);
}

async function here(plans: readonly Plan[]): Promise<Host> {
  const results: RunResult[][] = [];
  for (const plan of plans) results.push(await runInNode(plan));
  return { name: `Node ${process.version}`, results };
}

async function inNode20(runner: Node20Runner, plans: readonly Plan[]): Promise<Host> {
  const backwards = plans.map((plan) => ({ ...plan, seeds: plan.seeds.toReversed() }));
  const { version, results } = await runner.run(backwards);
  return { name: `Node ${version}`, results: results.map((list) => list.toReversed()) };
}

async function inChromium(page: PageRunner, plans: readonly Plan[]): Promise<Host> {
  try {
    const results: RunResult[][] = [];
    for (const plan of plans) results.push(await page.run(plan));
    return { name: `Chromium ${page.version}`, results };
  } finally {
    await page.close();
  }
}

/** What `open` opens, or null, with a word about it, when it is not to be had here. */
async function ifPresent<T>(open: () => Promise<T>): Promise<T | null> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof HostMissing)) throw error;
    complain(error);
    return null;
  }
}

/** Run all plans in all hosts that there are, at the same time. */
async function runEverywhere(plans: readonly Plan[]): Promise<Host[]> {
  // Both are built first: building is slow while this process runs machines.
  const node20 = await ifPresent(() => Node20Runner.build());
  const page = await ifPresent(() => PageRunner.open());
  const runs = [here(plans)];
  if (node20 !== null) runs.push(inNode20(node20, plans));
  if (page !== null) runs.push(inChromium(page, plans));
  return Promise.all(runs);
}

/** Compare what the hosts made of one plan. */
function judge(plan: Plan, hosts: readonly HostResults[], tally: Tally): void {
  const wrong: string[] = [];
  for (const [index, seed] of plan.seeds.entries()) {
    const found = complaints(hosts, index);
    tally.check(found.length === 0);
    wrong.push(...found.map((line) => `seed ${seed}: ${line}`));
  }
  const [{ results }] = hosts;
  const hashes = new Set(results.map((result) => result.traceHash)).size;
  if (plan.seeds.length > 1 && !tally.check(hashes > 1)) wrong.push("all seeds give the same run");
  const deferrals = results.reduce((sum, result) => sum + result.deferrals, 0);
  if (plan.bouncePages > 0 && !tally.check(deferrals > 0)) wrong.push("nothing was deferred");
  const files = new Set(results.map((result) => result.files));
  console.log(
    `${planName(plan)}: ${plan.seeds.length} seeds, ${[...files].join("/")} files, ` +
      `${hashes} different hashes, ${deferrals} deferrals: ${wrong.length === 0 ? "same everywhere" : "DIFFERENT"}`,
  );
  for (const line of wrong) console.log(`  ${line}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { seeds: { type: "string" } } });
  const plans = plansFor(wholeNumber("--seeds", values.seeds ?? DEFAULT_SEEDS));
  const tally = new Tally();
  const hosts = await runEverywhere(plans);
  console.log(`${hosts.map((host) => host.name).join(", ")}:`);
  for (const [index, plan] of plans.entries()) {
    const shares = hosts.map(({ name, results }) => ({ host: name, results: results[index] }));
    judge(plan, shares, tally);
  }
  console.log(`\n${tally.line()}`);
  if (tally.failed > 0) return 1;
  return hosts.length === HOSTS ? 0 : 3;
}

process.exitCode = await main().catch(complain);
