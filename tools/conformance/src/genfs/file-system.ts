/**
 * The file system of a scenario: a block map, and a list of free blocks that it allocates from.
 *
 * It is what genfs asks of a file system, and notes each question. With `gopWrite: "compat"` there is no
 * block map: read and write copy from and to the device at the file's own offset.
 */
import type { Uio } from "@physio/carriers";
import { uiomove } from "@physio/carriers";
import type { GenfsOps } from "@physio/genfs";
import {
  compatGopWrite,
  GopUpdate,
  getpages,
  getpagesNow,
  gopWrite,
  gopWriteRwmap,
  putpages,
} from "@physio/genfs";
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import { alignUp, Errno as E, PAGE_SIZE } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { UvmPages } from "@physio/uvm";
import type { BlockMap, Vnode, VnodeOps } from "@physio/vfs";
import type { ScenarioDevice } from "./device.ts";
import type { Events } from "./events.ts";
import type { Injections } from "./injections.ts";
import { errorShown } from "./injections.ts";
import type { Scenario } from "./vectors.ts";

export const SECTOR_SHIFT = 9;
const HOLE = -1;

/** log2 of the block size and of the unit of device blocks; a device's are sectors. */
export function shiftsOf({ vnode, mount }: Scenario): { block: number; unit: number } {
  if (vnode.type === "VBLK") return { block: SECTOR_SHIFT, unit: SECTOR_SHIFT };
  return { block: mount.fsBshift, unit: mount.devBshift };
}

export interface FileSystemOptions {
  readonly scenario: Scenario;
  readonly device: ScenarioDevice;
  readonly pages: UvmPages;
  readonly events: Events;
  readonly injections: Injections;
}

export class ScenarioFileSystem implements GenfsOps {
  readonly #options: FileSystemOptions;
  readonly #map: Map<number, number>;
  readonly #free: number[];
  /** Device blocks from one block of the file to the next. */
  readonly #step: number;
  readonly #blockSize: Bytes;
  #blocks: number;

  constructor(options: FileSystemOptions) {
    const { scenario } = options;
    const { block, unit } = shiftsOf(scenario);
    this.#options = options;
    this.#map = new Map();
    this.#free = [...scenario.free];
    this.#step = 2 ** (block - unit);
    this.#blockSize = 2 ** block;
    this.#blocks = scenario.blocks;
    for (const [lbn, count, blkno] of scenario.map) {
      for (let k = 0; k < count; k++) this.#map.set(lbn + k, blkno + k * this.#step);
    }
  }

  // ---- genfs operations

  size(_vp: Vnode, size: Bytes, _mem: boolean): FileOffset {
    return alignUp(size, 2 ** this.#options.scenario.mount.eofShift);
  }

  // biome-ignore lint/correctness/useYield: another file system would read its maps
  *alloc(_vp: Vnode, offset: FileOffset, length: Bytes): Sleeps<Errno> {
    const { events, injections } = this.#options;
    const error = injections.takeEnospc() ? E.ENOSPC : this.#fill(offset, length);
    events.gop.push(["alloc", offset, length, errorShown(error)]);
    return error;
  }

  write(vp: Vnode, pages: Int32Array, count: number, flags: number): Sleeps<Errno> {
    const { scenario, events } = this.#options;
    events.gop.push(["write", this.#options.pages.indexOf(pages[0]) * PAGE_SIZE, count]);
    const { gopWrite: kind } = scenario.vnode;
    if (kind === "compat") return compatGopWrite(vp, pages, count, flags);
    return (kind === "rwmap" ? gopWriteRwmap : gopWrite)(vp, pages, count, flags);
  }

  markUpdate(_vp: Vnode, update: number): void {
    const accessed = (update & GopUpdate.ACCESSED) === 0 ? "" : "A";
    const modified = (update & GopUpdate.MODIFIED) === 0 ? "" : "M";
    this.#options.events.gop.push(["mark", accessed + modified]);
  }

  // ---- vnode operations

  /** Those that page I/O needs; nobody looks up a name. */
  vnodeOps(): VnodeOps {
    const refuse = (): never => {
      throw new Error("a scenario has no names");
    };
    return {
      lookup: refuse,
      readdir: refuse,
      readlink: refuse,
      getattr: refuse,
      fsync: refuse,
      read: (vp, uio) => this.#read(vp, uio),
      write: (_vp, uio) => this.#write(uio),
      getpagesNow,
      getpages,
      putpages,
      bmap: (_vp, lbn, out) => this.#bmap(lbn, out),
    };
  }

  // biome-ignore lint/correctness/useYield: another file system would read its maps
  *#bmap(lbn: number, out: BlockMap): Sleeps<Errno> {
    const { events, injections } = this.#options;
    const error = injections.bmapError(lbn);
    if (error !== E.OK) {
      events.bmap.push([lbn, errorShown(error)]);
      return error;
    }
    out.blkno = this.#blockOf(lbn);
    out.run = this.#runFrom(lbn, out.blkno);
    events.bmap.push([lbn, out.blkno, out.run]);
    return E.OK;
  }

  // biome-ignore lint/correctness/useYield: another file system would go through its pages
  *#read(vp: Vnode, uio: Uio): Sleeps<Errno> {
    const there = Math.max(0, Math.min(uio.resid, vp.size - uio.offset));
    return this.#copy("R", uio, there);
  }

  // biome-ignore lint/correctness/useYield: another file system would go through its pages
  *#write(uio: Uio): Sleeps<Errno> {
    const { resid } = uio;
    const error = this.#copy("W", uio, resid);
    if (uio.resid < resid) this.#options.events.wrote = true;
    return error;
  }

  #copy(way: "R" | "W", uio: Uio, length: Bytes): Errno {
    const { events, injections, device } = this.#options;
    const { offset, resid } = uio;
    let error = injections.rwError(offset);
    const inside = offset + length <= device.contents.length;
    if (error === E.OK && !inside) error = E.EIO;
    if (error === E.OK) error = uiomove(device.contents, offset, length, uio);
    events.rw.push([way, offset, resid, uio.resid, errorShown(error)]);
    return error;
  }

  // ---- blocks

  #blockOf(lbn: number): number {
    return lbn < this.#blocks ? (this.#map.get(lbn) ?? HOLE) : HOLE;
  }

  /** Blocks after `lbn` that go on where it ends, on the device or in the hole. */
  #runFrom(lbn: number, blkno: number): number {
    const { maxRun, holeRuns } = this.#options.scenario;
    if (blkno === HOLE && holeRuns === 0) return 0;
    let run = 0;
    while (run < maxRun && lbn + run + 1 < this.#blocks) {
      const expected = blkno === HOLE ? HOLE : blkno + (run + 1) * this.#step;
      if (this.#blockOf(lbn + run + 1) !== expected) break;
      run++;
    }
    return run;
  }

  #fill(offset: FileOffset, length: Bytes): Errno {
    const end = Math.ceil((offset + length) / this.#blockSize);
    for (let lbn = Math.floor(offset / this.#blockSize); lbn < end; lbn++) {
      if (this.#blockOf(lbn) === HOLE) {
        const blkno = this.#free.shift();
        if (blkno === undefined) return E.ENOSPC;
        this.#map.set(lbn, blkno);
      }
      this.#blocks = Math.max(this.#blocks, lbn + 1);
    }
    return E.OK;
  }
}
