/**
 * Bus faults: what a device did that the bus refused.
 *
 * A real device that reaches past its address lines, past its bridge or past RAM is answered by
 * nobody or hits somebody else's memory. Here it is never silent: the access moves no byte, is
 * counted, and the first faults are kept with everything needed to find the culprit.
 */
import type { BusAddr, Bytes, Nanoseconds } from "@physio/kern";
import { hex } from "@physio/kern";

/**
 * Why the bus refused, in the order in which it looks: the device cannot put the address on the
 * bus; its bridge does not pass it; the translation refused a part of it; not all of it is RAM.
 */
export type FaultReason = "beyond reach" | "outside window" | "not translated" | "no memory";

export interface BusFault {
  /** Name of the device port. */
  readonly port: string;
  /** Number by which the device names itself on the bus; 0 when it has none. */
  readonly requester: number;
  readonly direction: "read" | "write";
  /** The whole access, as the device put it on the bus. */
  readonly address: BusAddr;
  readonly length: Bytes;
  readonly reason: FaultReason;
  /** First address of the granule that the translation refused, as it was asked for; else undefined. */
  readonly granule: BusAddr | undefined;
  readonly time: Nanoseconds;
}

/** One line: `nvme0 read 0x100000000+4096: beyond reach`; a requester other than 0 follows the name, a granule that was refused the reason. */
export function formatFault(fault: BusFault): string {
  const { port, requester, direction, address, length, reason, granule } = fault;
  const who = requester === 0 ? port : `${port} (requester ${hex(requester)})`;
  const where = address < 0 ? `${address}` : hex(address);
  const which = granule === undefined ? "" : ` (${hex(granule)})`;
  return `${who} ${direction} ${where}+${length}: ${reason}${which}`;
}
