/**
 * `physio demo --trace FILE`: a Chrome trace that a viewer can open, with a track for each thread.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChromeEvent, ChromeTrace } from "@physio/trace";
import { expect, test } from "vitest";
import { physio } from "../src/cli.ts";

const count = (events: readonly ChromeEvent[], ph: string, name: string) =>
  events.filter((e) => e.ph === ph && e.name === name).length;

test("the demo's trace has tracks, instants, and as many ends as beginnings of transfers", async () => {
  const folder = mkdtempSync(join(tmpdir(), "physio-trace-"));
  try {
    const file = join(folder, "out.json");
    const run = await physio("demo", "--json", "--trace", file);
    expect(run.code).toBe(0);
    const trace: ChromeTrace = JSON.parse(readFileSync(file, "utf8"));
    const { traceEvents } = trace;
    const tracks = traceEvents.filter((e) => e.name === "thread_name").map((e) => e.args.name);
    expect(tracks).toEqual(
      expect.arrayContaining(["hardware", "busdma", "intr: nvme0", "verify 1"]),
    );
    expect(trace.otherData.hash).toBe(JSON.parse(run.out.toString()).traceHash);
    expect(trace.otherData.kept).toBe(trace.otherData.recorded);
    for (const span of ["transfer", "nvme command"]) {
      expect(count(traceEvents, "b", span)).toBeGreaterThan(100);
      expect(count(traceEvents, "e", span)).toBe(count(traceEvents, "b", span));
    }
    const times = traceEvents.flatMap((e) => (e.ts === undefined ? [] : [e.ts]));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a trace that cannot be written is one line and exit code 1", async () => {
  const run = await physio("demo", "--trace", "/nonexistent/folder/out.json");
  expect(run.code).toBe(1);
  expect(run.err).toMatch(/^physio: \/nonexistent\/folder\/out\.json: cannot write: ENOENT\n$/);
});
