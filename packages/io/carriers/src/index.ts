export type { VirtualRange } from "./bio.ts";
export { Bio, BioCommand, BioFlag, biodone, cloneBio, cloneDone } from "./bio.ts";
export type { CcbRange } from "./ccb.ts";
export { CAM_DATA_MASK, CAM_DIR_MASK, CamFlag, Ccb, ccbHasNoData, Xpt } from "./ccb.ts";
export type { Mbuf } from "./mbuf/mbuf.ts";
export { assertPacketHeader, walkMbuf } from "./mbuf/walk.ts";
export type { Memdesc, MemSink, PhysicalRange } from "./memdesc.ts";
export {
  ccbLength,
  mbufLength,
  memdescLength,
  uioLength,
  walkBio,
  walkCcb,
  walkMemdesc,
  walkUio,
} from "./memdesc.ts";
export type { Iovec } from "./uio.ts";
export { Uio, UioRw, uiomove, uiomoveFrames, uiomoveWait } from "./uio.ts";
