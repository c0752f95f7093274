/**
 * The tree that is read: its sources and tests, each file read and parsed at most once.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Source } from "./source.ts";

const SKIPPED: ReadonlySet<string> = new Set([
  "node_modules",
  "dist",
  ".git",
  ".turbo",
  "coverage",
]);

export class Tree {
  readonly root: string;
  readonly #sources = new Map<string, Source | null>();

  constructor(root: string) {
    this.root = root;
  }

  /** Files below `packages/<group>/<package>/src`. */
  code(): string[] {
    return this.#files("packages").filter((f) => /^packages\/[^/]+\/[^/]+\/src\//.test(f));
  }

  /** Test files of packages and of tools/suites. */
  tests(): string[] {
    const places = /^(?:packages\/[^/]+\/[^/]+|tools\/suites)\/(?:test|long)\//;
    const all = [...this.#files("packages"), ...this.#files("tools/suites")];
    return all.filter((f) => places.test(f));
  }

  text(path: string): string | null {
    const file = join(this.root, path);
    return existsSync(file) ? readFileSync(file, "utf8") : null;
  }

  /** The parsed file, or null when it is not there. */
  source(path: string): Source | null {
    let source = this.#sources.get(path);
    if (source === undefined) {
      const text = this.text(path);
      source = text === null ? null : new Source(path, text);
      this.#sources.set(path, source);
    }
    return source;
  }

  /** JSON files of a folder, sorted. */
  jsonIn(folder: string): string[] {
    const dir = join(this.root, folder);
    if (!existsSync(dir)) return [];
    return readdirSync(dir)
      .filter((f) => f.endsWith(".json"))
      .sort();
  }

  /** TypeScript files below `folder`, sorted. */
  #files(folder: string): string[] {
    const dir = join(this.root, folder);
    if (!existsSync(dir)) return [];
    const found: string[] = [];
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) found.push(...this.#files(path));
      else if (entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts")) {
        found.push(path);
      }
    }
    return found.sort();
  }
}
