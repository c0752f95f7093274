/** What tests of writing through the cache share: blocks that are full of one byte, owners, failing blocks. */
import { Errno, KiB } from "@physio/kern";
import type { Buf, BufOwner } from "../src/index.ts";
import type { MachineOptions } from "./machine.ts";
import { BlkMachine } from "./machine.ts";

export const BLOCK = KiB;
export const sector = (block: number): number => block * 2;

export interface TestOwner extends BufOwner {
  told: number;
}

export function owner(): TestOwner {
  const self = {
    numOutput: 0,
    dirtyBufs: 0,
    told: 0,
    onDirtyBuf() {
      self.told++;
    },
  };
  return self;
}

export function inline(options: MachineOptions = {}): BlkMachine {
  const m = new BlkMachine(options);
  m.inline = true;
  return m;
}

/** A busy buf with all bytes `fill`. */
export function filled(
  m: BlkMachine,
  block: number,
  fill: number,
  whose: BufOwner | null = null,
): Buf {
  const buf = m.sched.runSync(m.cache.getblk(m.disk, sector(block), BLOCK, whose));
  m.cache.store(buf, new Uint8Array(BLOCK).fill(fill));
  return buf;
}

export const delay = (m: BlkMachine, block: number, fill: number, whose: BufOwner | null = null) =>
  m.cache.bdwrite(filled(m, block, fill, whose));

/** The byte that a block of the disk is full of; −1: it is not. */
export function onDisk(m: BlkMachine, block: number): number {
  const bytes = m.media.subarray(block * BLOCK, (block + 1) * BLOCK);
  return bytes.every((byte) => byte === bytes[0]) ? bytes[0] : -1;
}

export function cached(m: BlkMachine, block: number): number {
  const buf = m.sched.runSync(m.cache.bread(m.disk, sector(block), BLOCK));
  const [byte] = m.cache.copy(buf, new Uint8Array(1));
  m.cache.brelse(buf);
  return byte;
}

export const flushOwner = (m: BlkMachine, who: BufOwner, wait = true) =>
  m.sched.runSync(m.cache.flushOwner(who, wait));
export const flushDisk = (m: BlkMachine, wait = true) =>
  m.sched.runSync(m.cache.flushDevice(m.disk, wait));
export const failing = (m: BlkMachine, ...blocks: number[]) => {
  m.fault = (bio) => (blocks.includes(bio.offset / BLOCK) ? Errno.ENXIO : Errno.OK);
};
