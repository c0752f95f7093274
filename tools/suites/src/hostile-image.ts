/** Images of ext2 with wrong bytes in their metadata, and calls that write to them. */
import { ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import {
  createFile,
  makeDirectory,
  makeLink,
  makeSymlink,
  removeDirectory,
  renamePath,
  truncatePath,
  unlinkPath,
  vnRelease,
} from "@physio/vfs";
import { Chance } from "./chance.ts";
import type { ImageFolder, Shape } from "./e2fsck.ts";
import { Ext2Machine } from "./ext2-machine.ts";

const SUPERBLOCK = 1024;
const GROUPS = 2048; // blocks of 1 KiB
const BLOCK = 1024;
const VALUES = [0, 1, 2, 3, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff];

/** An image with something in it, and where its metadata lie. */
export interface Base {
  readonly image: Uint8Array;
  readonly paths: readonly string[];
  /** [first byte, length] */
  readonly places: readonly (readonly [number, number])[];
}

/** => `shape` has blocks of 1 KiB. */
export function makeBase(folder: ImageFolder, shape: Shape): Base {
  const m = new Ext2Machine(folder.make(shape));
  m.mount();
  const paths = ["/d", "/d/e", "/f", "/d/g", "/d/long", "/s", "/wide"];
  m.run(plant(m));
  m.unmount();
  return { image: m.disk.media, paths, places: metadataOf(m.disk.media) };
}

function* plant(m: Ext2Machine): Sleeps<void> {
  for (const path of ["/d", "/d/e", "/wide"]) yield* makeDirectory(m.top, path);
  for (const [path, size] of [
    ["/f", 400_000],
    ["/d/g", 5000],
    ["/d/long", 20_000],
  ] as const) {
    const vp = yield* createFile(m.top, path);
    yield* m.writeTo(vp, 0, new Uint8Array(size).fill(1));
    yield* vnRelease(vp);
  }
  yield* makeSymlink(m.top, "/s", "x".repeat(200));
  for (let i = 0; i < 60; i++) yield* makeLink(m.top, "/f", `/wide/a-name-of-some-length-${i}`);
}

function metadataOf(image: Uint8Array): (readonly [number, number])[] {
  const view = new DataView(image.buffer);
  const u32 = (at: number) => view.getUint32(at, true);
  const inodeSize = view.getUint16(SUPERBLOCK + 88, true);
  const perGroup = u32(SUPERBLOCK + 40);
  const places: (readonly [number, number])[] = [
    [SUPERBLOCK, 256],
    [GROUPS, 64],
  ];
  const groups = Math.ceil(u32(SUPERBLOCK) / perGroup);
  for (let group = 0; group < groups; group++) {
    const at = GROUPS + group * 32;
    places.push([u32(at) * BLOCK, 128], [u32(at + 4) * BLOCK, 32]);
    for (let i = 0; i < perGroup; i++) {
      const inode = u32(at + 8) * BLOCK + i * inodeSize;
      const type = view.getUint16(inode, true) >> 12;
      if (type === 0) continue;
      places.push([inode, 128]);
      if (type === 4) for (let b = 0; b < 3; b++) pushBlock(places, u32(inode + 40 + 4 * b), 200);
      if (type === 8) for (let b = 12; b < 14; b++) pushBlock(places, u32(inode + 40 + 4 * b), 80);
    }
  }
  return places;
}

function pushBlock(places: (readonly [number, number])[], block: number, length: number): void {
  if (block > 0) places.push([block * BLOCK, length]);
}

/** The base with 1 to 4 wrong numbers. */
function harmed({ image, places }: Base, chance: Chance): Uint8Array {
  const bytes = image.slice();
  const view = new DataView(bytes.buffer);
  for (let edits = 1 + chance.below(4); edits > 0; edits--) {
    const [first, length] = chance.pick(places);
    const width = chance.pick([1, 2, 4]);
    const at = first + width * chance.below(Math.floor(length / width));
    const value = chance.oneIn(2) ? chance.pick(VALUES) : chance.below(5000);
    if (width === 1) view.setUint8(at, value);
    else if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  return bytes;
}

/** What came of it: "refused" at mount, or how many calls went well. @throws anything but an ErrnoError is wrong. */
export function runHostile(base: Base, seed: number): "refused" | number {
  const chance = new Chance(seed);
  const m = new Ext2Machine(harmed(base, chance));
  if (!survives(() => m.mount())) return "refused";
  let well = 0;
  for (let i = 0; i < 40; i++) if (survives(() => m.run(oneCall(m, base, chance)))) well++;
  survives(() => m.run(m.mounted.mount.sync()));
  if (survives(() => m.unmount())) m.finish();
  return well;
}

function survives(body: () => unknown): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (error instanceof ErrnoError) return false;
    throw error;
  }
}

function* oneCall(m: Ext2Machine, { paths }: Base, chance: Chance): Sleeps<unknown> {
  const [path, other] = [
    chance.pick(paths),
    `${chance.pick(paths)}${chance.pick(["", "/n", "/m"])}`,
  ];
  switch (chance.below(9)) {
    case 0:
      return yield* vnRelease(yield* createFile(m.top, other));
    case 1:
      return yield* makeDirectory(m.top, other);
    case 2:
      return yield* unlinkPath(
        m.top,
        chance.oneIn(2) ? path : `/wide/a-name-of-some-length-${chance.below(60)}`,
      );
    case 3:
      return yield* removeDirectory(m.top, other);
    case 4:
      return yield* renamePath(m.top, path, other);
    case 5:
      return yield* truncatePath(m.top, path, chance.below(300_000));
    case 6:
      return yield* makeLink(m.top, path, other);
    case 7:
      return yield* m.with(path, (vp) => m.readFrom(vp));
    default: {
      const bytes = new Uint8Array(1 + chance.below(9000)).fill(2);
      return yield* m.with(path, (vp) => m.writeTo(vp, chance.below(400_000), bytes));
    }
  }
}
