/**
 * A machine with files and nothing else: memory, pages, a disk in an array of the host's, and a file
 * system on it whose block maps are arrays.
 */
import { BufCache, IoBufs } from "@physio/blkio";
import type { UioRw } from "@physio/carriers";
import { Uio } from "@physio/carriers";
import type { Bytes, FileOffset, Frame, VirtAddr } from "@physio/kern";
import { KiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { PhysMem, ROW_MASK } from "@physio/physmem";
import type { AddressSpace } from "@physio/pmap";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PageArrays, PageDaemon, PagerMap, Pg, UvmPages } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { Syncer } from "@physio/vfs";
import { BlockFs } from "../../suites/src/block-fs.ts";
import { MemoryDisk } from "../../suites/src/memory-disk.ts";

export interface FileSceneOptions {
  readonly ram: Bytes;
  readonly disk: Bytes;
  readonly blockSize: Bytes;
  /** The host keeps the memory of pages that are freed, though then frames come in no order. */
  readonly keepBytes?: boolean;
}

export class FileScene {
  readonly kmem: Kmem;
  readonly pages: UvmPages;
  readonly disk: MemoryDisk;
  readonly fs: BlockFs;
  readonly #sched: Scheduler;
  /** The next block that no file has. */
  #block: number;

  constructor({ ram, disk, blockSize, keepBytes = false }: FileSceneOptions) {
    const trace = new Trace(64);
    const mem = new PhysMem({ banks: [{ base: MiB, size: ram }] });
    const sched = new Scheduler({ trace });
    const kmem = new Kmem(mem, { sched });
    const bufs = new IoBufs({ sched, trace, completion: "softintr" });
    if (keepBytes) holdSections(mem);
    const pages = new UvmPages({ mem, pmaps: kmem.pmaps, sched, trace });
    this.kmem = kmem;
    this.pages = pages;
    this.#sched = sched;
    this.#block = 0;
    this.disk = new MemoryDisk({ bufs, kmem, sched, size: disk });
    const context = {
      bufs,
      pages,
      kmem,
      cache: new BufCache({ bufs, kmem, limit: 64 * KiB }),
      pager: new PagerMap(kmem, sched),
      pageArrays: new PageArrays(),
      syncer: new Syncer(),
    };
    this.fs = new BlockFs({ disk: this.disk.disk, context, blockSize });
    new PageDaemon(pages);
    sched.pump();
  }

  /** A file whose blocks lie in a row; none of its pages is resident. */
  file(size: Bytes): Vnode {
    const count = Math.ceil(size / this.fs.blockSize);
    const vp = this.fs.create();
    this.fs.lay(
      vp,
      Array.from({ length: count }, (_, i) => this.#block + i),
      size,
    );
    this.#block += count;
    return vp;
  }

  /** Make all pages of a file resident as reads leave them, but for the reading: what they hold is what memory held. */
  fill(vp: Vnode): void {
    const count = Math.ceil(vp.size / PAGE_SIZE);
    for (let i = 0; i < count; i++) {
      const frame: Frame = this.pages.alloc(vp.object, i);
      if (frame === NO_FRAME) throw new Error(`no frame for page ${i}`);
      this.pages.clearFlags(frame, Pg.FAKE);
      this.pages.activate(frame);
      this.pages.unbusy(frame);
    }
  }

  /** Run a thread to its end. */
  run<T>(body: Sleeps<T>): T {
    return this.#sched.runSync(body);
  }
}

/**
 * Keep a frame of every section: the host's memory of a section that is free altogether is given back,
 * and what it costs to get it again is not what is measured here.
 */
function holdSections(mem: PhysMem): void {
  const frames: Frame[] = [];
  for (let f = mem.allocFrame(); f !== NO_FRAME; f = mem.allocFrame()) frames.push(f);
  for (const frame of frames) if ((frame & ROW_MASK) !== ROW_MASK) mem.freeFrame(frame);
}

/** A uio of one range: for `reuse`. */
export function makeUio(rw: UioRw, space: AddressSpace, base: VirtAddr, length: Bytes): Uio {
  return new Uio(rw, space, [{ base, length }], 0);
}

/** The same uio for another transfer. */
export function reuse(uio: Uio, base: VirtAddr, length: Bytes, offset: FileOffset): void {
  const [range] = uio.iov;
  range.base = base;
  range.length = length;
  uio.iovIndex = 0;
  uio.resid = length;
  uio.offset = offset;
}
