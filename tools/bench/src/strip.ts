/**
 * This tool without its types, in a folder of its own.
 *
 * Worker processes run that copy. Node's type stripping grows a WebAssembly memory, which detaches
 * its buffer; from the first detached buffer on V8 checks every access to any typed array of the
 * process for it (64 KiB in 16 pages: 117 ns a load instead of 101), and the stripper costs memory.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of all tools, and in it this one's sources. */
const TOOLS = fileURLToPath(new URL("../../", import.meta.url));
const SOURCES = "bench/src";
/** What workers import of other tools: nothing but packages is imported there. */
const SHARED: readonly string[] = Object.freeze([
  "suites/src/memory-disk.ts",
  "suites/src/block-fs.ts",
]);
const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** Names of files end in `.ts"` in imports and nowhere else. */
const toScript = (text: string): string => text.replaceAll('.ts"', '.js"');

/**
 * Write the copy into `folder`, which is empty or has node_modules of its own.
 * @returns its entry point.
 */
export function stripTo(folder: string): string {
  mkdirSync(folder, { recursive: true });
  if (!readdirSync(folder).includes("node_modules")) {
    symlinkSync(MODULES, join(folder, "node_modules"), "junction");
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  const own = readdirSync(join(TOOLS, SOURCES)).map((name) => `${SOURCES}/${name}`);
  for (const path of [...own, ...SHARED]) {
    const text = stripTypeScriptTypes(readFileSync(join(TOOLS, path), "utf8"));
    const target = join(folder, path.replace(/\.ts$/, ".js"));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, toScript(text));
  }
  return join(folder, SOURCES, "main.js");
}
