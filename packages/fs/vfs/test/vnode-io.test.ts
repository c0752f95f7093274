/** Locked reading, writing and syncing; errors of write-back for each opener; journals. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { Journal, Vnode } from "../src/index.ts";
import {
  IoFlag,
  inJournal,
  MountFlag,
  vnFsync,
  vnLock,
  vnRead,
  vnTryLock,
  vnUnlock,
  vnWrite,
  WriteErrors,
  zeroRange,
} from "../src/index.ts";
import { MemoryFs } from "./memory-fs.ts";

const TREE = { file: null, dir: {}, link: "file" };

/** A file system whose read and write take 100 ns and tell who is inside. */
function scene(flags: MountFlag = 0): { fs: MemoryFs; log: string[]; offsets: number[] } {
  const log: string[] = [];
  const offsets: number[] = [];
  const io = (mark: string) =>
    function* (vp: Vnode, uio: Uio): Sleeps<Errno> {
      log.push(`+${mark}`);
      offsets.push(uio.offset);
      expect(fs.trans.open).toBeGreaterThan(0);
      vp.lock.assertHeld(mark === "r" ? RW_READER : RW_WRITER);
      yield* fs.sched.pause(mark, 100);
      log.push(`-${mark}`);
      return Errno.OK;
    };
  const fs: MemoryFs = new MemoryFs(TREE, { flags, ops: { read: io("r"), write: io("w") } });
  return { fs, log, offsets };
}

const uio = (fs: MemoryFs, rw: UioRw, offset = 7): Uio => new Uio(rw, fs.kmem.space, [], offset);

describe("vnRead and vnWrite", () => {
  test("share the lock to read and have it alone to write", () => {
    const { fs, log } = scene();
    const vp = fs.get(3);
    for (const rw of [UioRw.READ, UioRw.READ, UioRw.WRITE, UioRw.READ]) {
      const io = rw === UioRw.READ ? vnRead : vnWrite;
      fs.sched.spawn("io", io(vp, uio(fs, rw), 0));
    }
    fs.sched.pump();
    expect(log.join(" ")).toBe("+r +r -r -r +w -w +r -r");
    expect([vp.lock.held, fs.trans.open]).toEqual([false, 0]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("refuse what has no data, and writes to a mount that is read-only", () => {
    const { fs, log } = scene(MountFlag.RDONLY);
    const [root, file, dir, link] = [2, 3, 4, 5].map((ino) => fs.get(ino));
    const run = (body: Sleeps<Errno>) => fs.sched.runSync(body);
    for (const [vp, error] of [
      [root, Errno.EISDIR],
      [dir, Errno.EISDIR],
      [link, Errno.EINVAL],
    ] as const) {
      expect(run(vnRead(vp, uio(fs, UioRw.READ), 0))).toBe(error);
      expect(run(vnWrite(vp, uio(fs, UioRw.WRITE), 0))).toBe(error);
    }
    expect(run(vnWrite(file, uio(fs, UioRw.WRITE), 0))).toBe(Errno.EROFS);
    expect(log).toEqual([]);
    expect(run(vnRead(file, uio(fs, UioRw.READ), 0))).toBe(Errno.OK);
    for (const vp of [root, file, dir, link]) fs.mount.vrele(vp);
    fs.finish();
  });

  test("append at the end that the file has when it is locked", () => {
    const { fs, offsets } = scene();
    const vp = fs.get(3);
    fs.sched.spawn("write", vnWrite(vp, uio(fs, UioRw.WRITE), 0));
    fs.sched.spawn("append", vnWrite(vp, uio(fs, UioRw.WRITE), IoFlag.APPEND));
    fs.sched.step();
    vp.size = 5000;
    vp.writeSize = 5000;
    fs.sched.pump();
    expect(offsets).toEqual([7, 5000]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("wait while the mount is suspended, without holding the vnode", () => {
    const { fs, log } = scene();
    const vp = fs.get(3);
    const freeze = function* (): Sleeps<void> {
      yield* fs.trans.suspend(function* () {
        yield* fs.sched.pause("flush", 50);
        // the writer waits outside of the lock, so the flush gets it
        yield* vnLock(vp, RW_WRITER, "lazy");
        log.push("flush");
        vnUnlock(vp);
      });
      fs.trans.resume();
    };
    fs.sched.spawn("freeze", freeze());
    fs.sched.spawn("write", vnWrite(vp, uio(fs, UioRw.WRITE), 0));
    fs.sched.pump();
    expect(log).toEqual(["flush", "+w", "-w"]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("vnTryLock takes both or nothing", () => {
    const { fs } = scene();
    const vp = fs.get(3);
    expect(vnTryLock(vp, RW_WRITER)).toBe(true);
    expect(vnTryLock(vp, RW_READER)).toBe(false);
    expect(fs.trans.open).toBe(1);
    vnUnlock(vp);
    fs.mount.vrele(vp);
    fs.finish();
  });
});

describe("errors of write-back", () => {
  test("are told once to each opener, and the data are kept", () => {
    const fs = new MemoryFs(TREE);
    fs.files.contents.set(3, new Uint8Array(5000).fill(9));
    const vp = fs.get(3);
    const early = new WriteErrors(vp);
    const other = new WriteErrors(vp);
    const run = (body: Sleeps<Errno>) => fs.sched.runSync(body);
    expect(run(zeroRange(vp, 0, 100))).toBe(Errno.OK);
    fs.files.failWrites.add(3);
    expect(run(vnFsync(vp, early))).toBe(Errno.EIO);
    expect(vp.dirty).toBe(true);
    const late = new WriteErrors(vp);
    fs.files.failWrites.clear();
    expect(run(vnFsync(vp, early))).toBe(Errno.OK);
    expect(run(vnFsync(vp, late))).toBe(Errno.OK);
    expect([run(vnFsync(vp, other)), run(vnFsync(vp, other))]).toEqual([Errno.EIO, Errno.OK]);
    expect(fs.files.contents.get(3)?.subarray(98, 102)).toEqual(Uint8Array.of(0, 0, 9, 9));
    fs.mount.vrele(vp);
    fs.finish();
  });
});

describe("inJournal", () => {
  class Fake implements Journal {
    fs: MemoryFs | null = null;
    open = 0;
    begun = 0;
    error: Errno = Errno.OK;

    begin(): Sleeps<Errno> {
      if (this.error === Errno.OK) {
        this.open++;
        this.begun++;
      }
      return this.fs!.say(this.error);
    }

    end(): void {
      this.open--;
    }
  }

  test("begins and ends round the body, also when that fails or throws", () => {
    const journal = new Fake();
    const fs = new MemoryFs(TREE, { journal });
    journal.fs = fs;
    const run = (body: () => Sleeps<Errno>) => fs.sched.runSync(inJournal(fs.mount, body));
    const inside = (): Sleeps<Errno> => {
      expect(journal.open).toBe(1);
      return fs.say(Errno.ENOSPC);
    };
    expect(run(inside)).toBe(Errno.ENOSPC);
    const throws = (): never => {
      throw new Error("body");
    };
    expect(() => run(throws)).toThrow("body");
    expect([journal.open, journal.begun]).toEqual([0, 2]);
    journal.error = Errno.EROFS;
    expect(run(throws)).toBe(Errno.EROFS); // the body has not run
    expect(journal.open).toBe(0);
    fs.finish();
  });

  test("is the body alone without a journal", () => {
    const fs = new MemoryFs(TREE);
    expect(fs.sched.runSync(inJournal(fs.mount, () => fs.say(Errno.EIO)))).toBe(Errno.EIO);
    fs.finish();
  });
});
