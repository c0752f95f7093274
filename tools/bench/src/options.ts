/**
 * The command line.
 */
import { parseArgs } from "node:util";

export const USAGE = `usage: node tools/bench/src/main.ts [OPTION...]

  --only PREFIX   rows whose id begins so
  --json          the results as JSON instead of a table
  --gate          exit with 1 when a row fails
  --write-docs    write docs/bench.md and its curves; needs all rows
  --self-test     plant regressions in copies of the built code: the gate must see them
`;

export interface Options {
  readonly only: string;
  readonly json: boolean;
  readonly gate: boolean;
  readonly writeDocs: boolean;
  readonly selfTest: boolean;
}

/** @throws {TypeError} an option that there is not. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      gate: { type: "boolean", default: false },
      "write-docs": { type: "boolean", default: false },
      "self-test": { type: "boolean", default: false },
    },
  });
  const { only, json, gate } = values;
  if (values["write-docs"] && only !== "") throw new TypeError("--write-docs needs all rows");
  return { only, json, gate, writeDocs: values["write-docs"], selfTest: values["self-test"] };
}
