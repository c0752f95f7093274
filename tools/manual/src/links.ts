/**
 * Links: each relative link leads to a file of the tree, each anchor to a heading or a line of it.
 *
 * Links to other hosts are not looked at: a test asks nobody.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import type { Finding } from "./finding.ts";
import { anchorsOf, linksOf } from "./markdown.ts";

const FOREIGN = /^[a-z][a-z0-9+.-]*:/i;

/** Why `target` in the document `page` leads nowhere, or null. */
function judge(root: string, page: string, target: string): string | null {
  const cut = target.indexOf("#");
  const path = decodeURIComponent(cut < 0 ? target : target.slice(0, cut));
  const anchor = cut < 0 ? "" : decodeURIComponent(target.slice(cut + 1));
  if (path.startsWith("/")) return `link ${target} is not relative`;
  const file = path === "" ? join(root, page) : join(root, dirname(page), path);
  if (relative(root, file).startsWith("..")) return `link ${target} leads out of the tree`;
  if (!existsSync(file)) return `link ${target} leads nowhere`;
  if (anchor === "") return null;
  if (!statSync(file).isFile()) return `link ${target} has an anchor in a folder`;
  const text = readFileSync(file, "utf8");
  if (file.endsWith(".md")) {
    return anchorsOf(text).has(anchor) ? null : `link ${target}: no such heading`;
  }
  const last = /^L(\d+)(?:-L(\d+))?$/.exec(anchor);
  if (last === null) return `link ${target}: a source has lines (#L1) only`;
  const lines = text.split("\n").length;
  const wanted = Number(last[2] ?? last[1]);
  return wanted >= 1 && wanted <= lines ? null : `link ${target}: the file has ${lines} lines`;
}

/** Bad links of the documents `pages` (paths from `root`). */
export function checkLinks(root: string, pages: readonly string[]): Finding[] {
  return pages.flatMap((page) =>
    linksOf(readFileSync(join(root, page), "utf8")).flatMap(({ line, target }) => {
      if (FOREIGN.test(target)) return [];
      const what = judge(root, page, target);
      return what === null ? [] : [{ page: page.split(sep).join("/"), line, what }];
    }),
  );
}
