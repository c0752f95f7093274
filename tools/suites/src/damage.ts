/**
 * Files with one thing wrong with each, for the command line to complain about.
 *
 * Every damage is a change of known bytes of a fixture, at places that its manifest tells.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Fixture } from "./fixtures.ts";
import { blockAt, entryOf, inodeOffset } from "./fixtures.ts";

type Change = (bytes: Uint8Array, view: DataView) => void;

export interface Workshop {
  /** Write a file of that name. @returns its path. */
  file(name: string, content: Uint8Array | string): string;
  /** The image with a change. @returns its path. */
  image(name: string, change: Change): string;
  /** The image with a 32-bit number changed. @returns its path. */
  patched(name: string, at: number, value: number): string;
}

export function workshop(folder: string, of: Fixture): Workshop {
  const file = (name: string, content: Uint8Array | string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const image = (name: string, change: Change): string => {
    const bytes = of.bytes.slice();
    change(bytes, new DataView(bytes.buffer));
    return file(name, bytes);
  };
  return {
    file,
    image,
    patched: (name, at, value) => image(name, (_bytes, view) => view.setUint32(at, value, true)),
  };
}

/** Byte of block slot `slot` of the inode at `path`. */
export function slotOf(of: Fixture, path: string, slot: number): number {
  return inodeOffset(of, entryOf(of, path).ino as number) + 40 + 4 * slot;
}

/** Byte of block `lbn` of the file at `path`. */
export function byteOf(of: Fixture, path: string, lbn = 0): number {
  return blockAt(entryOf(of, path), lbn) * of.blockSize;
}

/** Make the fast symlink at `path` point somewhere else. */
export function retarget(of: Fixture, path: string, target: string): Change {
  const at = inodeOffset(of, entryOf(of, path).ino as number);
  return (bytes, view) => {
    view.setUint32(at + 4, target.length, true);
    bytes.fill(0, at + 40, at + 100);
    bytes.set(new TextEncoder().encode(target), at + 40);
  };
}

/** A gzip file with one byte of its checksum wrong. */
export function gzipWithBadSum(bytes: Uint8Array): Uint8Array {
  const packed = new Uint8Array(gzipSync(bytes));
  packed[packed.length - 6] ^= 0xff;
  return packed;
}
