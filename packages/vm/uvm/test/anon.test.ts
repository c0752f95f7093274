/** Shared anonymous objects by their pager: what it hands over, waits for and frees. */
import { Errno, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { UvmObject } from "../src/index.ts";
import { anonObject, DONTCARE, PageRequest, Pg, Pgo } from "../src/index.ts";
import { ToyMachine } from "./toy.ts";

const PAGE = PAGE_SIZE;

function bench(pages = 8, frames = 64) {
  const m = new ToyMachine(frames);
  const object = anonObject(m.pages, pages * PAGE - 5);
  object.pager!.reference();
  const request = new PageRequest(64);
  const ask = (first: number, count: number, flags: Pgo = Pgo.SYNCIO) => {
    request.offset = first * PAGE;
    request.count = count;
    request.flags = flags;
    return m.run(object.pager!.get(request));
  };
  return { m, object, request, ask };
}

const flagsOf = (m: ToyMachine, object: UvmObject, index: number) =>
  m.pages.flags(object.lookup(index));

describe("an anonymous object", () => {
  test("hands over busy pages of zeroes, dirty, but for those not cared for and beyond the end", () => {
    const { m, object, request, ask } = bench();
    request.pages[1] = DONTCARE;
    expect(ask(5, 5)).toBe(Errno.OK);
    expect([...object.indexes()]).toEqual([5, 7]);
    expect([...request.pages.subarray(0, 4)]).toEqual([
      object.lookup(5),
      DONTCARE,
      object.lookup(7),
      NO_FRAME,
    ]);
    expect(flagsOf(m, object, 5)).toBe(Pg.BUSY | Pg.TABLED);
    m.pages.check();
    m.pages.unbusyAll(request.pages, 0, 4);
    expect(ask(8, 1)).toBe(Errno.EINVAL);
    object.pager!.detach();
    m.finish();
  });

  test("has nothing to read ahead, and without sleeping what is there", () => {
    const { m, object, request, ask } = bench();
    expect(ask(0, 2, 0)).toBe(Errno.OK);
    expect(object.pageCount).toBe(0);
    expect(object.pager!.getNow(request)).toBe(Errno.EBUSY);
    ask(0, 2);
    m.pages.unbusyAll(request.pages, 0, 2);
    request.pages.fill(NO_FRAME);
    expect(object.pager!.getNow(request)).toBe(Errno.OK);
    expect(request.pages[1]).toBe(object.lookup(1));
    m.pages.unbusyAll(request.pages, 0, 2);
    request.offset = 8 * PAGE;
    expect(object.pager!.getNow(request)).toBe(Errno.EINVAL);
    object.pager!.detach();
    m.finish();
  });

  test("waits for a busy page, to give it and to free it", () => {
    const { m, object, request, ask } = bench();
    ask(0, 1);
    const other = new PageRequest(1);
    other.count = 1;
    other.flags = Pgo.SYNCIO;
    m.sched.spawn("get", object.pager!.get(other));
    m.sched.pump();
    expect(other.pages[0]).toBe(NO_FRAME);
    m.pages.unbusy(request.pages[0]);
    m.sched.pump();
    expect(other.pages[0]).toBe(object.lookup(0));
    m.sched.spawn("put", object.pager!.put(0, 0, Pgo.FREE));
    m.sched.pump();
    expect(object.pageCount).toBe(1);
    m.pages.unbusy(other.pages[0]);
    m.sched.pump();
    expect(object.pageCount).toBe(0);
    object.pager!.detach();
    m.finish();
  });

  test("lets go of all pages when there is no memory for one", () => {
    const { m, object, ask } = bench(64, 32);
    m.daemon();
    expect(ask(0, 64)).toBe(Errno.ENOMEM);
    expect(m.pages.busyCount()).toBe(0);
    m.run(object.pager!.put(8 * PAGE, 16 * PAGE, Pgo.FREE));
    expect(object.index.next(8, 64)).toBe(16);
    expect(ask(8, 2)).toBe(Errno.OK);
    for (const index of [8, 9]) m.pages.unbusy(object.lookup(index));
    object.pager!.detach();
    m.finish();
  });

  test("loses nothing when it is cleaned", () => {
    const { m, object, request, ask } = bench();
    ask(0, 1);
    m.pages.unbusy(request.pages[0]);
    expect(m.run(object.pager!.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO))).toBe(Errno.OK);
    expect([object.pageCount, flagsOf(m, object, 0) & Pg.CLEAN]).toEqual([1, 0]);
    object.pager!.detach();
    m.finish();
  });
});
