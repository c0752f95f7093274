/**
 * The command line: arguments in, lines and an exit code out.
 *
 * 0 when all is well, 1 and one line per problem, 2 on bad usage. Without an option it writes
 * docs/port-map.md even when there are problems: they are printed too.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { resolve as absolute, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readClaims } from "./claims.ts";
import { readInventories } from "./inventory.ts";
import type { Problem } from "./model.ts";
import { count, render } from "./render.ts";
import type { PortMap } from "./resolve.ts";
import { resolve } from "./resolve.ts";
import { scan } from "./scan.ts";
import { Tree } from "./tree.ts";

const USAGE = "usage: portmap [--root DIR] [--check | --summary]";
const PAGE = "docs/port-map.md";
const README = "README.md";
/** Where the README says how far the port is, on one line. */
const STATUS = /^(<!-- portmap -->).*$/m;

interface Options {
  readonly root: string;
  readonly check: boolean;
  readonly summary: boolean;
}

export function command(args: readonly string[], print: (line: string) => void): number {
  const options = parse(args);
  if (typeof options === "string") {
    print(`portmap: ${options}`);
    print(USAGE);
    return 2;
  }
  const tree = new Tree(options.root);
  const map = portMap(tree);
  if (options.summary) {
    print(JSON.stringify(count(map.tables)));
    return 0;
  }
  const problems = [...map.problems];
  for (const [path, text] of outputs(tree, map)) {
    if (!options.check) {
      const file = join(options.root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    } else if (tree.text(path) !== text) {
      problems.push({ path, line: 1, message: "stale: run node tools/portmap/src/main.ts" });
    }
  }
  for (const { path, line, message } of sorted(problems)) print(`${path}:${line}: ${message}`);
  if (problems.length > 0) return 1;
  const { done, partly, notYet, rows } = count(map.tables);
  print(`portmap: ${rows} rows, ${done} done, ${partly} partly, ${notYet} not yet`);
  return 0;
}

/** The files that the map is in: its page, and the README's status where it has a place for it. */
function outputs(tree: Tree, map: PortMap): [string, string][] {
  const { done, partly, notYet, rows } = count(map.tables);
  const status = `${rows} rows, ${done} done, ${partly} partly, ${notYet} not yet.`;
  const readme = tree.text(README);
  const page: [string, string] = [PAGE, render(map)];
  if (readme === null) return [page];
  return [page, [README, readme.replace(STATUS, `$1${status}`)]];
}

function portMap(tree: Tree): PortMap {
  const seeds = readInventories(tree);
  const found = scan(tree);
  const { claims, problems } = readClaims(tree, seeds);
  const map = resolve(seeds, found, claims);
  return { ...map, problems: [...found.problems, ...problems, ...map.problems] };
}

function sorted(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) =>
    a.path !== b.path ? (a.path < b.path ? -1 : 1) : a.line - b.line,
  );
}

/** The options, or what is wrong with them. */
function parse(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        root: { type: "string" },
        check: { type: "boolean", default: false },
        summary: { type: "boolean", default: false },
      },
    });
    const root = absolute(values.root ?? fileURLToPath(new URL("../../..", import.meta.url)));
    if (!existsSync(root)) return `no folder ${root}`;
    if (values.check && values.summary) return "--check or --summary, not both";
    return { root, check: values.check, summary: values.summary };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
