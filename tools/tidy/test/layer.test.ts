import { breaches, controls, dependencies, home, manifest, source, tsconfig } from "./fixture.ts";

const UP = ["@physio/vmem (level 2)", "@physio/machine (level 12, upward)", "levels 0 to 1"];
const SIDE = ["@physio/vmem (level 2)", "@physio/sched (level 2, sideways)", "levels 0 to 1"];

breaches([
  {
    name: "an upward import",
    files: source("vmem", `import { boot } from "@physio/machine";\nexport const b = boot;`),
    rule: "layer",
    says: [...UP, "src/planted.ts:2:", "(import)"],
  },
  {
    name: "a sideways import",
    files: source("vmem", `import { now } from "@physio/sched";\nexport const n = now;`),
    rule: "layer",
    says: SIDE,
  },
  {
    name: "a side-effect import",
    files: source("vmem", `import "@physio/sched";\nexport const n = 1;`),
    rule: "layer",
    says: SIDE,
  },
  {
    name: "an upward import type",
    files: source(
      "vmem",
      `import type { boot } from "@physio/machine";\nexport type B = typeof boot;`,
    ),
    rule: "layer",
    says: [...UP, "(import type)"],
  },
  {
    name: "an import whose names are types",
    files: source("vmem", `import { type now } from "@physio/sched";\nexport type N = typeof now;`),
    rule: "layer",
    says: SIDE,
  },
  {
    name: "an upward export from",
    files: source("vmem", `export { boot } from "@physio/machine";`),
    rule: "layer",
    says: [...UP, "(export from)"],
  },
  {
    name: "a sideways export type from",
    files: source("vmem", `export type { now } from "@physio/sched";`),
    rule: "layer",
    says: [...SIDE, "(export type from)"],
  },
  {
    name: "an upward dynamic import",
    files: source("machine", `export const late = () => import("@physio/cli");`),
    rule: "layer",
    says: ["@physio/machine (level 12)", "@physio/cli (level 14, upward)", "levels 0 to 11"],
  },
  {
    name: "an upward dynamic import by a template",
    files: source("machine", "export const late = () => import(`@physio/cli`);"),
    rule: "layer",
    says: ["@physio/cli (level 14, upward)"],
  },
  {
    name: "a dynamic import of a computed name",
    files: source("machine", `export const late = (name: string) => import(name);`),
    rule: "layer",
    says: ["@physio/machine (level 12)", "computed"],
  },
  {
    name: "an import() type",
    files: source("vmem", `export type Boot = typeof import("@physio/machine").boot;`),
    rule: "layer",
    says: [...UP, "import() type"],
  },
  {
    name: "require",
    files: source("cli", `export const t = require("@physio/cli-tools");`),
    rule: "layer",
    says: ["@physio/cli (level 14)", "@physio/cli-tools", "levels 0 to 13"],
  },
  {
    name: "import = require",
    files: source("vmem", `import sched = require("@physio/sched");\nexport const n = sched;`),
    rule: "layer",
    says: SIDE,
  },
  {
    name: "a triple-slash reference",
    files: {
      [`${home("vmem")}/src/planted.ts`]:
        '/// <reference types="@physio/sched" />\n/** Planted. */\nexport const n = 1;\n',
    },
    rule: "layer",
    says: SIDE,
  },
  {
    name: "a relative path into a higher package",
    files: source("vmem", `export { boot } from "../../../top/machine/src/boot.ts";`),
    rule: "layer",
    says: UP,
  },
  {
    name: "a relative path into a sibling",
    files: source("vmem", `export type N = typeof import("../../sched/src/clock.ts");`),
    rule: "layer",
    says: SIDE,
  },
  {
    name: "a relative path into a lower package",
    files: source("vmem", `export { offsetIn } from "../../kern/src/addr.ts";`),
    rule: "deep-import",
    says: ["@physio/vmem (level 2)", "@physio/kern (level 0)"],
  },
  {
    name: "a relative path out of the packages",
    files: source("vmem", `export { x } from "../../../../tools/x.ts";`),
    rule: "deep-import",
    says: ["@physio/vmem (level 2)", "tools/x.ts"],
  },
  {
    name: "an absolute path",
    files: source("vmem", `export { x } from "/lib/x.ts";`),
    rule: "deep-import",
    says: ["/lib/x.ts"],
  },
  {
    name: "a deep import",
    files: source("vmem", `export { offsetIn } from "@physio/kern/src/addr.ts";`),
    rule: "deep-import",
    says: ["@physio/vmem (level 2)", "@physio/kern (level 0)", "./src/addr.ts", "exports"],
  },
  {
    name: "a subpath that is no door",
    files: source("machine", `export { x } from "@physio/vmem/testing";`),
    rule: "deep-import",
    says: ["@physio/vmem", '"./testing"'],
  },
  {
    name: "a package that imports itself by name",
    files: source("vmem", `export { Arena } from "@physio/vmem";`),
    rule: "layer",
    says: ["@physio/vmem (level 2)", "itself"],
  },
  {
    name: "a package nobody knows",
    files: source("vmem", `export { x } from "@physio/attic";`),
    rule: "layer",
    says: ["@physio/attic", "layers.json", "levels 0 to 1"],
  },
  {
    name: "an upward import on the ground floor",
    files: source("kern", `export { ring } from "@physio/trace";`),
    rule: "layer",
    says: ["@physio/kern (level 0)", "@physio/trace (level 1, upward)", "allowed: none"],
  },
  {
    name: "an upward import in a test",
    files: source("vmem", `import { boot } from "@physio/machine";\nvoid boot;`, "test/p.test.ts"),
    rule: "layer",
    says: [...UP, "test/p.test.ts:2"],
  },
  {
    name: "an upward mock in a test",
    files: source("vmem", `vi.mock("@physio/sched", () => ({}));`, "test/p.test.ts"),
    rule: "layer",
    says: [...SIDE, "vi.mock"],
  },
  {
    name: "an upward dependency",
    files: {
      ...manifest("trace", { dependencies: dependencies("@physio/kern", "@physio/vmem") }),
      ...tsconfig("trace", ["kern", "vmem"]),
    },
    rule: "layer",
    says: ["trace/package.json", "@physio/vmem (level 2, upward)", "level 0", "(dependencies)"],
  },
  {
    name: "a sideways devDependency",
    files: manifest("vmem", { devDependencies: dependencies("@physio/sched") }),
    rule: "layer",
    says: [...SIDE, "(devDependencies)"],
  },
  {
    name: "an upward peerDependency",
    files: manifest("vmem", { peerDependencies: dependencies("@physio/machine") }),
    rule: "layer",
    says: [...UP, "(peerDependencies)"],
  },
]);

controls([
  {
    name: "names of modules in strings, comments and other calls",
    files: source(
      "vmem",
      `// import { boot } from "@physio/machine";
export const text = 'import { boot } from "@physio/machine"';
export const call = (load: { require(n: string): void }) => load.require("@physio/machine");`,
    ),
  },
  {
    name: "a second door and relative paths inside the package",
    files: {
      ...source("machine", `export type { Range } from "@physio/vmem/impl";`),
      ...source("vmem", `import { Arena } from "./../src/arena.ts";\nexport const A = Arena;`),
    },
  },
  {
    name: "a door by pattern",
    files: {
      ...manifest("vmem", { exports: { ".": "./src/index.ts", "./*": "./src/*.ts" } }),
      ...source("machine", `export type { Range } from "@physio/vmem/arena";`),
    },
  },
  {
    name: "a computed import in the command",
    files: source("cli", `export const load = (name: string) => import(name);`),
  },
  {
    name: "a lower devDependency that tests use",
    files: {
      ...manifest("sched", { devDependencies: dependencies("@physio/trace") }),
      ...source("sched", `import { ring } from "@physio/trace";\nvoid ring;`, "test/p.test.ts"),
    },
  },
]);
