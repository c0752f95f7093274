/** Each rule: a correct sequence of calls is silent, and the planted mistake is named. */
import { Sync } from "@physio/busdma";
import { Ccb } from "@physio/carriers/ccb";
import type { Errno } from "@physio/kern";
import { Errno as E, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { Run } from "./machine.ts";
import { ToyMachine } from "./machine.ts";

const { PREREAD, PREWRITE, POSTREAD, POSTWRITE } = Sync;

/** A machine with a map and a buffer of two pages. */
function toy(options = {}) {
  const m = new ToyMachine(options);
  const tag = m.tag();
  const map = tag.createMap();
  const va = m.kmem.alloc(2 * PAGE_SIZE);
  return { m, tag, map, va };
}

test("a correct driver is not named", () => {
  const { m, tag, map, va } = toy();
  for (let round = 0; round < 3; round++) {
    m.cpuWrite(va, 8192);
    const out = m.load(map, va, 8192);
    map.sync(PREWRITE);
    m.deviceRead(out);
    map.sync(POSTWRITE);
    map.unload();
    const into = m.load(map, va + 100, 5000);
    map.sync(PREREAD);
    m.deviceWrite(into);
    map.sync(POSTREAD);
    m.cpuRead(va, 8192);
    map.unload();
  }
  expect([map.destroy(), tag.destroy()]).toEqual([E.OK, E.OK]);
  expect(m.found()).toEqual([]);
  expect(m.check.report()).toBe("dmacheck: no findings");
  expect(m.check.live()).toEqual([]);
});

test("a ring that both sides write is used entry by entry without a finding", () => {
  const m = new ToyMachine();
  const tag = m.tag({ maxSize: 4096 });
  const mem = tag.allocMem()!;
  const bus = mem.load();
  const va = mem.memory.va;
  mem.map.sync(PREREAD | PREWRITE);
  for (let i = 0; i < 200; i++) {
    const slot = (i % 32) * 64;
    mem.map.sync(POSTWRITE | POSTREAD);
    m.cpuWrite(va + slot, 64);
    mem.map.sync(PREWRITE);
    m.deviceRead([[bus + slot, 64]]);
    m.deviceWrite([[bus + 2048 + slot, 16]]);
    mem.map.sync(POSTREAD);
    m.cpuRead(va + 2048 + slot, 16);
    mem.map.sync(PREREAD);
  }
  mem.map.sync(POSTWRITE | POSTREAD);
  mem.map.unload();
  mem.free();
  expect(tag.destroy()).toBe(E.OK);
  expect(m.found()).toEqual([]);
});

describe("calls in a wrong order", () => {
  test("rule 1: load of a loaded map names both loads", () => {
    const { m, map, va } = toy();
    m.load(map, va, 4096);
    const [first] = m.load(map, va + 4096, 100);
    expect(m.found()).toEqual(["load-of-loaded"]);
    const [{ call, against, risk, owner, creator, rule }] = m.check.findings;
    expect([call, against]).toEqual([
      { what: "load of map 0", time: 2 },
      { what: "load of map 0, 4096 bytes", time: 1 },
    ]);
    expect([risk!.space, risk!.length, owner, rule.number]).toEqual(["bus", 4096, "toy0", 1]);
    expect(creator).toEqual({ what: "creation of map 0", time: 0, thread: "start-up" });
    expect(first[1]).toBe(100);
    map.unload();
    expect(m.check.live()).toEqual([]);
  });

  test("rule 2: sync and unload of a map that is not loaded", () => {
    const { m, map, va } = toy();
    map.sync(PREREAD);
    map.unload();
    m.load(map, va, 100);
    map.unload();
    map.unload();
    map.sync(POSTREAD);
    expect(m.found()).toEqual(["not-loaded", "not-loaded", "not-loaded", "not-loaded"]);
    expect(m.check.findings[2].against).toEqual({ what: "unload of map 0", time: 1 });
  });

  test("rule 4: PRE and POST in one sync", () => {
    const { m, map, va } = toy();
    m.load(map, va, 100);
    map.sync(PREREAD | PREWRITE);
    map.sync(POSTREAD | POSTWRITE);
    expect(m.found()).toEqual([]);
    map.sync(POSTREAD | PREWRITE);
    expect(m.found()).toEqual(["mixed-sync"]);
  });

  test.each([
    ["load", (t: ReturnType<typeof toy>) => t.m.load(t.map, t.va, 100)],
    ["sync", (t: ReturnType<typeof toy>) => t.map.sync(PREREAD)],
    ["destruction", (t: ReturnType<typeof toy>) => t.map.destroy()],
  ])("rule 6: %s after EFBIG without an unload", (_name, next) => {
    const t = toy();
    t.m.script.push(E.EFBIG);
    t.m.load(t.map, t.va, 8192);
    next(t);
    expect(t.m.found()).toEqual(["efbig-kept"]);
  });

  test("EFBIG that is unloaded, ENOMEM, EINVAL and a load again are in order", () => {
    const { m, map, va } = toy();
    const errors: Errno[] = [E.EFBIG, E.ENOMEM, E.ENOMEM, E.EINVAL];
    for (const [i, error] of errors.entries()) {
      m.script.push(error);
      m.load(map, va, 100);
      if (i !== 1) map.unload();
    }
    m.load(map, va, 100);
    map.unload();
    expect(m.found()).toEqual([]);
  });

  test("rule 7: a map is destroyed, or its memory freed, while it is loaded", () => {
    const { m, map, va } = toy();
    m.load(map, va, 100);
    map.destroy();
    const mem = m.tag({ maxSize: 4096 }).allocMem()!;
    mem.load();
    mem.free();
    expect(m.found()).toEqual(["destroy-of-loaded", "destroy-of-loaded"]);
    expect(m.check.live()).toEqual([]);
  });

  test("rule 8: maps that are left when the tag is destroyed are named with their creators", () => {
    const { m, tag } = toy();
    m.time = 77;
    tag.createMap();
    expect(tag.destroy()).toBe(E.EBUSY);
    expect(m.found()).toEqual(["map-leak", "map-leak"]);
    expect(m.check.findings.map((f) => f.against)).toEqual([
      { what: "creation of map 0", time: 0, thread: "start-up" },
      { what: "creation of map 1", time: 77, thread: "start-up" },
    ]);
    // Memory counts too, where the backend does not count it itself.
    const memTag = m.tag({ maxSize: 100 });
    memTag.allocMem();
    memTag.destroy();
    expect(m.found()).toHaveLength(3);
  });

  test("a request without data may be unloaded", () => {
    const { m, map } = toy();
    map.loadCcb(new Ccb(), () => {}, null);
    map.unload();
    map.loadCcb(new Ccb(), () => {}, null);
    map.loadCcb(new Ccb(), () => {}, null);
    expect(m.found()).toEqual([]);
  });
});

describe("rule 3: a missing sync", () => {
  test("PREWRITE: the device reads what the CPU wrote after it, and nothing else is blamed", () => {
    const { m, map, va } = toy();
    const runs = m.load(map, va, 8192);
    map.sync(PREWRITE);
    m.cpuWrite(va + 1000, 24);
    m.deviceRead([[runs[0][0], 1000]]);
    expect(m.found()).toEqual([]);
    m.deviceRead([[runs[0][0] + 900, 4196 - 900]]);
    expect(m.found()).toEqual(["no-prewrite"]);
    const [{ risk, against }] = m.check.findings;
    expect(risk).toEqual({ space: "bus", address: runs[0][0] + 1000, length: 24 });
    expect(against).toEqual({ what: "the CPU wrote to map 0", time: 2 });
  });

  test("PREWRITE: it was never said", () => {
    const { m, map, va } = toy();
    m.cpuWrite(va, 100);
    m.deviceRead(m.load(map, va, 100));
    expect(m.found()).toEqual(["no-prewrite"]);
    expect(m.check.findings[0].against!.what).toBe("load of map 0, 100 bytes");
  });

  test("PREREAD: never said; the CPU wrote after it; used up by the transfer before", () => {
    const { m, map, va } = toy();
    const runs = m.load(map, va, 100);
    m.deviceWrite(runs);
    map.sync(POSTREAD);
    map.sync(PREREAD);
    m.cpuWrite(va + 10, 1);
    m.deviceWrite(runs);
    map.sync(POSTREAD);
    m.deviceWrite(runs);
    expect(m.found()).toEqual(["no-preread", "no-preread", "no-preread"]);
    const [first, second, third] = m.check.findings;
    expect(first.against!.what).toBe("load of map 0, 100 bytes");
    expect([second.against!.what, second.risk!.length]).toEqual(["the CPU wrote to map 0", 1]);
    expect(third.against!.what).toBe("sync of map 0 with POSTREAD");
  });

  test("POSTREAD: the CPU reads, and unload loses, what the device wrote", () => {
    const { m, map, va } = toy();
    const runs = m.load(map, va, 8192);
    map.sync(PREREAD);
    m.deviceWrite([[runs[0][0] + 50, 50]]);
    m.cpuRead(va, 50);
    expect(m.found()).toEqual([]);
    m.cpuRead(va, 60);
    expect(m.check.findings[0].risk).toEqual({
      space: "phys",
      address: runs[0][0] + 50,
      length: 10,
    });
    map.unload();
    expect(m.found()).toEqual(["no-postread", "no-postread"]);
    expect(m.check.findings[1].risk).toEqual({
      space: "bus",
      address: runs[0][0] + 60,
      length: 40,
    });
  });

  test("POSTWRITE: memory is used again, and unloaded, after the device read it", () => {
    const { m, map, va } = toy();
    const runs = m.load(map, va, 100);
    map.sync(PREWRITE);
    m.deviceRead(runs);
    m.cpuRead(va, 100);
    expect(m.found()).toEqual([]);
    m.cpuWrite(va, 10);
    map.unload();
    expect(m.found()).toEqual(["no-postwrite", "no-postwrite"]);
    expect(m.check.findings[1].risk!.length).toBe(90);
  });
});

test("rule 5: segments that are used after their callback", () => {
  const { m, map, va } = toy();
  let kept: { addr: Float64Array; len: Float64Array } | null = null;
  map.load(
    va,
    100,
    (_arg, segs) => {
      kept = segs;
    },
    null,
  );
  map.sync(PREREAD);
  m.deviceWrite([[kept!.addr[0] + 4, kept!.len[0]]]);
  expect(m.found()).toEqual(["stale-segments"]);
  expect(m.check.findings[0].against!.what).toBe("load of map 0, 100 bytes");
  m.deviceRead([[kept!.addr[0] % 2 ** 32, 4]]); // a device of 32 bits
  expect(m.found()).toEqual(["stale-segments", "stale-segments"]);
});

describe("rule 9: a device outside of its mappings", () => {
  test("after the unload, past the end, and never loaded", () => {
    const { m, map, va } = toy();
    const runs = m.load(map, va, 100);
    map.sync(PREREAD);
    m.deviceWrite([[runs[0][0] + 90, 11]]);
    map.sync(POSTREAD);
    map.unload();
    m.deviceRead(runs);
    m.deviceRead([[4097 * 2 ** 20, 8]]);
    expect(m.found()).toEqual(["stray-access", "stray-access", "stray-access"]);
    const [past, after, never] = m.check.findings;
    expect(past.risk).toEqual({ space: "bus", address: runs[0][0] + 100, length: 1 });
    expect(after.against!.what).toBe("unload of map 0");
    expect([never.against, never.owner]).toEqual([null, "toy0"]);
  });

  test("in the mapping of another device", () => {
    const { m, map, va } = toy();
    const other = m.bus.devicePort({ name: "toy1" });
    const runs = m.load(map, va, 100);
    map.sync(PREWRITE);
    other.read(runs[0][0], new Uint8Array(4));
    expect(m.found()).toEqual(["stray-access"]);
    expect(m.check.findings[0].owner).toBe("toy1");
    m.deviceRead(runs);
    expect(m.found()).toHaveLength(1);
  });
});

describe("rule 10: mappings that overlap", () => {
  const cases: [string, number, number, boolean][] = [
    ["both written", PREREAD as number, PREREAD as number, true],
    ["one written, one read", PREREAD as number, PREWRITE as number, true],
    ["one read, one written", PREWRITE as number, PREREAD as number, true],
    ["both read", PREWRITE as number, PREWRITE as number, false],
  ];
  test.each(cases)("%s", (_name, first, second, wrong) => {
    const { m, tag, map, va } = toy();
    const other = tag.createMap();
    const runs: Run[] = m.load(map, va, 5000);
    m.load(other, va + 4900, 1000);
    map.sync(first);
    other.sync(second);
    expect(m.found()).toEqual(wrong ? ["overlap"] : []);
    if (!wrong) return;
    const at = runs.length === 1 ? runs[0][0] + 4900 : runs[1][0] + 4900 - runs[0][1];
    expect(m.check.findings[0].risk).toEqual({ space: "phys", address: at, length: 100 });
  });

  test("neighbours, and transfers one after the other, are in order", () => {
    const { m, tag, map, va } = toy();
    const other = tag.createMap();
    m.load(map, va, 4096);
    m.load(other, va + 4096, 4096);
    map.sync(PREREAD);
    other.sync(PREREAD);
    map.sync(POSTREAD);
    other.sync(POSTREAD);
    other.unload();
    m.load(other, va, 4096);
    other.sync(PREREAD);
    expect(m.found()).toEqual([]);
  });
});
