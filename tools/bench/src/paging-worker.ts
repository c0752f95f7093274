/**
 * Worker of the P rows: reads that miss, write-back and fsync on a disk in memory, each against the
 * copies that they are for.
 *
 * What prepares an operation is not timed: each times itself, inside of its thread. The copies go
 * the disk's own way, between its array and kernel addresses, over as many bytes as the file has.
 */
import { UioRw } from "@physio/carriers";
import { genfsRead } from "@physio/genfs";
import type { Bytes } from "@physio/kern";
import { Errno, GiB, KiB, MiB, PAGE_SIZE } from "@physio/kern";
import { HostSpace } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { PageRequest, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { FILE_DELAY } from "@physio/vfs";
import { median } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import { sink } from "./cases.ts";
import { FileScene, makeUio, reuse } from "./file-scene.ts";
import { Random } from "./random.ts";

const FILE = 16 * MiB;
const WINDOW = 64 * KiB;
const ROUNDS = 5;
/** Passes of a round: the best counts. */
const PASSES = 6;
const WARM = 12;
/** fsyncs of a pass: their median counts. */
const SYNCS = 100;
/** Pages that are made dirty before an fsync: the host holds 4 MiB for each that was ever written. */
const DIRTIED = 16;

/** Nanoseconds of one pass, of which only a part may be timed. */
type Pass = () => number;

const since = (begin: number): number => (performance.now() - begin) * 1e6;

/** Times a pass by its parts of a MiB: of those the median counts, as somebody else's turn hits some of them. */
class Parts {
  readonly #times: number[];
  #begin: number;

  constructor() {
    this.#times = [];
    this.#begin = performance.now();
  }

  /** The pass has come to byte `at`. */
  pass(at: Bytes): void {
    if (at % MiB !== 0) return;
    this.#times.push(since(this.#begin));
    this.#begin = performance.now();
  }

  /** Nanoseconds that the pass takes when it is left alone. */
  whole(): number {
    return median(this.#times) * this.#times.length;
  }
}

/** @throws when an operation that cannot fail has failed. */
function must(error: Errno): void {
  if (error !== Errno.OK) throw new Error(`errno ${error}`);
}

/** All pages of a file by requests of a window, given back at once. */
function* requestAll(vp: Vnode): Sleeps<number> {
  const { pages } = vp.mount.context;
  const request = new PageRequest(WINDOW / PAGE_SIZE);
  const parts = new Parts();
  for (let at = 0; at < vp.size; at += WINDOW) {
    request.offset = at;
    request.count = WINDOW / PAGE_SIZE;
    request.flags = Pgo.SYNCIO;
    must(yield* vp.ops.getpages(vp, request));
    pages.unbusyAll(request.pages, 0, request.count);
    parts.pass(at + WINDOW);
  }
  return parts.whole();
}

/** All of a file by reads of a window, straight on: the next one is on its way meanwhile. */
function* readAll(vp: Vnode, into: HostSpace): Sleeps<number> {
  const uio = makeUio(UioRw.READ, into, 0, WINDOW);
  const parts = new Parts();
  for (let at = 0; at < vp.size; at += WINDOW) {
    reuse(uio, 0, WINDOW, at);
    must(yield* genfsRead(vp, uio, 0));
    parts.pass(at + WINDOW);
  }
  return parts.whole();
}

/** Write a file back that is dirty from end to end. */
function* writeAll(vp: Vnode): Sleeps<number> {
  const { pages, syncer } = vp.mount.context;
  for (let i = 0; i < vp.object.pageCount; i++) pages.markDirty(vp.object.lookup(i));
  if (!vp.onWorklist) syncer.add(vp, FILE_DELAY);
  const begin = performance.now();
  must(yield* vp.ops.putpages(vp, 0, 0, Pgo.CLEANIT | Pgo.SYNCIO));
  return since(begin);
}

/** fsync of one dirty page, the median of some. */
function* syncOne(vp: Vnode, from: HostSpace): Sleeps<number> {
  const random = new Random(3);
  const uio = makeUio(UioRw.WRITE, from, 0, 100);
  const times: number[] = [];
  const stride = Math.floor(vp.size / PAGE_SIZE / DIRTIED);
  for (let i = 0; i < SYNCS; i++) {
    reuse(uio, 0, 100, random.below(DIRTIED) * stride * PAGE_SIZE);
    must(yield* vp.ops.write(vp, uio, 0));
    const begin = performance.now();
    must(yield* vp.ops.fsync(vp));
    times.push(since(begin));
  }
  return median(times);
}

/** A pass of copies of windows. */
function copies(copy: (at: Bytes) => void): Pass {
  return () => {
    const parts = new Parts();
    for (let at = 0; at < FILE; at += WINDOW) {
      copy(at);
      parts.pass(at + WINDOW);
    }
    return parts.whole();
  };
}

function streams(): Record<string, Pass> {
  const scene = new FileScene({ ram: 128 * MiB, disk: FILE, blockSize: 4096, keepBytes: true });
  const vp = scene.file(FILE);
  const { kmem } = scene;
  const { media } = scene.disk;
  media.fill(7);
  const va = kmem.alloc(FILE);
  const into = new Uint8Array(WINDOW);
  const host = new HostSpace(kmem.pmaps, into);
  const miss = (body: () => Sleeps<number>): Pass => {
    return () => {
      sink.total += scene.pages.flush(vp.object);
      return scene.run(body());
    };
  };
  return {
    request: miss(() => requestAll(vp)),
    read: miss(() => readAll(vp, host)),
    write: () => scene.run(writeAll(vp)),
    "disk to memory": copies((at) => kmem.write(va + at, media.subarray(at, at + WINDOW))),
    "memory to reader": copies((at) => kmem.read(va + at, into)),
    "memory to disk": copies((at) => kmem.read(va + at, media.subarray(at, at + WINDOW))),
  };
}

function syncs(name: string, size: Bytes): Record<string, Pass> {
  const scene = new FileScene({ ram: size + 64 * MiB, disk: size, blockSize: WINDOW });
  const vp = scene.file(size);
  scene.fill(vp);
  const host = new HostSpace(scene.kmem.pmaps, new Uint8Array(PAGE_SIZE).fill(1));
  return { [name]: () => scene.run(syncOne(vp, host)) };
}

export function measurePaging(): Rounds {
  const passes = { ...streams(), ...syncs("sync of a MiB", MiB), ...syncs("sync of a GiB", GiB) };
  const all = Object.entries(passes);
  const rounds: Rounds = Object.fromEntries(all.map(([name]) => [name, []]));
  for (let i = 0; i < WARM; i++) for (const [, pass] of all) sink.total += pass();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, pass] of all) {
      rounds[name].push(Math.min(...Array.from({ length: PASSES }, pass)));
    }
  }
  return rounds;
}
