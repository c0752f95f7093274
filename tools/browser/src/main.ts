/**
 * Entry point: the same runs in Node and in Chromium, compared.
 *
 *   node --conditions=@physio/source tools/browser/src/main.ts [--seeds N] [--image NAME]...
 *
 * Exit codes: 0 all agree; 1 something differs or went wrong; 2 the command line; 3 there is no
 * Chromium here.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PageRunner } from "./chromium.ts";
import { complain, UsageError, wholeNumber } from "./command.ts";
import { complaints, planName, Tally } from "./compare.ts";
import { FIXTURES, runInNode } from "./in-node.ts";
import type { Plan } from "./run-one.ts";

const DEFAULT_IMAGES = ["hdr-4k", "man-2k-rev0"];
const DEFAULT_SEEDS = "3";

function plansOf(argv: string[]): Plan[] {
  const { values } = parseArgs({
    args: argv,
    options: { seeds: { type: "string" }, image: { type: "string", multiple: true } },
  });
  const count = wholeNumber("--seeds", values.seeds ?? DEFAULT_SEEDS);
  const seeds = Array.from({ length: count }, (_, i) => i + 1);
  return (values.image ?? DEFAULT_IMAGES).map((image) => {
    if (!existsSync(join(FIXTURES, `${image}.img.gz`)))
      throw new UsageError(`--image: there is no fixture ${image}`);
    return { images: [image], profile: "pc-32bit-dma", bouncePages: 0, seeds };
  });
}

async function compare(page: PageRunner, plan: Plan, tally: Tally): Promise<void> {
  const node = { host: "Node", results: await runInNode(plan) };
  const browser = { host: "Chromium", results: await page.run(plan) };
  console.log(`\n${planName(plan)}`);
  console.log("seed  files  Node              Chromium          virtual ms");
  for (const [index, seed] of plan.seeds.entries()) {
    const [here, there] = [node.results[index], browser.results[index]];
    const wrong = complaints([node, browser], index);
    const verdict = tally.check(wrong.length === 0) ? "same" : "DIFFERENT";
    const cells = [
      String(seed).padStart(4),
      String(there?.files).padStart(5),
      String(here?.traceHash).padEnd(16),
      String(there?.traceHash).padEnd(16),
      (here.virtualTime / 1e6).toFixed(3).padStart(10),
    ];
    console.log(`${cells.join("  ")}  ${verdict}`);
    for (const line of wrong) console.log(`      ${line}`);
  }
}

async function main(): Promise<number> {
  const plans = plansOf(process.argv.slice(2));
  const tally = new Tally();
  const page = await PageRunner.open();
  try {
    console.log(`Node ${process.version} and Chromium ${page.version}`);
    for (const plan of plans) await compare(page, plan, tally);
  } finally {
    await page.close();
  }
  console.log(`\n${tally.line()}`);
  return tally.failed === 0 ? 0 : 1;
}

process.exitCode = await main().catch(complain);
