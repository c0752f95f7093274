/**
 * What the backends do under SEED semantics is what the recorded FreeBSD runs did: every scenario
 * of conformance/busdma, none left out but the disputed ones.
 */
import { basename } from "node:path";
import { expect, test } from "vitest";
import { OUR_DISPUTED, OUR_VECTORS } from "../src/command.ts";
import { readDisputed } from "../src/disputed.ts";
import { findVectorFiles } from "../src/files.ts";
import { replay } from "../src/replay.ts";
import { readVectors } from "../src/vectors.ts";

const disputed = new Set(readDisputed(OUR_DISPUTED).map(({ id }) => id));

for (const path of findVectorFiles([OUR_VECTORS])) {
  test(`every step of ${basename(path)} gives what was recorded`, () => {
    for (const scenario of readVectors(path)) {
      const failures = replay(scenario);
      if (disputed.has(scenario.id)) expect(failures, scenario.id).not.toEqual([]);
      else expect(failures, scenario.id).toEqual([]);
    }
  });
}
