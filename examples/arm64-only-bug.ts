/**
 * A driver bug that x86 forgives and arm64 does not.
 *
 * Teaches: why each write of the CPU needs its PREWRITE, bounced or not, and how dmacheck finds what
 * tests on a PC never show. The driver syncs its mailbox once, after the load, and thinks that will
 * do. On x86 devices snoop the CPU's cache. On a board whose devices do not, the second letter is
 * still in the cache when the bell rings, and the device gets the first one again. dmacheck wraps the
 * machine's bus_dma backend and names the access on both, with the bytes at risk.
 */
import type { Device, HardwareSlot } from "@physio/bus";
import type { DmaMap } from "@physio/busdma";
import { busdmaLockMutex, Sync } from "@physio/busdma";
import type { Dmacheck } from "@physio/dmacheck";
import { dmacheck } from "@physio/dmacheck";
import { Errno, MiB } from "@physio/kern";
import type { Machine, MachineConfig } from "@physio/machine";
import { arm64, machine, pc } from "@physio/machine";
import type { Print } from "./support.ts";

const MAILBOX = 32;

/** The device: when its bell rings it reads the mailbox at that bus address. */
class Mailman {
  readonly seen: string[];
  readonly #slot: HardwareSlot;

  constructor(slot: HardwareSlot, seen: string[]) {
    [this.#slot, this.seen] = [slot, seen];
  }

  mmioRead(): number {
    return this.seen.length;
  }

  mmioWrite(_offset: number, _size: number, address: number): void {
    const bytes = new Uint8Array(MAILBOX);
    this.#slot.port.read(address, bytes);
    this.seen.push(new TextDecoder().decode(bytes).trimEnd());
  }
}

class MailDriver {
  readonly #m: Machine;
  readonly #device: Device;
  readonly #map: DmaMap;
  readonly #mailbox: number;
  readonly #careless: boolean;
  #address = 0;
  #sent = 0;

  constructor(m: Machine, device: Device, careless: boolean) {
    [this.#m, this.#device, this.#careless] = [m, device, careless];
    const lock = busdmaLockMutex(device.lock);
    this.#map = device.dmaTag.child({ maxSize: MAILBOX, segments: 1, lock }).createMap();
    this.#mailbox = m.kmem.alloc(MAILBOX);
    const loaded = (driver: MailDriver, segs: { addr: Float64Array }, _n: number, error: Errno) => {
      if (error === Errno.OK) driver.#address = segs.addr[0];
    };
    this.#map.load(this.#mailbox, MAILBOX, loaded, this);
  }

  send(text: string): void {
    this.#m.kmem.write(this.#mailbox, new TextEncoder().encode(text.padEnd(MAILBOX)));
    // The bug is this condition: the CPU has written anew.
    if (!this.#careless || this.#sent === 0) this.#map.sync(Sync.PREWRITE);
    this.#sent++;
    this.#device.regs.write4(0, this.#address);
    this.#map.sync(Sync.POSTWRITE);
  }

  detach(): void {
    this.#map.unload();
    this.#map.destroy();
    this.#map.tag.destroy();
    this.#m.kmem.free(this.#mailbox, MAILBOX);
  }
}

/** A machine of that profile whose backend is watched. */
function watched(profile: MachineConfig): { m: Machine; check: Dmacheck } {
  const checks: Dmacheck[] = [];
  const m = machine({
    ...profile,
    dmaBackend: (pool, kmem, membus) => {
      const check = dmacheck(profile.dmaBackend(pool, kmem, membus), { membus });
      checks.push(check);
      return check.backend;
    },
  });
  return { m, check: checks[0] };
}

/** Send two letters with the driver. @returns what the device read, and what dmacheck says. */
function letters(profile: MachineConfig, careless: boolean) {
  const { m, check } = watched(profile);
  const seen: string[] = [];
  const hardware = (slot: HardwareSlot) => new Mailman(slot, seen);
  const device = m.bus.attach({ name: "mail0", windowSize: 4096, hardware });
  const driver = new MailDriver(m, device, careless);
  for (const text of ["first letter", "second letter"]) driver.send(text);
  driver.detach();
  m.checkQuiet();
  return { seen, findings: check.findings.map((f) => f.rule.id), report: check.report() };
}

export function run(print: Print) {
  const ram = 64 * MiB;
  const board = arm64({ ram, cacheLine: 64, coherent: false });
  const facts = {
    x86: letters(pc({ ram }), true),
    arm64: letters(board, true),
    mended: letters(board, false),
  };
  print(`x86, one PREWRITE: the device reads ${facts.x86.seen.join(", ")}`);
  print(`arm64, one PREWRITE: the device reads ${facts.arm64.seen.join(", ")}`);
  print(`arm64, a PREWRITE each time: the device reads ${facts.mended.seen.join(", ")}`);
  print("dmacheck, on x86:");
  for (const line of facts.x86.report.split("\n")) print(`  ${line}`);
  print(`of the mended driver: ${facts.mended.report}`);
  return facts;
}
