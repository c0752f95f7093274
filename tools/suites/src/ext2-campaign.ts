/** Sequences of calls on new images, from mke2fs to e2fsck: on good disks, on full ones, and on those that fail. */
import { BioCommand } from "@physio/carriers";
import { Errno } from "@physio/kern";
import { createFile, truncatePath, unlinkPath, vnRelease } from "@physio/vfs";
import type { ImageFolder, Shape } from "./e2fsck.ts";
import { Ext2Machine } from "./ext2-machine.ts";
import type { SequenceOptions } from "./name-sequence.ts";
import { NameSequence } from "./name-sequence.ts";

const FILLER = "/filler";

/** Run `body`; @returns "": all is well; else what is not, with the calls that led to it. */
function explain(where: string, sequence: NameSequence, body: () => void): string {
  try {
    body();
    return "";
  } catch (error) {
    const { message, stack } = error as Error;
    return `${where}: ${message}\n${stack}\n${sequence.log.slice(-40).join("\n")}`;
  }
}

/** Unmount; e2fsck is content, and after another mount everything is there. */
function judge(folder: ImageFolder, m: Ext2Machine, sequence: NameSequence): void {
  sequence.unmount();
  const objection = folder.fsck(m.disk.media);
  if (objection !== "") throw new Error(objection);
  sequence.mount();
  m.run(sequence.check());
  checkDumps(folder, m, sequence);
  sequence.unmount();
  m.finish();
}

/** debugfs reads the same bytes. @throws {Error} it does not. */
function checkDumps(folder: ImageFolder, m: Ext2Machine, { model }: NameSequence): void {
  const paths = model.paths().filter((path) => model.find(path)!.type === "regular");
  const some = paths.slice(0, 8);
  if (some.length === 0) return;
  const dumps = folder.dump(m.disk.media, some);
  for (const [i, path] of some.entries()) {
    if (Buffer.compare(dumps[i], model.find(path)!.data) === 0) continue;
    throw new Error(`debugfs reads other bytes of ${path}`);
  }
}

function runAll(sequence: NameSequence, { calls }: SequenceOptions): void {
  for (let i = 0; i < calls; i++) sequence.step();
  sequence.end();
}

/** One sequence. @returns "": all agree; else what is wrong. */
export function runSequence(folder: ImageFolder, shape: Shape, options: SequenceOptions): string {
  const m = new Ext2Machine(folder.make(shape));
  m.mount();
  const sequence = new NameSequence(m, options);
  return explain(`seed ${options.seed}, image ${shape.name}`, sequence, () => {
    runAll(sequence, options);
    m.run(sequence.check());
    judge(folder, m, sequence);
  });
}

/** Leave `free` blocks. => mounted. */
function fill(m: Ext2Machine, free: number): void {
  const vp = m.run(createFile(m.top, FILLER));
  const { blockSize } = m.mounted.sb;
  let size = 0;
  for (let error = "OK"; error === "OK"; ) {
    const bytes = new Uint8Array(16 * blockSize).fill(7);
    const written = m.run(m.writeTo(vp, size, bytes));
    size += written.length;
    error = written.error;
  }
  for (; m.mounted.freeBlocks < free; size -= blockSize) {
    m.run(truncatePath(m.top, FILLER, size - (size % blockSize) - blockSize));
  }
  m.run(vnRelease(vp));
}

/** A sequence on a disk with `free` blocks left: what has no room changes nothing. */
export function runFull(
  folder: ImageFolder,
  shape: Shape,
  free: number,
  options: SequenceOptions,
): { readonly wrong: string; readonly refused: number } {
  const m = new Ext2Machine(folder.make(shape));
  m.mount();
  fill(m, free);
  const sequence = new NameSequence(m, { ...options, excused: ["ENOSPC"] });
  const where = `seed ${options.seed}, image ${shape.name}, ${free} blocks free`;
  const wrong = explain(where, sequence, () => {
    runAll(sequence, options);
    m.run(unlinkPath(m.top, FILLER));
    m.run(sequence.check());
    judge(folder, m, sequence);
  });
  return { wrong, refused: sequence.excuses };
}

/** A sequence on a disk whose write `which` (from 1) fails once. `writes` tells how many there were. */
export function runFailing(
  folder: ImageFolder,
  shape: Shape,
  which: number,
  options: SequenceOptions,
): { readonly wrong: string; readonly told: number; readonly writes: number } {
  let armed = false;
  let count = 0;
  const m = new Ext2Machine(folder.make(shape), {
    fails: (bio) => {
      if (!armed || bio.command !== BioCommand.WRITE) return Errno.OK;
      count++;
      return count === which ? Errno.EIO : Errno.OK;
    },
  });
  m.mount();
  armed = true;
  const sequence = new NameSequence(m, { ...options, excused: ["EIO"] });
  const where = `seed ${options.seed}, image ${shape.name}, write ${which} fails`;
  const wrong = explain(where, sequence, () => {
    runAll(sequence, options);
    m.run(sequence.check());
    judge(folder, m, sequence);
  });
  return { wrong, told: sequence.excuses, writes: count };
}

/** What a disk holds in the middle of a sequence, and the files that must be in it. */
interface Crash {
  readonly media: Uint8Array;
  readonly synced: ReadonlyMap<string, Uint8Array>;
}

/**
 * A sequence that is cut off before write `which`: after e2fsck's repair the files that a sync had brought to the disk, and that
 * no call has touched since, are there.
 */
export function runCrash(
  folder: ImageFolder,
  shape: Shape,
  which: number,
  options: SequenceOptions,
): { readonly wrong: string; readonly safe: number } {
  let count = 0;
  let crash: Crash | null = null;
  const m: Ext2Machine = new Ext2Machine(folder.make(shape), {
    fails: (bio) => {
      if (bio.command !== BioCommand.WRITE || ++count !== which) return Errno.OK;
      crash = { media: m.disk.media.slice(), synced: sequence.synced };
      return Errno.OK;
    },
  });
  m.mount();
  const sequence: NameSequence = new NameSequence(m, options);
  let safe = 0;
  const where = `seed ${options.seed}, image ${shape.name}, crash at write ${which}`;
  const wrong = explain(where, sequence, () => {
    for (let i = 0; i < options.calls && crash === null; i++) sequence.step();
    const { media, synced } = crash ?? { media: m.disk.media, synced: sequence.synced };
    const files = [...synced].filter(([path, data]) => sequence.model.find(path)?.data === data);
    safe = files.length;
    checkRepaired(folder.repair(media), files);
  });
  return { wrong, safe };
}

/** @throws {Error} a file is not there, or has other data. */
function checkRepaired(image: Uint8Array, files: readonly (readonly [string, Uint8Array])[]): void {
  const m = new Ext2Machine(image);
  m.mount();
  for (const [path, data] of files) {
    const bytes = m.run(m.with(path, (vp) => m.readFrom(vp)));
    if (Buffer.compare(bytes, data) !== 0) throw new Error(`${path} has other data`);
  }
  m.unmount();
  m.finish();
}
