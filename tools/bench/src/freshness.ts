/**
 * Whether the built code is that of the sources.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = fileURLToPath(new URL("../node_modules/@physio/", import.meta.url));

function newest(folder: string): number {
  const times = readdirSync(folder, { withFileTypes: true }).map((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? newest(path) : statSync(path).mtimeMs;
  });
  return Math.max(0, ...times);
}

/** Packages that are not built, or whose sources changed since. */
export function stalePackages(packages: string = PACKAGES): string[] {
  return readdirSync(packages).filter((name) => {
    const built = join(packages, name, "dist/.tsbuildinfo");
    if (!existsSync(built)) return true;
    return newest(join(packages, name, "src")) > statSync(built).mtimeMs;
  });
}
