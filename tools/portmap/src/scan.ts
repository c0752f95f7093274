/**
 * What sources and tests say: the tags of packages, and the originals that tests name.
 *
 * A test names an original in a comment (`@bsd NAME`) or with the C name as a word of its title.
 */
import type { Mention, PlacedTag, Problem } from "./model.ts";
import { tagsIn } from "./tag.ts";
import type { Tree } from "./tree.ts";

export interface Scan {
  readonly tags: readonly PlacedTag[];
  readonly mentions: readonly Mention[];
  readonly problems: readonly Problem[];
}

export function scan(tree: Tree): Scan {
  const tags: PlacedTag[] = [];
  const problems: Problem[] = [];
  for (const path of tree.code()) scanCode(tree, path, tags, problems);
  return { tags, problems, mentions: tree.tests().flatMap((path) => scanTest(tree, path)) };
}

function scanCode(tree: Tree, path: string, tags: PlacedTag[], problems: Problem[]): void {
  if (!(tree.text(path) ?? "").includes("@bsd")) return;
  const source = tree.source(path)!;
  for (const comment of source.comments) {
    const found = tagsIn(comment.value);
    if (found.length === 0) continue;
    const place = source.subjectOf(comment);
    const line = source.lineAt(comment.start);
    if (place === null) {
      problems.push({ path, line, message: "a @bsd tag that no declaration follows" });
      continue;
    }
    for (const tag of found) {
      tags.push({ ...tag, place });
      if (tag.terms.length === 0)
        problems.push({ path, line, message: "a @bsd tag without a name" });
      if (tag.status === "partly" && tag.why === "") {
        problems.push({ path, line, message: "a #P without its [why]" });
      }
    }
  }
}

function scanTest(tree: Tree, path: string): Mention[] {
  const source = tree.source(path)!;
  const titles = source.titles();
  const mentions: Mention[] = [];
  for (const place of titles) {
    for (const name of place.symbol.match(/[A-Za-z_]\w*/g) ?? []) mentions.push({ name, place });
  }
  for (const comment of source.comments) {
    const line = source.lineAt(comment.start);
    const symbol = titles.find((t) => t.line >= line)?.symbol ?? "module";
    for (const { terms } of tagsIn(comment.value)) {
      for (const { name } of terms) mentions.push({ name, place: { path, line, symbol } });
    }
  }
  return mentions;
}
