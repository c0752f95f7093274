import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  breaches,
  controls,
  dependencies,
  home,
  manifest,
  run,
  source,
  tsconfig,
  workspace,
} from "./fixture.ts";

breaches([
  {
    name: "an undeclared lower package",
    files: source("sched", `export { ring } from "@physio/trace";`),
    rule: "undeclared",
    says: ["@physio/sched (level 2)", "@physio/trace", "dependencies"],
  },
  {
    name: "a package that is only a devDependency, used in src",
    files: {
      ...manifest("sched", { devDependencies: dependencies("@physio/trace") }),
      ...source("sched", `export { ring } from "@physio/trace";`),
    },
    rule: "undeclared",
    says: ["@physio/trace"],
  },
  {
    name: "an undeclared npm package",
    files: source("cli", `import kleur from "kleur/colors";\nexport const k = kleur;`),
    rule: "undeclared",
    says: ["@physio/cli (level 14)", "kleur"],
  },
  {
    name: "a private import map",
    files: source("vmem", `export { x } from "#inner";`),
    rule: "undeclared",
    says: ["#inner"],
  },
  {
    name: "vitest in src",
    files: source("vmem", `export { test } from "vitest";`),
    rule: "undeclared",
    says: ["vitest"],
  },
  {
    name: "an undeclared package in a test",
    files: source("sched", `import { ring } from "@physio/trace";\nvoid ring;`, "test/p.test.ts"),
    rule: "undeclared",
    says: ["@physio/trace", "devDependencies"],
  },
  {
    name: "an unknown npm package in a test",
    files: source("sched", `import x from "left-pad";\nvoid x;`, "test/p.test.ts"),
    rule: "undeclared",
    says: ["left-pad"],
  },
  {
    name: "a dependency that nobody imports",
    files: {
      ...manifest("sched", { dependencies: dependencies("@physio/kern", "@physio/trace") }),
      ...tsconfig("sched", ["kern", "trace"]),
    },
    rule: "unused-dependency",
    says: ["sched/package.json:11:", "@physio/sched (level 2)", "@physio/trace"],
  },
  {
    name: "a dependency that only tests import",
    files: {
      ...manifest("sched", { dependencies: dependencies("@physio/kern", "@physio/trace") }),
      ...tsconfig("sched", ["kern", "trace"]),
      ...source("sched", `import { ring } from "@physio/trace";\nvoid ring;`, "test/p.test.ts"),
    },
    rule: "unused-dependency",
    says: ["@physio/trace"],
  },
  {
    name: "a missing reference",
    files: tsconfig("vmem", ["kern"]),
    rule: "references",
    says: ["vmem/tsconfig.json", "packages/kern/trace"],
  },
  {
    name: "a reference too many",
    files: tsconfig("trace", ["kern", "sched"]),
    rule: "references",
    says: ["trace/tsconfig.json", "packages/kern/sched", "no dependency"],
  },
  {
    name: "a reference twice",
    files: tsconfig("trace", ["kern", "kern"]),
    rule: "references",
    says: ["twice"],
  },
  {
    name: "a package without tsconfig",
    files: { [`${home("trace")}/tsconfig.json`]: null },
    rule: "references",
    says: ["missing"],
  },
  {
    name: "a folder on no level",
    files: { "packages/kern/attic/README": "old things" },
    rule: "package",
    says: ["attic", "layers.json"],
  },
  {
    name: "a stray file",
    files: { "packages/kern/notes.txt": "lost" },
    rule: "package",
    says: ["packages/kern/notes.txt", "no package"],
  },
  {
    name: "a wrong name",
    files: manifest("sched", { name: "@physio/scheduler" }),
    rule: "package",
    says: ["@physio/scheduler", "@physio/sched"],
  },
  {
    name: "a runtime dependency below the machine",
    files: manifest("trace", {
      dependencies: { ...dependencies("@physio/kern"), kleur: "^4.0.0" },
    }),
    rule: "package",
    says: ["@physio/trace (level 1)", "kleur", "level 12"],
  },
  {
    name: "a dependency on a package that is still to come",
    files: manifest("machine", { devDependencies: dependencies("@physio/dmacheck") }),
    rule: "package",
    says: ["machine/package.json", "@physio/dmacheck", "does not exist yet"],
  },
  {
    name: "an optional runtime dependency below the machine",
    files: manifest("trace", { optionalDependencies: { kleur: "^4.0.0" } }),
    rule: "package",
    says: ["kleur"],
  },
]);

controls([
  {
    name: "an npm dependency of the command",
    files: {
      ...manifest("cli", { dependencies: { "@physio/machine": "workspace:^", kleur: "^4.0.0" } }),
      ...source("cli", `import kleur from "kleur/colors";\nexport const k = kleur;`),
    },
  },
  {
    name: "a dependency used for types only",
    files: {
      ...manifest("sched", { dependencies: dependencies("@physio/kern", "@physio/trace") }),
      ...tsconfig("sched", ["trace", "kern"]),
      ...source("sched", `export type R = typeof import("@physio/trace").ring;`),
    },
  },
  {
    name: "fixtures and built files of a package",
    files: {
      [`${home("vmem")}/test/fixtures/old.ts`]: 'import x from "left-pad";',
      [`${home("vmem")}/dist/index.js`]: 'import x from "left-pad";',
    },
  },
]);

test("flags a package in the wrong group", () => {
  const root = workspace({ "packages/vm/vmem/src/x.ts": "/** x */\nexport const x = 1;\n" });
  const { code, lines } = run(root);
  expect(code).toBe(1);
  expect(lines.join("\n")).toContain("@physio/vmem (level 2) belongs in packages/kern/vmem");
});

test("flags root configs that miss a package or reference one that is gone", () => {
  const root = workspace({
    "tsconfig.json": JSON.stringify({ references: [{ path: "packages/kern/kern" }] }),
    "tsconfig.test.json": JSON.stringify({ references: [{ path: "packages/kern/gone" }] }),
  });
  const { code, lines } = run(root);
  expect(code).toBe(1);
  expect(lines).toHaveLength(5 + 7);
  expect(lines).toContain("tsconfig.json:1: [references] does not reference packages/top/cli");
  const gone = "references packages/kern/gone, which is no package";
  expect(lines).toContain(`tsconfig.test.json:1: [references] ${gone}`);
});

test("--fix rewrites the three kinds of references and nothing else", () => {
  const root = workspace({
    ...tsconfig("vmem", ["sched"]),
    "tsconfig.test.json": JSON.stringify({ include: ["x"], references: [] }),
    "tsconfig.json": JSON.stringify({ files: [], references: [{ path: "tsconfig.test.json" }] }),
  });
  const { code, lines } = run(root, "--fix");
  expect(code).toBe(0);
  expect(lines).toHaveLength(4);

  const read = (path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));
  expect(read("packages/kern/vmem/tsconfig.json")).toEqual({
    include: ["src"],
    references: [{ path: "../kern" }, { path: "../trace" }],
  });
  expect(read("tsconfig.json").references.at(-1)).toEqual({ path: "tsconfig.test.json" });
  expect(read("tsconfig.test.json").include).toEqual(["x"]);
  expect(read("tsconfig.test.json").references).toHaveLength(6);
  expect(run(root, "--fix").lines).toHaveLength(1);
});

test("a manifest that is no JSON is one line, not a crash", () => {
  const root = workspace();
  writeFileSync(join(root, "packages/kern/sched/package.json"), "{");
  const { code, lines } = run(root);
  expect(code).toBe(1);
  expect(lines.join("\n")).toContain("sched/package.json:1: [package] missing, or not plain JSON");
});
