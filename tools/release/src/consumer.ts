/**
 * A stranger's code: imports every door on plain Node, and type-checks a file that uses them.
 *
 * The file names each value that Node really found behind a door, so declarations that lack one
 * fail; and a name that is not there must be an error, so a door that is `any` fails.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeBinary } from "./nodes.ts";
import { writeJson } from "./project.ts";
import { run } from "./run.ts";
import type { Door } from "./workspace.ts";

/** The values behind each door, by specifier. */
export type Values = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const NO_SUCH_NAME = "thisNameIsNotExported";

const MODES = {
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};
export type Mode = keyof typeof MODES;

/** Imports the doors in a project. @returns their names, each primitive value as it is */
export async function importDoors(
  dir: string,
  doors: readonly Door[],
  node: NodeBinary,
): Promise<Values> {
  writeFileSync(join(dir, "probe.js"), probe(doors));
  const done = await run(node.path, ["probe.js"], { cwd: dir });
  if (done.code !== 0) throw new Error(done.output.trim());
  return JSON.parse(done.stdout);
}

function probe(doors: readonly Door[]): string {
  return `import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

const values = {};
const globals = () => Object.getOwnPropertyNames(globalThis);
const before = new Set(globals());
const home = realpathSync(import.meta.dirname);
for (const { specifier, json } of ${JSON.stringify(doors)}) {
  const place = realpathSync(fileURLToPath(import.meta.resolve(specifier)));
  if (!place.startsWith(home)) throw new Error(specifier + " comes from " + place);
  const found = await import(specifier, json ? { with: { type: "json" } } : {});
  if (json) continue;
  const primitive = (v) => (v === null || /function|object|symbol|bigint/.test(typeof v) ? null : v);
  values[specifier] = Object.fromEntries(Object.entries(found).map(([k, v]) => [k, primitive(v)]));
}
const added = globals().filter((name) => !before.has(name));
if (added.length > 0) throw new Error("importing adds to globalThis: " + added.join(", "));
console.log(JSON.stringify(values));
`;
}

/** Type-checks a file that uses the doors. @returns what the compiler says, or null */
export async function typeCheck(
  dir: string,
  values: Values,
  mode: Mode,
  tsc: string,
): Promise<string | null> {
  writeFileSync(join(dir, "consumer.ts"), consumer(values));
  const compilerOptions = {
    ...MODES[mode],
    target: "es2023",
    lib: ["es2023"],
    types: [],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
  };
  const config = `tsconfig.${mode}.json`;
  writeJson(join(dir, config), { compilerOptions, files: ["consumer.ts"] });
  const done = await run(tsc, ["-p", config, "--pretty", "false"], { cwd: dir });
  return done.code === 0 ? null : done.output.trim();
}

function consumer(values: Values): string {
  const parts = Object.entries(values).map(([specifier, names], at) => {
    const uses = Object.keys(names).map((name) => `door${at}[${JSON.stringify(name)}]`);
    return `import * as door${at} from ${JSON.stringify(specifier)};
export const values${at} = [${uses.join(", ")}];
// @ts-expect-error: a door with real types has no such name
export const none${at} = door${at}.${NO_SUCH_NAME};
`;
  });
  return parts.join("\n");
}
