/** FileIo on a new ext2: three ways to the same bytes, holes, and a disk that fails. */
import { makeExt2 } from "@physio/ext2fs";
import { Errno, MiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Mount, Vnode } from "@physio/vfs";
import { createFile, vnRelease, WriteErrors } from "@physio/vfs";
import { expect, test } from "vitest";
import type { IoWay } from "../src/index.ts";
import { FileIo, Machine, MemoryMedia, pc, skipHole } from "../src/index.ts";

/** A medium that stops taking writes. */
class FailingMedia extends MemoryMedia {
  failing = false;

  override write(offset: number, from: Uint8Array, at: number, length: number): Errno {
    return this.failing ? Errno.EIO : super.write(offset, from, at, length);
  }
}

function newDisk(): FailingMedia {
  const bytes = new Uint8Array(2 * MiB);
  for (const piece of makeExt2({ size: 2 * MiB, blockSize: 1024, time: 0 }))
    bytes.set(piece.bytes, piece.offset as number);
  return new FailingMedia(bytes);
}

interface Kit {
  readonly m: Machine;
  readonly mount: Mount;
  readonly root: Vnode;
}

/** Run `body` on a machine with the disk mounted for writing, and unmount. */
function onDisk(media: FailingMedia, body: (kit: Kit) => Sleeps<void>): void {
  const m = new Machine(pc());
  m.runSync(
    (function* (): Sleeps<void> {
      const mount = yield* m.mount(yield* m.attachDisk("d", media), { writable: true });
      const root = yield* mount.root();
      yield* body({ m, mount, root });
      media.failing = false;
      mount.vrele(root);
      yield* mount.unmount();
    })(),
  );
  m.sched.pump();
  m.checkQuiet();
}

const bytesOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => 1 + (i % 251));
const WAYS: readonly IoWay[] = ["buffered", "direct", "mapped"];

for (const writing of WAYS)
  test(`what is written ${writing} is read back in every way, also after a mount`, () => {
    const media = newDisk();
    const data = bytesOf(100_001);
    onDisk(media, function* ({ m, root }) {
      const io = new FileIo(m, writing);
      const vp = yield* createFile(root, "/f");
      yield* io.begin(vp, data.length);
      yield* io.write(vp, 0, data.subarray(0, 65_536));
      if (writing === "direct") expect(vp.object.pageCount).toBe(0);
      else expect(vp.object.pageCount).toBeGreaterThan(0);
      yield* io.write(vp, 65_536, data.subarray(65_536));
      yield* io.settle(vp);
      expect([vp.size, vp.object.pageCount]).toEqual([data.length, 0]);
      yield* vnRelease(vp);
      io.close();
    });
    onDisk(media, function* ({ m, root }) {
      for (const reading of WAYS) {
        const io = new FileIo(m, reading);
        const vp = yield* createFile(root, "/f");
        const into = new Uint8Array(200_000);
        expect(yield* io.read(vp, 0, into)).toBe(data.length);
        expect(Buffer.compare(into.subarray(0, data.length), data)).toBe(0);
        expect(yield* io.read(vp, 99_990, into)).toBe(11);
        expect(yield* io.read(vp, data.length, into)).toBe(0);
        yield* vnRelease(vp);
        io.close();
      }
    });
  });

test("skipHole: the next block, or the end", () => {
  onDisk(newDisk(), function* ({ m, root }) {
    const io = new FileIo(m, "buffered");
    const vp = yield* createFile(root, "/f");
    yield* io.write(vp, 500 * 1024 + 7, bytesOf(10));
    yield* io.write(vp, 900 * 1024, bytesOf(1));
    const ends: number[] = [];
    for (const at of [0, 1, 500 * 1024, 500 * 1024 + 9, 501 * 1024, 900 * 1024 + 1])
      ends.push((yield* skipHole(vp, at)) as number);
    const [first, last] = [500 * 1024, 900 * 1024];
    expect(ends).toEqual([first, first, first, first + 9, last, last + 1]);
    yield* vnRelease(vp);
    io.close();
  });
});

test("a disk that fails: the error names the file, and a later sync brings it all", () => {
  const media = newDisk();
  onDisk(media, function* ({ m, root }) {
    const io = new FileIo(m, "buffered");
    const files = ["/good", "/bad", "/bad too"];
    for (const [i, name] of files.entries()) {
      const vp = yield* createFile(root, name);
      const errors = new WriteErrors(vp);
      yield* io.write(vp, 0, bytesOf(5000 + i));
      if (i === 1) {
        yield* io.drain();
        media.failing = true;
      }
      yield* io.writeBehind(vp, name, errors);
      yield* vnRelease(vp);
    }
    let said = "";
    try {
      yield* io.drain();
    } catch (error) {
      said = String(error);
    }
    expect(said).toBe("ErrnoError: /bad: write: EIO");
    yield* io.drain(); // told once
    io.close();
  });
  onDisk(media, function* ({ m, root }) {
    const io = new FileIo(m, "buffered");
    for (const [i, name] of ["/good", "/bad", "/bad too"].entries()) {
      const vp = yield* createFile(root, name);
      const into = new Uint8Array(6000);
      expect(yield* io.read(vp, 0, into)).toBe(5000 + i);
      expect(Buffer.compare(into.subarray(0, 5000 + i), bytesOf(5000 + i))).toBe(0);
      yield* vnRelease(vp);
    }
    io.close();
  });
});
