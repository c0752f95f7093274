/**
 * No 32-bit operator on an address, a size or an offset.
 *
 * JavaScript's bit operators truncate to 32 bits, so above 4 GiB they give a wrong address without
 * a word. kern/addr.ts has the arithmetic and is the one file that may use them.
 */
import { Expressions } from "../expressions.ts";
import type { Node, SourceFile } from "../parse.ts";
import type { Violation } from "../report.ts";
import { HouseTypes } from "../types.ts";
import type { Workspace } from "../workspace.ts";

const ARITHMETIC = "packages/kern/kern/src/addr.ts";
const OPERATORS: ReadonlySet<string> = new Set(["|", "&", "^", "~", "<<", ">>", ">>>"]);

interface Operation {
  readonly node: Node;
  readonly operator: string;
  readonly operands: readonly Node[];
}

export function bitops(workspace: Workspace): Violation[] {
  const types = new HouseTypes(workspace);
  return workspace.packages.flatMap((pkg) =>
    pkg.units
      .filter((u) => u.area === "src" && u.file.path !== ARITHMETIC)
      .flatMap((unit) => {
        const expressions = new Expressions(types, pkg, unit);
        return operations(unit.file).flatMap((o) => judge(unit.file, expressions, o));
      }),
  );
}

function operations(file: SourceFile): Operation[] {
  const all: Operation[] = [];
  for (const node of file.of("BinaryExpression")) {
    all.push({ node, operator: node.operator, operands: [node.left, node.right] });
  }
  for (const node of file.of("AssignmentExpression")) {
    const operator = node.operator.slice(0, -1);
    all.push({ node, operator, operands: [node.left, node.right] });
  }
  for (const node of file.of("UnaryExpression")) {
    all.push({ node, operator: node.operator, operands: [node.argument] });
  }
  return all.filter((o) => OPERATORS.has(o.operator));
}

function judge(file: SourceFile, expressions: Expressions, operation: Operation): Violation[] {
  for (const operand of operation.operands) {
    const known = expressions.typeOf(operand);
    if (known?.kind !== "address") continue;
    const text = file.text.slice(operand.start, operand.end).replace(/\s+/g, " ");
    const message = `"${operation.operator}" cuts ${text} (${known.name}) to 32 bits; use alignDown, offsetIn, pageOf … of @physio/kern`;
    return [{ path: file.path, line: file.lineOf(operand), rule: "bitops", message }];
  }
  return [];
}
