/**
 * No mutable state at module level: two machines coexist in one process.
 *
 * Judged are top-level `let` and `var`, containers that begin empty, static fields, and functions
 * that write to a property of a module's constant. A typed-array scratch is allowed under a
 * `// scratch:` comment that says why sharing it is safe, a constant table under `// table:`.
 */
import type { Node, NodeOf, SourceFile } from "../parse.ts";
import { bare } from "../parse.ts";
import type { Violation } from "../report.ts";
import type { Identifier, Scopes } from "../scope.ts";
import { boundNames, FUNCTIONS } from "../scope.ts";
import type { Workspace } from "../workspace.ts";

const COLLECTIONS: ReadonlySet<string> = new Set(["Map", "Set", "WeakMap", "WeakSet"]);
const MEMORY =
  /^((Ui|I)nt(8|16|32)|Uint8Clamped|Float(16|32|64))Array$|^(Shared)?ArrayBuffer$|^DataView$/;
const READONLY: ReadonlySet<string> = new Set([
  "ReadonlyMap",
  "ReadonlySet",
  "ReadonlyArray",
  "Readonly",
]);

export function state(workspace: Workspace): Violation[] {
  return workspace.packages.flatMap((pkg) =>
    pkg.units
      .filter((u) => u.area === "src")
      .flatMap(({ file, scopes }) => [
        ...topLevel(file),
        ...statics(file),
        ...writes(file, scopes),
      ]),
  );
}

function violation(file: SourceFile, node: Node, message: string): Violation {
  return { path: file.path, line: file.lineOf(node), rule: "state", message };
}

function topLevel(file: SourceFile): Violation[] {
  return file.of("VariableDeclarator").flatMap((node) => {
    const declaration = node.parent as NodeOf<"VariableDeclaration">;
    if (declaration.declare || !isTopLevel(declaration)) return [];
    const name = boundNames(node.id)[0]?.name ?? "a pattern";
    if (declaration.kind !== "const") {
      return [violation(file, node, `module-level ${declaration.kind} ${name}`)];
    }
    const annotation = node.id.type === "Identifier" ? node.id.typeAnnotation : null;
    const why = mutable(file, node.init, annotation?.typeAnnotation ?? null, declaration);
    return why === null ? [] : [violation(file, node, `module-level ${name} ${why}`)];
  });
}

function statics(file: SourceFile): Violation[] {
  return file.of("PropertyDefinition").flatMap((node) => {
    if (!node.static || node.declare) return [];
    if (!node.readonly) return [violation(file, node, "static field that is not readonly")];
    const type = node.typeAnnotation?.typeAnnotation ?? null;
    const why = mutable(file, node.value, type, node);
    return why === null ? [] : [violation(file, node, `static field ${why}`)];
  });
}

/** Why a constant is mutable state, or null. */
function mutable(
  file: SourceFile,
  init: Node | null,
  type: Node | null,
  statement: Node,
): string | null {
  if (init === null) return null;
  const value = bare(init);
  const isReadonly = isReadonlyType(type) || isReadonlyType(assertedType(init));
  const made = constructorOf(value);
  if (made !== null && COLLECTIONS.has(made)) {
    const filled = value.type === "NewExpression" && value.arguments.length > 0;
    if (filled && isReadonly) return null;
    return `is a mutable ${made}; pass it in, or fill it at once and type it Readonly${made}`;
  }
  if (made !== null && MEMORY.test(made)) {
    if (excuse(file, statement)) return null;
    return `is shared memory (${made}); say why it is safe in "// scratch: reason" above it`;
  }
  if (made === "Array" && !isReadonly) return "is a mutable Array; type it readonly";
  if (value.type === "ArrayExpression" && value.elements.length === 0 && !isReadonly) {
    return "is an empty array, so somebody fills it later; pass it in";
  }
  if (value.type === "ObjectExpression" && value.properties.length === 0 && !isReadonly) {
    return "is an empty object, so somebody fills it later; pass it in";
  }
  return null;
}

/** `X` of `new X()`, `X.of()`, `X.from()`, `Array()`. */
function constructorOf(value: Node): string | null {
  if (value.type !== "NewExpression" && value.type !== "CallExpression") return null;
  const callee = bare(value.callee);
  if (callee.type === "Identifier") {
    return value.type === "NewExpression" || callee.name === "Array" ? callee.name : null;
  }
  const factory = callee.type === "MemberExpression" ? bare(callee.object) : null;
  if (factory?.type !== "Identifier") return null;
  return MEMORY.test(factory.name) || factory.name === "Array" ? factory.name : null;
}

function isReadonlyType(type: Node | null): boolean {
  if (type?.type === "TSTypeOperator") return type.operator === "readonly";
  if (type?.type !== "TSTypeReference" || type.typeName.type !== "Identifier") return false;
  return READONLY.has(type.typeName.name) || type.typeName.name === "const";
}

function assertedType(init: Node): Node | null {
  return init.type === "TSAsExpression" ? init.typeAnnotation : null;
}

function excuse(file: SourceFile, statement: Node): boolean {
  let top = statement;
  if (top.parent?.type === "ExportNamedDeclaration") top = top.parent;
  const line = file.lineOf(top);
  return !!file.reasonAbove(line, "scratch") || !!file.reasonAbove(line, "table");
}

function isTopLevel(declaration: Node): boolean {
  const parent = declaration.parent;
  if (parent?.type === "ExportNamedDeclaration") return true;
  if (parent?.type === "Program") return true;
  if (!("kind" in declaration) || declaration.kind !== "var") return false;
  return enclosingFunction(declaration) === null; // a var in a top-level block
}

/** Assignments inside functions to properties of constants and classes of the module. */
function writes(file: SourceFile, scopes: Scopes): Violation[] {
  const targets: Node[] = [
    ...file.of("AssignmentExpression").map((n) => n.left),
    ...file.of("UpdateExpression").map((n) => n.argument),
    ...file.of("UnaryExpression").flatMap((n) => (n.operator === "delete" ? [n.argument] : [])),
  ];
  return targets.flatMap((target) => {
    const root = rootName(target);
    if (root === null || enclosingFunction(target) === null) return [];
    const node = scopes.resolve(root, "value")?.node;
    if (node === undefined || !isModuleValue(file, node)) return [];
    return [violation(file, target, `a function writes to ${root.name}, which the module owns`)];
  });
}

/** `a` of the assignment target `a.b[c].d`; null for a bare name. */
function rootName(target: Node): Identifier | null {
  let at = bare(target);
  if (at.type !== "MemberExpression") return null;
  while (at.type === "MemberExpression") at = bare(at.object);
  return at.type === "Identifier" ? at : null;
}

function isModuleValue(file: SourceFile, node: Node): boolean {
  if (node.type === "VariableDeclarator") {
    const declaration = node.parent as NodeOf<"VariableDeclaration">;
    return isTopLevel(declaration) && !excuse(file, declaration);
  }
  if (node.type !== "ClassDeclaration") return false;
  return node.parent?.type === "Program" || node.parent?.type === "ExportNamedDeclaration";
}

function enclosingFunction(node: Node): Node | null {
  const kinds: readonly string[] = FUNCTIONS;
  let at: Node | null | undefined = node.parent;
  while (at && !kinds.includes(at.type)) at = at.parent;
  return at ?? null;
}
