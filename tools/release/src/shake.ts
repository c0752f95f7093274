/**
 * Tree shaking: one constant imported from an installed package gives one line, and a package
 * imported for nothing gives nothing.
 *
 * Each package that exports a number, string or boolean is judged by one of them: kern's is named,
 * the others' is the first in the alphabet.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.ts";
import type { Values } from "./consumer.ts";

const NAMED: Readonly<Record<string, string>> = { "@physio/kern": "PAGE_SIZE" };

/** The constant to import from the package's main door, if it has one. */
export function constantOf(specifier: string, values: Values): string | null {
  const names = values[specifier] ?? {};
  const constants = Object.keys(names).filter((name) => names[name] !== null);
  return NAMED[specifier] ?? constants.sort()[0] ?? null;
}

/** What is left too much of importing the constant alone, or null. */
export async function shakeProblem(
  dir: string,
  specifier: string,
  constant: string,
  value: unknown,
): Promise<string | null> {
  const entry = join(dir, "shake.js");
  writeFileSync(entry, `import { ${constant} } from "${specifier}";\nconsole.log(${constant});\n`);
  const { code } = await bundle(entry);
  const lines = code.trim().split("\n");
  if (lines.length === 1 && isOnly(lines[0], value)) return null;
  return `importing ${constant} gives ${lines.length} lines, ${code.length} characters\n${code}`;
}

/** What is left of the doors when nothing of them is used, or null. */
export async function unusedProblem(
  dir: string,
  specifiers: readonly string[],
  onNode: boolean,
): Promise<string | null> {
  const entry = join(dir, "unused.js");
  writeFileSync(entry, specifiers.map((s) => `import ${JSON.stringify(s)};\n`).join(""));
  const { code } = await bundle(entry, { onNode });
  return code.trim() === "" ? null : `importing it for nothing gives\n${code}`;
}

/** Whether the line logs the value and does nothing else; a minifier may write 1e3 for 1000. */
function isOnly(line: string, value: unknown): boolean {
  const logged = /^(?:(?:var|let|const) (\w+)=([^;,]+);)?console\.log\(([^()]*)\);?$/.exec(line);
  if (logged === null) return false;
  const [, name, defined, argument] = logged;
  const literal = name !== undefined && name === argument ? defined : argument;
  return meaning(literal) === value;
}

function meaning(literal: string): unknown {
  if (literal === "!0" || literal === "!1") return literal === "!0";
  const text = /^(["'`])(.*)\1$/.exec(literal);
  return text === null ? Number(literal) : text[2];
}
