/** Patterns, component by component, beside what a shell says of the same names. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { componentMatcher } from "../src/glob.ts";

const NAMES = [
  "a",
  "b",
  "ab",
  "abc",
  "a-b",
  "a.b",
  ".hidden",
  "]",
  "^",
  "!",
  "a\\b",
  "*",
  "A",
  "é",
];
const PATTERNS = [
  ...["*", "a*", "*b", "a?", "?", "[ab]", "[!ab]", "[^ab]", "[a-c]", "[]]", "[!]]", "[]a]*"],
  ...[".*", "a[-.]b", "\\*", "a\\\\b", "[\\]]", "a[", "a.b", "[c-a]", "[a-]", "\\a", "a**c"],
];

test("a pattern matches what the shell's matches", () => {
  const script = `export LC_ALL=C.UTF-8; for n in "$@"; do case $n in $PATTERN) printf '%s\\n' "$n" ;; esac; done`;
  for (const pattern of PATTERNS) {
    const env = { ...process.env, PATTERN: pattern };
    const said = execFileSync("bash", ["-c", script, "-", ...NAMES], { env, encoding: "utf8" });
    const hidden = pattern.startsWith("."); // case has no rule for dots; file names do
    const wanted = said.split("\n").filter((n) => n !== "" && (hidden || !n.startsWith(".")));
    expect([pattern, NAMES.filter(componentMatcher(pattern))]).toEqual([pattern, wanted]);
  }
});
