/**
 * What source below the top may not touch: bigint, promises, Node, the host's clock and chance.
 *
 * Two machines run in one process and replay from a seed, so time and randomness are injected and
 * nothing waits on the host. Names are judged by scope: a parameter called `process` is nobody's
 * global, and neither is a property of that name.
 */
import { isBuiltin } from "node:module";
import { MACHINE_LEVEL } from "../layers.ts";
import type { Node, NodeOf, SourceFile } from "../parse.ts";
import { keyName, memberName } from "../parse.ts";
import type { Violation } from "../report.ts";
import type { GlobalUse } from "../scope.ts";
import { FUNCTIONS, globalUses, patternSource } from "../scope.ts";
import type { Package, Unit, Workspace } from "../workspace.ts";

const WAITING: ReadonlySet<string> = new Set(["machine", "nbd", "cli"]);
const ON_NODE: ReadonlySet<string> = new Set(["nbd", "cli"]);

const BIGINT = ["BigInt", "BigInt64Array", "BigUint64Array"];
const PROMISE = [
  "Promise",
  "PromiseLike",
  "Awaited",
  "AsyncIterable",
  "AsyncIterator",
  "AsyncIterableIterator",
  "AsyncIteratorObject",
  "AsyncGenerator",
  "AsyncDisposable",
];
const NODE = [
  "process",
  "Buffer",
  "require",
  "module",
  "exports",
  "global",
  "__dirname",
  "__filename",
  "NodeJS",
];
const TIMERS = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
  "requestAnimationFrame",
];
const CLOCKS = ["Date", "performance", "Temporal", "crypto"];
const HOST = ["globalThis", "Math"];
const WATCHED: ReadonlySet<string> = new Set([BIGINT, PROMISE, NODE, TIMERS, CLOCKS, HOST].flat());

interface Finding {
  readonly node: Node;
  readonly what: string;
}

/** What one package is excused from. */
interface Rights {
  readonly waits: boolean;
  readonly node: boolean;
  readonly time: boolean;
}

export function sandbox(workspace: Workspace): Violation[] {
  return workspace.packages.flatMap((pkg) => {
    const level = workspace.layers.find(pkg.folder)?.level ?? 0;
    const rights = {
      waits: WAITING.has(pkg.folder),
      node: ON_NODE.has(pkg.folder),
      time: level >= MACHINE_LEVEL,
    };
    const self = workspace.layers.label(pkg.folder);
    return pkg.units
      .filter((u) => u.area === "src")
      .flatMap((unit) => [...nodeImports(pkg, unit, self), ...judge(unit, rights, self)]);
  });
}

function judge(unit: Unit, rights: Rights, self: string): Violation[] {
  const { file } = unit;
  const found = bigints(file);
  if (!rights.waits) found.push(...waits(file));
  if (!rights.node) {
    for (const node of file.of("MetaProperty")) {
      if (node.meta.name === "import") found.push({ node, what: nodeOnly("import.meta") });
    }
  }
  for (const use of globalUses(file, unit.scopes, WATCHED)) {
    const what = judgeGlobal(use, rights);
    if (what !== null) found.push({ node: use.node, what });
  }
  return found.map(({ node, what }) => ({
    path: file.path,
    line: file.lineOf(node),
    rule: "sandbox",
    message: `${self}: ${what}`,
  }));
}

function nodeImports(pkg: Package, unit: Unit, self: string): Violation[] {
  if (ON_NODE.has(pkg.folder)) return [];
  return unit.imports.flatMap(({ specifier, line }) => {
    if (specifier === null || !isBuiltin(specifier)) return [];
    const message = `${self}: ${nodeOnly(specifier)}`;
    return [{ path: unit.file.path, line, rule: "sandbox", message }];
  });
}

function bigints(file: SourceFile): Finding[] {
  const found: Finding[] = [];
  const what = "bigint is not for src; keep 64-bit patterns as hi/lo pairs";
  for (const node of file.of("TSBigIntKeyword")) found.push({ node, what });
  for (const node of file.of("Literal")) {
    if ("bigint" in node) found.push({ node, what });
  }
  for (const node of file.of("MemberExpression")) {
    if (/^[gs]etBig(Ui|I)nt64$/.test(memberName(node) ?? "")) found.push({ node, what });
  }
  return found;
}

function waits(file: SourceFile): Finding[] {
  const found: Finding[] = [];
  const add = (node: Node, name: string) => found.push({ node, what: waiting(name) });
  for (const node of file.of(...FUNCTIONS)) if (node.async) add(node, "an async function");
  for (const node of file.of("AwaitExpression")) add(node, "await");
  for (const node of file.of("ImportExpression")) add(node, "import()");
  for (const node of file.of("ForOfStatement")) if (node.await) add(node, "for await");
  for (const node of file.of("VariableDeclaration")) {
    if (node.kind === "await using") add(node, "await using");
  }
  for (const node of file.of("MemberExpression")) {
    const { object } = node;
    if (object.type !== "Identifier" || object.name !== "Symbol") continue;
    if (/^async(Iterator|Dispose)$/.test(memberName(node) ?? "")) add(node, "an async symbol");
  }
  return found;
}

function judgeGlobal(use: GlobalUse, rights: Rights): string | null {
  const { name } = use;
  if (BIGINT.includes(name)) return `${name} is not for src; keep 64-bit patterns as hi/lo pairs`;
  if (PROMISE.includes(name)) return rights.waits ? null : waiting(name);
  if (NODE.includes(name)) return rights.node ? null : nodeOnly(name);
  if (name === "Math") return takes(use.node, "random") ? chance() : null;
  if (name === "globalThis") {
    if (rights.node) return null;
    return "globalThis handed on hides what is taken from it; inject the host object";
  }
  if (rights.time || (CLOCKS.includes(name) && use.space === "type")) return null;
  if (name === "Date" && isCalendar(use.node)) return null;
  return `${name} is the host's; below level ${MACHINE_LEVEL} time and chance are injected`;
}

function waiting(name: string): string {
  return `${name}: promises only in ${[...WAITING].join(", ")}; code that sleeps is a generator`;
}

function nodeOnly(name: string): string {
  return `${name}: Node's API only in ${[...ON_NODE].join(", ")}; inject it`;
}

function chance(): string {
  return "Math.random cannot be replayed; randomness comes from a seed";
}

/** Whether property `name` of the object `node` is read: `node.name` or `{ name } = node`. */
function takes(node: Node, name: string): boolean {
  const parent = node.parent;
  if (parent?.type === "MemberExpression" && parent.object === node) {
    return memberName(parent) === name;
  }
  const pattern = parent?.type === "VariableDeclarator" ? parent.id : null;
  if (pattern?.type !== "ObjectPattern" || patternSource(pattern) !== node) return false;
  return pattern.properties.some((p) => p.type === "Property" && propertyName(p) === name);
}

function propertyName(node: NodeOf<"Property">): string | null {
  return keyName(node);
}

/** `Date.UTC` and `Date.parse` compute; they do not read the clock. */
function isCalendar(node: Node): boolean {
  return takes(node, "UTC") || takes(node, "parse");
}
