/**
 * What the declared types of the house say about an expression: is it an address, size or offset?
 *
 * There is no type checker here. A type is known when it is written down: on a parameter, a
 * variable, a field, an accessor or a function's return, in this file or, for classes and
 * interfaces, anywhere in packages/. Everything else is unknown (null), which is not the same as
 * known to be no address. `expressions.ts` builds on this.
 */
import { posix } from "node:path";
import { isPath, splitSpecifier } from "./imports.ts";
import { SCOPE } from "./layers.ts";
import type { Node, NodeOf } from "./parse.ts";
import { keyName } from "./parse.ts";
import type { Package, Unit, Workspace } from "./workspace.ts";

/** The types of kern/addr.ts whose values may exceed 32 bits. */
const ADDRESS_TYPES: ReadonlySet<string> = new Set([
  "PhysAddr",
  "BusAddr",
  "VirtAddr",
  "Bytes",
  "FileOffset",
]);

/** A type as written, with the file that gives its names their meaning. */
export interface Written {
  readonly unit: Unit;
  readonly type: Node | null | undefined;
}

export interface Members {
  readonly fields: ReadonlyMap<string, Written>;
  /** Return types of methods. */
  readonly methods: ReadonlyMap<string, Written>;
  /** `extends`: the names of the parents. */
  readonly heirs: readonly Written[];
}

export type Known =
  | { readonly kind: "address"; readonly name: string }
  | { readonly kind: "object"; readonly members: Members }
  | { readonly kind: "list"; readonly element: Written }
  | { readonly kind: "function"; readonly returns: Written }
  | { readonly kind: "other" }
  | null;

export const OTHER: Known = { kind: "other" };

type TypeDeclaration = NodeOf<
  "TSInterfaceDeclaration" | "TSTypeAliasDeclaration" | "ClassDeclaration"
>;

/** Library types that have the members of their first argument. */
const WRAPPERS: ReadonlySet<string> = new Set([
  "Readonly",
  "Partial",
  "Required",
  "NonNullable",
  "Pick",
  "Omit",
]);
const LISTS: ReadonlySet<string> = new Set(["Array", "ReadonlyArray", "Iterable", "Set"]);

/** Chains of aliases and heirs longer than this are left unknown. */
const DEPTH = 12;

export class HouseTypes {
  /** Type declarations at module level, under `path#Name` and under `folder#Name`. */
  readonly #declared = new Map<string, { unit: Unit; node: TypeDeclaration }>();
  readonly #folderOf = new Map<Unit, string>();
  readonly #members = new Map<Node, Members>();

  constructor(workspace: Workspace) {
    for (const pkg of workspace.packages) {
      for (const unit of pkg.units) if (unit.area === "src") this.#collect(pkg, unit);
    }
  }

  #collect(pkg: Package, unit: Unit): void {
    this.#folderOf.set(unit, pkg.folder);
    const kinds = ["TSInterfaceDeclaration", "TSTypeAliasDeclaration", "ClassDeclaration"] as const;
    for (const node of unit.file.of(...kinds)) {
      if (!node.id || !/^(Program|Export\w+)$/.test(node.parent?.type ?? "")) continue;
      this.#declared.set(`${unit.file.path}#${node.id.name}`, { unit, node });
      const key = `${pkg.folder}#${node.id.name}`;
      if (!this.#declared.has(key)) this.#declared.set(key, { unit, node });
    }
  }

  /** What a type annotation or type node means. */
  read({ unit, type }: Written, depth = DEPTH): Known {
    if (type == null || depth === 0) return null;
    const inner = (t: Node | null | undefined) => this.read({ unit, type: t }, depth - 1);
    switch (type.type) {
      case "TSTypeAnnotation":
      case "TSParenthesizedType":
      case "TSOptionalType":
        return inner(type.typeAnnotation);
      case "TSTypeOperator":
        return type.operator === "readonly" ? inner(type.typeAnnotation) : OTHER;
      case "TSUnionType":
        return combine(type.types.filter((t) => !isNothing(t)).map(inner));
      case "TSIntersectionType":
        return combine(type.types.map(inner).filter((k) => k?.kind !== "other"));
      case "TSTypeLiteral":
        return { kind: "object", members: this.membersOf(type, unit) };
      case "TSArrayType":
        return { kind: "list", element: { unit, type: type.elementType } };
      case "TSFunctionType":
        return { kind: "function", returns: { unit, type: type.returnType } };
      case "TSTypeReference":
        return this.#reference(type, unit, depth);
      case "Identifier": {
        const parent = unit.scopes.resolve(type, "type");
        return parent ? this.named(parent.node, unit, depth) : null;
      }
      case "TSTypeQuery":
      case "TSIndexedAccessType":
      case "TSConditionalType":
      case "TSInferType":
      case "TSThisType":
      case "TSImportType":
        return null;
      default:
        return OTHER;
    }
  }

  #reference(type: NodeOf<"TSTypeReference">, unit: Unit, depth: number): Known {
    const { typeName } = type;
    if (typeName.type === "TSQualifiedName") return this.#qualified(typeName, unit);
    if (typeName.type !== "Identifier") return null;
    const [first] = type.typeArguments?.params ?? [];
    const declaration = unit.scopes.resolve(typeName, "type");
    if (declaration === undefined) {
      if (WRAPPERS.has(typeName.name)) return this.read({ unit, type: first }, depth - 1);
      if (LISTS.has(typeName.name)) return { kind: "list", element: { unit, type: first } };
      return OTHER;
    }
    return this.named(declaration.node, unit, depth);
  }

  /** `kern.PhysAddr`, with `import type * as kern`. */
  #qualified(name: NodeOf<"TSQualifiedName">, unit: Unit): Known {
    if (name.left.type !== "Identifier" || !ADDRESS_TYPES.has(name.right.name)) return null;
    const node = unit.scopes.resolve(name.left, "type")?.node;
    if (node?.type !== "ImportNamespaceSpecifier") return null;
    return { kind: "address", name: name.right.name };
  }

  /** What a declared type name stands for. */
  named(node: Node, unit: Unit, depth = DEPTH): Known {
    switch (node.type) {
      case "ImportSpecifier":
        return this.#imported(node, unit, depth);
      case "TSTypeAliasDeclaration":
        if (this.#folderOf.get(unit) === "kern" && ADDRESS_TYPES.has(node.id.name)) {
          return { kind: "address", name: node.id.name };
        }
        return this.read({ unit, type: node.typeAnnotation }, depth - 1);
      case "TSInterfaceDeclaration":
      case "ClassDeclaration":
      case "ClassExpression":
        return { kind: "object", members: this.membersOf(node, unit) };
      default:
        return null;
    }
  }

  #imported(node: NodeOf<"ImportSpecifier">, unit: Unit, depth: number): Known {
    const from = (node.parent as NodeOf<"ImportDeclaration">).source.value;
    const name = node.imported.type === "Identifier" ? node.imported.name : node.imported.value;
    const found = this.#lookUp(unit, from, name);
    if (found) return this.named(found.node, found.unit, depth - 1);
    const inHouse = from.startsWith(SCOPE) || isPath(from);
    return inHouse && ADDRESS_TYPES.has(name) ? { kind: "address", name } : null;
  }

  #lookUp(unit: Unit, from: string, name: string) {
    if (!isPath(from)) {
      const { name: target } = splitSpecifier(from);
      return this.#declared.get(`${target.slice(SCOPE.length)}#${name}`);
    }
    const path = posix.join(posix.dirname(unit.file.path), from);
    const inPackage = `${this.#folderOf.get(unit)}#${name}`;
    return this.#declared.get(`${path}#${name}`) ?? this.#declared.get(inPackage);
  }

  /** Type of field `name`, own or inherited; undefined when no declaration has it. */
  field(members: Members, name: string, depth = DEPTH): Known | undefined {
    const own = members.fields.get(name);
    if (own !== undefined) return this.read(own);
    if (members.methods.has(name)) return OTHER;
    return this.#inherited(members, depth, (m) => this.field(m, name, depth - 1));
  }

  /** What method `name` returns; undefined when no declaration has it. */
  returned(members: Members, name: string, depth = DEPTH): Known | undefined {
    const own = members.methods.get(name);
    if (own !== undefined) return this.read(own);
    return this.#inherited(members, depth, (m) => this.returned(m, name, depth - 1));
  }

  #inherited(members: Members, depth: number, ask: (m: Members) => Known | undefined) {
    if (depth === 0) return undefined;
    for (const heir of members.heirs) {
      const known = this.read(heir);
      const answer = known?.kind === "object" ? ask(known.members) : undefined;
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  membersOf(
    node: TypeDeclaration | NodeOf<"ClassExpression" | "TSTypeLiteral">,
    unit: Unit,
  ): Members {
    const known = this.#members.get(node);
    if (known !== undefined) return known;
    const fields = new Map<string, Written>();
    const methods = new Map<string, Written>();
    for (const member of memberNodes(node)) {
      const found = memberType(member);
      if (found === null) continue;
      const { name, type } = found;
      const returns = type?.type === "TSFunctionType" ? type.returnType : null;
      if (found.method || returns !== null) methods.set(name, { unit, type: returns ?? type });
      else fields.set(name, { unit, type });
    }
    const members = { fields, methods, heirs: heirsOf(node, unit) };
    this.#members.set(node, members);
    return members;
  }
}

/** Any address makes an address; one known kind makes that kind; a mixture is unknown. */
export function combine(kinds: readonly Known[]): Known {
  const address = kinds.find((k) => k?.kind === "address");
  if (address) return address;
  if (kinds.every((k) => k?.kind === "other")) return OTHER;
  return kinds.length === 1 ? kinds[0] : null;
}

function isNothing(type: Node): boolean {
  return type.type === "TSUndefinedKeyword" || type.type === "TSNullKeyword";
}

function memberNodes(node: Node): readonly Node[] {
  if (node.type === "TSTypeLiteral") return node.members;
  return "body" in node && node.body && "body" in node.body ? (node.body.body as Node[]) : [];
}

function memberType(
  member: Node,
): { name: string; type: Node | null | undefined; method: boolean } | null {
  switch (member.type) {
    case "TSPropertySignature":
    case "PropertyDefinition":
    case "AccessorProperty":
    case "TSAbstractPropertyDefinition": {
      const name = keyName(member);
      return name === null
        ? null
        : { name, type: member.typeAnnotation?.typeAnnotation, method: false };
    }
    case "TSMethodSignature": {
      const name = keyName(member);
      if (name === null || member.kind === "set") return null;
      const method = member.kind === "method";
      return { name, type: member.returnType?.typeAnnotation, method };
    }
    case "MethodDefinition":
    case "TSAbstractMethodDefinition": {
      const name = keyName(member);
      if (name === null || member.kind === "set" || member.kind === "constructor") return null;
      const method = member.kind === "method";
      return { name, type: member.value.returnType?.typeAnnotation, method };
    }
    default:
      return null;
  }
}

function heirsOf(node: Node, unit: Unit): Written[] {
  if (node.type === "TSInterfaceDeclaration") {
    return node.extends.map((e) => ({ unit, type: e.expression }));
  }
  if (!("superClass" in node) || node.superClass === null) return [];
  return [{ unit, type: node.superClass }];
}
