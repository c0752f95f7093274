/**
 * NVM Express: registers, structures and numbers of the interface.
 *
 * Follows the NVM Express Base Specification, revision 1.4; the section that defines a group stands
 * above it. Driver and chip both read this file and nothing else of each other.
 *
 * A status, wherever it appears here, is the 15-bit status field of a completion without its phase
 * bit: SC in bits 7:0, SCT in 10:8, CRD in 12:11, M in 13, DNR in 14.
 */

// ---- 3.1 Controller registers

/** Byte offsets (3.1). 64-bit registers are two words, the low one first. */
export const Reg = Object.freeze({
  CAP: 0x00, //   capabilities, 64 bits, read only
  VS: 0x08, //    version
  INTMS: 0x0c, // interrupt mask set
  INTMC: 0x10, // interrupt mask clear
  CC: 0x14, //    configuration
  CSTS: 0x1c, //  status
  NSSR: 0x20, //  subsystem reset
  AQA: 0x24, //   admin queue attributes
  ASQ: 0x28, //   admin submission queue base, 64 bits
  ACQ: 0x30, //   admin completion queue base, 64 bits
  DOORBELLS: 0x1000, // 3.1.24, 3.1.25
});

/** VS of revision 1.4 (3.1.2). */
export const VERSION_1_4 = 0x0001_0400;

/** CAP, low word (3.1.1). */
export const CapLow = Object.freeze({
  MQES_MASK: 0xffff, // entries of a queue, zero-based
  CQR: 1 << 16, //      queues must be contiguous
  AMS_SHIFT: 17,
  TO_SHIFT: 24, //      worst time for CC.EN to show in CSTS.RDY, in 500 ms
  TO_MASK: 0xff,
});

/** CAP, high word: bit n here is bit 32 + n of the register (3.1.1). */
export const CapHigh = Object.freeze({
  DSTRD_MASK: 0xf, //   doorbells are 4 << DSTRD bytes apart
  NSSRS: 1 << 4,
  CSS_NVM: 1 << 5, //   the NVM command set
  MPSMIN_SHIFT: 16, //  smallest page: 4096 << MPSMIN
  MPSMAX_SHIFT: 20,
  MPS_MASK: 0xf,
});

/** CC (3.1.5). */
export const Cc = Object.freeze({
  EN: 1 << 0,
  CSS_SHIFT: 4, //    3 bits; 0: NVM command set
  CSS_MASK: 0x7,
  MPS_SHIFT: 7, //    4 bits; page size 4096 << MPS
  MPS_MASK: 0xf,
  AMS_SHIFT: 11, //   3 bits; 0: round robin
  AMS_MASK: 0x7,
  SHN_SHIFT: 14, //   2 bits; 0 none, 1 normal, 2 abrupt
  SHN_MASK: 0x3,
  IOSQES_SHIFT: 16, // 4 bits; log2 of the size of a submission entry
  IOCQES_SHIFT: 20, // 4 bits; log2 of the size of a completion entry
  ES_MASK: 0xf,
});

/** CC.SHN: what the host announces. */
export const Shn = Object.freeze({ NONE: 0, NORMAL: 1, ABRUPT: 2 });

/** CSTS (3.1.6). */
export const Csts = Object.freeze({
  RDY: 1 << 0,
  CFS: 1 << 1, //   fatal status: only a reset helps
  SHST_SHIFT: 2, // 2 bits
  SHST_MASK: 0x3,
  NSSRO: 1 << 4,
  PP: 1 << 5,
});

/** CSTS.SHST: how far a shutdown is. */
export const Shst = Object.freeze({ NORMAL: 0, BUSY: 1, COMPLETE: 2 });

/** AQA (3.1.8): sizes of the admin queues in entries, zero-based, 12 bits each. */
export const Aqa = Object.freeze({ ASQS_SHIFT: 0, ACQS_SHIFT: 16, SIZE_MASK: 0xfff });

/** Offset of the tail doorbell of submission queue `qid` (3.1.24). => `stride`: CAP.DSTRD. */
export function tailDoorbell(qid: number, stride: number): number {
  return Reg.DOORBELLS + 2 * qid * (4 << stride);
}

/** Offset of the head doorbell of completion queue `qid` (3.1.25). => `stride`: CAP.DSTRD. */
export function headDoorbell(qid: number, stride: number): number {
  return Reg.DOORBELLS + (2 * qid + 1) * (4 << stride);
}

// ---- 4.2, 4.6 Queue entries

export const SQE_SIZE = 64;
export const SQE_SHIFT = 6;
export const CQE_SIZE = 16;
export const CQE_SHIFT = 4;

/** Byte offsets in a submission entry (4.2). */
export const Sqe = Object.freeze({
  CDW0: 0, // OPC 7:0, FUSE 9:8, PSDT 15:14, CID 31:16
  NSID: 4,
  CDW2: 8,
  CDW3: 12,
  MPTR: 16,
  PRP1: 24,
  PRP2: 32,
  CDW10: 40,
  CDW11: 44,
  CDW12: 48,
  CDW13: 52,
  CDW14: 56,
  CDW15: 60,
});

/** CDW0 without opcode and command id: what selects fused commands and SGLs. */
export const CDW0_FUSE_PSDT = 0xc300;

/** Byte offsets in a completion entry (4.6), and the phase bit in its last word. */
export const Cqe = Object.freeze({
  RESULT: 0,
  SQHD: 8,
  SQID: 10,
  CID: 12,
  STATUS: 14, // 16 bits: phase in bit 0, the status above it
  PHASE: 1,
});

/** NSID that means all namespaces. */
export const NSID_ALL = 0xffff_ffff;

// ---- 5 Admin commands

/** Opcodes of the admin queue (5, figure 139). */
export const AdminOp = Object.freeze({
  DELETE_SQ: 0x00,
  CREATE_SQ: 0x01,
  GET_LOG_PAGE: 0x02,
  DELETE_CQ: 0x04,
  CREATE_CQ: 0x05,
  IDENTIFY: 0x06,
  ABORT: 0x08,
  SET_FEATURES: 0x09,
  GET_FEATURES: 0x0a,
  ASYNC_EVENT: 0x0c,
});

/** CDW11 of Create I/O Completion Queue (5.3) and of Create I/O Submission Queue (5.4). */
export const QueueFlag = Object.freeze({
  PC: 1 << 0, // physically contiguous
  IEN: 1 << 1, // completion queues: interrupts enabled
});

/** CNS of Identify (5.15.1). */
export const Cns = Object.freeze({ NAMESPACE: 0x00, CONTROLLER: 0x01, ACTIVE_NAMESPACES: 0x02 });

export const IDENTIFY_SIZE = 4096;

/** Identify Controller (5.15.2.2): byte offsets. */
export const IdCtrl = Object.freeze({
  VID: 0, //     2
  SSVID: 2, //   2
  SN: 4, //      20, ASCII, blanks behind
  MN: 24, //     40
  FR: 64, //     8
  RAB: 72,
  IEEE: 73, //   3
  MDTS: 77, //   largest transfer: 2^MDTS smallest pages; 0: no limit
  CNTLID: 78, // 2
  VER: 80, //    4
  OAES: 92, //   4
  CNTRLTYPE: 111, // 1: I/O controller
  OACS: 256, //  2
  ACL: 258, //   concurrent aborts, zero-based
  AERL: 259, //  outstanding async event requests, zero-based
  FRMW: 260,
  LPA: 261,
  ELPE: 262, //  error log entries, zero-based
  NPSS: 263,
  SQES: 512, //  smallest entry 3:0, largest 7:4, as log2
  CQES: 513,
  MAXCMD: 514, // 2
  NN: 516, //    4, number of namespaces
  ONCS: 520, //  2
  FUSES: 522,
  FNA: 524,
  VWC: 525, //   bit 0: there is a volatile write cache
  AWUN: 526,
  AWUPF: 528,
  SUBNQN: 768, // 256
});
export const SN_LENGTH = 20;
export const MN_LENGTH = 40;
export const FR_LENGTH = 8;

/** Bits of ONCS: optional commands of the NVM set. */
export const Oncs = Object.freeze({ DSM: 1 << 2, WRITE_ZEROES: 1 << 3 });
/** Bits of LPA: offsets and long lengths in Get Log Page. */
export const LPA_EXTENDED = 1 << 2;

/** Identify Namespace (5.15.2.1): byte offsets. */
export const IdNs = Object.freeze({
  NSZE: 0, //  8, blocks
  NCAP: 8, //  8
  NUSE: 16, // 8
  NSFEAT: 24,
  NLBAF: 25, // formats, zero-based
  FLBAS: 26, // 3:0 the format in use
  DLFEAT: 33, // 2:0 what deallocated blocks read as; 1: zeros
  LBAF0: 128, // 4 bytes a format: MS 15:0, LBADS 23:16, RP 25:24
});

/** Features (5.21.1). */
export const Feature = Object.freeze({
  ARBITRATION: 0x01,
  POWER: 0x02,
  TEMPERATURE: 0x04,
  ERROR_RECOVERY: 0x05,
  WRITE_CACHE: 0x06,
  QUEUES: 0x07, // NSQ 15:0, NCQ 31:16, zero-based
  COALESCING: 0x08,
  VECTOR: 0x09,
  ATOMICITY: 0x0a,
  ASYNC_EVENTS: 0x0b,
});
/** CDW10 of Set Features: save across power cycles. */
export const FEATURE_SAVE = 0x8000_0000;

/** Log pages (5.14.1). */
export const LogPage = Object.freeze({ ERROR: 0x01, SMART: 0x02, FIRMWARE: 0x03 });
export const ERROR_LOG_ENTRY = 64;
export const SMART_LOG_SIZE = 512;
export const FIRMWARE_LOG_SIZE = 512;
/** CDW10 of Get Log Page: leave the event that points at the log as it is. */
export const LOG_RETAIN_EVENT = 1 << 15;

/** Asynchronous events (5.2.1), result of the request: type 2:0, information 15:8, log page 23:16. */
export const AsyncEvent = Object.freeze({
  TYPE_ERROR: 0,
  INVALID_DOORBELL_REGISTER: 0x00,
  INVALID_DOORBELL_VALUE: 0x01,
});

// ---- 6 NVM commands

/** Opcodes of I/O queues (6, figure 346). */
export const NvmOp = Object.freeze({
  FLUSH: 0x00,
  WRITE: 0x01,
  READ: 0x02,
  WRITE_ZEROES: 0x08,
  DSM: 0x09,
});

/** CDW12 of Read, Write and Write Zeroes (6.9, 6.14, 6.17): NLB 15:0, zero-based. */
export const Rw = Object.freeze({ NLB_MASK: 0xffff, FUA: 1 << 30, LIMITED_RETRY: 0x8000_0000 });

/** Dataset Management (6.7): CDW10 7:0 ranges, zero-based; CDW11 the attributes. */
export const Dsm = Object.freeze({
  NR_MASK: 0xff,
  DEALLOCATE: 1 << 2,
  RANGE_SIZE: 16, // attributes 4, blocks 4, first block 8
  RANGE_BLOCKS: 4,
  RANGE_LBA: 8,
});

// ---- 4.6.1 Status

export type NvmeStatus = number;

/** Statuses by name: generic (SCT 0), command specific (1) and media (2), figures 126–130. */
export const Status = Object.freeze({
  SUCCESS: 0x000,
  INVALID_OPCODE: 0x001,
  INVALID_FIELD: 0x002,
  CID_CONFLICT: 0x003,
  DATA_TRANSFER: 0x004,
  POWER_LOSS: 0x005,
  INTERNAL: 0x006,
  ABORT_REQUESTED: 0x007,
  SQ_DELETION: 0x008,
  INVALID_NAMESPACE: 0x00b,
  SEQUENCE: 0x00c,
  PRP_OFFSET: 0x013,
  LBA_RANGE: 0x080,
  CAPACITY: 0x081,
  NS_NOT_READY: 0x082,

  CQ_INVALID: 0x100,
  QUEUE_ID: 0x101,
  QUEUE_SIZE: 0x102,
  ABORT_LIMIT: 0x103,
  ASYNC_EVENT_LIMIT: 0x105,
  INTERRUPT_VECTOR: 0x108,
  LOG_PAGE: 0x109,
  QUEUE_DELETION: 0x10c,
  NOT_SAVEABLE: 0x10d,
  NOT_CHANGEABLE: 0x10e,

  WRITE_FAULT: 0x280,
  UNRECOVERED_READ: 0x281,
  COMPARE_FAILURE: 0x285,
  ACCESS_DENIED: 0x286,
});
/** SC and SCT: what tells statuses apart. */
export const STATUS_CODE_MASK = 0x7ff;
/** Do not retry. */
export const STATUS_DNR = 1 << 14;

/** `0x4080` → `"LBA_RANGE (0x080), do not retry"`. */
export function formatStatus(status: NvmeStatus): string {
  const code = status & STATUS_CODE_MASK;
  const named = Object.entries(Status).find(([, value]) => value === code);
  const kind = ["generic", "command specific", "media", "path"][code >> 8] ?? "vendor";
  const name = named === undefined ? `${kind} status` : named[0];
  const retry = (status & STATUS_DNR) !== 0 ? ", do not retry" : "";
  return `${name} (0x${code.toString(16).padStart(3, "0")})${retry}`;
}
