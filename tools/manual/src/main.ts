/**
 * `node tools/manual/src/main.ts [--write]`: check the manual of this checkout.
 *
 * --write puts what the examples printed into their pages, where it is not what a page says.
 * Exit code 1: something is wrong.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "./check.ts";
import { checkManual } from "./check.ts";
import { compareOutput } from "./examples.ts";
import { formatFinding } from "./finding.ts";
import { HOUSE } from "./house.ts";

/** Replace outputs from the last line up, so that numbers above stay right. @returns how many. */
function writeOutputs({ examples, outcomes }: Report): number {
  let written = 0;
  for (let i = examples.length - 1; i >= 0; i--) {
    const [example, { output, error }] = [examples[i], outcomes[i]];
    if (error !== null || compareOutput(example, output) === null) continue;
    const path = join(HOUSE, example.page);
    const lines = readFileSync(path, "utf8").split("\n");
    const old = example.expected.split("\n").length - 1;
    lines.splice(example.outputLine - 1, old, ...output.replace(/\n$/, "").split("\n"));
    writeFileSync(path, lines.join("\n"));
    written++;
  }
  return written;
}

const begin = performance.now();
const report = checkManual(HOUSE);
for (const finding of report.findings) console.log(formatFinding(finding));
const { pages, examples, findings } = report;
if (process.argv.includes("--write")) console.log(`manual: wrote ${writeOutputs(report)} outputs`);
const seconds = ((performance.now() - begin) / 1000).toFixed(1);
const counts = `${pages.length} pages, ${examples.length} examples, ${findings.length} findings`;
console.log(`manual: ${counts}, ${seconds} s`);
process.exitCode = findings.length === 0 ? 0 : 1;
