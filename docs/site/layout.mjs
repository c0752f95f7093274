// What the site is made of, for build.mjs and the vitepress configuration.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const site = fileURLToPath(new URL(".", import.meta.url));
export const root = fileURLToPath(new URL("../..", import.meta.url));
export const content = join(site, "content");
export const dist = join(site, ".vitepress/dist");

/** Stands for the folder of the site until build.mjs knows how deep a page lies. */
export const BASE = "/physio-site-base/";

/** The pages of the manual in the order in which index.md links to them. */
export function manualPages() {
  const index = readFileSync(join(root, "docs/manual/index.md"), "utf8");
  const names = [...index.matchAll(/\]\(\.?\/?([\w-]+)\.md\)/g)].map((match) => match[1]);
  const pages = [...new Set(names)].map((name) => ({ title: name, link: `/manual/${name}` }));
  return [{ title: "Contents", link: "/manual/" }, ...pages];
}

/** Folders of all public packages, in the order of the levels. */
export function packageFolders() {
  const { levels } = JSON.parse(readFileSync(join(root, "tools/tidy/layers.json"), "utf8"));
  return levels
    .flatMap((level) => level.packages)
    .map(({ name, group }) => join("packages", group, name))
    .filter((folder) => existsSync(join(root, folder, "package.json")));
}

/** The doors of a package: [`busdma`, path of the source], [`busdma-impl`, …]. */
export function doors(folder) {
  const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const name = manifest.name.replace(/^@physio\//, "");
  return Object.entries(manifest.exports).flatMap(([door, target]) => {
    const source = target["@physio/source"];
    if (source === undefined) return [];
    const suffix = door === "." ? "" : `-${door.slice(2)}`;
    return [[`${name}${suffix}`, join(folder, source)]];
  });
}

/** All files below `folder`, relative to it. */
export function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
