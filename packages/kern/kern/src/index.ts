export type {
  BusAddr,
  Bytes,
  FileOffset,
  Frame,
  Nanoseconds,
  PhysAddr,
  Quantity,
  VirtAddr,
} from "./addr.ts";
export {
  alignDown,
  alignUp,
  GiB,
  hex,
  isAligned,
  isPowerOf2,
  isWhole,
  KiB,
  MAXADDR,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  MiB,
  NO_FRAME,
  OFF_MAX,
  offsetIn,
  PAGE_SHIFT,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  roundPage,
  TiB,
  truncPage,
  withinBoundary,
} from "./addr.ts";
export type { Bits } from "./bits.ts";
export { bitset, formatBits } from "./bits.ts";
export { check, Errno, ErrnoError, errnoName } from "./errno.ts";
export { kassert, Panic, panic } from "./panic.ts";
export type { StailqEntry, TailqEntry } from "./queue.ts";
export { Stailq, Tailq } from "./queue.ts";
export { decodeName, encodeName } from "./text.ts";
