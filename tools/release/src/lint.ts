/**
 * What the outside linters say about a tarball: publint, strictly, and attw for ESM-only packages.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Message } from "publint";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import type { Tarball } from "./pack.ts";
import { run } from "./run.ts";
import type { Manifest } from "./workspace.ts";

const HOME = fileURLToPath(new URL("..", import.meta.url));
const ATTW = join(HOME, "node_modules/.bin/attw");
// Old resolvers find nothing and CommonJS needs import(): so it is meant.
const ATTW_FLAGS = ["--profile", "esm-only", "--format", "ascii", "--no-color", "--no-emoji"];

export async function publintProblem(tarball: Tarball): Promise<string | null> {
  const { buffer, byteOffset, byteLength } = readFileSync(tarball.path);
  const bytes = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  const result = await publint({ pack: { tarball: bytes }, strict: true });
  if (result.messages.length === 0) return null;
  return result.messages.map((m) => worded(m, tarball.pkg.manifest)).join("\n");
}

function worded(message: Message, manifest: Manifest): string {
  const text = formatMessage(message, manifest, { color: false });
  return `${message.type}: ${text ?? message.code}`;
}

export async function attwProblem(tarball: Tarball): Promise<string | null> {
  const done = await run(ATTW, [tarball.path, ...ATTW_FLAGS], { cwd: HOME });
  return done.code === 0 ? null : done.output.trim();
}
