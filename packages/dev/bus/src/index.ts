export type { AttachOptions, HardwareSlot, RootBusConfig } from "./bus.ts";
export { RootBus } from "./bus.ts";
export type { DeviceResources } from "./device.ts";
export { Device } from "./device.ts";
export { InterruptLine } from "./interrupt.ts";
