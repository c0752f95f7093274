/**
 * The type of an expression, as far as declarations tell (see types.ts).
 *
 * A member whose receiver is unknown is judged by its name: the package has a class or interface
 * with an address field of that name, and nothing this file declares or imports contradicts.
 */
import type { Node, NodeOf } from "./parse.ts";
import { bare, keyName, memberName } from "./parse.ts";
import type { Declaration } from "./scope.ts";
import { patternSource } from "./scope.ts";
import type { HouseTypes, Known, Members } from "./types.ts";
import { combine, OTHER } from "./types.ts";
import type { Package, Unit } from "./workspace.ts";

const DEPTH = 16;

export class Expressions {
  readonly #types: HouseTypes;
  readonly #unit: Unit;
  readonly #pkg: Package;

  constructor(types: HouseTypes, pkg: Package, unit: Unit) {
    this.#types = types;
    this.#pkg = pkg;
    this.#unit = unit;
  }

  typeOf(node: Node, depth = DEPTH): Known {
    if (depth === 0) return null;
    const inner = (n: Node) => this.typeOf(n, depth - 1);
    switch (node.type) {
      case "ParenthesizedExpression":
      case "TSNonNullExpression":
      case "TSInstantiationExpression":
      case "ChainExpression":
        return inner(node.expression);
      case "TSAsExpression":
      case "TSSatisfiesExpression":
      case "TSTypeAssertion":
        return this.#asserted(node, depth);
      case "Identifier": {
        const declaration = this.#unit.scopes.resolve(node, "value");
        return declaration ? this.#declared(declaration, depth) : OTHER;
      }
      case "MemberExpression":
        return this.#member(node, depth);
      case "CallExpression":
        return this.#call(bare(node.callee), depth);
      case "NewExpression":
        return this.#instance(bare(node.callee));
      case "ThisExpression":
        return this.#self(node);
      case "BinaryExpression":
        return /^[+-]$/.test(node.operator) ? sum(inner(node.left), inner(node.right)) : OTHER;
      case "LogicalExpression":
        return combine([inner(node.left), inner(node.right)]);
      case "ConditionalExpression":
        return combine([inner(node.consequent), inner(node.alternate)]);
      case "AssignmentExpression":
        return inner(node.left);
      case "UpdateExpression":
        return inner(node.argument);
      case "UnaryExpression":
        return /^[+-]$/.test(node.operator) ? inner(node.argument) : OTHER;
      case "YieldExpression":
      case "AwaitExpression":
        return null;
      default:
        return OTHER;
    }
  }

  /** `x as number` does not launder an address, `n as PhysAddr` makes one. */
  #asserted(
    node: NodeOf<"TSAsExpression" | "TSSatisfiesExpression" | "TSTypeAssertion">,
    depth: number,
  ): Known {
    const target = this.#types.read({ unit: this.#unit, type: node.typeAnnotation });
    if (target?.kind === "address") return target;
    const value = this.typeOf(node.expression, depth - 1);
    return value?.kind === "address" ? value : (target ?? value);
  }

  #declared({ id, node }: Declaration, depth: number): Known {
    if (id.typeAnnotation) return this.#types.read({ unit: this.#unit, type: id.typeAnnotation });
    const parent = id.parent;
    if (parent?.type === "Property") return this.#destructured(parent, depth);
    if (parent?.type === "AssignmentPattern" && parent.parent?.type === "Property") {
      return this.#destructured(parent.parent, depth);
    }
    if (parent?.type === "AssignmentPattern") return this.typeOf(parent.right, depth - 1);
    if (node.type === "VariableDeclarator" && node.id === id) {
      return node.init ? this.typeOf(node.init, depth - 1) : this.#looped(node, depth);
    }
    if (node.type === "FunctionDeclaration" || node.type === "TSDeclareFunction") {
      return { kind: "function", returns: { unit: this.#unit, type: node.returnType } };
    }
    return null;
  }

  /** `const { addr } = frame`, `({ addr }: Frame) => …`. */
  #destructured(property: NodeOf<"Property">, depth: number): Known {
    const name = keyName(property);
    const pattern = property.parent;
    if (name === null || pattern?.type !== "ObjectPattern") return null;
    const written = this.#types.read({ unit: this.#unit, type: pattern.typeAnnotation });
    const source = patternSource(pattern);
    const container = written ?? (source && this.typeOf(source, depth - 1));
    return this.#fieldOf(container, name);
  }

  /** The variable of `for (const x of list)`. */
  #looped(node: NodeOf<"VariableDeclarator">, depth: number): Known {
    const loop = node.parent?.parent;
    if (loop?.type !== "ForOfStatement") return OTHER;
    const list = this.typeOf(loop.right, depth - 1);
    return list?.kind === "list" ? this.#types.read(list.element) : null;
  }

  #member(node: NodeOf<"MemberExpression">, depth: number): Known {
    const receiver = this.typeOf(node.object, depth - 1);
    const name = memberName(node);
    if (name !== null) return this.#fieldOf(receiver, name);
    if (receiver?.kind === "list") return this.#types.read(receiver.element);
    return receiver === null ? null : OTHER;
  }

  #fieldOf(receiver: Known, name: string): Known {
    if (receiver?.kind === "object") {
      const field = this.#types.field(receiver.members, name);
      if (field !== undefined) return field;
    } else if (receiver !== null) return OTHER;
    return this.#byName(name);
  }

  #call(callee: Node, depth: number): Known {
    if (callee.type === "MemberExpression") {
      const receiver = this.typeOf(callee.object, depth - 1);
      const name = memberName(callee);
      if (receiver?.kind !== "object" || name === null) return null;
      return this.#types.returned(receiver.members, name) ?? null;
    }
    if (callee.type !== "Identifier") return null;
    const node = this.#unit.scopes.resolve(callee, "value")?.node;
    const init = node?.type === "VariableDeclarator" && node.init ? bare(node.init) : null;
    if (init?.type === "ArrowFunctionExpression" || init?.type === "FunctionExpression") {
      return this.#types.read({ unit: this.#unit, type: init.returnType });
    }
    const known = this.typeOf(callee, depth - 1);
    return known?.kind === "function" ? this.#types.read(known.returns) : null;
  }

  #instance(callee: Node): Known {
    if (callee.type !== "Identifier") return null;
    const node = this.#unit.scopes.resolve(callee, "value")?.node;
    return node ? this.#types.named(node, this.#unit) : OTHER;
  }

  #self(node: Node): Known {
    let at: Node | null | undefined = node.parent;
    while (at && at.type !== "ClassDeclaration" && at.type !== "ClassExpression") at = at.parent;
    return at ? this.#types.named(at, this.#unit) : null;
  }

  #byName(name: string): Known {
    const seen = [...this.#ownMembers(this.#unit), ...this.#importedMembers()];
    const here = seen.flatMap((m) => m.fields.get(name) ?? []).map((w) => this.#types.read(w));
    if (here.length > 0) return here.every((k) => k?.kind === "address") ? here[0] : OTHER;
    for (const unit of this.#pkg.units) {
      if (unit.area !== "src") continue;
      for (const members of this.#ownMembers(unit)) {
        const field = members.fields.get(name);
        const known = field ? this.#types.read(field) : null;
        if (known?.kind === "address") return known;
      }
    }
    return null;
  }

  /** Members of every class, interface and type literal of one file. */
  #ownMembers(unit: Unit): Members[] {
    return unit.file
      .of("ClassDeclaration", "ClassExpression", "TSInterfaceDeclaration", "TSTypeLiteral")
      .map((node) => this.#types.membersOf(node, unit));
  }

  #importedMembers(): Members[] {
    return this.#unit.file.of("ImportSpecifier").flatMap((node) => {
      const known = this.#types.named(node, this.#unit);
      return known?.kind === "object" ? [known.members] : [];
    });
  }
}

/** A sum with an address in it is as large as the address. */
function sum(left: Known, right: Known): Known {
  return [left, right].find((k) => k?.kind === "address") ?? OTHER;
}
