/**
 * A function fits a screen and a file holds one idea.
 *
 * `// hot: reason` directly above a function permits 120 lines; `// table: reason` before the
 * first statement exempts a file, and a regs.ts is a table by name. A function that only returns a
 * literal is a table too. Tests have the file limit only: their callbacks are lists of cases.
 */
import type { Node, NodeOf, SourceFile } from "../parse.ts";
import { bare, reasonIn } from "../parse.ts";
import type { Violation } from "../report.ts";
import { FUNCTIONS } from "../scope.ts";
import type { Workspace } from "../workspace.ts";

const FUNCTION_LINES = 70;
const HOT_FUNCTION_LINES = 120;
const FILE_LINES = 500;

type AnyFunction = NodeOf<(typeof FUNCTIONS)[number]>;

export function size(workspace: Workspace): Violation[] {
  const inPackages = workspace.packages.flatMap((pkg) =>
    pkg.units.flatMap(({ file, area }) => [
      ...fileLimit(file),
      ...(area === "src" ? functionLimits(file) : []),
    ]),
  );
  const inTools = workspace.toolFiles.flatMap((file) => [
    ...fileLimit(file),
    ...functionLimits(file),
  ]);
  return [...inPackages, ...inTools];
}

function fileLimit(file: SourceFile): Violation[] {
  if (file.lineCount <= FILE_LINES || isTable(file)) return [];
  const message = `file of ${file.lineCount} lines; at most ${FILE_LINES}, or "// table: reason" at its top`;
  return [{ path: file.path, line: 1, rule: "size", message }];
}

function functionLimits(file: SourceFile): Violation[] {
  if (isRegisterFile(file)) return [];
  return file.of(...FUNCTIONS).flatMap((node) => {
    const whole = wholeOf(node);
    const line = file.lineOf(whole);
    const lines = file.lineAt(node.end - 1) - line + 1;
    if (lines <= FUNCTION_LINES || returnsOnlyALiteral(node)) return [];

    const limit = hotReason(file, whole) ? HOT_FUNCTION_LINES : FUNCTION_LINES;
    if (lines <= limit) return [];
    const advice =
      limit === FUNCTION_LINES ? `; "// hot: reason" above it permits ${HOT_FUNCTION_LINES}` : "";
    const message = `${nameOf(whole)} has ${lines} lines; at most ${limit}${advice}`;
    return [{ path: file.path, line, rule: "size", message }];
  });
}

function isRegisterFile(file: SourceFile): boolean {
  return file.path.endsWith("/regs.ts");
}

function isTable(file: SourceFile): boolean {
  if (isRegisterFile(file)) return true;
  return file.leadingComments.some((c) => c.type === "Line" && !!reasonIn(c.value, "table"));
}

/** The method or accessor round a function expression, else the function itself. */
function wholeOf(node: AnyFunction): Node {
  const parent = node.parent;
  if (parent?.type === "MethodDefinition") return parent;
  if (parent?.type !== "Property" || parent.value !== node) return node;
  return parent.method || parent.kind !== "init" ? parent : node;
}

/** The `// hot:` reason above the function, or above the statement or member it initialises. */
function hotReason(file: SourceFile, whole: Node): boolean {
  const carriers = new Set([
    "ParenthesizedExpression",
    "VariableDeclarator",
    "VariableDeclaration",
    "ExportNamedDeclaration",
    "ExportDefaultDeclaration",
    "Property",
    "PropertyDefinition",
    "AssignmentExpression",
    "ExpressionStatement",
  ]);
  let at: Node | null | undefined = whole;
  do {
    if (file.reasonAbove(file.lineOf(at), "hot")) return true;
    at = at.parent;
  } while (at && carriers.has(at.type));
  return false;
}

function returnsOnlyALiteral(node: AnyFunction): boolean {
  let value: Node | null | undefined = node.body;
  if (value?.type === "BlockStatement") {
    const [only] = value.body;
    value = value.body.length === 1 && only.type === "ReturnStatement" ? only.argument : null;
  }
  return value != null && isLiteral(bare(value));
}

function isLiteral(node: Node): boolean {
  switch (node.type) {
    case "ArrayExpression":
      return node.elements.every((e) => e === null || isLiteral(bare(e)));
    case "ObjectExpression":
      return node.properties.every((p) => p.type === "Property" && isLiteral(bare(p.value)));
    default:
      return !/Function|^Class/.test(node.type);
  }
}

function nameOf(whole: Node): string {
  if ("key" in whole && whole.key?.type === "Identifier") return whole.key.name;
  if ("id" in whole && whole.id?.type === "Identifier") return whole.id.name;
  const parent = whole.parent;
  if (parent?.type === "VariableDeclarator" && parent.id.type === "Identifier") {
    return parent.id.name;
  }
  return "a function";
}
