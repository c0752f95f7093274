/**
 * The suite: every promise of a backend's slots as a case that any test runner can run.
 *
 *   for (const { name, run } of backendSuite(make)) test(name, run)
 *
 * A case makes machines of its own and throws where the backend breaks the contract.
 */
import { loadCases } from "./contract-loads.ts";
import { memoryCases } from "./contract-memory.ts";
import { syncCases } from "./contract-syncs.ts";
import { bouncingTagCases, tagCases } from "./contract-tags.ts";
import { waitingCases } from "./contract-waiting.ts";
import type { MakeBackend } from "./under-test.ts";

export interface KitCase {
  readonly name: string;
  /** @throws {Panic} what the backend did, and what it should have done. */
  readonly run: () => void;
}

export interface SuiteOptions {
  /** The backend has a pool of bounce pages that can be short (default). False: it remaps. */
  readonly bounces?: boolean;
}

/** The cases for the backend of `make`'s machines. */
export function backendSuite(make: MakeBackend, options: SuiteOptions = {}): readonly KitCase[] {
  const always = [...tagCases(make), ...loadCases(make), ...syncCases(make), ...memoryCases(make)];
  if (options.bounces === false) return always;
  return [...always, ...bouncingTagCases(make), ...waitingCases(make)];
}
