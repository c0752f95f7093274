/**
 * One source file, parsed once: its nodes by type, its comments and its lines.
 *
 * Nodes carry their `parent`, so a rule asks for the node types it judges and climbs from there;
 * there is no second walk. Offsets count UTF-16 units, as in `text`.
 */
import type { Comment, Node } from "oxc-parser";
import { parseSync, visitorKeys } from "oxc-parser";

export type { Comment, Node };
export type NodeType = Node["type"];
export type NodeOf<T extends NodeType, N = Node> = N extends { type: infer U }
  ? Extract<U, T> extends never
    ? never
    : N
  : never;

export interface ParseFailure {
  readonly line: number;
  readonly message: string;
}

export class SourceFile {
  readonly path: string;
  readonly text: string;
  readonly program: NodeOf<"Program">;
  readonly comments: readonly Comment[];
  readonly failures: readonly ParseFailure[];
  readonly #lineStarts: readonly number[];
  readonly #byType: ReadonlyMap<string, Node[]>;

  constructor(path: string, text: string) {
    const parsed = parseSync(path, text, { astType: "ts" });
    this.path = path;
    this.text = text;
    this.program = parsed.program;
    this.comments = parsed.comments;
    this.#lineStarts = lineStartsOf(text);
    this.#byType = indexNodes(parsed.program);
    this.failures = parsed.errors.map((e) => ({
      line: this.lineAt(e.labels[0]?.start ?? 0),
      message: e.message,
    }));
  }

  /** Every node of the given types, in source order within a type. */
  of<T extends NodeType>(...types: readonly T[]): NodeOf<T>[] {
    return types.flatMap((t) => (this.#byType.get(t) ?? []) as NodeOf<T>[]);
  }

  /** The line, from 1, that holds `offset`. */
  lineAt(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#lineStarts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }

  lineOf(node: { readonly start: number }): number {
    return this.lineAt(node.start);
  }

  get lineCount(): number {
    const last = this.#lineStarts.length;
    return this.text.endsWith("\n") ? last - 1 : last;
  }

  /** Text of line `line`, trimmed; empty outside the file. */
  line(line: number): string {
    if (line < 1 || line > this.#lineStarts.length) return "";
    return this.text.slice(this.#lineStarts[line - 1], this.#lineStarts[line]).trim();
  }

  /**
   * The reason in a `// tag: reason` comment directly above `line`, which may run over several
   * `//` lines.
   *
   * @returns null without such a comment, "" when it gives no reason.
   */
  reasonAbove(line: number, tag: string): string | null {
    for (let at = line - 1; this.line(at).startsWith("//"); at--) {
      const reason = reasonIn(this.line(at).slice(2), tag);
      if (reason !== null) return reason;
    }
    return null;
  }

  /** Comments before the first statement. */
  get leadingComments(): readonly Comment[] {
    const first = this.program.body[0]?.start ?? this.text.length;
    return this.comments.filter((c) => c.end <= first);
  }
}

/** The reason in comment text `tag: reason`; null when the text does not begin with the tag. */
export function reasonIn(comment: string, tag: string): string | null {
  const text = comment.trim();
  return text.startsWith(`${tag}:`) ? text.slice(tag.length + 1).trim() : null;
}

/** A string the source spells out: a literal, or a template without holes; else null. */
export function literalString(node: Node | null | undefined): string | null {
  if (node?.type === "Literal") return typeof node.value === "string" ? node.value : null;
  if (node?.type !== "TemplateLiteral" || node.expressions.length > 0) return null;
  return node.quasis[0]?.value.cooked ?? null;
}

/** The property a member expression names: `x.name`, `x["name"]`, `x.#name`; null when computed. */
export function memberName(node: NodeOf<"MemberExpression">): string | null {
  if (node.computed) return literalString(node.property);
  const { type, name } = node.property;
  return type === "PrivateIdentifier" ? `#${name}` : name;
}

/** The key of a property, method or signature; null when computed. `#x` keeps its hash. */
export function keyName(node: { readonly key: Node; readonly computed: boolean }): string | null {
  if (node.key.type === "PrivateIdentifier") return `#${node.key.name}`;
  if (node.key.type === "Identifier") return node.computed ? null : node.key.name;
  return literalString(node.key);
}

/** `node` without parentheses, `as`, `satisfies`, `!`, type arguments and `?.` wrappers. */
export function bare(node: Node): Node {
  let inner = node;
  for (;;) {
    switch (inner.type) {
      case "ParenthesizedExpression":
      case "TSAsExpression":
      case "TSSatisfiesExpression":
      case "TSTypeAssertion":
      case "TSNonNullExpression":
      case "TSInstantiationExpression":
      case "ChainExpression":
        inner = inner.expression;
        break;
      default:
        return inner;
    }
  }
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** Sets every node's parent and sorts the nodes by type, without recursion. */
function indexNodes(program: Node): Map<string, Node[]> {
  const byType = new Map<string, Node[]>();
  const pending: Node[] = [program];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const same = byType.get(node.type);
    if (same === undefined) byType.set(node.type, [node]);
    else same.push(node);

    const keys = visitorKeys[node.type] ?? [];
    for (let k = keys.length - 1; k >= 0; k--) {
      const child = (node as unknown as Record<string, Node | Node[] | null>)[keys[k]];
      if (Array.isArray(child)) {
        for (let i = child.length - 1; i >= 0; i--) adopt(node, child[i], pending);
      } else adopt(node, child, pending);
    }
  }
  return byType;
}

function adopt(parent: Node, child: Node | null | undefined, pending: Node[]): void {
  if (child == null) return;
  child.parent = parent as never;
  pending.push(child);
}
