/**
 * The picture of the levels for README.md, drawn from layers.json and the packages that exist.
 *
 * As a module it draws, compares and rewrites; run directly it prints the picture, or with
 * `--write FILE` / `--check FILE` handles the fence between the two markers in FILE.
 */
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Layers } from "./layers.ts";
import { readLayers } from "./layers.ts";
import { listFiles } from "./workspace.ts";

export const BEGIN = "<!-- levels:begin -->";
export const END = "<!-- levels:end -->";
export const COLUMNS = 100;

const HERE = new URL(".", import.meta.url);

/** Top level first; a package that is still to come stands in parentheses. */
export function levelsPicture(layers: Layers, existing: ReadonlySet<string>): string {
  const rows = [...layers.all].sort((a, b) => b.level - a.level);
  const shown = rows.map((p) => (existing.has(p.name) ? ` ${p.name}` : `(${p.name})`));
  const nameWidth = Math.max(...shown.map((s) => s.length)) + 1;
  const groupWidth = Math.max(...rows.map((p) => p.group.length));
  let above = -1;
  const lines = rows.map((p, i) => {
    const level = p.level === above ? "" : String(p.level);
    above = p.level;
    const head = `${level.padStart(2)}  ${p.group.padEnd(groupWidth)}  ${shown[i].padEnd(nameWidth)}`;
    return clip(`${head}  ${p.line}`);
  });
  return lines.join("\n");
}

/** Folder names of the packages among `files`. */
export function existingPackages(files: readonly string[]): Set<string> {
  const names = files.map((f) => /^packages\/[^/]+\/([^/]+)\/package\.json$/.exec(f)?.[1] ?? "");
  return new Set(names.filter((n) => n !== ""));
}

/**
 * `text` with the picture between its markers.
 *
 * @returns null when the markers are not there, once and in order.
 */
export function withPicture(text: string, picture: string): string | null {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) return null;
  const fence = `\n\n\`\`\`text\n${picture}\n\`\`\`\n\n`;
  return text.slice(0, begin + BEGIN.length) + fence + text.slice(end);
}

export function ownLayers(): Layers {
  return readLayers(new URL("../layers.json", HERE));
}

/** The repository this tool lies in. */
export function repositoryRoot(): string {
  return fileURLToPath(new URL("../../../", HERE));
}

function clip(line: string): string {
  return line.length <= COLUMNS ? line.trimEnd() : `${line.slice(0, COLUMNS - 1)}…`;
}

function usage(): never {
  console.error("usage: picture.ts [--root DIR] [--write FILE | --check FILE]");
  process.exit(2);
}

function options() {
  const text = { type: "string" } as const;
  try {
    return parseArgs({ options: { root: text, write: text, check: text } }).values;
  } catch {
    return usage();
  }
}

function run(): number {
  const { root = repositoryRoot(), write, check } = options();
  if (write !== undefined && check !== undefined) usage();
  const picture = levelsPicture(ownLayers(), existingPackages(listFiles(root)));
  const path = write ?? check;
  if (path === undefined) {
    console.log(picture);
    return 0;
  }
  const text = readFileSync(path, "utf8");
  const wanted = withPicture(text, picture);
  if (wanted === null) {
    console.error(`${path}: no ${BEGIN} … ${END}`);
    return 2;
  }
  if (text === wanted) return 0;
  if (write !== undefined) {
    writeFileSync(path, wanted);
    return 0;
  }
  console.error(`${path}: the picture of the levels is stale; picture.ts --write ${path}`);
  return 1;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = run();
}
