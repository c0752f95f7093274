/**
 * The device of a scenario: an array of bytes, and a queue of I/Os that have not ended.
 *
 * An I/O of a synchronous request ends at once. Others wait, first in first out, until a step or a
 * thread that sleeps makes them end. Bytes move, and errors strike, when an I/O ends. The bytes move
 * as a device moves them, by physical addresses, so nothing is marked modified.
 */
import type { BlockDevice, IoBufs } from "@physio/blkio";
import { Buf, BufFlag } from "@physio/blkio";
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { UvmPages } from "@physio/uvm";
import { Pg } from "@physio/uvm";
import type { Events } from "./events.ts";
import type { Injections } from "./injections.ts";
import { pattern } from "./pattern.ts";

export interface DeviceOptions {
  readonly bufs: IoBufs;
  readonly kmem: Kmem;
  readonly pages: UvmPages;
  readonly events: Events;
  readonly injections: Injections;
  /** Bytes of the unit of device block numbers. */
  readonly unit: Bytes;
  readonly bytes: Bytes;
  readonly seed: number;
}

interface Waiting {
  readonly number: number;
  readonly buf: Buf;
}

export class ScenarioDevice implements BlockDevice {
  readonly name: string;
  readonly contents: Uint8Array;
  /** File offset of the direct I/O under way: its buffers are no pages that could tell. */
  directOffset: () => FileOffset;
  readonly #options: DeviceOptions;
  readonly #waiting: Waiting[];
  #issued: number;

  constructor(options: DeviceOptions) {
    this.name = "scenario0";
    this.contents = pattern(options.seed, options.bytes);
    this.directOffset = () => 0;
    this.#options = options;
    this.#waiting = [];
    this.#issued = 0;
  }

  strategy(buf: Buf): void {
    const { events } = this.#options;
    const number = this.#issued++;
    const async = (masterOf(buf).flags & BufFlag.ASYNC) !== 0;
    buf.flags &= ~BufFlag.DONE;
    buf.error = Errno.OK;
    buf.resid = buf.bcount;
    const way = (buf.flags & BufFlag.READ) === 0 ? "W" : "R";
    const offset = this.#fileOffset(buf);
    events.io.push([number, way, buf.blkno, buf.bcount, offset, async ? 1 : 0, buf.priority]);
    if (async) this.#waiting.push({ number, buf });
    else this.#end(buf);
  }

  /** Let the oldest I/O end. @returns false: none waits. */
  completeOldest(): boolean {
    const oldest = this.#waiting.shift();
    if (oldest === undefined) return false;
    this.#options.events.done.push(oldest.number);
    this.#end(oldest.buf);
    return true;
  }

  #end(buf: Buf): void {
    const { bufs, injections, unit } = this.#options;
    const start = buf.blkno * unit;
    const inside = start >= 0 && start + buf.bcount <= this.contents.length;
    const injected = injections.ioError(buf.blkno, buf.blkno + Math.ceil(buf.bcount / unit));
    buf.error = inside ? injected : Errno.EIO;
    if (buf.error === Errno.OK) {
      this.#move(buf, start);
      buf.resid = 0;
    }
    bufs.biodone(buf);
  }

  #move(buf: Buf, start: number): void {
    const { kmem, events } = this.#options;
    const read = (buf.flags & BufFlag.READ) !== 0;
    for (let done = 0; done < buf.bcount; ) {
      const at = buf.data + done;
      const run = Math.min(buf.bcount - done, PAGE_SIZE - pageOffset(at));
      const pa = kmem.pmap.extract(at);
      const from = start + done;
      const error = read
        ? kmem.mem.write(pa, this.contents, from, run)
        : kmem.mem.read(pa, this.contents, from, run);
      if (error !== Errno.OK) throw new Error(`the device was given ${at}, where no memory is`);
      done += run;
    }
    if (!read) events.wrote = true;
  }

  /** What of the file a buf holds. */
  #fileOffset(buf: Buf): FileOffset {
    const { kmem, pages } = this.#options;
    const master = masterOf(buf);
    const frame = kmem.pmap.frameAt(master.data);
    const isPage = (pages.flags(frame) & Pg.TABLED) !== 0;
    const start = isPage
      ? pages.indexOf(frame) * PAGE_SIZE + pageOffset(master.data)
      : this.directOffset();
    return start + (buf.data - master.data);
  }
}

/** The whole request that a buf is a piece of, or that it is itself. */
const masterOf = (buf: Buf): Buf => (buf.private instanceof Buf ? buf.private : buf);
