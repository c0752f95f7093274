/**
 * What stands in a segment list when its callback is over: addresses that no machine has.
 *
 * A driver that keeps the list and programs its device with it makes the device say the map's number
 * on the bus. Not NaN: that becomes 0 on its way through a descriptor. A device of 32 bits says the
 * low word alone, which is looked for among addresses that no mapping holds.
 */
import type { SegList } from "@physio/busdma";
import type { BusAddr } from "@physio/kern";

const TWO_32 = 2 ** 32;
/** Low words of all poisoned addresses lie in a window: the addresses of a segment's bytes. */
const LOW = 0xdead_0000;
const LOW_END = 0xdec0_0000;
/** High words: the top bit of 52, and a map's number. */
const HIGH = 0x8_0000;
const NUMBERS = 0x8_0000;

/** The address that names map `id`. */
export const poisonOf = (id: number): BusAddr => (HIGH + (id % NUMBERS)) * TWO_32 + LOW;

/** Put `address` everywhere in the list; counts and lengths stay. */
export function poison(segs: SegList, address: BusAddr): void {
  const { addr, count } = segs;
  for (let i = 0; i < count; i++) addr[i] = address;
}

/** Whether a device that says `address` was told by a poisoned list. */
export function isPoison(address: BusAddr): boolean {
  const high = Math.floor(address / TWO_32);
  const low = address - high * TWO_32;
  return high >= HIGH && low >= LOW && low < LOW_END;
}

/** The same of a device that says 32 bits. => no mapping holds the address. */
export const isPoisonLow = (address: BusAddr): boolean => address >= LOW && address < LOW_END;

/** The map that `poison` named, or −1. */
export const poisonedBy = (address: BusAddr): number =>
  isPoison(address) ? Math.floor(address / TWO_32) - HIGH : -1;
