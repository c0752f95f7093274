/**
 * The decisions of the riscv backend both ways, and those of DmaSemantics that show in it; what arm64
 * decides the same way is in cached-decisions.test.ts. No recorded runs exist: what `seed` does here is what the original's source says.
 */
import type { RiscvDecisions } from "@physio/arch-riscv";
import { RISCV_SEED } from "@physio/arch-riscv";
import type { DmaSemantics } from "@physio/busdma";
import { BusDma, SEED, Sync } from "@physio/busdma";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { expect, test } from "vitest";
import type { CachedMachine } from "../src/cached-machine.ts";
import { HIGH, REACH, riscvMachine, stateOf } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EBUSY, EFBIG, ENOMEM } = Errno;

/** A machine with all decisions of the original, and `name` as given. */
function only(name: keyof RiscvDecisions, fixed: boolean): CachedMachine {
  const decisions = { ...RISCV_SEED, [name]: fixed };
  return riscvMachine({ semantics: SEED, cache: null, backend: { decisions } });
}

/** A machine of the original but for `name` of DmaSemantics. */
function mixed(name: keyof DmaSemantics, fixed: boolean, pages = 256): CachedMachine {
  const semantics: DmaSemantics = { ...SEED, [name]: fixed };
  return riscvMachine({ semantics, cache: null, pages });
}

for (const fixed of [true, false]) {
  test(`cutAfterBounce ${fixed}: a small maxSegSize takes ${fixed ? "one page" : "a page for each piece"}`, () => {
    const machine = only("cutAfterBounce", fixed);
    const map = machine.tag({ lowAddr: REACH, maxSegSize: 1024 }).createMap();
    expect(machine.load(map, machine.buffer(1), PAGE)).toBe(OK);
    expect(stateOf(map).bounce!.pages.count).toBe(fixed ? 1 : 4);
    expect(machine.last().segs.map(([, size]) => size)).toEqual([1024, 1024, 1024, 1024]);
  });

  test(`entriesKeepKind ${fixed}: a physical piece behind a kernel one ${fixed ? "is an entry of its own" : "lengthens its entry"}`, () => {
    const machine = only("entriesKeepKind", fixed);
    const tag = machine.tag();
    const map = tag.createMap();
    const [a, b] = machine.frames(2);
    const { backend, segs, kernelPmap } = tag;
    expect(backend.loadBuffer(tag, map, kernelPmap, machine.map([a]), PAGE, 0, segs)).toBe(OK);
    expect(backend.loadPhys(tag, map, machine.mem.addrOf(b), PAGE, 0, segs)).toBe(OK);
    expect(stateOf(map).list.count).toBe(fixed ? 2 : 1);
  });

  test(`directBeforeCopies ${fixed}: POSTREAD maintains data in place ${fixed ? "first" : "last"}`, () => {
    const machine = only("directBeforeCopies", fixed);
    const map = machine.tag({ lowAddr: HIGH + PAGE - 1 }).createMap();
    const va = machine.buffer(2);
    expect(machine.load(map, va, 2 * PAGE)).toBe(OK);
    map.sync(Sync.POSTREAD);
    const spaces = machine.calls.map(([, space]) => space);
    expect(spaces).toEqual(fixed ? ["kernel", "phys"] : ["phys", "kernel"]);
  });

  test(`uncachedIsCoherent ${fixed}: syncs of uncached memory make ${fixed ? "no" : "their"} calls`, () => {
    const machine = only("uncachedIsCoherent", fixed);
    const memory = machine.tag({ maxSize: PAGE }).allocMem(BusDma.COHERENT)!;
    memory.load();
    memory.map.sync(Sync.PREWRITE);
    expect(machine.calls.length).toBe(fixed ? 0 : 1);
  });

  test(`poolCoversOffset ${fixed}: a buffer of maxSize that begins in a page ${fixed ? "loads" : "has a page too few"}`, () => {
    const machine = only("poolCoversOffset", fixed);
    const map = machine.tag({ lowAddr: REACH, maxSize: 2 * PAGE }).createMap();
    expect(machine.counts()[0][0]).toBe(fixed ? 3 : 2);
    const va = machine.buffer(3) + 64;
    expect(machine.load(map, va, 2 * PAGE, "map", BusDma.NOWAIT)).toBe(fixed ? OK : ENOMEM);
  });

  // ---- of DmaSemantics

  test(`clearReservation ${fixed}: EFBIG ${fixed ? "gives all back" : "keeps pages till the unload"}`, () => {
    const machine = mixed("clearReservation", fixed);
    const tag = machine.tag({ lowAddr: REACH, maxSize: 4 * PAGE, segments: 1, maxSegSize: PAGE });
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(4), 4 * PAGE)).toBe(OK);
    expect(machine.last().error).toBe(EFBIG);
    expect(machine.counts()).toEqual([fixed ? [4, 4, 0, 0] : [4, 0, 2, 2]]);
    expect(map.destroy()).toBe(fixed ? OK : EBUSY);
  });

  test(`chunksStayInPage ${fixed}: a bounced user piece ${fixed ? "ends with its page" : "runs into the next"}`, () => {
    const machine = mixed("chunksStayInPage", fixed);
    const tag = machine.tag({ alignment: 64 });
    const map = tag.createMap();
    const va = machine.map(machine.frames(2), machine.user) + PAGE - 5;
    const load = tag.backend.loadBuffer(tag, map, machine.user, va, 128, 0, tag.segs);
    expect(load).toBe(OK);
    const sync = () => map.sync(Sync.PREWRITE);
    if (fixed) sync();
    else expect(sync).toThrow("runs into a page that was not recorded");
  });

  test(`syncEachOperation ${fixed}: PREWRITE with POSTREAD ${fixed ? "does both" : "panics"} on data in place`, () => {
    const machine = mixed("syncEachOperation", fixed);
    const map = machine.tag().createMap();
    expect(machine.load(map, machine.buffer(1), PAGE)).toBe(OK);
    const sync = () => map.sync(Sync.PREWRITE | Sync.POSTREAD);
    if (fixed) sync();
    else expect(sync).toThrow(Panic);
    expect(machine.calls.map(([call]) => call)).toEqual(fixed ? ["invalidate", "clean"] : []);
  });

  test(`poolCoversMaxSize ${fixed}: a part of a page ${fixed ? "counts" : "does not count"}`, () => {
    const machine = mixed("poolCoversMaxSize", fixed);
    machine.tag({ lowAddr: REACH, maxSize: 2 * PAGE + 1 }).createMap();
    expect(machine.counts()[0][0]).toBe(fixed ? 3 : 2);
  });

  test(`testEveryPage ${fixed}: a range that leaves the reach midway ${fixed ? "is not" : "passes for"} identity`, () => {
    const machine = mixed("testEveryPage", fixed);
    const tag = machine.tag({ lowAddr: HIGH + PAGE - 1 });
    const all = machine.tag();
    expect(tag.backend.isIdentity(tag, HIGH + 1, 7)).toBe(true);
    expect(tag.backend.isIdentity(tag, HIGH, 2 * PAGE)).toBe(!fixed);
    expect(tag.backend.isIdentity(all, HIGH, 2 * PAGE)).toBe(true);
  });
}
