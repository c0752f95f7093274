/** A folder that lasts as long as a function. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function scratch<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "physio-bench-"));
  try {
    return body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
