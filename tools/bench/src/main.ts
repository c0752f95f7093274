/**
 * Entry point: `node tools/bench/src/main.ts [OPTION...]`, see options.ts; and of the processes that
 * measure, `--worker NAME INPUT`, which load no more than they measure.
 */
const args = process.argv.slice(2);
if (args[0] === "--worker") {
  const { workerMain } = await import("./worker-main.ts");
  await workerMain(args[1], args[2]);
} else {
  const { bench } = await import("./command.ts");
  process.exitCode = bench(args);
}

export {};
