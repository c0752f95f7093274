/** Page operations of files whose "disk" is an array for each inode; transfers take time and may fail. */
import { Errno, NO_FRAME, PAGE_SIZE, roundPage } from "@physio/kern";
import { clearModify } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { PageRequest } from "@physio/uvm";
import { findPages, PageTag, Pg, Pgo, Ufp } from "@physio/uvm";
import type { Vnode } from "../src/index.ts";
import { FILE_DELAY } from "../src/index.ts";

const LATENCY = 1000;

export class PagedFiles {
  /** What is on the disk, by inode. */
  readonly contents = new Map<number, Uint8Array>();
  /** Inodes whose pages cannot be written, or read. */
  readonly failWrites = new Set<number>();
  readonly failReads = new Set<number>();
  /** Pages written and read so far: "inode:page". */
  readonly written: string[] = [];
  readonly read: string[] = [];

  /** The disk's bytes of page `index`, zeros where it has none. */
  page(ino: number, index: number): Uint8Array {
    const bytes = new Uint8Array(PAGE_SIZE);
    const at = index * PAGE_SIZE;
    bytes.set(this.contents.get(ino)?.subarray(at, at + PAGE_SIZE) ?? []);
    return bytes;
  }

  *getpages(vp: Vnode, request: PageRequest): Sleeps<Errno> {
    const { pages, syncer } = vp.mount.context;
    const { offset, write } = request;
    const end = roundPage(vp.writeSize);
    if (offset >= end) return Errno.EINVAL;
    const count = Math.min(request.count, (end - offset) / PAGE_SIZE);
    const index = offset / PAGE_SIZE;
    yield* findPages(pages, vp.object, index, request.pages, 0, count, Ufp.ALL);
    for (let i = 0; i < count; i++) {
      const frame = request.pages[i];
      if ((pages.flags(frame) & Pg.FAKE) === 0) continue;
      yield* pages.sched.pause("read", LATENCY);
      if (this.failReads.has(vp.ino)) {
        for (let j = 0; j < count; j++) {
          if ((pages.flags(request.pages[j]) & Pg.FAKE) !== 0) {
            pages.setFlags(request.pages[j], Pg.RELEASED);
          }
        }
        pages.unbusyAll(request.pages, 0, count);
        request.pages.fill(NO_FRAME);
        return Errno.EIO;
      }
      this.read.push(`${vp.ino}:${index + i}`);
      pages.mem.bytes(frame).set(this.page(vp.ino, index + i), pages.mem.byteOffset(frame));
      pages.clearFlags(frame, Pg.FAKE);
      clearModify(pages.mem, frame);
    }
    if (write && !vp.onWorklist) syncer.add(vp, FILE_DELAY);
    return Errno.OK;
  }

  *putpages(vp: Vnode, lo: number, hi: number, flags: Pgo): Sleeps<Errno> {
    const { pages, syncer } = vp.mount.context;
    const whole = (flags & Pgo.ALLPAGES) !== 0;
    const from = whole ? 0 : lo / PAGE_SIZE;
    const to = whole || hi === 0 ? Infinity : hi / PAGE_SIZE;
    const errors = vp.object.writeErrors;
    for (const index of [...vp.object.indexes()]) {
      if (index < from || index >= to) continue;
      let frame = vp.object.lookup(index);
      while (frame !== NO_FRAME && (pages.flags(frame) & Pg.BUSY) !== 0) {
        yield* pages.waitPage(frame);
        frame = vp.object.lookup(index);
      }
      if (frame === NO_FRAME) continue;
      const dirty = clearModify(pages.mem, frame) || (pages.flags(frame) & Pg.CLEAN) === 0;
      if (dirty && (flags & Pgo.CLEANIT) !== 0) this.#write(vp, frame, flags);
      else if ((flags & Pgo.FREE) !== 0) pages.free(frame);
    }
    while ((flags & Pgo.SYNCIO) !== 0 && vp.numOutput > 0) yield* pages.sched.sleep(vp, "putpages");
    const clean = !vp.object.index.any(PageTag.DIRTY) && vp.numOutput + vp.dirtyBufs === 0;
    if (clean && vp.onWorklist) syncer.remove(vp);
    if ((flags & Pgo.SYNCIO) === 0 || vp.object.writeErrors === errors) return Errno.OK;
    return Errno.EIO;
  }

  /** Start to write one page; it ends later. */
  #write(vp: Vnode, frame: number, flags: Pgo): void {
    const { pages, bufs } = vp.mount.context;
    const index = pages.indexOf(frame);
    pages.setFlags(frame, Pg.BUSY | Pg.CLEAN);
    vp.numOutput++;
    const done = () => {
      if (this.failWrites.has(vp.ino)) {
        vp.object.noteError(Errno.EIO);
        pages.markDirty(frame);
      } else {
        const at = pages.mem.byteOffset(frame);
        this.#store(vp.ino, index, pages.mem.bytes(frame).subarray(at, at + PAGE_SIZE));
        this.written.push(`${vp.ino}:${index}`);
        pages.untagClean(frame);
        if ((flags & Pgo.FREE) !== 0) pages.setFlags(frame, Pg.RELEASED);
      }
      pages.unbusy(frame);
      bufs.outputDone(vp);
    };
    pages.sched.after(pages.sched.event(done), LATENCY);
  }

  #store(ino: number, index: number, page: Uint8Array): void {
    const end = (index + 1) * PAGE_SIZE;
    let bytes = this.contents.get(ino) ?? new Uint8Array(0);
    if (bytes.length < end) {
      const longer = new Uint8Array(end);
      longer.set(bytes);
      bytes = longer;
      this.contents.set(ino, bytes);
    }
    bytes.set(page, index * PAGE_SIZE);
  }
}
