/**
 * A package's command, installed from its tarball with npm and called through npx.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeBinary } from "./nodes.ts";
import type { Tarball } from "./pack.ts";
import { install, installed } from "./project.ts";
import { must } from "./run.ts";
import type { Verdict } from "./tally.ts";
import { judge } from "./tally.ts";
import type { Package } from "./workspace.ts";

interface Demo {
  readonly ok: boolean;
  readonly images: readonly unknown[];
  readonly traceHash: string;
}

/** Calls each command of the package on each Node. */
export async function checkCommands(
  pkg: Package,
  dir: string,
  tarballs: readonly Tarball[],
  nodes: readonly NodeBinary[],
  root: string,
): Promise<Verdict[]> {
  const done = await judge("npm install", async () => {
    await install(dir, pkg, tarballs, "npm");
    return shebangProblem(installed(dir, pkg), pkg.manifest.bin ?? {});
  });
  if (done.problem !== null) return [done];

  const verdicts = [done];
  const hashes = new Set<string>();
  for (const name of Object.keys(pkg.manifest.bin ?? {})) {
    for (const node of nodes) {
      const npx = (...args: string[]) =>
        must("npx", ["--no-install", name, ...args], { cwd: dir, path: [node.dir] });
      verdicts.push(
        await judge(`npx ${name} --version on ${node.version}`, async () => {
          const told = (await npx("--version")).trim();
          return told === pkg.manifest.version ? null : `prints ${told}`;
        }),
        await judge(`npx ${name} demo on ${node.version}`, async () => {
          const fixtures = join(root, "fixtures/ext2");
          const demo: Demo = JSON.parse(await npx("demo", "--fixtures", fixtures, "--json"));
          hashes.add(demo.traceHash);
          return demo.ok && demo.images.length > 0 ? null : "the demo does not verify";
        }),
      );
    }
  }
  verdicts.push(
    await judge("same trace on both", () =>
      hashes.size === 1 ? null : `trace hashes ${[...hashes].join(" and ")}`,
    ),
  );
  return verdicts;
}

/**
 * A script without its first line is given to a shell, which may do anything with it: start itself
 * again without end, for one. So such a command is never called.
 */
export function shebangProblem(
  place: string,
  bin: Readonly<Record<string, string>>,
): string | null {
  const bad = Object.values(bin).filter(
    (path) => !readFileSync(join(place, path), "utf8").startsWith("#!/usr/bin/env node\n"),
  );
  return bad.length === 0 ? null : `${bad.join(", ")} does not begin with #!/usr/bin/env node`;
}
