/** What a machine did for its disks, in numbers: for reports. */
import type { Bytes, Nanoseconds } from "@physio/kern";
import type { Machine } from "./machine.ts";

export interface IoStatistics {
  /** Commands given to disks, and the bytes that they moved. */
  readonly ios: number;
  readonly ioBytes: Bytes;
  readonly segments: number;
  readonly segmentsPerIo: number;
  /** Pages copied to or from bounce pages, loads that had to wait for some, pages there are. */
  readonly bouncedPages: number;
  readonly deferrals: number;
  readonly bouncePages: number;
  readonly bounceHighWater: number;
  /** Accesses of devices that the bus refused, and commands that devices failed. */
  readonly busFaults: number;
  readonly deviceErrors: number;
  readonly virtualTime: Nanoseconds;
  /** RAM that somebody wrote to. */
  readonly touchedBytes: Bytes;
}

const sum = <T>(list: readonly T[], value: (item: T) => number): number =>
  list.reduce((total, item) => total + value(item), 0);

export function ioStatistics(m: Machine): IoStatistics {
  const { nvme, bouncePool } = m;
  const { zones } = bouncePool;
  const ios = sum(nvme, (d) => d.commands);
  const segments = sum(nvme, (d) => d.segments);
  return {
    ios,
    ioBytes: sum(nvme, (d) => d.device.port.bytesRead + d.device.port.bytesWritten),
    segments,
    segmentsPerIo: ios === 0 ? 0 : segments / ios,
    bouncedPages: sum(zones, (z) => z.pagesCopied),
    deferrals: sum(zones, (z) => z.totalDeferred),
    bouncePages: bouncePool.totalPages,
    bounceHighWater: sum(zones, (z) => z.highWater),
    busFaults: m.membus.faultCount,
    deviceErrors: sum(nvme, (d) => d.failures),
    virtualTime: m.sched.now,
    touchedBytes: m.mem.touchedBytes,
  };
}
