/**
 * This tool without its types, in a folder of its own.
 *
 * Worker processes run that copy. Node's type stripping grows a WebAssembly memory, which detaches
 * its buffer; from the first detached buffer on V8 checks every access to any typed array of the
 * process for it (64 KiB in 16 pages: 117 ns a load instead of 101), and the stripper costs memory.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL(".", import.meta.url));
const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** Names of files end in `.ts"` in imports and nowhere else. */
const toScript = (text: string): string => text.replaceAll('.ts"', '.js"');

/**
 * Write the copy into `folder`, which is empty or has node_modules of its own.
 * @returns its entry point.
 */
export function stripTo(folder: string): string {
  mkdirSync(join(folder, "src"), { recursive: true });
  if (!readdirSync(folder).includes("node_modules")) {
    symlinkSync(MODULES, join(folder, "node_modules"), "junction");
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  for (const name of readdirSync(SOURCES)) {
    const text = stripTypeScriptTypes(readFileSync(join(SOURCES, name), "utf8"));
    writeFileSync(join(folder, "src", name.replace(/\.ts$/, ".js")), toScript(text));
  }
  return join(folder, "src", "main.js");
}
