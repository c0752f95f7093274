/**
 * Reading a page: its fences, headings, anchors and links.
 *
 * Only as much of Markdown as our pages use. Fences and inline code are taken out before links are
 * looked for; lines keep their numbers.
 */

/** A fenced block. `line` is that of the opening fence, from 1. */
export interface Fence {
  readonly language: string;
  readonly line: number;
  readonly text: string;
}

export interface Link {
  readonly line: number;
  readonly target: string;
}

const FENCE = /^(`{3,}|~{3,})\s*(\S*)/;

/** Calls `inside` for each line with whether it belongs to a fence (its marks included). */
function eachLine(text: string, inside: (line: string, number: number, fenced: boolean) => void) {
  let mark = "";
  for (const [at, line] of text.split("\n").entries()) {
    const fence = FENCE.exec(line)?.[1] ?? "";
    const closes = mark !== "" && fence.startsWith(mark) && line.trim() === fence;
    inside(line, at + 1, mark !== "" || fence !== "");
    if (closes) mark = "";
    else if (mark === "") mark = fence;
  }
}

/** All fenced blocks, in order. */
export function fencesOf(text: string): Fence[] {
  const fences: Fence[] = [];
  let open: { language: string; line: number; lines: string[] } | null = null;
  eachLine(text, (line, number, fenced) => {
    if (!fenced) return;
    if (open === null) {
      open = { language: FENCE.exec(line)![2], line: number, lines: [] };
    } else if (/^(`{3,}|~{3,})\s*$/.test(line)) {
      fences.push({ ...open, text: open.lines.map((l) => `${l}\n`).join("") });
      open = null;
    } else open.lines.push(line);
  });
  return fences;
}

/** A heading's anchor: lower case, without punctuation, blanks as dashes. */
export function slug(heading: string): string {
  const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/<[^>]*>/g, "");
  return plain
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M} _-]/gu, "")
    .replaceAll(" ", "-");
}

/** Every anchor that a link to the page may name. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  eachLine(text, (line, _number, fenced) => {
    if (fenced) return;
    for (const [, id] of line.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id);
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line);
    if (heading === null) return;
    const base = slug(heading[1]);
    let name = base;
    for (let n = 1; anchors.has(name); n++) name = `${base}-${n}`;
    anchors.add(name);
  });
  return anchors;
}

/** All links and images of a page: inline ones and definitions. */
export function linksOf(text: string): Link[] {
  const links: Link[] = [];
  eachLine(text, (raw, line, fenced) => {
    if (fenced) return;
    const plain = raw.replace(/(`+)(?!`).*?[^`]\1(?!`)/g, (code) => "`".repeat(code.length));
    for (const [, target] of plain.matchAll(/\]\(\s*<?([^\s)>]+)>?[^)]*\)/g)) {
      links.push({ line, target });
    }
    const definition = /^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)/.exec(plain);
    if (definition !== null) links.push({ line, target: definition[1] });
  });
  return links;
}
