/**
 * The doors of a package and the head of each file.
 *
 * What a package offers is spelled out name by name: no `export *` anywhere, and index.ts holds
 * nothing but `export { … } from` and `export type { … } from`. Every other file opens with a
 * block comment that says what it is, unless it too only re-exports.
 */
import type { NodeOf, SourceFile } from "../parse.ts";
import type { Violation } from "../report.ts";
import type { Workspace } from "../workspace.ts";

export function door(workspace: Workspace): Violation[] {
  return workspace.packages.flatMap((pkg) =>
    pkg.units
      .filter((u) => u.area === "src")
      .flatMap(({ file }) => [...stars(file), ...(isIndex(file) ? code(file) : header(file))]),
  );
}

function isIndex(file: SourceFile): boolean {
  return /\/index\.[cm]?[jt]sx?$/.test(file.path);
}

function stars(file: SourceFile): Violation[] {
  return file.of("ExportAllDeclaration").map((node) => ({
    path: file.path,
    line: file.lineOf(node),
    rule: "export-star",
    message: `export * from "${node.source.value}": name what is exported`,
  }));
}

function code(file: SourceFile): Violation[] {
  return file.program.body
    .filter((node) => !isReExport(node))
    .map((node) => ({
      path: file.path,
      line: file.lineOf(node),
      rule: "index",
      message: `index.ts holds only "export { … } from", not a ${node.type}`,
    }));
}

/** `export { … } from`, `export *` (reported elsewhere), or the `export {}` of an empty package. */
function isReExport(node: NodeOf<"Program">["body"][number]): boolean {
  if (node.type === "ExportAllDeclaration") return true;
  if (node.type !== "ExportNamedDeclaration" || node.declaration !== null) return false;
  return node.source !== null || node.specifiers.length === 0;
}

function header(file: SourceFile): Violation[] {
  if (file.program.body.every(isReExport)) return [];
  const first = file.leadingComments.find((c) => c.type === "Block");
  if (first?.value.startsWith("*") && isAtTop(file, first.start)) return [];
  const message = "starts without a block comment /** … */ that says what the file is";
  return [{ path: file.path, line: 1, rule: "header", message }];
}

/** Only line comments (`// table: …`) may stand above the header. */
function isAtTop(file: SourceFile, start: number): boolean {
  const above = file.text.slice(0, start).split("\n");
  return above.every((line) => line.trim() === "" || /^\s*(\/\/|#!)/.test(line));
}
