import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

// What takes minutes: more seeds, more images. Run by `npm run test:long`.
export default defineConfig({
  ssr: { resolve: { conditions: ["@physio/source", ...defaultServerConditions] } },
  test: {
    include: ["packages/*/*/long/**/*.long.test.ts", "tools/*/long/**/*.long.test.ts"],
    testTimeout: 600_000,
  },
});
