/**
 * What files hold, and what calls answer, is what Linux's did in the recorded sequences: the first operations of each
 * here, all with PHYSIO_ALL. And the runner notices when one answer is changed.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { OUR_FILEOPS } from "../src/command.ts";
import { LinuxBlocks } from "../src/fileops/linux-blocks.ts";
import { replayFileops } from "../src/fileops/replay.ts";
import type { FileOp, Sequence } from "../src/fileops/vectors.ts";
import { readSequences } from "../src/fileops/vectors.ts";
import { findVectorFiles } from "../src/files.ts";

const ALL = process.env.PHYSIO_ALL === "1";
const SOME = 600;

const sequences = findVectorFiles([OUR_FILEOPS]).flatMap((path) =>
  readSequences(path).map((sequence) => ({ name: basename(path), sequence })),
);

/** The first operations of a sequence; then its end is not what was recorded. */
function begin(sequence: Sequence, count: number): Sequence {
  return { ...sequence, ops: sequence.ops.slice(0, count), final: [] };
}

for (const { name, sequence } of sequences) {
  const { final } = sequence;
  test(`operations of ${name} are answered as Linux answered`, () => {
    expect(final.length).toBeGreaterThan(1);
    expect(replayFileops(ALL ? sequence : begin(sequence, SOME))).toEqual([]);
  });
}

const [{ sequence: first }] = sequences;
const changes: readonly (readonly [string, (op: FileOp) => boolean, Partial<FileOp>])[] = [
  ["a checksum", (op) => op.op === "mread" && op.crc !== undefined, { crc: "00c0ffee" }],
  ["a length", (op) => op.op === "append", { size: 1 }],
  ["a tail", (op) => op.tailzero === true, { tailzero: false }],
  ["a refusal", (op) => op.errno === "EINVAL", { ret: 512, errno: "EFBIG" }],
];
for (const [what, chosen, change] of changes) {
  test(`an answer that is changed is noticed at its step: ${what}`, () => {
    const step = first.ops.findIndex(chosen);
    const ops = first.ops.slice(0, step + 1).with(step, { ...first.ops[step], ...change });
    const failures = replayFileops({ ...first, ops, final: [] });
    expect(failures.map((failure) => failure.step)).toEqual([step]);
  });
}

test("a wrong end is noticed", () => {
  const [{ file }] = first.final;
  const final = [{ file, size: 0, sha256: "0".repeat(64) }];
  const failures = replayFileops({ ...begin(first, 40), final });
  expect(failures.map(({ step, op }) => [step, op])).toEqual([[40, "end"]]);
});

const unusable: readonly (readonly [string, object])[] = [
  ["no operation punch", { op: "punch", file: 0, off: 0, len: 1 }],
  ["pread: off is -1", { op: "pread", file: 0, off: -1, len: 1 }],
  ["truncate: size is undefined", { op: "truncate", file: 0 }],
  ["pwritev: lens is no list of lengths", { op: "pwritev", file: 0, off: 0, lens: 5 }],
];
for (const [why, op] of unusable) {
  test(`a line that cannot be used is named: ${why}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "fileops-"));
    try {
      const path = join(folder, "some-2k.ops.jsonl");
      const good = { op: "dropcache", ret: 0 };
      writeFileSync(path, `${JSON.stringify(good)}\n`);
      expect(readSequences(path)).toMatchObject([{ id: "some-2k", blockSize: 2048, final: [] }]);
      writeFileSync(path, `${JSON.stringify(good)}\n${JSON.stringify(op)}\n`);
      expect(() => readSequences(path)).toThrow(`${path}:2: ${why}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test("direct transfers are judged where blocks are: holes take any offset", () => {
  const blocks = new LinuxBlocks(1024);
  blocks.truncate(16384);
  blocks.write(4096, 1024);
  expect(blocks.refusesRead(1, 100)).toBe(false);
  expect(blocks.refusesRead(1, 5000)).toBe(true);
  expect(blocks.refusesRead(4096, 100)).toBe(true);
  expect(blocks.refusesRead(4608, 1024)).toBe(false);
  expect(blocks.refusesRead(20_001, 5)).toBe(false);
  expect(blocks.refusesWrite(4097, 512)).toBe(true);
  expect(blocks.refusesWrite(8193, 512)).toBe(false);
  expect(blocks.refusesWrite(16_385, 512)).toBe(true);
  // A store makes all of its page dirty, and writing it allocates what is in the file.
  blocks.store(12_288, 1, false);
  expect(blocks.refusesRead(15_361, 5)).toBe(true);
});
