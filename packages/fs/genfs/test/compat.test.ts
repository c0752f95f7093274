/** genfs_compat_getpages and genfs_compat_gop_write: pages over a file system's own read and write. */
import type { Uio } from "@physio/carriers";
import { UioRw, uiomove } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { PageRequest, Pg, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { compatGetpages, compatGopWrite } from "../src/index.ts";
import { bytesOf, difference, FileMachine } from "./file-machine.ts";
import { draw, picture } from "./pictures.ts";

const K = KiB;

/** A file in an array, without blocks. */
class ArrayFile {
  readonly m: FileMachine;
  readonly bytes: Uint8Array;
  error: Errno = Errno.OK;
  readonly calls: [string, number, number][] = [];

  constructor(size: number, type: "regular" | "character special" = "regular") {
    this.bytes = bytesOf(7, 0, size);
    const move = (vp: Vnode, uio: Uio) => this.#move(vp, uio);
    this.m = new FileMachine({
      size,
      type,
      vnodeOps: { read: move, write: move, getpages: compatGetpages },
      genfsOps: { write: compatGopWrite },
    });
  }

  *#move(vp: Vnode, uio: Uio): Sleeps<Errno> {
    const write = uio.rw === UioRw.WRITE;
    this.calls.push([write ? "write" : "read", uio.offset, uio.resid]);
    yield* this.m.sched.pause("array", 1000);
    if (this.error !== Errno.OK) return this.error;
    const length = Math.max(Math.min(uio.resid, vp.size - uio.offset), 0);
    return uiomove(this.bytes, uio.offset, length, uio);
  }

  request(index: number, count: number, flags: number, write = false): PageRequest {
    const request = new PageRequest(count);
    request.offset = index * PAGE_SIZE;
    request.count = count;
    request.flags = flags;
    request.write = write;
    return request;
  }

  get(request: PageRequest): Errno {
    return this.m.run(compatGetpages(this.m.vp, request));
  }

  release(request: PageRequest): void {
    const { pages } = this.m;
    for (const frame of request.pages.subarray(0, request.count)) {
      if (frame < 0) continue;
      pages.clearFlags(frame, Pg.FAKE);
      pages.unbusy(frame);
    }
  }
}

describe("getpages", () => {
  test("reads the pages that are missing, a page a time; they stay fake for who asked", () => {
    const f = new ArrayFile(16 * K);
    draw(f.m, ".C");
    const request = f.request(0, 3, Pgo.SYNCIO);
    expect(f.get(request)).toBe(Errno.OK);
    expect(f.calls).toEqual([
      ["read", 0, 4 * K],
      ["read", 8 * K, 4 * K],
    ]);
    expect(picture(f.m, 3)).toBe("BBB");
    const fake = [...request.pages].map((frame) => f.m.pages.flags(frame) & Pg.FAKE);
    expect(fake).toEqual([Pg.FAKE, 0, Pg.FAKE]);
    for (const [page, id] of [
      [0, 7],
      [1, 1],
      [2, 7],
    ]) {
      expect(difference(f.m.page(page), bytesOf(id, page * PAGE_SIZE, PAGE_SIZE))).toBe(-1);
    }
    f.release(request);
    f.m.finish();
  });

  test("zeroes what the file does not reach", () => {
    const f = new ArrayFile(5000);
    const request = f.request(0, 2, Pgo.SYNCIO);
    expect(f.get(request)).toBe(Errno.OK);
    const wanted = new Uint8Array(4 * K);
    wanted.set(bytesOf(7, 4 * K, 904));
    expect(difference(f.m.page(1), wanted)).toBe(-1);
    f.release(request);
    f.m.finish();
  });

  test("puts the vnode on the worklist for a write", () => {
    for (const write of [false, true]) {
      const f = new ArrayFile(4 * K);
      const request = f.request(0, 1, Pgo.SYNCIO, write);
      f.get(request);
      expect(f.m.vp.onWorklist).toBe(write);
      f.release(request);
      f.m.finish();
    }
  });

  test("of pages past the end is EINVAL; asynchronously there is nothing to do", () => {
    const f = new ArrayFile(5000);
    expect(f.get(f.request(2, 1, Pgo.SYNCIO))).toBe(Errno.EINVAL);
    expect(f.get(f.request(0, 1, 0))).toBe(Errno.OK);
    expect([picture(f.m, 3), f.calls]).toEqual(["...", []]);
    f.m.finish();
  });

  test("LOCKED hands over what is resident: EBUSY when the centre is not", () => {
    const f = new ArrayFile(16 * K);
    draw(f.m, ".CB");
    for (const [center, error] of [
      [0, Errno.EBUSY],
      [1, Errno.OK],
      [2, Errno.EBUSY],
    ]) {
      const request = f.request(0, 3, Pgo.LOCKED);
      request.center = center;
      expect([center, f.get(request), [...request.pages].map((frame) => frame >= 0)]).toEqual([
        center,
        error,
        [false, true, false],
      ]);
      f.release(request);
    }
    f.m.pages.unbusy(f.m.vp.object.lookup(2));
    f.m.finish();
  });

  test("that fails frees what it could not fill, and keeps what was there", () => {
    const f = new ArrayFile(16 * K);
    draw(f.m, ".C");
    f.error = Errno.EIO;
    const request = f.request(0, 3, Pgo.SYNCIO);
    expect(f.get(request)).toBe(Errno.EIO);
    expect([[...request.pages], picture(f.m, 3)]).toEqual([[-1, -1, -1], ".C."]);
    f.m.finish();
  });

  test("of a character device panics", () => {
    const f = new ArrayFile(4 * K, "character special");
    expect(() => f.get(f.request(0, 1, Pgo.SYNCIO))).toThrow(Panic);
  });
});

describe("write", () => {
  test("is one call for each cluster, and one output", () => {
    const f = new ArrayFile(16 * K);
    draw(f.m, "DD.D");
    const result = f.m.sched.start(f.m.put(0, 4, Pgo.CLEANIT | Pgo.SYNCIO));
    f.m.sched.pump();
    expect([f.m.sched.resultOf<Errno>(result), f.m.vp.numOutput]).toEqual([Errno.OK, 0]);
    expect(f.calls).toEqual([
      ["write", 0, 8 * K],
      ["write", 12 * K, 4 * K],
    ]);
    expect(picture(f.m, 4)).toBe("CC.C");
    for (const page of [0, 1, 3]) {
      const bytes = f.bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
      expect(difference(bytes, bytesOf(1, page * PAGE_SIZE, PAGE_SIZE))).toBe(-1);
    }
    f.m.finish();
  });

  test("that fails is told, and its pages stay dirty", () => {
    const f = new ArrayFile(8 * K);
    draw(f.m, "DD");
    f.error = Errno.ENOSPC;
    expect(f.m.run(f.m.put(0, 2, Pgo.CLEANIT | Pgo.SYNCIO))).toBe(Errno.ENOSPC);
    expect([picture(f.m, 2), f.m.vp.object.writeError]).toEqual(["DD", Errno.ENOSPC]);
    f.error = Errno.OK;
    f.m.finish();
  });
});
