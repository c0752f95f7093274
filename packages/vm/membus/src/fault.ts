/**
 * Bus faults: what a device did that the bus refused.
 *
 * A real device that reaches past its address lines, or past RAM, is answered by nobody or hits
 * somebody else's memory. Here it is never silent: the access moves no byte, is counted, and the
 * first faults are kept with everything needed to find the culprit.
 */
import type { BusAddr, Bytes, Nanoseconds } from "@physio/kern";
import { hex } from "@physio/kern";

export type FaultReason = "beyond reach" | "no memory";

export interface BusFault {
  /** The requester: name of the device port. */
  readonly port: string;
  readonly direction: "read" | "write";
  readonly address: BusAddr;
  readonly length: Bytes;
  readonly reason: FaultReason;
  readonly time: Nanoseconds;
}

/** One line: `nvme0 read 0x100000000+4096: beyond reach`. */
export function formatFault(fault: BusFault): string {
  return `${fault.port} ${fault.direction} ${hex(fault.address)}+${fault.length}: ${fault.reason}`;
}
