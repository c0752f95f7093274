/**
 * The command line of the examples: a name in, its story out; without a name, the list.
 *
 * 0: it was told; 2: there is none of that name. What an example throws goes through.
 */
import * as arm64OnlyBug from "./arm64-only-bug.ts";
import * as bsdDriver from "./bsd-driver.ts";
import * as deferredStorage from "./deferred-storage.ts";
import * as nic32 from "./nic32.ts";
import type { Print } from "./support.ts";

interface Example {
  readonly line: string;
  readonly run: (print: Print) => unknown;
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  nic32: { line: "a 32-bit network card: EFBIG, m_defrag, sent", run: nic32.run },
  "deferred-storage": {
    line: "more loads than bounce pages: EINPROGRESS, callbacks in order",
    run: deferredStorage.run,
  },
  "bsd-driver": { line: "a driver in the names of bus_dma(9)", run: bsdDriver.run },
  "arm64-only-bug": {
    line: "a missing sync that x86 forgives, and dmacheck's report",
    run: arm64OnlyBug.run,
  },
};

/** @returns the exit code. */
export function command(args: readonly string[], print: Print): number {
  const [name] = args;
  if (name !== undefined && Object.hasOwn(EXAMPLES, name)) {
    EXAMPLES[name].run(print);
    return 0;
  }
  if (name !== undefined) print(`example: there is no "${name}"; there are:`);
  for (const [key, { line }] of Object.entries(EXAMPLES)) print(`${key.padEnd(18)}${line}`);
  return name === undefined ? 0 : 2;
}
