/** The bus_dma test-kit sees faults: each backend with a fault breaks a promise, by name. */
import type { MakeBackend } from "@physio/busdma/testing";
import { backendSuite, checkCase, randomCase } from "@physio/busdma/testing";
import { Panic } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { BACKENDS, source } from "../src/backends.ts";
import { broken, CACHE_FAULTS, FAULTS } from "../src/broken-backends.ts";

/** Whether a case of the suite fails. */
function complains(make: MakeBackend): boolean {
  return backendSuite(make).some(({ run }) => {
    try {
      run();
      return false;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return true;
    }
  });
}

/** CI sets PHYSIO_ALL. */
const NAMES = process.env.PHYSIO_ALL === undefined ? ["x86"] : ["x86", "arm64", "riscv"];
for (const name of NAMES) {
  describe(`backend ${name}`, () => {
    const faults = name === "x86" ? FAULTS : { ...FAULTS, ...CACHE_FAULTS };
    for (const [what, fault] of Object.entries(faults)) {
      test(`the suite sees that ${what}`, () => {
        expect(complains(broken(BACKENDS[name], fault))).toBe(true);
      });
    }
  });
}

/** What only a machine in a certain state shows is for the suite alone. */
const SUITE_ONLY = [
  "a map with bounce pages can be destroyed",
  "memory does not keep its tag",
  "memory is never given back",
  "there is never any memory",
  "isIdentity looks at the first page only",
];

describe("random cases", () => {
  for (const [what, fault] of Object.entries(FAULTS)) {
    if (SUITE_ONLY.includes(what)) continue;
    test(`see that ${what}`, () => {
      const make = broken(BACKENDS.x86, fault);
      const play = () => {
        for (let seed = 1; seed <= 1000; seed++) checkCase(make, randomCase(source(seed)));
      };
      expect(play).toThrow(Panic);
    });
  }
});
