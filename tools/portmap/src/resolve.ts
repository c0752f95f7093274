/**
 * Joins rows with tags, mentions and claims: where each row has its place, and how far it is.
 *
 * A row is done when something claims it without reserve, partly done when every claim, or the tag
 * of the whole, has a reserve, and not yet done when nobody claims it or a tag says #N.
 */
import { CLAIMS, INVENTORY } from "./inventory.ts";
import type { Claim, Entry, Place, PlacedTag, Problem, Row, Seed, Status, Term } from "./model.ts";
import type { Scan } from "./scan.ts";

export interface SeedTable {
  readonly seed: Seed;
  readonly entries: readonly Entry[];
}

/** A name in a tag that no seed has. */
export interface Other {
  readonly name: string;
  readonly file: string;
  readonly tag: PlacedTag;
}

export interface PortMap {
  readonly tables: readonly SeedTable[];
  readonly others: readonly Other[];
  readonly problems: readonly Problem[];
}

interface Hit {
  readonly tag: PlacedTag;
  readonly part: string;
}

export function resolve(seeds: readonly Seed[], found: Scan, claims: readonly Claim[]): PortMap {
  const hits = new Map<Row, Hit[]>();
  const others: Other[] = [];
  const problems: Problem[] = [];
  for (const tag of found.tags) {
    for (const term of tag.terms) {
      const rows = rowsOf(seeds, tag, term);
      for (const { row, part } of rows) hits.set(row, [...(hits.get(row) ?? []), { tag, part }]);
      if (rows.length > 0) continue;
      const { name } = term;
      const why = unknown(seeds, tag, name);
      if (why === null) others.push({ name, file: tag.file, tag });
      else problems.push({ path: tag.place.path, line: tag.place.line, message: why });
    }
  }
  const tables = seeds.map((seed) => ({
    seed,
    entries: seed.rows.map((row) => {
      const mine = claims.filter((c) => c.id === row.name && (c.seed === "" || c.seed === seed.id));
      const tests = found.mentions.filter((m) => m.name === row.name).map((m) => m.place);
      const entry = entryOf(row, hits.get(row) ?? [], mine, tests);
      if (entry.code.length === 0) problems.push(...withoutCode(mine));
      return entry;
    }),
  }));
  return { tables, others, problems };
}

/** The rows that a term claims; words of its part that are names of rows are claimed too. */
function rowsOf(seeds: readonly Seed[], tag: PlacedTag, term: Term): { row: Row; part: string }[] {
  const seed = seedNamed(seeds, tag.file);
  if (tag.file !== "" && seed === undefined) return [];
  const rows = (seed === undefined ? seeds : [seed]).flatMap((s) => s.rows);
  const own = rows.filter((row) => row.name === term.name);
  if (own.length === 0) return [];
  const parts = term.part.split(/\s+/);
  const inner = rows.filter((row) => row.name !== term.name && parts.includes(row.name));
  return [
    ...own.map((row) => ({ row, part: term.part })),
    ...inner.map((row) => ({ row, part: "" })),
  ];
}

function seedNamed(seeds: readonly Seed[], file: string): Seed | undefined {
  return file === "" ? undefined : seeds.find((s) => s.path === file || s.aliases.includes(file));
}

/** Why a name that is in no inventory is wrong; null when it is some other original's. */
function unknown(seeds: readonly Seed[], tag: PlacedTag, name: string): string | null {
  const seed = seedNamed(seeds, tag.file);
  if (seed !== undefined) {
    return name === tag.file ? null : `@bsd ${name}: ${seed.path} has nothing of that name`;
  }
  if (tag.file !== "") return null;
  const owner = seeds.find((s) => s.families.some((f) => name.startsWith(f)));
  return owner === undefined
    ? null
    : `@bsd ${name}: not in ${owner.path}; if another file has it, name that file in the tag`;
}

function entryOf(
  row: Row,
  hits: readonly Hit[],
  claims: readonly Claim[],
  mentions: readonly Place[],
): Entry {
  const code = [
    ...hits.filter((h) => h.tag.status !== "no").map((h) => h.tag.place),
    ...claims.flatMap((c) => c.code),
  ];
  const remarks = [
    row.text,
    ...hits.filter((h) => h.part === "" || row.kind === "promise").map((h) => h.tag.why),
    ...claims.map((c) => c.partly),
    ...claims.map((c) => c.remark),
  ];
  const status = code.length === 0 ? "notYet" : statusOf(hits, claims);
  if (status === "partly" && remarks.every((r) => r === "" || r === row.text)) {
    remarks.push(`only ${hits.map((h) => h.part).join(", ")}`);
  }
  return {
    row,
    status,
    code: distinct(code),
    tests: distinct([...claims.flatMap((c) => c.tests), ...mentions]),
    remarks: [...new Set(remarks)].filter((remark) => remark !== ""),
  };
}

function statusOf(hits: readonly Hit[], claims: readonly Claim[]): Status {
  const whole = hits.filter((h) => h.part === "");
  if (whole.some((h) => h.tag.status === "no")) return "notYet";
  if (whole.some((h) => h.tag.status === "partly")) return "partly";
  if (claims.some((c) => c.partly !== "")) return "partly";
  return whole.length > 0 || claims.some((c) => c.code.length > 0) ? "done" : "partly";
}

/** Claims of a row that has no code, where none was named at all. */
function withoutCode(claims: readonly Claim[]): Problem[] {
  if (claims.some((c) => c.namesCode)) return [];
  return claims.map(({ id, line }) => ({
    path: `${INVENTORY}/${CLAIMS}`,
    line,
    message: `claim ${id}: neither the claim nor a tag names code`,
  }));
}

/** Places without repetition, in the order of their paths. */
function distinct(places: readonly Place[]): Place[] {
  const byKey = new Map(places.map((p) => [`${p.path}:${String(p.line).padStart(6, "0")}`, p]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place);
}
