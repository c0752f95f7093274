/**
 * The chip of the example `nic32`: a network card with a ring of transmit descriptors.
 *
 * It sees memory by 32-bit bus addresses only, through its port. A descriptor is four words: address,
 * length, flags (END: last of its packet), status (the chip writes DONE). A write of TAIL starts it;
 * 2 µs later it sends everything from its head up to there, writes the status words and interrupts.
 * A packet of more than MAX_SEGMENTS descriptors is lost, as a real card would lose it.
 */
import type { HardwareSlot } from "@physio/bus";
import type { MmioHandler } from "@physio/membus";

export const NIC = Object.freeze({
  /** Registers. */
  RING: 0, //  bus address of the ring
  COUNT: 4, // its descriptors
  TAIL: 8, //  first descriptor that is not the chip's
  WINDOW: 4096,
  /** A descriptor: bytes, and byte offsets of its words. */
  DESCRIPTOR: 16,
  LENGTH: 4,
  FLAGS: 8,
  STATUS: 12,
  END: 1,
  DONE: 1,
  MAX_SEGMENTS: 4,
});

const SEND_TIME = 2000;

export class NicHardware implements MmioHandler {
  /** The packets that left, as the other end of the cable has them. */
  readonly wire: Uint8Array[];
  /** Packets of too many pieces. */
  lost: number;
  readonly #slot: HardwareSlot;
  readonly #work: ReturnType<HardwareSlot["sched"]["event"]>;
  #ring: number;
  #count: number;
  #head: number;
  #tail: number;
  #busy: boolean;

  /** `wire` gets the packets. */
  constructor(slot: HardwareSlot, wire: Uint8Array[]) {
    this.wire = wire;
    this.lost = 0;
    this.#slot = slot;
    this.#work = slot.sched.event(() => this.#send());
    this.#ring = 0;
    this.#count = 0;
    this.#head = 0;
    this.#tail = 0;
    this.#busy = false;
  }

  mmioRead(offset: number): number {
    return offset === NIC.TAIL ? this.#tail : 0;
  }

  mmioWrite(offset: number, _size: number, value: number): void {
    if (offset === NIC.RING) this.#ring = value;
    else if (offset === NIC.COUNT) this.#count = value;
    else if (offset === NIC.TAIL) {
      this.#tail = value;
      if (!this.#busy) this.#slot.sched.after(this.#work, SEND_TIME);
      this.#busy = true;
    }
  }

  /** Send what lies between head and tail, packet by packet. */
  #send(): void {
    const { port, intr } = this.#slot;
    let pieces: Uint8Array[] = [];
    while (this.#head !== this.#tail) {
      const at = this.#ring + this.#head * NIC.DESCRIPTOR;
      const piece = new Uint8Array(port.read32(at + NIC.LENGTH));
      port.read(port.read32(at), piece);
      pieces.push(piece);
      if (port.read32(at + NIC.FLAGS) === NIC.END) {
        if (pieces.length > NIC.MAX_SEGMENTS) this.lost++;
        else this.wire.push(joined(pieces));
        pieces = [];
      }
      port.write32(at + NIC.STATUS, NIC.DONE);
      this.#head = (this.#head + 1) % this.#count;
    }
    this.#busy = false;
    intr.raise();
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const packet = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    packet.set(piece, at);
    at += piece.length;
  }
  return packet;
}
