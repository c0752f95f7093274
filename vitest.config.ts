import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

/** Suites that take long and say little that others do not; CI sets PHYSIO_ALL and runs them. */
const LONG = [
  "tools/browser/test/compare.test.ts",
  "tools/fsx/test/fsx.test.ts",
  "tools/suites/test/cache.test.ts",
  "tools/suites/test/cli-copy.test.ts",
  "tools/suites/test/cli-names.test.ts",
  "tools/suites/test/cli-stop.test.ts",
  "tools/suites/test/ext2-many.test.ts",
  "tools/suites/test/ext2-names.test.ts",
  "tools/suites/test/foreign.test.ts",
  "tools/suites/test/incoherent.test.ts",
  "tools/suites/test/mutants.test.ts",
  "tools/suites/test/trace-file.test.ts",
  "tools/suites/test/transfer.test.ts",
  "tools/suites/test/verify.test.ts",
];

// One project for the whole house: tests import sources through the @physio/source
// condition, so no build is needed to run them.
export default defineConfig({
  ssr: { resolve: { conditions: ["@physio/source", ...defaultServerConditions] } },
  test: {
    include: [
      "packages/*/*/test/**/*.test.ts",
      "tools/*/test/**/*.test.ts",
      "examples/test/**/*.test.ts",
    ],
    exclude: process.env.PHYSIO_ALL === undefined ? LONG : [],
    testTimeout: 30_000,
    maxWorkers: 2,
    reporters: process.env.PHYSIO_REPORT
      ? ["default", ["json", { outputFile: process.env.PHYSIO_REPORT }]]
      : ["default"],
  },
});
