/**
 * The `@bsd` tag: `@bsd [#Y | #P[why] | #N] [path] name [part], name …`.
 *
 * The tag ends with its line, unless the line ends with a comma, and at the next `@word`. A name is
 * the first word of an item, `struct name` counts as one; the words after it say which part is
 * meant. A path (a word with a slash and a suffix, or a manual page in front of a name) says where
 * the original has the names.
 */
import type { Tag, TagStatus, Term } from "./model.ts";

const OPENING = /@bsd(?![\w-])[ \t]*/g;
const PATH = /^[\w.-]+(?:\/[\w.-]+)+\.(?:c|h|src|S|[1-9])$/;
const PAGE = /^[\w.]+\([1-9]\)$/;
const SYSTEM = /^(?:FreeBSD|NetBSD|OpenBSD)$/;
const STATUS: Readonly<Record<string, TagStatus>> = { "#Y": "ported", "#P": "partly", "#N": "no" };

/** The tags of a comment's text, without its `/*` and `//`. */
export function tagsIn(comment: string): Tag[] {
  const text = plainText(comment);
  return [...text.matchAll(OPENING)].map((m) => parseTag(bodyAt(text, m.index + m[0].length)));
}

/** Text without the stars at the beginning of its lines. */
function plainText(comment: string): string {
  return comment
    .split("\n")
    .map((line) => line.replace(/^\s*\*+(?!\/)[ \t]?/, "").trimEnd())
    .join("\n");
}

/** The tag's own text from `at` on. */
function bodyAt(text: string, at: number): string {
  const reason = /^#P\[[^\]]*\]/.exec(text.slice(at))?.[0] ?? "";
  let end = at + reason.length;
  for (;;) {
    const newline = text.indexOf("\n", end);
    const stop = newline < 0 ? text.length : newline;
    const another = text.slice(end, stop).search(/(?:^|\s)@[a-z]/);
    if (another >= 0) return text.slice(at, end + another);
    if (newline < 0 || !text.slice(at, stop).trimEnd().endsWith(",")) return text.slice(at, stop);
    end = newline + 1;
  }
}

function parseTag(body: string): Tag {
  const head = /^(#[YPN])(?:\[([^\]]*)\])?\s*/.exec(body);
  const status = head === null ? "ported" : STATUS[head[1]];
  const why = (head?.[2] ?? "").replaceAll(/\s+/g, " ").trim();
  let file = "";
  const terms: Term[] = [];
  for (const item of body.slice(head?.[0].length ?? 0).split(",")) {
    const words = item.trim().split(/\s+/).filter(Boolean);
    const found = takeFile(words);
    if (found !== "") file = found;
    if (words.length > 0) terms.push(parseTerm(words));
    else if (found !== "") terms.push({ name: found, part: "" });
  }
  return { status, why, file, terms };
}

/** Takes `NetBSD sys/buf.h` off the front of an item; a page only when a name follows. */
function takeFile(words: string[]): string {
  const skip = SYSTEM.test(words[0] ?? "") ? 1 : 0;
  const word = words[skip] ?? "";
  const isPage = PAGE.test(word) && /^[\w:]{3,}/.test(words[skip + 1] ?? "");
  if (!PATH.test(word) && !isPage) return "";
  words.splice(0, skip + 1);
  return word;
}

function parseTerm(words: readonly string[]): Term {
  const length = /^(?:struct|union)$/.test(words[0]) && words.length > 1 ? 2 : 1;
  return { name: words.slice(0, length).join(" "), part: words.slice(length).join(" ") };
}
