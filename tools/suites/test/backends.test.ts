/**
 * The bus_dma test-kit on the house's own backends: the contract case by case, and random cases against
 * a model in bytes (CI plays 20,000 more of them: tools/ci.mjs). PHYSIO_SEED plays one case again.
 */
import { backendSuite, checkCase, randomCase } from "@physio/busdma/testing";
import { describe, expect, test } from "vitest";
import { BACKENDS, source } from "../src/backends.ts";

/** Random cases of each backend. Coherent machines of the last two differ little from x86. */
const CASES: Readonly<Record<string, number>> = {
  x86: 800,
  arm64: 500,
  riscv: 400,
  "coherent arm64": 300,
  "coherent riscv": 300,
};
const { PHYSIO_SEED } = process.env;

/** What random cases must come to, or they prove little. */
const OUTCOMES = ["OK", "EFBIG", "ENOMEM", "EINVAL", "EINPROGRESS", "resumed"];
const ACTS = ["write", "read", "both", "ring", "memory", "map ENOMEM", "tag ENOMEM"];

for (const [name, make] of Object.entries(BACKENDS)) {
  const count = PHYSIO_SEED === undefined ? CASES[name] : 1;
  const first = Number(PHYSIO_SEED ?? 1);

  describe(`backend ${name}`, () => {
    for (const { name: promise, run } of backendSuite(make)) test(promise, run);

    test(`${count} random cases give the bytes and segments of the model`, () => {
      const report = new Map<string, number>();
      for (let seed = first; seed < first + count; seed++) {
        try {
          checkCase(make, randomCase(source(seed)), report);
        } catch (error) {
          throw new Error(`PHYSIO_SEED=${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
      if (PHYSIO_SEED !== undefined) return;
      for (const outcome of [...OUTCOMES, ...ACTS]) {
        expect(report.get(outcome) ?? 0, outcome).toBeGreaterThan(0);
      }
    });
  });
}
