/**
 * Type-checking the examples: what runs by chance and would not compile is no example.
 *
 * The sources are laid, with the page's line numbers, where the pages' packages are found.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Example, Synopsis } from "./examples.ts";
import { padded } from "./examples.ts";
import type { Finding } from "./finding.ts";
import { HOUSE, IMPORTER } from "./house.ts";

type Subject = Example | Synopsis;

/** What the compiler says of examples and synopses. => the checkout's tools are installed. */
export function checkTypes(subjects: readonly Subject[]): Finding[] {
  const folder = mkdtempSync(join(dirname(IMPORTER), "node_modules/.examples-"));
  try {
    for (const [id, subject] of subjects.entries()) {
      writeFileSync(join(folder, `${id}.ts`), `${padded(subject)}\nexport {};\n`);
    }
    const compilerOptions = {
      noEmit: true,
      composite: false,
      incremental: false,
      rewriteRelativeImportExtensions: false,
      // What Node and browsers share is declared with browsers' things: WebAssembly, TextDecoder.
      lib: ["ES2023", "DOM"],
      types: ["node"],
      typeRoots: [join(HOUSE, "node_modules/@types")],
    };
    const config = {
      extends: join(HOUSE, "tsconfig.base.json"),
      compilerOptions,
      include: ["*.ts"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(HOUSE, "node_modules/.bin/tsc");
    const done = spawnSync(tsc, ["-p", folder, "--pretty", "false"], {
      encoding: "utf8",
      cwd: folder,
    });
    if (done.error !== undefined) throw done.error;
    return done.stdout.split("\n").flatMap((line) => diagnose(subjects, line));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function diagnose(subjects: readonly Subject[], text: string): Finding[] {
  const found = /^(.*?)\((\d+),\d+\): error (.*)$/.exec(text);
  if (found === null) {
    return /error TS/.test(text) ? [{ page: "the examples' types", line: 0, what: text }] : [];
  }
  const subject = subjects[Number(/^(\d+)\.ts$/.exec(found[1])?.[1] ?? Number.NaN)];
  if (subject === undefined) return [{ page: found[1], line: Number(found[2]), what: found[3] }];
  const name = "name" in subject ? `example "${subject.name}"` : "the synopsis";
  const what = `${name} does not compile: ${found[3]}`;
  return [{ page: subject.page, line: Number(found[2]), what }];
}
