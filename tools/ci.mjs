// Everything that must hold before a change lands, one after the other, with a count at the end.
//
//   npm run ci        (through tools/run.mjs, which brings the tools)
//
// A step that fails does not stop the others. The last line is `N passed, N failed`: tests from the
// test runner's own report, and one for each other step.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const report = join(root, "reports", "tests.json");
const bin = (name) => join(root, "node_modules", ".bin", name);

function run(name, cmd, args, { capture = false, env = {} } = {}) {
  const begin = performance.now();
  console.log(`\n== ${name}: ${[cmd.replace(root, ""), ...args].join(" ")}`);
  const done = spawnSync(cmd, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", capture ? "pipe" : "inherit", "inherit"],
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const ok = done.status === 0;
  console.log(
    `== ${name}: ${ok ? "ok" : "FAILED"} in ${((performance.now() - begin) / 1000).toFixed(1)} s`,
  );
  return { ok, status: done.status, stdout: done.stdout ?? "" };
}

/** Tests that passed and failed, from the runner's report; a run without a report is one failure. */
function countTests(ok) {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests + (ok || numFailedTests > 0 ? 0 : 1) };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

/** The demo twice: it must verify everything and leave the same trace. */
function demoTwice() {
  const [a, b] = [1, 2].map((n) =>
    run(`demo ${n}`, "npm", ["run", "-s", "demo", "--", "--json"], { capture: true }),
  );
  if (!a.ok || !b.ok) return false;
  const [first, second] = [a, b].map((d) => JSON.parse(d.stdout));
  const same = first.ok && second.ok && first.traceHash === second.traceHash;
  console.log(`== demo: ${first.images.map((i) => `${i.image} ${i.files} files`).join(", ")}`);
  console.log(
    `== demo: trace ${first.traceHash} and ${second.traceHash}, ${(first.processMemory / 2 ** 20).toFixed(0)} MiB`,
  );
  return same;
}

rmSync(report, { force: true });
mkdirSync(join(root, "reports"), { recursive: true });
let passed = 0;
let failed = 0;
const skipped = [];

/** Count one step; one that says that its tool is not there (exit code 3) is neither. */
function count(name, { ok, status }) {
  if (ok) passed++;
  else if (status === 3) skipped.push(name);
  else failed++;
}

const check = (name, cmd, ...args) => count(name, run(name, cmd, args));
const npm = (name, job, ...args) => check(name, "npm", "run", "-s", job, "--", ...args);

check("format and lint", bin("biome"), "ci", "--error-on-warnings", ".");
check("lint with types", bin("oxlint"), "--type-aware", "packages", "tools", "examples");
npm("tidy", "tidy");
const unused = "files,dependencies,unlisted,unresolved";
check("unused code", bin("knip"), "--no-config-hints", "--include", unused);
check("port map", "node", "tools/portmap/src/main.ts", "--check");
const tests = run("npm test", "npm", ["test", "--", "--force"], {
  env: { PHYSIO_REPORT: report, PHYSIO_ALL: "1" },
});
const counted = countTests(tests.ok);
passed += counted.passed;
failed += counted.failed;
for (const subject of ["busdma", "genfs", "fileops"]) {
  npm(`conformance of ${subject}`, "conformance", subject, "--tolerate-disputed");
}
const cases = run(
  "20,000 random cases on all backends",
  bin("vitest"),
  ["run", "--config", "vitest.long.config.ts", "tools/suites/long/backends.long.test.ts"],
  { env: { PHYSIO_CASES: "20000", PHYSIO_SEED: "1" } },
);
count("20,000 random cases on all backends", cases);
npm("demo on a terminal", "demo");
npm("an example", "example", "nic32");
count("demo twice", { ok: demoTwice() });
npm("sizes", "sizes");
npm("release, dry run", "release", "--dry-run");
npm("packages alone", "release:check", "--exact-floor");
// Which calls the JIT inlines differs from process to process: a gate that fails is measured again,
// twice at most.
let bench = { ok: false };
for (let attempt = 1; attempt <= 3 && !bench.ok; attempt++) {
  bench = run(`bench, attempt ${attempt}`, "npm", ["run", "-s", "bench", "--", "--gate"]);
}
count("bench", bench);
npm("browser", "browser");
npm("determinism", "determinism");
check("manual's examples", "node", "tools/manual/src/main.ts");
npm("site", "docs");

for (const name of skipped) console.log(`== ${name}: could not run here, see above`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
