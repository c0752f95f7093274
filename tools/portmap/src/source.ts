/**
 * One TypeScript file: its declarations by name, its comments, and the titles of its tests.
 *
 * A member's name is `Class.member`, `Interface.member` or `constant.property`; private ones keep
 * their hash. What is declared inside of a function has no name here.
 */
import type { Comment, Node } from "oxc-parser";
import { parseSync, visitorKeys } from "oxc-parser";
import type { Place } from "./model.ts";

interface Declaration {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

type Fields = Readonly<Record<string, unknown>>;

export class Source {
  readonly path: string;
  readonly text: string;
  readonly comments: readonly Comment[];
  readonly #program: Node;
  readonly #declarations: Declaration[];

  constructor(path: string, text: string) {
    const parsed = parseSync(path, text, { astType: "ts" });
    this.path = path;
    this.text = text;
    this.comments = parsed.comments;
    this.#program = parsed.program;
    this.#declarations = [];
    for (const statement of parsed.program.body) this.#declare(statement, "", statement.start);
  }

  lineAt(offset: number): number {
    return this.text.slice(0, offset).split("\n").length;
  }

  /** The declaration called `name`, or null. */
  find(name: string): Place | null {
    const found = this.#declarations.find((d) => d.name === name);
    return found === undefined ? null : this.#place(found);
  }

  /**
   * What a comment is about: the declaration that follows it, else the one round it, else, for a
   * comment before the first declaration, the file.
   */
  subjectOf(comment: Comment): Place | null {
    const after = this.#declarations.filter((d) => d.start >= comment.end);
    const next = after.sort((a, b) => a.start - b.start || b.end - a.end)[0];
    if (next !== undefined && this.#onlyCommentsBetween(comment.end, next.start)) {
      return this.#place(next);
    }
    const round = this.#declarations.filter(
      (d) => d.start <= comment.start && comment.end <= d.end,
    );
    const inner = round.sort((a, b) => b.start - a.start)[0];
    if (inner !== undefined) return this.#place(inner);
    const first = Math.min(...this.#declarations.map((d) => d.start), this.text.length);
    if (comment.start < first && this.#declarations.length > 0) {
      return { path: this.path, line: this.lineAt(comment.start), symbol: "module" };
    }
    return null;
  }

  /** Titles of tests as they are written, holes included, and the `name:` texts of their tables. */
  titles(): Place[] {
    const titles: Place[] = [];
    for (const node of nodesUnder(this.#program)) {
      const title = titleNode(node);
      if (title === null) continue;
      const symbol = this.text.slice(title.start + 1, title.end - 1);
      titles.push({ path: this.path, line: this.lineAt(title.start), symbol });
    }
    return titles.sort((a, b) => a.line - b.line);
  }

  #place({ name, start }: Declaration): Place {
    return { path: this.path, line: this.lineAt(start), symbol: name };
  }

  #onlyCommentsBetween(from: number, to: number): boolean {
    let rest = "";
    let at = from;
    for (const comment of this.comments) {
      if (comment.start < at || comment.end > to) continue;
      rest += this.text.slice(at, comment.start);
      at = comment.end;
    }
    return (rest + this.text.slice(at, to)).trim() === "";
  }

  #declare(node: Node, prefix: string, start: number): void {
    const fields = node as unknown as Fields;
    if (node.type === "ExportNamedDeclaration" || node.type === "ExportDefaultDeclaration") {
      if (isNode(fields.declaration)) this.#declare(fields.declaration, prefix, start);
      return;
    }
    if (node.type === "VariableDeclaration") {
      for (const [i, d] of node.declarations.entries()) {
        this.#declareValue(d, i === 0 ? start : d.start);
      }
      return;
    }
    const own = nameOf(fields.id) ?? nameOf(fields.key);
    if (own === null) return;
    const name = prefix === "" ? own : `${prefix}.${own}`;
    this.#declarations.push({ name, start, end: node.end });
    for (const member of membersOf(fields)) this.#declare(member, name, member.start);
  }

  #declareValue(declarator: Node, start: number): void {
    const fields = declarator as unknown as Fields;
    const name = nameOf(fields.id);
    if (name === null) return;
    this.#declarations.push({ name, start, end: declarator.end });
    const table = tableIn(fields.init);
    for (const property of table) this.#declare(property, name, property.start);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function nameOf(value: unknown): string | null {
  if (!isNode(value)) return null;
  if (value.type === "Identifier") return value.name;
  if (value.type === "PrivateIdentifier") return `#${value.name}`;
  return value.type === "Literal" && typeof value.value === "string" ? value.value : null;
}

/** Members of a class, an interface or an object type. */
function membersOf(fields: Fields): Node[] {
  const holder = [fields.body, fields.typeAnnotation].find((f) => isNode(f));
  if (!isNode(holder) || holder.type === "BlockStatement") return [];
  const inside = holder as unknown as Fields;
  const members = inside.body ?? inside.members;
  return Array.isArray(members) ? members.filter(isNode) : [];
}

/** The properties of the object that a constant is made of: `{…}`, `freeze({…} as const)`, `bitset()({…})`. */
function tableIn(value: unknown): Node[] {
  if (!isNode(value)) return [];
  const fields = value as unknown as Fields;
  if (value.type === "ObjectExpression") return value.properties;
  if (value.type === "CallExpression") return tableIn(value.arguments[0]);
  return value.type === "TSAsExpression" || value.type === "TSSatisfiesExpression"
    ? tableIn(fields.expression)
    : [];
}

/** The node of a test's title, of a table's `name`, or null. */
function titleNode(node: Node): Node | null {
  if (node.type === "Property" && nameOf(node.key) === "name") return textNode(node.value);
  if (node.type !== "CallExpression" || !isTestCall(node.callee)) return null;
  return textNode(node.arguments[0]);
}

function textNode(node: Node | undefined): Node | null {
  if (node?.type === "TemplateLiteral") return node;
  return node?.type === "Literal" && typeof node.value === "string" ? node : null;
}

/** `test`, `it`, `describe`, `test.only`, `test.each(…)`. */
function isTestCall(callee: Node): boolean {
  if (callee.type === "Identifier") return /^(?:test|it|describe)$/.test(callee.name);
  if (callee.type === "MemberExpression") return isTestCall(callee.object);
  return callee.type === "CallExpression" && isTestCall(callee.callee);
}

function* nodesUnder(root: Node): Generator<Node, void, void> {
  const pending: Node[] = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    yield node;
    for (const key of visitorKeys[node.type] ?? []) {
      const child = (node as unknown as Fields)[key];
      for (const c of Array.isArray(child) ? child : [child]) if (isNode(c)) pending.push(c);
    }
  }
}
