/**
 * Every way in which a file names another module.
 *
 * Static and type-only imports, re-exports, `import()`, `import("…")` types, `import x =
 * require()`, `require()`, module augmentation, triple-slash references and the mock calls of
 * vitest. A dynamic import whose name is computed has specifier null.
 */
import type { Node, SourceFile } from "./parse.ts";
import { bare, literalString, memberName } from "./parse.ts";

export interface ModuleRequest {
  readonly specifier: string | null;
  readonly line: number;
  /** How the source says it: `import`, `import type`, `export from`, `require` … */
  readonly form: string;
}

export function importsOf(file: SourceFile): ModuleRequest[] {
  return [
    ...staticRequests(file),
    ...typeRequests(file),
    ...callRequests(file),
    ...commentRequests(file),
  ].sort((a, b) => a.line - b.line);
}

/** `@physio/uvm/impl` → { name: "@physio/uvm", subpath: "./impl" }; `.` for the package itself. */
export function splitSpecifier(specifier: string): { name: string; subpath: string } {
  const parts = specifier.split("/");
  const own = specifier.startsWith("@") ? 2 : 1;
  const rest = parts.slice(own).join("/");
  return { name: parts.slice(0, own).join("/"), subpath: rest === "" ? "." : `./${rest}` };
}

export function isPath(specifier: string): boolean {
  return /^(\.{1,2}(\/|$)|\/|file:)/.test(specifier);
}

function request(file: SourceFile, at: Node, source: Node, form: string): ModuleRequest {
  return { specifier: literalString(source), line: file.lineOf(at), form };
}

function staticRequests(file: SourceFile): ModuleRequest[] {
  const found: ModuleRequest[] = [];
  for (const node of file.of("ImportDeclaration")) {
    const form = node.importKind === "type" ? "import type" : "import";
    found.push(request(file, node, node.source, form));
  }
  for (const node of file.of("ExportNamedDeclaration", "ExportAllDeclaration")) {
    if (node.source === null) continue;
    const form = node.exportKind === "type" ? "export type from" : "export from";
    found.push(request(file, node, node.source, form));
  }
  return found;
}

function typeRequests(file: SourceFile): ModuleRequest[] {
  const found: ModuleRequest[] = [];
  for (const node of file.of("TSImportType")) {
    found.push(request(file, node, node.source, "import() type"));
  }
  for (const node of file.of("TSExternalModuleReference")) {
    found.push(request(file, node, node.expression, "import = require"));
  }
  for (const node of file.of("TSModuleDeclaration")) {
    if (node.id.type === "Literal") found.push(request(file, node, node.id, "declare module"));
  }
  return found;
}

function callRequests(file: SourceFile): ModuleRequest[] {
  const found = file.of("ImportExpression").map((n) => request(file, n, n.source, "import()"));
  for (const node of file.of("CallExpression")) {
    const form = loaderOf(bare(node.callee));
    const [first] = node.arguments;
    if (form !== null && first && literalString(first) !== null) {
      found.push(request(file, node, first, form));
    }
  }
  return found;
}

/** `require`, `require.resolve`, `import.meta.resolve` and vitest's `vi.mock` family. */
function loaderOf(callee: Node): string | null {
  if (callee.type === "Identifier") return callee.name === "require" ? "require" : null;
  if (callee.type !== "MemberExpression") return null;
  const name = memberName(callee);
  const { object } = callee;
  if (object.type === "MetaProperty") return name === "resolve" ? "import.meta.resolve" : null;
  if (object.type !== "Identifier") return null;
  if (object.name === "require" && name === "resolve") return "require.resolve";
  const mocks = ["mock", "doMock", "importActual", "importMock"];
  return object.name === "vi" && name !== null && mocks.includes(name) ? `vi.${name}` : null;
}

function commentRequests(file: SourceFile): ModuleRequest[] {
  const found: ModuleRequest[] = [];
  for (const comment of file.leadingComments) {
    if (comment.type !== "Line") continue;
    const match = /^\/\s*<reference\s+(path|types)\s*=\s*["']([^"']+)["']/.exec(comment.value);
    if (match === null) continue;
    const [, kind, name] = match;
    const specifier = kind === "path" && !isPath(name) ? `./${name}` : name;
    found.push({ specifier, line: file.lineAt(comment.start), form: `reference ${kind}` });
  }
  return found;
}
