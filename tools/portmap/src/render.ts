/**
 * docs/port-map.md, and the counts.
 *
 * Everything comes in the order of the seeds' lines, so two runs over one tree give one text.
 */
import type { Entry, Place, Status } from "./model.ts";
import type { Other, PortMap, SeedTable } from "./resolve.ts";

export interface Counts {
  readonly done: number;
  readonly partly: number;
  readonly notYet: number;
  readonly rows: number;
}

export function count(tables: readonly SeedTable[]): Counts {
  const entries = tables.flatMap((t) => t.entries);
  const of = (status: Status) => entries.filter((e) => e.status === status).length;
  return {
    done: of("done"),
    partly: of("partly"),
    notYet: of("notYet"),
    rows: entries.length,
  };
}

export function render(map: PortMap): string {
  return `${[
    "# Port map",
    "",
    "<!-- Written by `node tools/portmap/src/main.ts`. Do not edit: change a `@bsd` tag, an",
    "     inventory or claims.json and run it again. -->",
    "",
    "What the four originals that physio follows hold, and where it is here. The first column has",
    "the line in the original. **partly** says what is missing; **not yet** names the topic that",
    "will bring it. A link to a test is given where a test names the original or a claim names the",
    "test.",
    "",
    ...totals(map.tables),
    ...map.tables.flatMap(renderTable),
    ...renderOthers(map.others),
  ].join("\n")}\n`;
}

function totals(tables: readonly SeedTable[]): string[] {
  const line = (name: string, part: readonly SeedTable[]) => {
    const { done, partly, notYet, rows } = count(part);
    const claimed = part.flatMap((t) => t.entries).filter((e) => e.status !== "notYet");
    const untested = claimed.filter((e) => e.tests.length === 0).length;
    return `| ${name} | ${rows} | ${done} | ${partly} | ${notYet} | ${untested} |`;
  };
  return [
    "| original | rows | done | partly | not yet | done or partly, no test named |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...tables.map((t) => line(`[${t.seed.path}](#${anchor(t.seed.path)})`, [t])),
    line("all", tables),
    "",
  ];
}

const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(" ", "-")
    .replaceAll(/[^\w-]/g, "");

function renderTable({ seed, entries }: SeedTable): string[] {
  return [
    `## ${seed.path}`,
    "",
    `${seed.origin}.`,
    "",
    "| name | status | code | test | remark |",
    "| --- | --- | --- | --- | --- |",
    ...entries.map(renderEntry),
    "",
  ];
}

function renderEntry({ row, status, code, tests, remarks }: Entry): string {
  const shown = status === "notYet" ? `not yet: ${row.topic}` : status;
  const cells = [
    `${row.line} \`${row.name}\``,
    shown,
    code.map(codeLink).join("<br>"),
    tests.map(testLink).join("<br>"),
    remarks.join("; "),
  ];
  return `| ${cells.map(cell).join(" | ")} |`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function codeLink({ path, line, symbol }: Place): string {
  const name = symbol === "module" ? (path.split("/").at(-1) ?? path) : symbol;
  return `[${name}](../${path}#L${line})`;
}

function testLink({ path, line }: Place): string {
  const name = (path.split("/").at(-1) ?? path).replace(/\.ts$/, "");
  return `[${name}:${line}](../${path}#L${line})`;
}

function renderOthers(others: readonly Other[]): string[] {
  const lines = others.map(({ name, file, tag }) => {
    const { status, why, place } = tag;
    const shown = { ported: "ported", partly: `partly: ${why}`, no: "no" }[status];
    const from = file === "" || file === name ? "" : file;
    return `| ${[`\`${name}\``, from, shown, codeLink(place)].map(cell).join(" | ")} |`;
  });
  return [
    "## Other originals",
    "",
    "Names in `@bsd` tags that come from other files of the BSDs.",
    "",
    "| name | file | status | code |",
    "| --- | --- | --- | --- |",
    ...[...new Set(lines)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
  ];
}
