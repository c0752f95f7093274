/**
 * The gate's own test: a closure per segment and an object per frame, planted in copies of the built
 * code, must fail it.
 */
import { M6, runCoreGarbage, worst } from "./core-garbage-rows.ts";
import { LOAD_ROWS, runLoads } from "./load-rows.ts";
import { haveTool } from "./native.ts";
import type { Plant } from "./planted.ts";
import { CLOSURES, copyBuilt, OBJECTS, plant } from "./planted.ts";
import type { Result } from "./row.ts";
import { judge } from "./row.ts";
import { scratch } from "./scratch.ts";

type Print = (text: string) => void;

function loadResult(folder: string): Result {
  const row = LOAD_ROWS.find(({ id }) => id === "T1b")!;
  return judge(row, runLoads({ folder }).get(row.id));
}

function frameResult(folder: string): Result {
  return judge(M6, worst(runCoreGarbage({ only: "frame" }, { folder }).memory));
}

/** Measure without and with the regression. @returns whether the gate saw it. */
function compare(
  print: Print,
  what: string,
  planted: Plant,
  measure: (folder: string) => Result,
): boolean {
  return scratch((folder) => {
    copyBuilt(folder);
    const before = measure(folder);
    plant(folder, planted);
    const after = measure(folder);
    for (const [how, r] of [
      ["as built", before],
      [`with ${what}`, after],
    ] as const) {
      const figure = r.value === null ? "" : `${r.value.toFixed(2)} ${r.unit}`;
      print(`self-test: ${r.id} ${how}: ${figure} (${r.note}), ${r.verdict}`);
    }
    const failed = after.verdict === "failed" && after.value !== null;
    const seen = failed && before.value !== null && after.value > 1.2 * before.value;
    print(`self-test: ${what}: ${seen ? "fails the gate" : "WAS NOT SEEN"}`);
    return seen;
  });
}

/** @returns for each regression whether the gate saw it. */
export function selfTest(print: Print): boolean[] {
  const frames = compare(print, "an object per frame", OBJECTS, frameResult);
  if (!haveTool("gcc")) {
    print("self-test: gcc is not installed, so there is nothing to compare loads with");
    return [frames, false];
  }
  return [frames, compare(print, "a closure per segment", CLOSURES, loadResult)];
}
