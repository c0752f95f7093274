/**
 * The page holds nothing of Node's: an import of it anywhere below fails the build.
 */
import { globSync } from "node:fs";
import { join, relative } from "node:path";
import type { Plugin } from "vite";
import { build } from "vite";
import { expect, test } from "vitest";
import { ROOT } from "../src/in-node.ts";
import { pageConfig } from "../src/page-config.ts";

/** Build the page without writing it. */
async function buildPage(...plugins: readonly Plugin[]): Promise<void> {
  const config = pageConfig("dist", ...plugins);
  await build({ ...config, logLevel: "silent", build: { ...config.build, write: false } });
}

/** A plugin that gives the build a copy of one source with `text` at its end. */
function plant(path: string, text: string, planted: string[]): Plugin {
  return {
    name: "plant",
    enforce: "pre",
    transform(code, id) {
      if (id !== join(ROOT, path)) return null;
      planted.push(path);
      return { code: `${code}\n${text}\n`, map: null };
    },
  };
}

/** Doors that the page's machine does not open, and a file of types alone. */
const NOT_LOADED = /dmacheck\/|busdma\/src\/(bsd|memory)\.ts$/;

test("the page builds, and all that a machine needs of packages/dma is in it", async () => {
  const seen = new Set<string>();
  const watch: Plugin = {
    name: "watch",
    moduleParsed: ({ id }) => void seen.add(relative(ROOT, id)),
  };
  await buildPage(watch);
  const sources = globSync("packages/dma/*/src/*.ts", { cwd: ROOT });
  expect(sources.length).toBeGreaterThan(10);
  const missing = sources.filter((path) => !seen.has(path) && !NOT_LOADED.test(path));
  expect(missing).toEqual([]);
});

const PLANTS: readonly (readonly [string, string, string])[] = [
  ["packages/dma/busdma/src/tag.ts", 'import "node:fs";', "node:fs"],
  [
    "packages/dma/busdma-bounce/src/zone.ts",
    'import { readFileSync } from "fs";\nexport const planted = readFileSync;',
    "fs",
  ],
  ["packages/dma/busdma/src/map.ts", 'export const planted = () => import("node:os");', "node:os"],
];

for (const [path, text, module] of PLANTS)
  test(`${path} with an import of ${module} fails the build`, async () => {
    const planted: string[] = [];
    await expect(buildPage(plant(path, text, planted))).rejects.toThrow(
      `${path} imports ${module}, which no browser has`,
    );
    expect(planted).toEqual([path]);
  });
