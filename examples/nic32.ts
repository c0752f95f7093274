/**
 * A 32-bit network card on a machine with memory above 4 GiB.
 *
 * Teaches: a descriptor ring in DMA memory; `loadMbufSg`, which fills the driver's own list and never
 * waits; what EFBIG asks for: unload the map, put the packet into fewer pieces (m_defrag), load it
 * again. Packets lie above 4 GiB here, so each piece is bounced: the driver does nothing for it.
 */
import type { Device, HardwareSlot } from "@physio/bus";
import type { DmaMap, DmaMem, DmaTag, SegList } from "@physio/busdma";
import { BusDma, busdmaLockMutex, Sync } from "@physio/busdma";
import type { Mbuf } from "@physio/carriers/mbuf";
import { MbufPool } from "@physio/carriers/mbuf";
import { Errno, errnoName, GiB, KiB, MAXADDR_32BIT } from "@physio/kern";
import type { Machine } from "@physio/machine";
import { ioStatistics, machine, pc } from "@physio/machine";
import { NIC, NicHardware } from "./hw/nic.ts";
import type { Boot, Print } from "./support.ts";
import { packetOf, same } from "./support.ts";

const RING = 16;

/** A packet on its way: the map that it is loaded in, and its descriptors. */
type Flight = { packet: Mbuf; map: DmaMap; count: number; last: number };

class NicDriver {
  defrags = 0;
  readonly #m: Machine;
  readonly #device: Device;
  readonly #pool: MbufPool;
  readonly #ring: DmaMem;
  readonly #txTag: DmaTag;
  readonly #segs: SegList;
  readonly #spare: DmaMap[];
  readonly #flights: Flight[] = [];
  #next = 0;
  #free = RING - 1; // a full ring would look empty

  constructor(m: Machine, device: Device, pool: MbufPool) {
    [this.#m, this.#device, this.#pool] = [m, device, pool];
    const lock = busdmaLockMutex(device.lock);
    const maxSize = RING * NIC.DESCRIPTOR; // device.dmaTag knows that the card reaches 4 GiB
    const ringTag = device.dmaTag.child({ alignment: 16, maxSize, segments: 1, lock });
    const ring = ringTag.allocMem(BusDma.NOWAIT | BusDma.ZERO | BusDma.COHERENT);
    if (ring === null) throw new Error("no memory for the ring");
    this.#ring = ring;
    device.regs.write4(NIC.RING, ring.load());
    device.regs.write4(NIC.COUNT, RING);
    this.#txTag = device.dmaTag.child({ maxSize: 9 * KiB, segments: NIC.MAX_SEGMENTS, lock });
    this.#segs = this.#txTag.segList();
    this.#spare = Array.from({ length: 8 }, () => this.#txTag.createMap());
    device.intr.setup(() => this.#interrupt());
  }

  /** Send a packet. @returns OK: it is the driver's now; EBUSY: come again; else it was dropped. */
  transmit(packet: Mbuf): Errno {
    this.#device.lock.enter();
    const map = this.#free < NIC.MAX_SEGMENTS ? undefined : this.#spare.pop();
    const error = map === undefined ? Errno.EBUSY : this.#start(packet, map);
    if (map !== undefined && error !== Errno.OK) this.#spare.push(map);
    this.#device.lock.exit();
    return error;
  }

  #start(whole: Mbuf, map: DmaMap): Errno {
    let packet = whole;
    let error = this.#load(packet, map);
    const fewer = error === Errno.EFBIG ? this.#pool.defrag(packet) : null;
    if (fewer !== null) {
      packet = fewer; // the old chain is freed
      this.defrags++;
      error = this.#load(packet, map);
    }
    if (error === Errno.OK) this.#post(packet, map);
    else this.#pool.freem(packet);
    return error;
  }

  #load(packet: Mbuf, map: DmaMap): Errno {
    const error = map.loadMbufSg(packet, this.#segs);
    if (error === Errno.EFBIG) map.unload(); // it may still hold bounce pages
    return error;
  }

  /** Describe the segments to the card and ring its bell. */
  #post(packet: Mbuf, map: DmaMap): void {
    map.sync(Sync.PREWRITE); // the packet is written, the card may read it
    const { addr, len, count } = this.#segs;
    for (let i = 0; i < count; i++) {
      const words = Uint32Array.of(addr[i], len[i], i === count - 1 ? NIC.END : 0, 0);
      const at = this.#ring.memory.va + this.#next * NIC.DESCRIPTOR;
      this.#m.kmem.write(at, new Uint8Array(words.buffer));
      this.#next = (this.#next + 1) % RING;
    }
    this.#flights.push({ packet, map, count, last: (this.#next + RING - 1) % RING });
    this.#free -= count;
    this.#ring.map.sync(Sync.PREREAD | Sync.PREWRITE); // the card reads them, and writes their status
    this.#device.regs.write4(NIC.TAIL, this.#next);
  }

  #interrupt(): void {
    this.#device.lock.enter();
    this.#ring.map.sync(Sync.POSTREAD | Sync.POSTWRITE);
    const status = new Uint8Array(4);
    for (let first = this.#flights[0]; first !== undefined; first = this.#flights[0]) {
      const at = this.#ring.memory.va + first.last * NIC.DESCRIPTOR;
      this.#m.kmem.read(at + NIC.STATUS, status);
      if (status[0] !== NIC.DONE) break;
      first.map.sync(Sync.POSTWRITE);
      first.map.unload();
      this.#pool.freem(first.packet);
      this.#spare.push(first.map);
      this.#free += first.count;
      this.#flights.shift();
    }
    this.#device.lock.exit();
  }

  /** => nothing is on its way. */
  detach(): void {
    for (const map of this.#spare) map.destroy();
    this.#txTag.destroy();
    this.#ring.map.unload();
    this.#ring.free();
    this.#ring.tag.destroy();
  }
}

/** Send packets of 1, 4 and 6 pieces; the card takes 4 at most. */
export function run(print: Print, boot: Boot = machine) {
  const m = boot(pc({ ram: 8 * GiB, verify: true }));
  const pool = new MbufPool({ kmem: m.kmem });
  const [wire, wanted]: Uint8Array[][] = [[], []];
  const hardware = (slot: HardwareSlot) => new NicHardware(slot, wire);
  const options = { name: "nic0", windowSize: NIC.WINDOW, reach: MAXADDR_32BIT, hardware };
  const nic = new NicDriver(m, m.bus.attach(options), pool);
  for (const count of [1, 4, 6]) {
    const [packet, bytes] = packetOf(pool, count, 200);
    wanted.push(bytes);
    const error = errnoName(nic.transmit(packet));
    print(`${count} mbufs: ${error}, ${nic.defrags} defragmented so far`);
  }
  m.sched.pump();
  const arrived = same(Buffer.concat(wire), Buffer.concat(wanted));
  const { bouncedPages, busFaults } = ioStatistics(m);
  print(`on the wire: ${wire.length}, the same: ${arrived}; ${bouncedPages} pages bounced`);
  nic.detach();
  pool.check([]);
  m.checkQuiet();
  return { arrived, sent: wire.length, defrags: nic.defrags, bouncedPages, busFaults };
}
