/**
 * The command: measure, print, judge. See options.ts.
 *
 * Measures the built packages in processes of their own, so build first. This process imports none
 * of them.
 */
import { CHAINS } from "./chain-rows.ts";
import { CORE_GARBAGE } from "./core-garbage-rows.ts";
import { CURVES } from "./curve-rows.ts";
import { DEMO } from "./demo-rows.ts";
import { describeMachine, writeDocs } from "./docs.ts";
import { FILE_GARBAGE, FILES, SCANS } from "./file-rows.ts";
import { FRAMES } from "./frame-rows.ts";
import { stalePackages } from "./freshness.ts";
import { GARBAGE } from "./garbage-rows.ts";
import { LOADS, MANY_LOADS } from "./load-rows.ts";
import { MAPS } from "./map-rows.ts";
import { MEMORY } from "./memory-rows.ts";
import { parseOptions, USAGE } from "./options.ts";
import { PAGES } from "./page-rows.ts";
import { PAGING } from "./paging-rows.ts";
import { PATHS } from "./path-rows.ts";
import { exitCode } from "./row.ts";
import { selfTest } from "./self-test.ts";
import type { Suite } from "./suite.ts";
import { runSuites } from "./suite.ts";
import { countLine, table } from "./table.ts";

const SUITES: readonly Suite[] = Object.freeze([
  LOADS,
  MANY_LOADS,
  CHAINS,
  MAPS,
  GARBAGE,
  MEMORY,
  PAGES,
  FILES,
  FILE_GARBAGE,
  SCANS,
  PAGING,
  FRAMES,
  PATHS,
  CORE_GARBAGE,
  DEMO,
  CURVES,
]);

const say = (text: string): void => console.error(`bench: ${text}`);

function run(args: readonly string[]): number {
  const options = parseOptions(args);
  const stale = stalePackages();
  if (stale.length > 0) say(`sources newer than what is built (tsc -b): ${stale.join(", ")}`);
  if (options.selfTest) {
    const seen = selfTest((text) => console.log(text));
    const missed = seen.filter((one) => !one).length;
    console.log(`${seen.length - missed} passed, ${missed} failed`);
    return missed === 0 ? 0 : 1;
  }
  const report = runSuites(SUITES, options.only, say);
  if (options.json) {
    const { results, charts } = report;
    console.log(JSON.stringify({ machine: describeMachine(), results, charts }, null, 2));
    say(countLine(results));
  } else {
    const colours = process.stdout.isTTY === true && !process.env.NO_COLOR;
    process.stdout.write(table(report.results, colours));
  }
  if (options.writeDocs) writeDocs(report);
  return exitCode(report.results, options.gate);
}

/** @returns the exit code: 1 when the gate is closed, 2 for a wrong command line. */
export function bench(args: readonly string[]): number {
  try {
    return run(args);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`bench: ${error.message}\n${USAGE}`);
    return 2;
  }
}
