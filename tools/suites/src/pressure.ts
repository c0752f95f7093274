/**
 * Memory pressure: much more file traffic than memory, by several threads; and huge sparse files. Bounded
 * memory, no deadlock, and the page daemon does its part.
 */
import type { Bytes } from "@physio/kern";
import { KiB, MiB, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { MapFlag } from "@physio/uvm";
import { PagingKernel } from "./paging-kernel.ts";
import { readAll, Watermarks, writeAll } from "./traffic.ts";

export interface PressureReport {
  /** Pages: the most resident at a time, and all that the machine has. */
  readonly resident: number;
  readonly total: number;
  /** Times that the page daemon has looked for pages. */
  readonly rounds: number;
  /** Pages that the page daemon freed, and that gave way when somebody needed one. */
  readonly daemonFreed: number;
  readonly reclaimed: number;
  /** Bytes that went over the disk. */
  readonly transferred: Bytes;
}

const STEPS = 100_000_000;

function reportOf(kernel: PagingKernel, marks: Watermarks): PressureReport {
  return {
    resident: marks.resident,
    total: kernel.mem.totalFrames,
    rounds: kernel.daemon.rounds,
    daemonFreed: kernel.pages.daemonFreed,
    reclaimed: kernel.pages.reclaimed,
    transferred: kernel.disk.bytes,
  };
}

/** Two files of `size` bytes, written and read `rounds` times side by side in `ram` bytes. */
export function fileTraffic(
  ram: Bytes,
  size: Bytes,
  rounds: number,
  seed: number | null,
): PressureReport {
  const kernel = new PagingKernel({
    ram,
    diskSize: 2 * size + MiB,
    blockSize: 16 * KiB,
    seed,
    verify: false,
    pagerPages: 256,
  });
  const marks = new Watermarks();
  const body = function* (): Sleeps<void> {
    const vp = kernel.file();
    for (let round = 0; round < rounds; round++) {
      yield* writeAll(kernel, vp, size, round, marks);
      yield* readAll(kernel, vp, size, round, marks);
    }
  };
  kernel.runAll([body(), body()], STEPS);
  const report = reportOf(kernel, marks);
  kernel.finish();
  return report;
}

/** Stores through a mapping of a file of `size` bytes, a page at a time, in less memory than that; then it is read. */
export function mappedTraffic(ram: Bytes, size: Bytes, seed: number | null): PressureReport {
  const kernel = new PagingKernel({ ram, diskSize: size + ram, seed, verify: false });
  const marks = new Watermarks();
  const vp = kernel.file();
  const space = kernel.space();
  kernel.run(kernel.fs.truncate(vp, size));
  const prot = Prot.READ | Prot.WRITE;
  const va = space.mmap({ length: size, prot, flags: MapFlag.SHARED, object: vp.object });
  const stamp = (page: number): Uint8Array =>
    Uint8Array.of(page & 0xff, (page >> 8) & 0xff, (page >> 16) & 0xff, 7);
  const pass = function* (write: boolean): Sleeps<void> {
    const bytes = new Uint8Array(4);
    for (let page = 0; page < size / PAGE_SIZE; page++) {
      const at = va + page * PAGE_SIZE + (page % 1000);
      const error = write ? yield* space.write(at, stamp(page)) : yield* space.read(at, bytes);
      if (error !== 0) throw new Error(`page ${page}: errno ${error}`);
      if (!write && String(bytes) !== String(stamp(page)))
        throw new Error(`page ${page}: ${bytes}`);
      marks.look(kernel);
    }
  };
  kernel.run(pass(true), STEPS);
  kernel.run(pass(false), STEPS);
  const report = reportOf(kernel, marks);
  kernel.finish();
  return report;
}

/** A file of `size` bytes without a block is read in `ram` bytes. @returns also by how much the host's memory grew. */
export function sparseRead(ram: Bytes, size: Bytes): PressureReport & { readonly grown: Bytes } {
  const kernel = new PagingKernel({ ram, verify: false, pagerPages: 256 });
  const marks = new Watermarks();
  const vp = kernel.file();
  kernel.run(kernel.fs.truncate(vp, size));
  const before = process.memoryUsage().rss;
  kernel.run(readAll(kernel, vp, size, null, marks), STEPS);
  const grown = process.memoryUsage().rss - before;
  const report = { ...reportOf(kernel, marks), grown };
  kernel.finish();
  return report;
}
