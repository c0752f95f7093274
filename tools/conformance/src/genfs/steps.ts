/**
 * The steps of a scenario: what each does to the scene, and what its caller sees.
 *
 * What changes in pages, vnode and disk is outcome.ts's to tell.
 */
import { Uio, UioRw } from "@physio/carriers";
import { BusyPage, compatGetpages, directio, doPutpages, nullPutpages } from "@physio/genfs";
import type { Errno } from "@physio/kern";
import { NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { DONTCARE, PageRequest, Pg, Pgo } from "@physio/uvm";
import { IoFlag } from "@physio/vfs";
import { errorShown } from "./injections.ts";
import type { Scene } from "./scene.ts";
import type { Outcome, Step } from "./vectors.ts";

type Perform = (scene: Scene, step: Step) => Outcome;

const OK: Outcome = Object.freeze({ err: 0 });
const failed = (error: Errno): Outcome => ({ err: errorShown(error) });

const STEPS: ReadonlyMap<string, Perform> = new Map<string, Perform>([
  ["getpages", (scene, step) => getPages(scene, step, false)],
  ["compatGetpages", (scene, step) => getPages(scene, step, true)],
  ["putpages", putPages],
  ["nullPutpages", (scene) => failed(nullPutpages(scene.vp))],
  ["directio", directIo],
  ["release", release],
  ["write", write],
  ["complete", complete],
  ["resize", resize],
  ["writeSize", writeSize],
  ["wire", (scene, step) => wire(scene, step, true)],
  ["unwire", (scene, step) => wire(scene, step, false)],
  ["vnode", vnode],
  ["alloc", alloc],
  ["inject", inject],
]);

/** Perform a step. @returns what its caller sees. @throws {Panic}, {WouldBlock}, or anything for a step that makes no sense. */
export function perform(scene: Scene, step: Step): Outcome {
  const body = STEPS.get(step.op);
  if (body === undefined) throw new Error(`no operation ${step.op}`);
  return body(scene, step);
}

function flagsOf(names: readonly string[]): number {
  return names.reduce((sum, name) => {
    const bit = (Pgo as Record<string, number | undefined>)[name];
    if (bit === undefined) throw new Error(`no flag ${name}`);
    return sum | bit;
  }, 0);
}

function choice<T extends string>(value: string, ...choices: readonly T[]): T {
  const found = choices.find((one) => one === value);
  if (found === undefined) throw new Error(`"${value}" is none of ${choices.join(", ")}`);
  return found;
}

// ---- getpages and what its caller does with the pages

function getPages(scene: Scene, step: Step, compat: boolean): Outcome {
  const { vp } = scene;
  const request = new PageRequest(step.count);
  request.offset = step.off;
  request.count = step.count;
  request.center = step.center;
  request.write = choice(step.access, "r", "w") === "w";
  request.flags = flagsOf(step.flags);
  for (const index of step.dontcare ?? []) request.pages[index] = DONTCARE;
  const locked = (request.flags & Pgo.LOCKED) !== 0 && !compat;
  const error = scene.perform(
    (function* () {
      if (compat) return yield* compatGetpages(vp, request);
      return locked ? vp.ops.getpagesNow(vp, request) : yield* vp.ops.getpages(vp, request);
    })(),
  );
  if ((step.noArray ?? 0) !== 0) return failed(error);
  return { ...failed(error), m: Array.from(request.pages, (frame) => showEntry(scene, frame)) };
}

function showEntry({ pages }: Scene, frame: number): number | string | null {
  if (frame === DONTCARE) return "x";
  return frame === NO_FRAME ? null : pages.indexOf(frame) * PAGE_SIZE;
}

/** The caller of getpages gives pages back: after a read or write (`ubc`), or a fault, which maps them. */
function release(scene: Scene, step: Step): Outcome {
  const { pages, mapping } = scene;
  const ubc = choice(step.mode, "ubc", "fault") === "ubc";
  const map = choice(step.map, "-", "r", "w");
  for (const offset of step.pages) {
    const frame = scene.frameAt(offset);
    pages.clearFlags(frame, Pg.FAKE);
    if (ubc) pages.markDirty(frame);
    else if (map !== "-") {
      const writable = map === "w" && (pages.flags(frame) & Pg.RDONLY) === 0;
      mapping.map(offset, frame, writable);
      if (writable) pages.tagDirty(frame);
    }
    pages.activate(frame);
    pages.unbusy(frame);
  }
  return OK;
}

function write(scene: Scene, { off, len, seed }: Step): Outcome {
  scene.store(off, len, seed);
  return OK;
}

function wire(scene: Scene, { off }: Step, on: boolean): Outcome {
  const frame = scene.frameAt(off);
  if (on) scene.pages.wire(frame);
  else scene.pages.unwire(frame);
  return OK;
}

// ---- putpages

function putPages(scene: Scene, { lo, hi, flags: names, daemon }: Step): Outcome {
  const { vp, pages } = scene;
  const flags = flagsOf(names);
  if ((flags & Pgo.BUSYFAIL) === 0) {
    return failed(scene.perform(vp.ops.putpages(vp, lo, hi, flags), daemon !== 0));
  }
  const busy = new BusyPage();
  const error = scene.perform(doPutpages(vp, lo, hi, flags, busy), daemon !== 0);
  if (busy.frame === NO_FRAME) return failed(error);
  return { ...failed(error), busy: pages.indexOf(busy.frame) * PAGE_SIZE };
}

// ---- direct I/O

function directIo(scene: Scene, step: Step): Outcome {
  const { vp, kmem, user, device } = scene;
  const kernel = choice(step.space, "user", "kernel") === "kernel";
  const rw = choice(step.rw, "r", "w") === "r" ? UioRw.READ : UioRw.WRITE;
  const space = kernel ? kmem.space : (user?.space ?? null);
  const iov = step.iov.map(([base, length]) => ({ base, length }));
  const uio = new Uio(rw, space, iov, step.off);
  device.directOffset = () => uio.offset;
  scene.perform(directio(vp, uio, step.journalLocked === 0 ? 0 : IoFlag.JOURNALLOCKED));
  return {
    err: 0,
    uio: {
      off: uio.offset,
      resid: uio.resid,
      iovcnt: iov.length - uio.iovIndex,
      iov: iov.map(({ base, length }) => [base, length]),
    },
  };
}

// ---- the file and its device

function complete({ device }: Scene, { n }: Step): Outcome {
  for (let left = n === "all" ? Infinity : n; left > 0 && device.completeOldest(); left--);
  return OK;
}

function resize(scene: Scene, { size }: Step): Outcome {
  scene.perform(scene.resize(size));
  return OK;
}

function writeSize({ vp }: Scene, { size }: Step): Outcome {
  vp.writeSize = size;
  return OK;
}

function vnode({ vp }: Scene, { mapped, wrmap }: Step): Outcome {
  vp.mapped = mapped !== 0;
  vp.writeMapped = wrmap !== 0;
  return OK;
}

function alloc(scene: Scene, { off, len }: Step): Outcome {
  return failed(scene.perform(scene.fileSystem.alloc(scene.vp, off, len)));
}

function inject(scene: Scene, step: Step): Outcome {
  const { what } = step;
  if (what === "freePages") scene.supply.limit(step.n as number);
  else if (what === "glock") scene.hold(step.held);
  else if (what === "clear") scene.injections.clear();
  else if (!scene.injections.arm(step)) throw new Error(`no injection ${what}`);
  return OK;
}
