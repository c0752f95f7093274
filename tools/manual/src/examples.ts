/**
 * Examples: a comment `<!-- example: name -->`, a ```ts block, a ```text block with its output.
 *
 * In the expected output `…` at the end of a line stands for any rest of that line. Any other ts
 * block of a page is an error, except under `<!-- synopsis -->`: what looks like an example runs.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "./finding.ts";
import type { Fence } from "./markdown.ts";
import { fencesOf } from "./markdown.ts";

export interface Example {
  /** Path of the page from the root. */
  readonly page: string;
  readonly name: string;
  /** The source; `line` is the number of its first line in the page. */
  readonly source: string;
  readonly line: number;
  readonly expected: string;
  /** Number of the first line of the expected output. */
  readonly outputLine: number;
}

/** The source with as many empty lines before it as the page has: line numbers are the page's. */
export function padded({ source, line }: Example | Synopsis): string {
  return "\n".repeat(line - 1) + source;
}

const MARK = /^<!-- (?:example: ([a-z0-9-]+)|(synopsis)) -->$/;

/** The imports of a synopsis: what they name must exist. */
export interface Synopsis {
  readonly page: string;
  /** The block with all other lines empty; `line` is the number of its first line in the page. */
  readonly source: string;
  readonly line: number;
}

interface Read {
  readonly examples: Example[];
  readonly synopses: Synopsis[];
  readonly findings: Finding[];
}

function synopsisOf(page: string, fence: Fence): Synopsis {
  const lines = fence.text.split("\n").map((line) => (/^import .*;$/.test(line) ? line : ""));
  return { page, source: lines.join("\n"), line: fence.line + 1 };
}

/** The comment right above line `number`, blank lines apart: an example's name, "" for a synopsis. */
function markAbove(lines: readonly string[], number: number): string | null {
  let at = number - 2;
  while (at >= 0 && lines[at].trim() === "") at--;
  const mark = at < 0 ? null : MARK.exec(lines[at]);
  return mark === null ? null : (mark[1] ?? "");
}

/** The examples of one page. */
export function examplesOf(page: string, text: string): Read {
  const lines = text.split("\n");
  const fences = fencesOf(text);
  const examples: Example[] = [];
  const synopses: Synopsis[] = [];
  const findings: Finding[] = [];
  const names = new Set<string>();
  for (const [i, fence] of fences.entries()) {
    if (fence.language !== "ts") continue;
    const name = markAbove(lines, fence.line);
    if (name === "") {
      synopses.push(synopsisOf(page, fence));
      continue;
    }
    const output: Fence | undefined = fences[i + 1];
    const wrong = (what: string) => findings.push({ page, line: fence.line, what });
    if (name === null) wrong("a ts block without <!-- example: name --> or <!-- synopsis -->");
    else if (names.has(name)) wrong(`a second example "${name}"`);
    else if (output?.language !== "text") wrong(`example "${name}" has no text block after it`);
    else {
      names.add(name);
      const { text: source, line } = fence;
      const expected = output.text;
      examples.push({
        page,
        name,
        source,
        line: line + 1,
        expected,
        outputLine: output.line + 1,
      });
    }
  }
  return { examples, synopses, findings };
}

/** The examples of all `pages` (paths from `root`). */
export function readExamples(root: string, pages: readonly string[]): Read {
  const all = pages.map((page) => examplesOf(page, readFileSync(join(root, page), "utf8")));
  return {
    examples: all.flatMap((read) => read.examples),
    synopses: all.flatMap((read) => read.synopses),
    findings: all.flatMap((read) => read.findings),
  };
}

/** Where `output` is not what the example says, or null. */
export function compareOutput(example: Example, output: string): Finding | null {
  const wanted = example.expected.split("\n");
  const got = output.split("\n");
  for (let i = 0; i < Math.max(wanted.length, got.length); i++) {
    if (matches(wanted[i], got[i])) continue;
    const said = i < wanted.length - 1 ? JSON.stringify(wanted[i]) : "the end";
    const printed = i < got.length - 1 || got[i] ? JSON.stringify(got[i]) : "the end";
    const what = `example "${example.name}" prints ${printed}, the page says ${said}`;
    return { page: example.page, line: example.outputLine + i, what };
  }
  return null;
}

function matches(wanted: string | undefined, got: string | undefined): boolean {
  if (wanted === undefined || got === undefined) return wanted === got;
  if (wanted.endsWith("…")) return got.startsWith(wanted.slice(0, -1));
  return wanted === got;
}
