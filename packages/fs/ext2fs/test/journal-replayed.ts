/** The expectation that journal tests share: a log is replayed as the model has it. */
import { expect } from "vitest";
import type { JournalImage, Transaction } from "./journal-image.ts";
import { COPIES, diskOf, firstDifference, model } from "./journal-image.ts";
import { Mounted } from "./mounted.ts";

/** Mount, compare with the model, and see that nothing was written. */
export function expectReplayed(image: JournalImage, log: readonly Transaction[], note = ""): void {
  const before = image.bytes.slice();
  const m = new Mounted(image.bytes);
  expect(m.ext2.mount.readOnly).toBe(true);
  const disk = diskOf(m, ...COPIES);
  expect(firstDifference(disk, model(before, log), COPIES[0]), note).toBe(-1);
  m.finish();
  expect(firstDifference(image.bytes, before)).toBe(-1);
}
