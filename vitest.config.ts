import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

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
    testTimeout: 30_000,
    maxWorkers: 2,
    reporters: process.env.PHYSIO_REPORT
      ? ["default", ["json", { outputFile: process.env.PHYSIO_REPORT }]]
      : ["default"],
  },
});
