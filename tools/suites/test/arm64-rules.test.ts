/**
 * Rule 21 of bus_dma, in its three parts, in seed and in fixed. Rules 1 to 20 are tested in arch-x86;
 * what arm64 decides in another way than x86 is in arm64-decisions.test.ts.
 */
import type { DmaSemantics } from "@physio/busdma";
import { BusDma, FIXED, SEED } from "@physio/busdma";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { arm64Machine, stateOf } from "../src/cached-machine.ts";

const PAGE = PAGE_SIZE;
const { OK, EBUSY, EFBIG } = Errno;

function rule21(semantics: DmaSemantics): void {
  test("rule 21: the line rule applies to every non-coherent load that is not an mbuf", () => {
    const machine = arm64Machine({ semantics });
    const tag = machine.tag();
    const map = tag.createMap();
    const ma = machine.frames(1);
    const va = machine.map(ma);
    const at = va + 8;
    const pa = machine.mem.addrOf(ma[0]) + 8;
    const note = machine.note();
    const bounced = () => {
      const pages = stateOf(map).bounce?.pages.count;
      map.unload();
      return pages;
    };
    const loads = [
      () => map.load(at, 100, note, null),
      () => map.loadMem({ kind: "paddr", pa, length: 100 }, note, null),
      () => map.loadPages(ma, 8, 100, note, null),
      () => map.loadMem({ kind: "vlist", list: [{ base: at, length: 100 }] }, note, null),
    ];
    for (const load of loads) {
      expect(load()).toBe(OK);
      expect(bounced()).toBe(1);
    }
    const m = Object.assign(new Mbuf(), { data: at, len: 100, packetLength: 100 });
    m.flags |= MbufFlag.PKTHDR;
    expect(map.loadMbufSg(m, tag.segList())).toBe(OK);
    expect(bounced()).toBe(0);
    const coherent = machine.tag({ flags: BusDma.COHERENT }).createMap();
    expect(machine.load(coherent, at, 100)).toBe(OK);
    expect(stateOf(coherent).bounce?.pages.count).toBe(0);
    expect(tag.backend.isIdentity(tag, pa, 100)).toBe(false);
    expect(tag.backend.isIdentity(tag, pa + 56, 128)).toBe(true);
  });

  test("rule 21: EFBIG unloads by itself", () => {
    const machine = arm64Machine({ semantics });
    const map = machine.tag({ maxSegSize: PAGE, segments: 2 }).createMap();
    const va = machine.buffer(4);
    expect(machine.load(map, va + 8, 3 * PAGE)).toBe(OK);
    expect(machine.last().error).toBe(EFBIG);
    expect(stateOf(map).bounce?.pages.count).toBe(0);
    expect(stateOf(map).list.count).toBe(0);
    expect(map.destroy()).toBe(OK);
  });

  test("rule 21: destroy is EBUSY while sync entries exist", () => {
    const machine = arm64Machine({ semantics });
    const tag = machine.tag();
    const map = tag.createMap();
    expect(machine.load(map, machine.buffer(1), PAGE)).toBe(OK);
    expect(stateOf(map).bounce?.pages.count).toBe(0);
    expect(map.destroy()).toBe(EBUSY);
    machine.tearDown([map], [tag]);
  });
}

describe("seed", () => rule21(SEED));
describe("fixed", () => rule21(FIXED));
