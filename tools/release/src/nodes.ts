/**
 * The Nodes that the packages promise to run on: the oldest (20.19) and the present one (24).
 *
 * Taken in this order: the Node that runs this, one on PATH, else the pinned one of nodes.json,
 * brought through npm into a folder that git ignores and checked against its hash.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { must, run } from "./run.ts";

export interface NodeBinary {
  readonly version: string;
  readonly path: string;
  /** Its folder, to put first on PATH. */
  readonly dir: string;
}

interface Pin {
  readonly version: string;
  readonly integrity: Readonly<Record<string, string>>;
}

const HOME = fileURLToPath(new URL("../node_modules/.cache", import.meta.url));
const PINS: Readonly<Record<string, Pin>> = JSON.parse(
  readFileSync(new URL("../nodes.json", import.meta.url), "utf8"),
);

/** @param exactFloor the very 20.19.0 of `engines`, though the host has a later 20 */
export async function bothNodes(exactFloor: boolean): Promise<NodeBinary[]> {
  return [exactFloor ? await pinned(20) : await nodeOf(20), await nodeOf(24)];
}

async function nodeOf(major: number): Promise<NodeBinary> {
  if (process.versions.node.startsWith(`${major}.`)) {
    return binary(process.execPath, process.versions.node);
  }
  for (const dir of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(dir, "node");
    if (!existsSync(path)) continue;
    const version = (await run(path, ["--version"], { cwd: dir })).stdout.trim().slice(1);
    if (version.startsWith(`${major}.`)) return binary(path, version);
  }
  return pinned(major);
}

async function pinned(major: number): Promise<NodeBinary> {
  const { version, integrity } = PINS[major];
  const name = `node-linux-${process.arch}`;
  const home = join(HOME, `node-${version}`);
  const path = join(home, "node_modules", name, "bin/node");
  if (existsSync(path)) return binary(path, version);
  if (process.platform !== "linux") throw new Error(`put a Node ${major} on PATH`);

  mkdirSync(home, { recursive: true });
  const flags = "--ignore-scripts --prefer-offline --no-save --no-audit --no-fund --loglevel=error";
  const args = ["install", "--prefix", home, ...flags.split(" "), `${name}@${version}`];
  await must("npm", args, { cwd: home });
  const lock = JSON.parse(readFileSync(join(home, "node_modules/.package-lock.json"), "utf8"));
  const hash = lock.packages[`node_modules/${name}`]?.integrity;
  if (hash === integrity[process.arch]) return binary(path, version);
  rmSync(home, { recursive: true });
  throw new Error(`${name}@${version} has integrity ${hash}, not the one in nodes.json`);
}

function binary(path: string, version: string): NodeBinary {
  return { path, version, dir: dirname(path) };
}
