/**
 * Sections: 4 MiB of RAM with the columns of its 1024 frames.
 *
 * A machine may have a terabyte of RAM on a host that has little, so both halves of a section come
 * late: the columns here when the allocator first splits it, the bytes (ram.ts) when somebody first
 * writes to it. Frames are rows of these columns, never objects. Bytes a page: order 1, links 4 + 4,
 * flags 2, queue 1, pmapBits 1, wireCount 2, owner 4, index 8, pv 4: 31, and 32 is the limit.
 *
 * Who may write which column: `order`, `wireCount` and the links of a free frame belong to the
 * allocator, `pmapBits` and `pv` to pmap; all others belong to whoever allocated the frame (uvm for
 * pages of objects).
 */
export const SECTION_SHIFT = 10;
export const SECTION_FRAMES = 1024;
export const ROW_MASK = SECTION_FRAMES - 1;

// Values of the `order` column beside the order of the free block that begins there.
/** The frame is allocated. */
export const NOT_FREE = 0xff;
/** It is in a free block that begins further down. */
export const INSIDE = 0xfe;
/** It is free, in the cache of single frames. */
export const CACHED = 0xfd;
/** No RAM has this number: its bank begins or ends inside of the section. */
export const NOT_RAM = 0xfc;

/** What the `order` column says of a frame, for messages. */
export function frameState(order: number): string {
  if (order === NOT_FREE) return "allocated";
  if (order === NOT_RAM) return "no RAM";
  return order === CACHED ? "free, in the cache" : "free";
}

export class Section {
  /** Order of the free block that begins here, or one of the values above. */
  readonly order: Uint8Array;
  /** Links of the free list or page queue that the frame is on. */
  readonly next: Int32Array;
  readonly prev: Int32Array;
  /** State bits of the frame's owner (for uvm: PG_*). */
  readonly flags: Uint16Array;
  /** Which of the owner's queues the frame is on; 0 is none. */
  readonly queue: Uint8Array;
  /** What pmap knows: referenced, modified. */
  readonly pmapBits: Uint8Array;
  readonly wireCount: Uint16Array;
  /** Whose page it is (an id of the owner's making; 0 is nobody's), and which one of it. */
  readonly owner: Int32Array;
  readonly index: Float64Array;
  /** First mapping of the frame, −1 for none: belongs to pmap. */
  readonly pv: Int32Array;

  constructor() {
    this.order = new Uint8Array(SECTION_FRAMES).fill(NOT_FREE);
    this.next = new Int32Array(SECTION_FRAMES).fill(-1);
    this.prev = new Int32Array(SECTION_FRAMES).fill(-1);
    this.flags = new Uint16Array(SECTION_FRAMES);
    this.queue = new Uint8Array(SECTION_FRAMES);
    this.pmapBits = new Uint8Array(SECTION_FRAMES);
    this.wireCount = new Uint16Array(SECTION_FRAMES);
    this.owner = new Int32Array(SECTION_FRAMES);
    this.index = new Float64Array(SECTION_FRAMES);
    this.pv = new Int32Array(SECTION_FRAMES).fill(-1);
  }
}
