/** Each recorded code has one expression, and no message answers for two. */
import { Errno, ErrnoError, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import { OUR_VECTORS } from "../src/command.ts";
import { findVectorFiles } from "../src/files.ts";
import { codeOfThrown, PANIC_CODES, panicCode } from "../src/panics.ts";
import { replay } from "../src/replay.ts";
import type { Op, Scenario } from "../src/vectors.ts";
import { readVectors } from "../src/vectors.ts";
import { SCENARIO } from "./scenario.ts";

/** The codes of the README. */
const README = [
  "vlist-offset-past-segment",
  "ext-trailer-overrun",
  "mbuf-no-packet-header",
  "mbuf-not-unmapped",
  "ccb-unsupported-function",
  "ccb-unsupported-data-kind",
  "uio-user-without-process",
  "default-lock-called",
  "dmamem-free-with-map",
  "dmamem-small-spans-pages",
  "bounce-copy-size-mismatch",
  "page-list-chunk-overrun",
  "alignment-not-power-of-two",
  "boundary-not-power-of-two",
  "destroy-of-dmamem-map",
  "page-not-ram",
  "alignment-above-page",
  "sync-combination",
];

test("every code that can be recorded is known, and every recorded one is among them", () => {
  expect([...PANIC_CODES].toSorted()).toEqual(README.toSorted());
  const recorded = findVectorFiles([OUR_VECTORS])
    .flatMap(readVectors)
    .flatMap(({ ops }) =>
      ops.flatMap(({ expect: { panic } }) => (panic === undefined ? [] : [panic])),
    );
  expect(recorded.length).toBeGreaterThan(0);
  expect(recorded.filter((code) => !PANIC_CODES.includes(code as string))).toEqual([]);
});

test("a message without a code is shown as it is, and is no code", () => {
  expect(panicCode("the moon is full")).toBe("(no code) the moon is full");
});

test("only a Panic has a code", () => {
  const message = "bus_dma: a deferred load was resumed on a tag without a lock function";
  expect(codeOfThrown(new Panic(message))).toBe("default-lock-called");
  expect(codeOfThrown(new Error(message))).toBe(null);
  expect(codeOfThrown(new ErrnoError(Errno.EINVAL, message))).toBe(null);
  expect(codeOfThrown(message)).toBe(null);
});

/** A non-coherent machine with one page of RAM, a tag and a map. */
function arm64(tag: object, last: object): Scenario {
  const ops = [
    { ...SCENARIO.ops[0], ...tag },
    SCENARIO.ops[1],
    { ...SCENARIO.ops[2], ...last },
  ] as unknown as readonly Op[];
  const bouncePages = Array.from({ length: 64 }, (_, i) => 0x20_0000 + i * 4096);
  const ram = [...SCENARIO.machine.ram, [0x20_0000, 64] as const];
  const machine = { ...SCENARIO.machine, ram, bouncePages, cacheLine: 64 };
  return { ...SCENARIO, id: "hand-made-arm64", variant: "arm64", machine, ops };
}

/** Scenarios for the codes that no recorded one has. */
const unrecorded: readonly [string, Scenario][] = [
  ["page-not-ram", arm64({}, { op: "load_mem", mem: { type: "PADDR", pa: 0x800_0000, len: 64 } })],
  ["alignment-above-page", arm64({ alignment: 8192 }, { len: 64 })],
];

for (const [code, scenario] of unrecorded) {
  test(`a panic of the code ${code} is recognized, though no recorded scenario has it`, () => {
    const ops = scenario.ops.map((op, i) =>
      i === 2 ? { ...op, expect: { panic: code, debugOnly: true } } : op,
    );
    expect(replay({ ...scenario, ops }).filter(({ step }) => step === 2)).toEqual([]);
    expect(replay(scenario).at(-1)?.lines[0]).toMatch("error");
  });
}

test("what happened in the step before the panic is compared, too", () => {
  const bouncing = { lowaddr: 16777215, maxsize: 4096, expect: {} };
  const make = { op: "map_create", flags: [], expect: {} };
  const load = { op: "load_buffer", va: 0x1_0000_0000, len: 4096, flags: [], expect: {} };
  const events = [
    { lock: "acquire", tag: "t0" },
    { callback: "m1", error: null, segments: [[1048576, 4096]] },
    { lock: "release", tag: "t0" },
  ];
  // The pool's three pages go to the first load. Two more wait for them; the last has no lock function.
  const ops = (last: object) =>
    [
      { ...SCENARIO.ops[0], ...bouncing },
      { ...SCENARIO.ops[0], ...bouncing, tag: "t1", lock: null },
      { ...make, tag: "t0", map: "m0" },
      { ...make, tag: "t0", map: "m1" },
      { ...make, tag: "t1", map: "m2" },
      { ...load, tag: "t0", map: "m0", len: 12288 },
      { ...load, tag: "t0", map: "m1" },
      { ...load, tag: "t1", map: "m2" },
      { op: "unload", tag: "t0", map: "m0", expect: {} },
      { op: "run_deferred", expect: last },
    ] as unknown as readonly Op[];
  const machine = {
    ...SCENARIO.machine,
    ram: [[1048576, 3] as const, [33554432, 3] as const],
    kernelMap: [[0x1_0000_0000, 33554432, 3] as const],
    bouncePages: [1048576, 1052672, 1056768],
  };
  const last = (expected: object) =>
    replay({ ...SCENARIO, machine, ops: ops(expected) }).filter(({ step }) => step === 9);
  const panic = { panic: "default-lock-called", debugOnly: false };
  expect(last({ ...panic, events })).toEqual([]);
  expect(last({ ...panic, events: events.slice(1) })).toHaveLength(1);
  expect(last(panic)).toHaveLength(1);
});
