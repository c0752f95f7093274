/**
 * Constructs that src does without: what type stripping cannot erase, and what silences the
 * compiler.
 */
import type { Node, SourceFile } from "../parse.ts";
import type { Violation } from "../report.ts";
import type { Workspace } from "../workspace.ts";

export function construct(workspace: Workspace): Violation[] {
  return workspace.packages.flatMap((pkg) =>
    pkg.units
      .filter((u) => u.area === "src")
      .flatMap(({ file }) => [...nodes(file), ...directives(file)]),
  );
}

function nodes(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const add = (node: Node, message: string) =>
    found.push({ path: file.path, line: file.lineOf(node), rule: "construct", message });
  for (const node of file.of("TSEnumDeclaration")) {
    add(node, `enum ${node.id.name}: use a frozen constant object`);
  }
  for (const node of file.of("TSModuleDeclaration")) {
    add(node, `${node.kind === "global" ? "declare global" : node.kind}: use modules`);
  }
  for (const node of file.of("TSParameterProperty")) {
    add(node, "parameter property: declare the field and assign it");
  }
  for (const node of file.of("TSAsExpression", "TSTypeAssertion")) {
    if (node.typeAnnotation.type === "TSAnyKeyword") add(node, "as any: name the type");
  }
  return found;
}

function directives(file: SourceFile): Violation[] {
  return file.comments.flatMap((comment) => {
    const directive = /^[\s/*]*@ts-(ignore|nocheck)\b/m.exec(comment.value);
    if (directive === null) return [];
    const line = file.lineAt(comment.start);
    const message = `@ts-${directive[1]} hides errors: mend the types`;
    return [{ path: file.path, line, rule: "construct", message }];
  });
}
