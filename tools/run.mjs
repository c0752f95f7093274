// The one door to every command of the checkout. Needs only Node >= 20.19 and npm.
//
//   node tools/run.mjs JOB [ARGUMENT...]
//
// 1. brings the pinned pnpm, and a newer Node where the host's is too old, into .toolchain/
//    (hashes in tools/toolchain.json); 2. installs the workspace when its lock file changed;
// 3. runs the job. Steps 1 and 2 write to stderr only, so a job's stdout is its own.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const pin = JSON.parse(readFileSync(join(root, "tools/toolchain.json"), "utf8"));
const home = join(root, ".toolchain");
const SETUP = ["ignore", 2, "inherit"];

function run(cmd, args, { env = process.env, cwd = root, stdio = "inherit" } = {}) {
  const done = spawnSync(cmd, args, { cwd, stdio, env, shell: process.platform === "win32" });
  if (done.error) {
    console.error(`physio: cannot run ${cmd}: ${done.error.message}`);
    process.exit(1);
  }
  return done.status ?? 1;
}

function must(cmd, args, options) {
  const status = run(cmd, args, options);
  if (status !== 0) process.exit(status);
}

function wantedTools() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const newEnough = pin.nodeRange.some(([M, m]) => major === M && minor >= m) || major > 26;
  if (newEnough) return [`pnpm@${pin.pnpm}`];
  if (process.platform !== "linux") {
    console.error(`physio: Node ${process.version} is too old here; install Node ${pin.node}`);
    process.exit(1);
  }
  return [`pnpm@${pin.pnpm}`, `node-linux-${process.arch}@${pin.node}`];
}

function checkIntegrity() {
  const lock = JSON.parse(readFileSync(join(home, "node_modules/.package-lock.json"), "utf8"));
  for (const [path, meta] of Object.entries(lock.packages)) {
    const id = `${path.replace(/^node_modules\//, "")}@${meta.version}`;
    const pinned = pin.integrity[id];
    if (pinned === undefined && process.platform !== "linux") continue; // only Linux binaries are pinned
    if (pinned === meta.integrity) continue;
    console.error(`physio: ${id} has integrity ${meta.integrity}, pinned is ${pinned}`);
    process.exit(1);
  }
}

function toolchain() {
  const want = wantedTools();
  const stamp = join(home, "stamp");
  // More than is wanted is fine: a command inside of a job runs on the newer Node that is in there.
  const have = existsSync(stamp) ? readFileSync(stamp, "utf8").split(" ") : [];
  if (want.every((tool) => have.includes(tool))) return;
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{"private":true}\n');
  const flags = "--ignore-scripts --prefer-offline --no-save --no-audit --no-fund --loglevel=error";
  must("npm", ["install", "--prefix", home, ...flags.split(" "), ...want], { stdio: SETUP });
  checkIntegrity();
  // pnpm's placeholders have no shebang, which turbo cannot exec: let pnpm put its binary there.
  must(process.execPath, [join(home, "node_modules/pnpm/install.js")], { stdio: SETUP });
  writeFileSync(stamp, want.join(" "));
}

function toolEnv() {
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
  for (const key of Object.keys(env)) {
    if (/^npm_(package|lifecycle)_|^npm_(execpath|node_execpath|command)$/i.test(key))
      delete env[key];
  }
  env.PATH = join(home, "node_modules", ".bin") + delimiter + process.env.PATH;
  return env;
}

function workspace(env) {
  const hash = createHash("sha256");
  for (const f of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"]) {
    hash.update(readFileSync(join(root, f)));
  }
  const digest = hash.digest("hex");
  const stamp = join(root, "node_modules", ".install-stamp");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  must("pnpm", ["install", "--frozen-lockfile", "--reporter=append-only"], { env, stdio: SETUP });
  writeFileSync(stamp, digest);
}

toolchain();
const env = toolEnv();
workspace(env);

const bin = (name) => join(root, "node_modules", ".bin", name);
const turbo = (...tasks) => [bin("turbo"), "run", ...tasks];
const FROM_SOURCE = "--conditions=@physio/source";
const physio = ["node", FROM_SOURCE, join(root, "packages/top/cli/src/main.ts")];
const JOBS = {
  demo: [[...physio, "demo"]],
  physio: [physio],
  example: [["node", FROM_SOURCE, "examples/main.ts"]],
  test: [turbo("run:types", "run:tests")],
  "test:long": [[bin("vitest"), "run", "--config", "vitest.long.config.ts"]],
  tidy: [["node", "tools/tidy/src/main.ts"]],
  fix: [
    [bin("biome"), "check", "--write", "."],
    ["node", "tools/tidy/src/main.ts", "--fix"],
    ["node", "tools/portmap/src/main.ts"],
  ],
  bench: [
    [bin("tsc"), "-b", "packages/top/cli"],
    ["node", "--disable-warning=ExperimentalWarning", "tools/bench/src/main.ts"],
  ],
  browser: [["node", FROM_SOURCE, "tools/browser/src/main.ts"]],
  conformance: [["node", FROM_SOURCE, join(root, "tools/conformance/src/main.ts")]],
  fsx: [["node", FROM_SOURCE, join(root, "tools/fsx/src/main.ts")]],
  determinism: [["node", FROM_SOURCE, "tools/browser/src/determinism.ts"]],
  docs: [["node", "docs/site/build.mjs"]],
  release: [["node", "tools/release/src/main.ts", "release"]],
  "release:check": [["node", "tools/release/src/main.ts", "check"]],
  sizes: [["node", "tools/release/src/main.ts", "sizes"]],
  ci: [["node", "tools/ci.mjs"]],
};

const [job = "test", ...rest] = process.argv.slice(2);
const steps = JOBS[job] ?? [[bin(job)]];
// A command that takes files resolves them where the user stands, not where npm went.
const TAKES_FILES = ["physio", "conformance", "fsx"];
const cwd = TAKES_FILES.includes(job) ? (process.env.INIT_CWD ?? process.cwd()) : root;
// The arguments are the last step's.
for (const [cmd, ...args] of steps.slice(0, -1)) must(cmd, args, { env, cwd });
const [cmd, ...args] = steps[steps.length - 1];
must(cmd, [...args, ...rest], { env, cwd });
