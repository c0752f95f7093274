/**
 * Completeness: a page for each public package, with all sections, listed in the index; a row of
 * semantics.md for each named decision.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import type { Finding } from "./finding.ts";
import { fencesOf } from "./markdown.ts";

const SECTIONS = [
  "NAME",
  "SYNOPSIS",
  "DESCRIPTION",
  "RETURN VALUES",
  "ERRORS",
  "EXAMPLES",
  "DIFFERENCES",
  "SEE ALSO",
];
const MANUAL = "docs/manual";
/** Files that hold named decisions: a boolean property each. */
const DECISIONS = "packages/*/*/src/semantics.ts";
/** The page of a package that is a command has the command's name. */
const COMMANDS: Readonly<Record<string, string>> = Object.freeze({ cli: "physio" });

/** Pages that the tree at `root` must have. */
function wanted(root: string): string[] {
  const packages = globSync("packages/*/*/package.json", { cwd: root }).flatMap((path) => {
    const manifest: { private?: boolean } = JSON.parse(readFileSync(join(root, path), "utf8"));
    return manifest.private === true ? [] : [basename(dirname(path))];
  });
  return [...packages.map((name) => COMMANDS[name] ?? name), "semantics"].sort();
}

/** What is missing from the manual of the tree at `root`. */
export function checkPages(root: string): Finding[] {
  const index = readFileSync(join(root, MANUAL, "index.md"), "utf8");
  return [
    ...wanted(root).flatMap((name) => [
      ...checkPage(root, name),
      ...(index.includes(`](${name}.md)`)
        ? []
        : [{ page: `${MANUAL}/index.md`, line: 1, what: `${name}.md is not listed` }]),
    ]),
    ...checkDecisions(root),
  ];
}

function checkPage(root: string, name: string): Finding[] {
  const page = `${MANUAL}/${name}.md`;
  const at = (what: string): Finding[] => [{ page, line: 1, what }];
  if (!existsSync(join(root, page))) return at("there is no such page");
  const text = readFileSync(join(root, page), "utf8");
  const fenced = new Set(fencesOf(text).flatMap((f) => f.text.split("\n")));
  const lines = text.split("\n").filter((line) => !fenced.has(line));
  const sections = lines.filter((l) => l.startsWith("## ")).map((l) => l.slice(3));
  const missing = SECTIONS.filter((s) => !sections.includes(s));
  if (missing.length > 0) return at(`no section ${missing.join(", ")}`);
  const inOrder = SECTIONS.filter((s) => sections.includes(s)).join();
  const found = sections.filter((s) => SECTIONS.includes(s)).join();
  return found === inOrder ? [] : at("the sections are not in their order");
}

function checkDecisions(root: string): Finding[] {
  const page = `${MANUAL}/semantics.md`;
  const text = existsSync(join(root, page)) ? readFileSync(join(root, page), "utf8") : "";
  const rows = new Set([...text.matchAll(/^\|[^|]*`(\w+)` \|/gm)].map((match) => match[1]));
  return globSync(DECISIONS, { cwd: root }).flatMap((path) => {
    const source = readFileSync(join(root, path), "utf8");
    return [...source.matchAll(/^\s*readonly (\w+): boolean;/gm)].flatMap(([, name]) => {
      if (rows.has(name)) return [];
      return [{ page, line: 1, what: `no row for ${name} of ${path.split(sep).join("/")}` }];
    });
  });
}
