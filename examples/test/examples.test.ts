/** Every example runs, tells its story, and its facts hold; dmacheck has nothing against the drivers. */
import type { Dmacheck } from "@physio/dmacheck";
import { dmacheck } from "@physio/dmacheck";
import type { Machine, MachineConfig } from "@physio/machine";
import { machine } from "@physio/machine";
import { expect, test } from "vitest";
import * as arm64OnlyBug from "../arm64-only-bug.ts";
import * as bsdDriver from "../bsd-driver.ts";
import { command } from "../command.ts";
import * as deferredStorage from "../deferred-storage.ts";
import * as nic32 from "../nic32.ts";
import type { Boot, Print } from "../support.ts";

/** Run an example on machines that are watched. @returns its facts, its story, and what dmacheck says. */
function told<T>(run: (print: Print, boot: Boot) => T) {
  const story: string[] = [];
  const checks: Dmacheck[] = [];
  const boot = (config: MachineConfig): Machine =>
    machine({
      ...config,
      dmaBackend: (pool, kmem, membus) => {
        const check = dmacheck(config.dmaBackend(pool, kmem, membus), { membus, all: true });
        checks.push(check);
        return check.backend;
      },
    });
  const facts = run((line) => story.push(line), boot);
  return { facts, story, findings: checks.map((check) => check.report()) };
}

test("nic32: EFBIG is unloaded, defragmented, sent, and the wire has the packets' bytes", () => {
  const { facts, story, findings } = told(nic32.run);
  expect(facts).toEqual({ arrived: true, sent: 3, defrags: 1, bouncedPages: 6, busFaults: 0 });
  expect(story).toEqual([
    "1 mbufs: OK, 0 defragmented so far",
    "4 mbufs: OK, 0 defragmented so far",
    "6 mbufs: OK, 1 defragmented so far",
    "on the wire: 3, the same: true; 6 pages bounced",
  ]);
  expect(findings).toEqual(["dmacheck: no findings"]);
});

test("deferred-storage: loads wait for bounce pages and come in order, under the driver's lock", () => {
  const { facts, story, findings } = told(deferredStorage.run);
  const done = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4];
  expect(facts).toEqual({ arrived: true, done, deferrals: 6, bouncePages: 8, busFaults: 0 });
  const callbacks = [0, 1, 2, 3, 4].map((n) => {
    const thread = n < 2 ? "the caller" : "busdma";
    return `  callback of request ${n}: by ${thread}, lock held: true`;
  });
  expect(story).toEqual([
    "write: OK OK EINPROGRESS EINPROGRESS EINPROGRESS",
    ...callbacks,
    "read: OK OK EINPROGRESS EINPROGRESS EINPROGRESS",
    ...callbacks,
    "bytes arrived: true; 8 bounce pages, 6 loads waited",
  ]);
  expect(findings).toEqual(["dmacheck: no findings"]);
});

test("bsd-driver: attach, start, intr and detach in the names of bus_dma(9)", () => {
  const { facts, story, findings } = told(bsdDriver.run);
  expect(facts).toEqual({ arrived: true, done: 2, detached: 0, faults: 0 });
  expect(story).toEqual([
    "toe_attach: OK, command block at bus 0x1000000",
    "toe_start, write: OK",
    "toe_start, read: OK",
    "toe_intr: 2 times, the same bytes came back: true",
    "toe_detach: OK",
  ]);
  expect(findings).toEqual(["dmacheck: no findings"]);
});

test("arm64-only-bug: works on x86, is stale on arm64, and is named on both", () => {
  const { facts, story } = told(arm64OnlyBug.run);
  const [first, second] = ["first letter", "second letter"];
  expect(facts.x86).toMatchObject({ seen: [first, second], findings: ["no-prewrite"] });
  expect(facts.arm64).toMatchObject({ seen: [first, first], findings: ["no-prewrite"] });
  expect(facts.mended).toMatchObject({ seen: [first, second], findings: [] });
  expect(story).toEqual([
    "x86, one PREWRITE: the device reads first letter, second letter",
    "arm64, one PREWRITE: the device reads first letter, first letter",
    "arm64, a PREWRITE each time: the device reads first letter, second letter",
    "dmacheck, on x86:",
    "  dmacheck: mail0 breaks rule 3 (no-prewrite)",
    "    call:     mail0 reads 32 bytes of map 0, at 0 ns",
    "    against:  the CPU wrote to map 0, at 0 ns",
    "    at risk:  32 bytes at bus 0x1000000",
    "    map:      creation of map 0, at 0 ns, by start-up",
    "    rule:     PREWRITE comes after the CPU has written memory and before the device reads it",
    "    see:      bus_dma(9), bus_dmamap_sync, lines 523-529",
    "of the mended driver: dmacheck: no findings",
  ]);
});

test("the command lists the examples, runs one, and refuses what it does not know", () => {
  const lines: string[] = [];
  const print = (line: string) => void lines.push(line);
  expect(command([], print)).toBe(0);
  const names = ["nic32", "deferred-storage", "bsd-driver", "arm64-only-bug"];
  expect(lines.splice(0).map((line) => line.split(" ")[0])).toEqual(names);
  expect(command(["nic32"], print)).toBe(0);
  expect(lines.splice(0)).toHaveLength(4);
  expect(command(["toString"], print)).toBe(2);
  expect(lines[0]).toBe('example: there is no "toString"; there are:');
});
