/**
 * The process that runs examples: `node --conditions=@physio/source child.ts LIST`.
 *
 * LIST is a JSON file: where packages are resolved from, and the examples. Each one is a module of
 * its own whose URL is that of its page, so stacks name the page and its lines. What it prints goes
 * to stdout as it is, between records that begin with RS; the parent reads both from one file, in
 * order.
 */
import { readFileSync, writeSync } from "node:fs";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";

/** One example as the parent hands it over. */
export interface Task {
  readonly id: number;
  /** Absolute path of the page, and the padded source. */
  readonly file: string;
  readonly source: string;
}

export interface TaskList {
  /** A file whose folder's packages the examples import. */
  readonly importer: string;
  readonly tasks: readonly Task[];
}

const RECORD = "\u001e";
const QUERY = "?example=";

const { importer, tasks }: TaskList = JSON.parse(readFileSync(process.argv[2], "utf8"));
const sources: ReadonlyMap<string, string> = new Map(
  tasks.map((t) => [`${pathToFileURL(t.file).href}${QUERY}${t.id}`, t.source]),
);

registerHooks({
  resolve(specifier, context, next) {
    if (sources.has(specifier)) return { url: specifier, shortCircuit: true };
    if (context.parentURL?.includes(QUERY) !== true) return next(specifier, context);
    return next(specifier, { ...context, parentURL: pathToFileURL(importer).href });
  },
  load(url, context, next) {
    const source = sources.get(url);
    if (source === undefined) return next(url, context);
    return { format: "module-typescript", source, shortCircuit: true };
  },
});

const record = (value: object): void => {
  writeSync(1, `${RECORD}${JSON.stringify(value)}\n`);
};

for (const [url] of sources) {
  const id = Number(url.slice(url.lastIndexOf("=") + 1));
  record({ begin: id });
  let error: string | null = null;
  try {
    await import(url);
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  record({ end: id, error });
}
