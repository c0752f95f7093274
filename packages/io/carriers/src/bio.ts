/**
 * bio: one block I/O request on its way to a driver.
 *
 * A bio says which bytes of the disk go to or come from which memory: a kernel buffer (mapped), a
 * list of frames (UNMAPPED) or a list of kernel ranges (VLIST). The driver answers once, with
 * `biodone`. One who passes requests on (a stripe, a partition) passes clones: a parent is answered when
 * all its clones are. Follows sys/sys/bio.h and g_bio(9).
 *
 * Invariant: `inbed` clones of `children` are answered, and `completed` is what they transferred.
 */
import type { Bits, Bytes, Errno, FileOffset, Frame, VirtAddr } from "@physio/kern";
import { bitset, Errno as E, errnoName, formatBits, panic } from "@physio/kern";

export const BioCommand = Object.freeze({ READ: 1, WRITE: 2, DELETE: 3, FLUSH: 5 } as const);
export type BioCommand = (typeof BioCommand)[keyof typeof BioCommand];

/** @bsd #Y BIO_UNMAPPED, BIO_VLIST */
export const BioFlag = bitset<"BioFlag">()({
  ERROR: 0x01, //    set by the driver with `error`
  DONE: 0x02, //     set by biodone
  UNMAPPED: 0x10, // set by the maker: the data are frames, not a kernel buffer
  VLIST: 0x20, //    set by the maker: the data are a list of kernel ranges
  FUA: 0x40, //      set by the maker: a write is done only when its data are lasting
});
export type BioFlag = Bits<"BioFlag">;

/** What says in which form the memory is. */
const LAYOUT = BioFlag.UNMAPPED | BioFlag.VLIST;
/** What a clone has of its parent. */
const INHERITED = LAYOUT | BioFlag.FUA;

/** A range of kernel virtual memory in a VLIST. */
export interface VirtualRange {
  readonly base: VirtAddr;
  readonly length: Bytes;
}

/** @bsd #Y struct bio */
export class Bio {
  command: BioCommand;
  flags: BioFlag;
  /** First byte on the disk, and how many: multiples of the sector size. */
  offset: FileOffset;
  bcount: Bytes;
  /** The kernel buffer, when mapped. */
  data: VirtAddr;
  /** The frames, when UNMAPPED: the data begin `maOffset` bytes into the first one. */
  ma: readonly Frame[];
  maOffset: Bytes;
  /** The ranges, when VLIST: the data begin `maOffset` bytes into the first one. */
  vlist: readonly VirtualRange[];
  /** Bytes that were not transferred. */
  resid: Bytes;
  error: Errno;
  /** Who is told; set by the maker. */
  done: ((bio: Bio) => void) | null;
  /** For the maker. */
  caller: unknown;
  /** For the driver. */
  driver: unknown;
  /** Link of the queue that it is on. */
  next: Bio | null;
  /** Whose clone it is. */
  parent: Bio | null;
  /** Clones of it, and how many of them are answered. */
  children: number;
  inbed: number;
  /** Bytes that the answered clones transferred. */
  completed: Bytes;

  constructor() {
    this.command = BioCommand.READ;
    this.flags = 0;
    this.offset = 0;
    this.bcount = 0;
    this.data = 0;
    this.ma = [];
    this.maOffset = 0;
    this.vlist = [];
    this.resid = 0;
    this.error = E.OK;
    this.done = null;
    this.caller = null;
    this.driver = null;
    this.next = null;
    this.parent = null;
    this.children = 0;
    this.inbed = 0;
    this.completed = 0;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const command = Object.entries(BioCommand).find(([, code]) => code === this.command);
    const error = this.error === E.OK ? "" : `, ${errnoName(this.error)}`;
    return `Bio(${command?.[0]} ${this.offset}+${this.bcount}, ${formatBits(BioFlag, this.flags)}${error})`;
  }
}

/** Answer a request. => `error` and `resid` are set, and nobody answered before. @bsd #Y biodone */
export function biodone(bio: Bio): void {
  if ((bio.flags & BioFlag.DONE) !== 0) panic(`biodone: offset ${bio.offset} is done already`);
  bio.flags |= bio.error === E.OK ? BioFlag.DONE : BioFlag.DONE | BioFlag.ERROR;
  const done = bio.done;
  if (done === null) panic(`biodone: offset ${bio.offset} has nobody to tell`);
  done(bio);
}

/**
 * A new request for the same bytes and the same memory, a child of `bio`. Its maker may narrow it
 * (`offset`, `bcount`, `data` or `ma` and `maOffset`) and sets `done`, as a rule to `cloneDone`.
 * => `bio` is not answered. All clones are made before the first is started: one that is answered at
 *   once would be the last.   @bsd #P[never short of memory] g_clone_bio, g_duplicate_bio
 */
export function cloneBio(bio: Bio): Bio {
  if ((bio.flags & BioFlag.DONE) !== 0) panic(`cloneBio: offset ${bio.offset} is done already`);
  const clone = new Bio();
  clone.command = bio.command;
  clone.flags = bio.flags & INHERITED;
  clone.offset = bio.offset;
  clone.bcount = bio.bcount;
  clone.data = bio.data;
  clone.ma = bio.ma;
  clone.maOffset = bio.maOffset;
  clone.vlist = bio.vlist;
  clone.parent = bio;
  bio.children++;
  return clone;
}

/**
 * A clone is answered: `done` of clones that need nothing else. The parent keeps the first error, and is
 * answered with the last clone: `resid` is then what no clone transferred.
 * => `clone` is done.   @bsd #Y g_std_done
 */
export function cloneDone(clone: Bio): void {
  const { parent } = clone;
  if (parent === null) panic(`cloneDone: offset ${clone.offset} is nobody's clone`);
  if (parent.inbed >= parent.children) {
    panic(`cloneDone: all ${parent.children} clones of offset ${parent.offset} are done already`);
  }
  if (parent.error === E.OK) parent.error = clone.error;
  parent.completed += clone.bcount - clone.resid;
  if (parent.completed > parent.bcount) {
    panic(`cloneDone: clones moved ${parent.completed} of ${parent.bcount} bytes`);
  }
  parent.inbed++;
  if (parent.inbed < parent.children) return;
  parent.resid = parent.bcount - parent.completed;
  biodone(parent);
}
