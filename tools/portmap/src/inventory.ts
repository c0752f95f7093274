/**
 * The inventories: what each seed holds. One JSON file a seed in tools/portmap/inventory.
 *
 * A seed's tables are kept by hand from a reading of the original; nothing of the original's text is
 * in them but names and line numbers. A file with an unknown kind or topic, or a name twice, throws.
 */
import type { Kind, Row, Seed, Topic } from "./model.ts";
import { KINDS, TOPICS } from "./model.ts";
import type { Tree } from "./tree.ts";

export const INVENTORY = "tools/portmap/inventory";
export const CLAIMS = "claims.json";

type RawRow = { name: string; kind: string; line: number; topic: string; text?: string };
type RawSeed = Omit<Seed, "id" | "rows"> & { readonly rows: readonly RawRow[] };

export function readInventories(tree: Tree): Seed[] {
  return tree
    .jsonIn(INVENTORY)
    .filter((file) => file !== CLAIMS)
    .map((file) => readSeed(file, JSON.parse(tree.text(`${INVENTORY}/${file}`) ?? "")));
}

function readSeed(file: string, raw: RawSeed): Seed {
  const rows = raw.rows.map((row) => readRow(file, row));
  const names = new Set(rows.map((row) => row.name));
  if (names.size !== rows.length) throw new Error(`${file}: a name is listed twice`);
  rows.sort((a, b) => a.line - b.line || (a.name < b.name ? -1 : 1));
  const { path, origin, aliases, families } = raw;
  return { id: file.replace(/\.json$/, ""), path, origin, aliases, families, rows };
}

function readRow(file: string, raw: RawRow): Row {
  const { name, line, text = "" } = raw;
  const kind = KINDS.find((k): k is Kind => k === raw.kind);
  const topic = TOPICS.find((t): t is Topic => t === raw.topic);
  if (kind === undefined) throw new Error(`${file}: ${name}: kind ${raw.kind}`);
  if (topic === undefined) throw new Error(`${file}: ${name}: topic ${raw.topic}`);
  if (!(Number.isInteger(line) && line > 0)) throw new Error(`${file}: ${name}: line ${line}`);
  return { name, kind, line, topic, text };
}
