/**
 * Running plans under Node 20, the oldest Node that the packages support.
 *
 * Node 20 cannot read TypeScript: the packages are used as they are published, from their dist,
 * and the few files of this tool are bundled into one. Everything goes through one child process,
 * plans by stdin, results by stdout.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { HostMissing } from "./command.ts";
import { ROOT } from "./in-node.ts";
import type { Plan, RunResult } from "./run-one.ts";

const VERSION = "20.20.2";
/** Of the packages node-linux-*, which hold nothing but the binary. */
const INTEGRITY: Readonly<Record<string, string>> = {
  x64: "sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==",
  arm64:
    "sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==",
};
const HOME = join(ROOT, ".toolchain/node20");
const TOOL = join(ROOT, "tools/browser");
const ENTRY = fileURLToPath(new URL("./node20-entry.ts", import.meta.url));

/** What the child prints. */
export interface Node20Report {
  readonly version: string;
  /** Where it found the machine: it must be the built one. */
  readonly machine: string;
  readonly results: readonly (readonly RunResult[])[];
}

function isNode20(path: string): boolean {
  if (!existsSync(path)) return false;
  return spawnSync(path, ["--version"], { encoding: "utf8" }).stdout?.startsWith("v20.") === true;
}

function install(): string {
  const name = `node-linux-${process.arch}`;
  const binary = join(HOME, "node_modules", name, "bin/node");
  if (isNode20(binary)) return binary;
  if (process.platform !== "linux" || !Object.hasOwn(INTEGRITY, process.arch))
    throw new HostMissing("no Node 20 on the PATH");
  mkdirSync(HOME, { recursive: true });
  writeFileSync(join(HOME, "package.json"), '{"private":true}\n');
  const flags = "--ignore-scripts --prefer-offline --no-save --no-audit --no-fund --loglevel=error";
  const args = ["install", "--prefix", HOME, ...flags.split(" "), `${name}@${VERSION}`];
  const done = spawnSync("npm", args, { encoding: "utf8" });
  if (done.status !== 0) {
    const reason = `${done.stderr ?? ""}${done.error?.message ?? ""}`.trim().split("\n")[0];
    throw new HostMissing(`no Node 20 on the PATH, and npm cannot bring it: ${reason}`);
  }
  const lock = JSON.parse(readFileSync(join(HOME, "node_modules/.package-lock.json"), "utf8"));
  const { integrity } = lock.packages[`node_modules/${name}`];
  if (integrity !== INTEGRITY[process.arch])
    throw new Error(`${name}@${VERSION} has integrity ${integrity}`);
  return binary;
}

/** A Node 20: the PATH's if it has one, or one from the registry. @throws {HostMissing} */
function findNode20(): string {
  const places = (process.env.PATH ?? "").split(delimiter);
  return places.map((place) => join(place, "node")).find(isNode20) ?? install();
}

/** Bundle what runs there, without the packages. @returns the script. */
async function bundle(): Promise<string> {
  await build({
    configFile: false,
    root: TOOL,
    logLevel: "error",
    ssr: { external: true },
    build: { ssr: ENTRY, outDir: "dist", emptyOutDir: true, target: "node20" },
  });
  return join(TOOL, "dist/node20-entry.js");
}

function runChild(binary: string, script: string, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, [script], { stdio: ["pipe", "pipe", "inherit"] });
    const pieces: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(pieces).toString());
      else reject(new Error(`Node 20 ended with code ${code}`));
    });
    child.stdin.end(input);
  });
}

export class Node20Runner {
  readonly #binary: string;
  readonly #script: string;

  private constructor(binary: string, script: string) {
    this.#binary = binary;
    this.#script = script;
  }

  /** Find a Node 20, compile the packages. @throws {HostMissing}; what the compiler says. */
  static async build(): Promise<Node20Runner> {
    const binary = findNode20();
    const tsc = join(ROOT, "node_modules/.bin/tsc");
    const built = spawnSync(tsc, ["-b", join(ROOT, "packages/top/machine")], { encoding: "utf8" });
    if (built.status !== 0) throw new Error(`tsc -b: ${built.stdout}`);
    return new Node20Runner(binary, await bundle());
  }

  /** Run plans. @throws when that is not Node 20, or does not take the built packages. */
  async run(plans: readonly Plan[]): Promise<Node20Report> {
    const printed = await runChild(this.#binary, this.#script, JSON.stringify(plans));
    const report: Node20Report = JSON.parse(printed);
    const { version, machine } = report;
    if (!version.startsWith("v20.")) throw new Error(`Node 20 says that it is ${version}`);
    if (!machine.endsWith("/packages/top/machine/dist/index.js"))
      throw new Error(`Node 20 ran ${machine}, not the built package`);
    return report;
  }
}
