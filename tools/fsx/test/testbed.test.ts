/** What the sequences run on: files, and what a mapping does to their blocks. */
import { pc } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import { expect, test } from "vitest";
import { Process, Testbed, truncate } from "../src/index.ts";

const KIB = 1024;

test("a store to the last page of a file allocates nothing behind its end", () => {
  const bed = new Testbed({ config: pc(), blockSize: KIB });
  const process = new Process(bed.machine.pages, "store", KIB);
  const store = function* (): Sleeps<void> {
    const vp = yield* bed.open("file");
    yield* truncate(vp, 5 * KIB + 1); // the second page has two blocks of its own
    yield* process.mappedWrite(vp, 5 * KIB, new Uint8Array([1]), true);
    expect(vp.ops.getattr(vp).sectors).toBe((2 * KIB) / 512);
    yield* truncate(vp, 16 * KIB);
    yield* process.mappedWrite(vp, 7 * KIB, new Uint8Array([2]), true);
    expect(vp.ops.getattr(vp).sectors).toBe((4 * KIB) / 512);
    const bytes = new Uint8Array(4 * KIB);
    yield* process.mappedRead(vp, 4 * KIB, bytes);
    expect([...bytes.keys()].filter((at) => bytes[at] !== 0)).toEqual([KIB, 3 * KIB]);
    yield* bed.close(vp);
  };
  bed.run(store());
  process.close();
  bed.finish();
});
