/** What the replay of genfs says of steps that differ, that cannot be done, or that end the scene. */
import { expect, test } from "vitest";
import { crc32, pattern } from "../src/genfs/pattern.ts";
import { replayGenfs } from "../src/genfs/replay.ts";
import { FIRST_PAGE, GENFS_SCENARIO, withStep } from "./genfs-scenario.ts";

const run = (step: number, part: object) => replayGenfs(withStep(step, part));

test("a scenario written by hand passes", () => {
  expect(replayGenfs(GENFS_SCENARIO)).toEqual([]);
});

test("checksums and patterns are those of the README", () => {
  expect(crc32(new Uint8Array(4096))).toBe(3340501009);
  expect([...pattern(1, 5)].slice(0, 4)).toEqual([...pattern(1, 4)]);
  expect(crc32(pattern(5, 4096))).toBe(FIRST_PAGE);
});

const steps: readonly [string, number, object, readonly string[]][] = [
  [
    "a wrong checksum is named with its place",
    1,
    { out: { err: 0, pages: [[0, 1, "C", "r", "a", 0, 1]] } },
    ["pages[0].crc: expected 1, got 2393178035 (0x8ea4ffb3)"],
  ],
  [
    "what changed and was not recorded",
    4,
    { out: { err: 0 } },
    ["pages: expected nothing, got []"],
  ],
  ["an unknown operation", 2, { op: "frob" }, ["threw Error: no operation frob", "stopped 2"]],
  ["an unknown flag", 4, { flags: ["FROB"] }, ["threw Error: no flag FROB"]],
  ["an unknown injection", 3, { what: "frob" }, ["threw Error: no injection frob", "stopped 1"]],
  ["an unknown error", 3, { what: "bmap", error: "EFROB" }, ["no error EFROB", "stopped 1"]],
  ["a page that is not there", 1, { pages: [4096] }, ["page at 4096 is not resident", "stopped 3"]],
  [
    "a panic that is not ours",
    2,
    { op: "frob", out: { panic: "it" } },
    ["threw Error: no operation frob", "stopped 2"],
  ],
  [
    "a panic that does not come",
    4,
    { out: { panic: "it" } },
    [
      'panic: expected "it", got nothing',
      "err: expected nothing, got 0",
      "pages: expected nothing",
    ],
  ],
  [
    "a panic that nobody recorded",
    4,
    { lo: 1 },
    ["err: expected 0, got nothing", "pages: expected [], got nothing", "panic: expected nothing"],
  ],
  [
    "waiting for ever that does not come",
    4,
    { out: { blocks: "page busy" } },
    ['blocks: expected "page busy", got nothing', "err: expected", "pages: expected"],
  ],
];

for (const [what, step, part, says] of steps) {
  test(`${what} is a failing step`, () => {
    const failures = run(step, part);
    expect(failures.map((failure) => failure.step)).toEqual([step]);
    const { lines } = failures[0];
    expect(lines.length).toBe(says.length);
    for (const [i, text] of says.entries()) expect(lines[i]).toContain(text);
  });
}

test("a panic of ours is what was recorded, whatever the texts are", () => {
  expect(run(4, { lo: 1, out: { panic: "assertion failed" } })).toEqual([]);
  expect(run(4, { lo: 1, out: { panic: "assertion failed", err: 0 } })).toHaveLength(1);
  expect(run(4, { lo: 1, out: { blocks: "page busy" } })).toHaveLength(1);
});

test("a deadlock is what was recorded only where nobody is left", () => {
  const steps = GENFS_SCENARIO.steps.filter(({ op }) => op !== "release");
  const last = { ...steps[3], out: { blocks: "page busy" } };
  const held = { ...GENFS_SCENARIO, steps: [...steps.slice(0, 3), last] };
  expect(replayGenfs(held)).toEqual([]);
  const panics = { ...last, out: { panic: "page busy" } };
  const [failure] = replayGenfs({ ...held, steps: [...steps.slice(0, 3), panics] });
  expect(failure.lines.join("\n")).toMatch(/blocks: .*page 0 of object/);
});

test("a scene that cannot be built fails at its first step", () => {
  const user = { base: 4096, bytes: 2 ** 40, seed: 1, readOnly: [0, 0] as const };
  const [failure] = replayGenfs({ ...GENFS_SCENARIO, user });
  expect([failure.step, failure.op]).toEqual([0, "scene"]);
  expect(failure.lines[0]).toMatch(/^cannot be built: /);
});
