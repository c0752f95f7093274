/**
 * A storage driver whose bounce pages do not suffice for all that it is asked.
 *
 * Teaches: `loadBio` that may wait. Eight bounce pages are two requests of 16 KiB; further loads
 * return EINPROGRESS, which is no error, and their callbacks come first in, first out from busdma's
 * interrupt thread, with the lock that the driver gave its tag. So the driver does all its work in
 * the callback, and does not care when it comes.
 */
import type { Device, HardwareSlot } from "@physio/bus";
import type { DmaMap, DmaMem, DmaTag, LoadCallback } from "@physio/busdma";
import { BusDma, busdmaLockMutex, Sync } from "@physio/busdma";
import { Bio, BioCommand, biodone } from "@physio/carriers";
import { Errno, errnoName, GiB, KiB, MAXADDR_32BIT } from "@physio/kern";
import type { Machine } from "@physio/machine";
import { ioStatistics, machine, pc32BitDma } from "@physio/machine";
import { DISK, DiskHardware } from "./hw/disk.ts";
import type { Boot, Print } from "./support.ts";
import { pattern, same } from "./support.ts";

const SLOTS = 8;
const SIZE = 16 * KiB;

/** A command block of the driver's, with its map; `bio` is what it is used for now. */
type Slot = { driver: DiskDriver; map: DmaMap; at: number; bio: Bio | null };

class DiskDriver {
  /** What its callbacks saw: the request, in which thread, whether the lock was held. */
  readonly callbacks: { bio: Bio; thread: string; locked: boolean }[] = [];
  readonly #m: Machine;
  readonly #device: Device;
  readonly #tag: DmaTag;
  readonly #blocks: DmaMem;
  readonly #busAddress: number;
  readonly #slots: Slot[] = [];

  constructor(m: Machine, device: Device) {
    [this.#m, this.#device] = [m, device];
    const lock = busdmaLockMutex(device.lock);
    const maxSize = SLOTS * DISK.BLOCK;
    const blocks = device.dmaTag.child({ maxSize, segments: 1, lock }).allocMem(BusDma.ZERO);
    if (blocks === null) throw new Error("no memory for command blocks");
    this.#blocks = blocks;
    this.#busAddress = blocks.load();
    this.#tag = device.dmaTag.child({ maxSize: SIZE, segments: DISK.MAX_SEGMENTS, lock });
    for (let at = 0; at < maxSize; at += DISK.BLOCK)
      this.#slots.push({ driver: this, map: this.#tag.createMap(), at, bio: null });
    device.intr.setup(() => this.#interrupt());
  }

  /** Take a request. @returns EINPROGRESS: its load waits, nothing is wrong; EBUSY: no slot; else what the load said. */
  strategy(bio: Bio): Errno {
    this.#device.lock.enter();
    const slot = this.#slots.find((s) => s.bio === null);
    if (slot !== undefined) slot.bio = bio;
    const error = slot === undefined ? Errno.EBUSY : slot.map.loadBio(bio, DiskDriver.#start, slot);
    this.#device.lock.exit();
    return error;
  }

  /** The callback of every load, now or later: tell the disk. => the driver's lock is held. */
  static readonly #start: LoadCallback<Slot> = (slot, segs, count, error) => {
    const { driver, map, at } = slot;
    const bio = slot.bio as Bio;
    const thread = driver.#m.sched.current?.name ?? "the caller";
    driver.callbacks.push({ bio, thread, locked: driver.#device.lock.owned });
    if (error !== Errno.OK) {
      map.unload();
      driver.#finish(slot, error);
      return;
    }
    const write = bio.command === BioCommand.WRITE;
    map.sync(write ? Sync.PREWRITE : Sync.PREREAD);
    const words = [write ? DISK.WRITE : DISK.READ, bio.offset, count, 0];
    for (let i = 0; i < count; i++) words.push(segs.addr[i], segs.len[i]);
    const block = new Uint8Array(Uint32Array.from(words).buffer);
    driver.#m.kmem.write(driver.#blocks.memory.va + at, block);
    driver.#blocks.map.sync(Sync.PREREAD | Sync.PREWRITE);
    driver.#device.regs.write4(DISK.DOORBELL, driver.#busAddress + at);
  };

  #interrupt(): void {
    this.#device.lock.enter();
    this.#blocks.map.sync(Sync.POSTREAD | Sync.POSTWRITE);
    const status = new Uint8Array(4);
    for (const slot of this.#slots) {
      const { bio, map, at } = slot;
      if (bio === null || map.waiting) continue;
      this.#m.kmem.read(this.#blocks.memory.va + at + DISK.STATUS * 4, status);
      if (status[0] !== DISK.DONE) continue;
      this.#m.kmem.write(this.#blocks.memory.va + at + DISK.STATUS * 4, new Uint8Array(4));
      map.sync(bio.command === BioCommand.WRITE ? Sync.POSTWRITE : Sync.POSTREAD);
      map.unload(); // its bounce pages go to those that wait
      this.#finish(slot, Errno.OK);
    }
    this.#device.lock.exit();
  }

  #finish(slot: Slot, error: Errno): void {
    const bio = slot.bio as Bio;
    slot.bio = null;
    bio.error = error;
    bio.resid = error === Errno.OK ? 0 : bio.bcount;
    biodone(bio);
  }

  /** => no request is under way. */
  detach(): void {
    for (const { map } of this.#slots) map.destroy();
    this.#tag.destroy();
    this.#blocks.map.unload();
    this.#blocks.free();
    this.#blocks.tag.destroy();
  }
}

/** Write five buffers to the disk and read them back, all at once each time. */
export function run(print: Print, boot: Boot = machine) {
  const m = boot(pc32BitDma({ ram: 8 * GiB, bouncePages: 8, verify: true }));
  const hardware = (slot: HardwareSlot) => new DiskHardware(slot, 1024 * KiB);
  const options = { name: "da0", windowSize: DISK.WINDOW, reach: MAXADDR_32BIT, hardware };
  const disk = new DiskDriver(m, m.bus.attach(options));
  const buffers = Array.from({ length: 10 }, () => m.kmem.alloc(SIZE));
  const done: number[] = [];
  for (const command of [BioCommand.WRITE, BioCommand.READ]) {
    const answers = [0, 1, 2, 3, 4].map((n) => {
      const data = buffers[command === BioCommand.WRITE ? n : n + 5];
      if (command === BioCommand.WRITE) m.kmem.write(data, pattern(SIZE, n));
      const fields = { command, data, offset: n * SIZE, bcount: SIZE, caller: n };
      return disk.strategy(Object.assign(new Bio(), fields, { done: () => done.push(n) }));
    });
    print(
      `${command === BioCommand.WRITE ? "write" : "read"}: ${answers.map(errnoName).join(" ")}`,
    );
    m.sched.pump();
    for (const { bio, thread, locked } of disk.callbacks.splice(0))
      print(`  callback of request ${bio.caller}: by ${thread}, lock held: ${locked}`);
  }
  const got = new Uint8Array(SIZE);
  const arrived = [0, 1, 2, 3, 4].every((n) => {
    m.kmem.read(buffers[n + 5], got);
    return same(got, pattern(SIZE, n));
  });
  const { deferrals, bouncePages, busFaults } = ioStatistics(m);
  print(`bytes arrived: ${arrived}; ${bouncePages} bounce pages, ${deferrals} loads waited`);
  disk.detach();
  m.checkQuiet();
  return { arrived, done, deferrals, bouncePages, busFaults };
}
