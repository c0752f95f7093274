export type { VirtualRange } from "./bio.ts";
export { Bio, BioCommand, BioFlag, biodone } from "./bio.ts";
export type { Memdesc, MemSink, PhysicalRange } from "./memdesc.ts";
export { memdescLength, walkMemdesc } from "./memdesc.ts";
export type { Iovec } from "./uio.ts";
export { Uio, UioRw, uiomove } from "./uio.ts";
