/**
 * ccb: one request of the CAM layer on its way to a controller's driver.
 *
 * Only what a DMA load looks at is here: the function code, which way the data go, and where they
 * are: a buffer by kernel or by physical address, a list of either, or a bio. The codes and bits are
 * those of FreeBSD sys/cam/cam_ccb.h; the rules of each function follow _bus_dmamap_load_ccb.
 *
 * => `flags` has one direction and one kind of data; the fields of that kind are set.
 */
import type { Bits, Bytes, PhysAddr, VirtAddr } from "@physio/kern";
import { bitset, formatBits, panic } from "@physio/kern";
import type { Bio } from "./bio.ts";

// The tables are marked pure: a bundle that uses only a mask of this file drops them.

/** Function codes, with the bits that say how CAM queues them. @bsd #P[the codes that a load meets] xpt_opcode */
export const Xpt = /* @__PURE__ */ Object.freeze({
  NOOP: 0x000,
  SCSI_IO: 0x901, //        a SCSI command of an initiator
  PATH_INQ: 0x004, //       no data: not for loads
  ATA_IO: 0x918, //         an ATA command: a list of it counts as empty
  SMP_IO: 0x91b, //         no data that a load understands
  NVME_IO: 0x91c, //        an NVMe command of an I/O queue
  NVME_ADMIN: 0x91f, //     one of the admin queue
  CONT_TARGET_IO: 0x933, // the data part of a command, on the target's side
} as const);
export type Xpt = (typeof Xpt)[keyof typeof Xpt];

/** Directions and kinds of data, together in `Ccb.flags`. @bsd #P[direction and data only] ccb_flags @bsd #Y CAM_DIR_IN, CAM_DIR_OUT, CAM_DIR_NONE */
export const CamFlag = /* @__PURE__ */ bitset<"CamFlag">()({
  DIR_BOTH: 0x00, //         host memory is read and written
  DIR_IN: 0x40, //           device to host memory
  DIR_OUT: 0x80, //          host memory to device
  DIR_NONE: 0xc0, //         no data: a load does nothing
  DATA_VADDR: 0x00, //       `va`, `length`
  DATA_PADDR: 0x10, //       `pa`, `length`
  DATA_SG: 0x4_0000, //      `list` of kernel ranges, `listCount`, `length`
  DATA_SG_PADDR: 0x4_0010, // `list` of physical ranges, `listCount`; `length` is not looked at
  DATA_BIO: 0x20_0000, //    `bio`; `length` is not looked at
});
export type CamFlag = Bits<"CamFlag">;

/** @bsd #Y CAM_DIR_MASK */
export const CAM_DIR_MASK = 0xc0;
/** @bsd #Y CAM_DATA_MASK */
export const CAM_DATA_MASK = 0x24_0010;

/** An element of a list: a kernel or a physical address. */
export interface CcbRange {
  readonly base: number;
  readonly length: Bytes;
}

/** @bsd #P[what a load looks at] union ccb, struct ccb_hdr */
export class Ccb {
  /** What to do: one of Xpt. Others reach a load only by mistake. */
  functionCode: number;
  flags: CamFlag;
  /** Length of the transfer: dxfer_len. */
  length: Bytes;
  va: VirtAddr;
  pa: PhysAddr;
  list: readonly CcbRange[];
  /** How many of `list` count: sglist_cnt. */
  listCount: number;
  bio: Bio | null;

  constructor(functionCode: number = Xpt.NOOP, flags: CamFlag = CamFlag.DIR_NONE) {
    this.functionCode = functionCode;
    this.flags = flags;
    this.length = 0;
    this.va = 0;
    this.pa = 0 as PhysAddr;
    this.list = [];
    this.listCount = 0;
    this.bio = null;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const name = Object.entries(Xpt).find(([, code]) => code === this.functionCode);
    return `Ccb(${name?.[0] ?? this.functionCode}, ${formatBits(CamFlag, this.flags)}, ${this.length} bytes)`;
  }
}

/** Whether the request has no data. A load of its own asks before anything else. */
export function ccbHasNoData(ccb: Ccb): boolean {
  return (ccb.flags & CAM_DIR_MASK) === CamFlag.DIR_NONE;
}

/** How many elements of the list count for this function. Panics on a function without data. */
export function ccbListCount(ccb: Ccb): number {
  switch (ccb.functionCode) {
    case Xpt.SCSI_IO:
    case Xpt.CONT_TARGET_IO:
    case Xpt.NVME_IO:
    case Xpt.NVME_ADMIN:
      return Math.min(ccb.listCount, ccb.list.length);
    case Xpt.ATA_IO:
      return 0;
    default:
      return panic(`bus_dma: ccb with function ${ccb.functionCode}, which has no data to load`);
  }
}
