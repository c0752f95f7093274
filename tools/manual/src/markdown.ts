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

/** What a line is: text, the opening mark of a fence, inside of one, the closing mark. */
type Place = "text" | "open" | "inside" | "close";

function eachLine(text: string, visit: (line: string, number: number, place: Place) => void): void {
  let mark = "";
  for (const [at, line] of text.split("\n").entries()) {
    const fence = FENCE.exec(line)?.[1] ?? "";
    let place: Place = mark === "" ? "text" : "inside";
    if (mark === "" && fence !== "") place = "open";
    else if (mark !== "" && fence.startsWith(mark) && line.trim() === fence) place = "close";
    if (place === "open") mark = fence;
    if (place === "close") mark = "";
    visit(line, at + 1, place);
  }
}

/** All fenced blocks, in order. One that is not closed is none. */
export function fencesOf(text: string): Fence[] {
  const fences: Fence[] = [];
  let opening = "";
  let from = 0;
  let inside = "";
  eachLine(text, (line, number, place) => {
    if (place === "open") [opening, from, inside] = [line, number, ""];
    else if (place === "inside") inside += `${line}\n`;
    else if (place === "close") {
      fences.push({ language: FENCE.exec(opening)![2], line: from, text: inside });
    }
  });
  return fences;
}

/** A heading's anchor: lower case, without punctuation, blanks as dashes. */
function slug(heading: string): string {
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
  eachLine(text, (line, _number, place) => {
    if (place !== "text") return;
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
  eachLine(text, (raw, line, place) => {
    if (place !== "text") return;
    const plain = raw.replace(/(`+)(?!`).*?[^`]\1(?!`)/g, (code) => "`".repeat(code.length));
    for (const [, target] of plain.matchAll(/\]\(\s*<?([^\s)>]+)>?[^)]*\)/g)) {
      links.push({ line, target });
    }
    const definition = /^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)/.exec(plain);
    if (definition !== null) links.push({ line, target: definition[1] });
  });
  return links;
}
