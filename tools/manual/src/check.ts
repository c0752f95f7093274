/**
 * The whole check: every example of the manual runs and compiles, every link leads somewhere.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Example } from "./examples.ts";
import { readExamples } from "./examples.ts";
import type { Finding } from "./finding.ts";
import { checkLinks } from "./links.ts";
import { checkPages } from "./pages.ts";
import type { Outcome } from "./run.ts";
import { judgeExample, runExamples } from "./run.ts";
import { checkTypes } from "./types.ts";

/** Folders of docs/ that hold no documents of ours. */
const SKIPPED: ReadonlySet<string> = new Set(["node_modules", "site"]);

/** Documents below a folder. A recursive readdir would follow the links of node_modules, and theirs. */
function documentsBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : documentsBelow(root, path);
    return path.endsWith(".md") ? [path] : [];
  });
}

/** README.md and every document below docs/, from `root`. */
function documents(root: string): string[] {
  const docs = documentsBelow(root, "docs").sort();
  return existsSync(join(root, "README.md")) ? ["README.md", ...docs] : docs;
}

/** The pages of the manual, from `root`. */
function manualPages(root: string): string[] {
  return documents(root).filter((path) => path.startsWith("docs/manual/"));
}

export interface Report {
  readonly pages: readonly string[];
  readonly examples: readonly Example[];
  readonly outcomes: readonly Outcome[];
  readonly findings: readonly Finding[];
}

/** The part of the check that runs nothing: pages, links, how examples are written. */
export function checkPaper(root: string): Pick<Report, "examples" | "findings"> {
  const { examples, findings } = readExamples(root, manualPages(root));
  const rest = [...checkPages(root), ...checkLinks(root, documents(root))];
  return { examples, findings: [...findings, ...rest] };
}

/** Check the manual and the documents of the tree at `root`. */
export function checkManual(root: string): Report {
  const pages = manualPages(root);
  const { examples, synopses, findings } = readExamples(root, pages);
  const outcomes = runExamples(root, examples);
  const wrong = examples.flatMap((e, i) => judgeExample(root, e, outcomes[i]) ?? []);
  const types = checkTypes([...examples, ...synopses]);
  const rest = [...checkPages(root), ...checkLinks(root, documents(root))];
  return { pages, examples, outcomes, findings: [...findings, ...wrong, ...types, ...rest] };
}
