/**
 * Names and where they are declared, for one file.
 *
 * Every node that opens a scope has a table of the names declared in it; a name is resolved by
 * climbing parents. Values and types are separate spaces, as in TypeScript. A name that resolves
 * to nothing is a global of the host.
 */
import type { Node, NodeOf, NodeType, SourceFile } from "./parse.ts";
import { bare, memberName } from "./parse.ts";

export type Space = "value" | "type";
export type Identifier = NodeOf<"Identifier">;

export interface Declaration {
  readonly id: Identifier;
  /** The declarator, parameter, function, class, import specifier, alias … that declares `id`. */
  readonly node: Node;
  readonly spaces: readonly Space[];
}

type Names = Map<string, Declaration[]>;

export const FUNCTIONS = [
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
  "TSDeclareFunction",
  "TSEmptyBodyFunctionExpression",
] as const satisfies NodeType[];

const SIGNATURES = [
  "TSFunctionType",
  "TSConstructorType",
  "TSMethodSignature",
  "TSCallSignatureDeclaration",
  "TSConstructSignatureDeclaration",
] as const satisfies NodeType[];

const CLASSES = ["ClassDeclaration", "ClassExpression"] as const satisfies NodeType[];

const VAR_SCOPES: ReadonlySet<string> = new Set([
  "Program",
  ...FUNCTIONS,
  "StaticBlock",
  "TSModuleBlock",
]);

const SCOPES: ReadonlySet<string> = new Set([
  ...VAR_SCOPES,
  ...SIGNATURES,
  ...CLASSES,
  "BlockStatement",
  "ForStatement",
  "ForInStatement",
  "ForOfStatement",
  "SwitchStatement",
  "CatchClause",
  "TSInterfaceDeclaration",
  "TSTypeAliasDeclaration",
  "TSMappedType",
  "TSConditionalType",
  "TSIndexSignature",
]);

const VALUE: readonly Space[] = ["value"];
const TYPE: readonly Space[] = ["type"];
const BOTH: readonly Space[] = ["value", "type"];

export class Scopes {
  readonly #tables = new Map<Node, Names>();

  constructor(file: SourceFile) {
    this.#declareVariables(file);
    this.#declareFunctions(file);
    this.#declareTypes(file);
    this.#declareImports(file);
  }

  /** Where the name `id` is declared, seen from its place; undefined for a global. */
  resolve(id: Identifier, space: Space): Declaration | undefined {
    for (let node: Node | null | undefined = id; node; node = node.parent) {
      const found = this.#tables.get(node)?.get(id.name);
      const match = found?.find((d) => d.spaces.includes(space));
      if (match) return match;
    }
    return undefined;
  }

  #declare(scope: Node, id: Identifier, node: Node, spaces: readonly Space[]): void {
    const names: Names = this.#tables.get(scope) ?? new Map();
    this.#tables.set(scope, names);
    const same = names.get(id.name);
    if (same === undefined) names.set(id.name, [{ id, node, spaces }]);
    else same.push({ id, node, spaces });
  }

  #declareVariables(file: SourceFile): void {
    for (const node of file.of("VariableDeclarator")) {
      const { kind } = node.parent as NodeOf<"VariableDeclaration">;
      const scope = enclosing(node, kind === "var" ? VAR_SCOPES : SCOPES);
      for (const id of boundNames(node.id)) this.#declare(scope, id, node, VALUE);
    }
    for (const node of file.of("CatchClause")) {
      for (const id of boundNames(node.param)) this.#declare(node, id, node, VALUE);
    }
  }

  #declareFunctions(file: SourceFile): void {
    for (const node of file.of(...FUNCTIONS, ...SIGNATURES)) {
      for (const parameter of node.params) {
        for (const id of boundNames(parameter)) this.#declare(node, id, parameter, VALUE);
      }
      if (!("id" in node) || !node.id) continue;
      const own = node.type === "FunctionExpression";
      this.#declare(own ? node : enclosing(node, SCOPES), node.id, node, VALUE);
    }
    for (const node of file.of("TSIndexSignature")) {
      for (const id of node.parameters) this.#declare(node, id, id, VALUE);
    }
  }

  #declareTypes(file: SourceFile): void {
    for (const node of file.of(...CLASSES)) {
      if (!node.id) continue;
      const own = node.type === "ClassExpression";
      this.#declare(own ? node : enclosing(node, SCOPES), node.id, node, BOTH);
    }
    for (const node of file.of("TSInterfaceDeclaration", "TSTypeAliasDeclaration")) {
      this.#declare(enclosing(node, SCOPES), node.id, node, TYPE);
    }
    for (const node of file.of("TSEnumDeclaration")) {
      this.#declare(enclosing(node, SCOPES), node.id, node, BOTH);
    }
    for (const node of file.of("TSModuleDeclaration")) {
      if (node.id.type !== "Identifier") continue;
      this.#declare(enclosing(node, SCOPES), node.id, node, BOTH);
    }
    for (const node of file.of("TSTypeParameter")) {
      this.#declare(enclosing(node, SCOPES), node.name, node, TYPE);
    }
    for (const node of file.of("TSMappedType")) this.#declare(node, node.key, node, TYPE);
  }

  #declareImports(file: SourceFile): void {
    const specifiers = file.of(
      "ImportSpecifier",
      "ImportDefaultSpecifier",
      "ImportNamespaceSpecifier",
    );
    for (const node of specifiers) this.#declare(file.program, node.local, node, BOTH);
    for (const node of file.of("TSImportEqualsDeclaration")) {
      this.#declare(file.program, node.id, node, BOTH);
    }
  }
}

export interface GlobalUse {
  readonly name: string;
  readonly node: Node;
  readonly space: Space;
}

/**
 * Uses of the host globals in `names`, also written `globalThis.name`.
 *
 * A property of that name, a declared name, a label or an imported name is no such use. An ambient
 * declaration (`declare const performance: …`) makes a name known, not one's own.
 */
export function globalUses(
  file: SourceFile,
  scopes: Scopes,
  names: ReadonlySet<string>,
): GlobalUse[] {
  const uses: GlobalUse[] = [];
  for (const id of file.of("Identifier")) {
    const viaHost = id.name === "globalThis";
    if (!viaHost && !names.has(id.name)) continue;
    const space = spaceOf(id);
    if (space === null || isOwn(id, scopes.resolve(id, space))) continue;
    if (!viaHost) uses.push({ name: id.name, node: id, space });
    else if (id.parent?.type === "MemberExpression" && id.parent.object === id) {
      const name = memberName(id.parent);
      if (name !== null && names.has(name)) uses.push({ name, node: id.parent, space });
    } else if (names.has(id.name)) uses.push({ name: id.name, node: id, space });
  }
  return uses;
}

function isOwn(id: Identifier, declaration: Declaration | undefined): boolean {
  if (declaration === undefined) return false;
  const { node } = declaration;
  const carrier = node.type === "VariableDeclarator" ? node.parent : node;
  const ambient = carrier != null && "declare" in carrier && carrier.declare === true;
  return !ambient || declaration.id === id;
}

/** Every identifier that a pattern or parameter binds. */
export function boundNames(pattern: Node | null | undefined): Identifier[] {
  switch (pattern?.type) {
    case "Identifier":
      return [pattern];
    case "ObjectPattern":
      return pattern.properties.flatMap((p) =>
        boundNames(p.type === "RestElement" ? p.argument : p.value),
      );
    case "ArrayPattern":
      return pattern.elements.flatMap((e) => boundNames(e));
    case "AssignmentPattern":
      return boundNames(pattern.left);
    case "RestElement":
      return boundNames(pattern.argument);
    case "TSParameterProperty":
      return boundNames(pattern.parameter);
    default:
      return [];
  }
}

/** In which space an identifier is looked up; null when it is a label, a key or the like. */
function spaceOf(id: Identifier): Space | null {
  const parent = id.parent;
  switch (parent?.type) {
    case "MemberExpression":
      return parent.object === id || parent.computed ? "value" : null;
    case "Property":
    case "PropertyDefinition":
    case "AccessorProperty":
      return parent.value === id || parent.computed ? "value" : null;
    case "MethodDefinition":
    case "TSAbstractMethodDefinition":
    case "TSAbstractPropertyDefinition":
    case "TSAbstractAccessorProperty":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return parent.key === id && !parent.computed ? null : "value";
    case "ExportSpecifier": {
      const from = (parent.parent as NodeOf<"ExportNamedDeclaration">).source;
      return parent.local === id && from === null ? "value" : null;
    }
    case "TSQualifiedName":
      return parent.left === id ? qualifiedSpace(parent) : null;
    case "TSEnumMember":
      return parent.initializer === id ? "value" : null;
    case "TSTypeReference":
    case "TSInterfaceHeritage":
    case "TSClassImplements":
      return "type";
    case "ImportSpecifier":
    case "ImportAttribute":
    case "LabeledStatement":
    case "BreakStatement":
    case "ContinueStatement":
    case "MetaProperty":
    case "TSImportType":
    case "TSNamedTupleMember":
    case "TSTypeParameter":
    case "TSTypePredicate":
    case "TSModuleDeclaration":
    case "TSMappedType":
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
      return null;
    default:
      return "value";
  }
}

/** `a` of `a.b` is a value in `typeof a.b`, else a type's namespace. */
function qualifiedSpace(name: NodeOf<"TSQualifiedName">): Space {
  let at: Node | null | undefined = name;
  while (at?.type === "TSQualifiedName") at = at.parent;
  return at?.type === "TSTypeQuery" ? "value" : "type";
}

/** The object whose properties an object pattern takes apart: `init` of `const { a } = init`. */
export function patternSource(pattern: NodeOf<"ObjectPattern">): Node | null {
  const parent = pattern.parent;
  if (parent?.type === "VariableDeclarator") return parent.init && bare(parent.init);
  if (parent?.type === "AssignmentExpression") return bare(parent.right);
  return null;
}

function enclosing(node: Node, types: ReadonlySet<string>): Node {
  let at: Node | null | undefined = node.parent;
  while (at && !types.has(at.type)) at = at.parent;
  if (!at) throw new Error(`no scope round a ${node.type}`);
  return at;
}
