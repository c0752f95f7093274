/** What is kept, told and printed; and that the wrapped backend sees its own state. */
import { Sync } from "@physio/busdma";
import { Errno } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { formatFinding, RULES } from "../src/index.ts";
import { ToyMachine } from "./machine.ts";

/** Two wrong calls: rules 2 and 4. */
function wrongTwice(m: ToyMachine): void {
  const map = m.tag().createMap();
  const va = m.kmem.alloc(64);
  map.sync(Sync.PREREAD);
  m.load(map, va, 64);
  map.sync(Sync.PREREAD | Sync.POSTREAD);
}

describe("what is kept", () => {
  test("the first finding alone, unless all are wanted", () => {
    const m = new ToyMachine({ all: false });
    wrongTwice(m);
    expect(m.found()).toEqual(["not-loaded"]);
    expect(m.check.count).toBe(2);
    expect(m.check.report()).toContain("and 1 more\ntoy0: 1 maps, 1 loaded");
  });

  test("severities: ignored rules are not found, and others panic", () => {
    const quiet = new ToyMachine({ severity: "ignore" });
    wrongTwice(quiet);
    expect([quiet.found(), quiet.check.count]).toEqual([[], 0]);
    const some = new ToyMachine({ severity: { "not-loaded": "ignore", "mixed-sync": "panic" } });
    expect(() => wrongTwice(some)).toThrow("breaks rule 4 (mixed-sync)");
    expect(some.found()).toEqual(["mixed-sync"]);
  });

  test("`only` names the drivers that count", () => {
    const m = new ToyMachine({ only: ["nvme0"] });
    wrongTwice(m);
    expect(m.found()).toEqual([]);
    m.tag({}, "nvme0").createMap().sync(Sync.PREREAD);
    expect(m.found()).toEqual(["not-loaded"]);
  });

  test("each finding that is kept is told, and traced", () => {
    const told: string[] = [];
    const m = new ToyMachine({ onReport: (finding) => told.push(finding.rule.id) });
    wrongTwice(m);
    expect(told).toEqual(m.found());
  });

  test("detached, it sees no accesses any more", () => {
    const m = new ToyMachine();
    m.check.detach();
    m.device.read(4096 * 2 ** 20, new Uint8Array(4));
    expect(m.found()).toEqual([]);
    expect([m.bus.watcher, m.bus.cpu.watcher]).toEqual([null, null]);
  });
});

test("a finding in words", () => {
  const m = new ToyMachine();
  wrongTwice(m);
  expect(formatFinding(m.check.findings[0])).toBe(
    [
      "dmacheck: toy0 breaks rule 2 (not-loaded)",
      "  call:     sync of map 0 with PREREAD, at 0 ns",
      "  against:  creation of map 0, at 0 ns",
      "  map:      creation of map 0, at 0 ns, by start-up",
      "  rule:     sync and unload are for a map that is loaded",
      "  see:      bus_dma(9), bus_dmamap_sync, lines 519-526",
    ].join("\n"),
  );
});

test("there are ten rules, each with its place in the manual page", () => {
  const numbers = new Set(Object.values(RULES).map((rule) => rule.number));
  expect([...numbers].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (const [id, rule] of Object.entries(RULES)) {
    expect(rule.id).toBe(id);
    expect(rule.page).toMatch(/^bus_dma\(9\), \S+, lines? \d+/);
  }
});

test("the wrapped backend finds its own state in the map, and is not called for maps without one", () => {
  const m = new ToyMachine();
  const [plain, aligned] = [m.tag().createMap(), m.tag({ alignment: 64 }).createMap()];
  const va = m.kmem.alloc(64);
  for (const map of [plain, aligned]) {
    m.load(map, va, 64);
    map.sync(Sync.PREREAD);
    map.sync(Sync.POSTREAD);
    map.unload();
    expect(map.destroy()).toBe(Errno.OK);
  }
  expect(m.inner).toEqual(["sync aligned", "sync aligned", "unload aligned"]);
  expect(m.found()).toEqual([]);
});
