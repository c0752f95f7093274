export type { DevicePortConfig } from "./device-port.ts";
export { DevicePort } from "./device-port.ts";
export type { BusFault, FaultReason } from "./fault.ts";
export { formatFault } from "./fault.ts";
export type { MembusConfig } from "./membus.ts";
export { Membus } from "./membus.ts";
export type { MmioHandler, MmioWindow } from "./mmio.ts";
export { BARRIER_READ, BARRIER_WRITE, BusSpace } from "./mmio.ts";
