/** Flags and constants of bus_dma(9). Values of FreeBSD sys/sys/bus_dma.h. */
import type { Bits } from "@physio/kern";
import { bitset, MAXADDR, MAXADDR_24BIT, MAXADDR_32BIT } from "@physio/kern";

/** Flags of tags, maps, loads and allocations. @bsd #Y BUS_DMA_WAITOK, BUS_DMA_NOWAIT, BUS_DMA_ALLOCNOW, BUS_DMA_COHERENT, BUS_DMA_ZERO, BUS_DMA_NOCACHE, BUS_DMA_KEEP_PG_OFFSET */
export const BusDma = bitset<"BusDma">()({
  WAITOK: 0x000, //         loads: may be deferred (EINPROGRESS)
  NOWAIT: 0x001, //         loads: never deferred (ENOMEM)
  ALLOCNOW: 0x002, //       tags: reserve bounce pages when the tag is made
  COHERENT: 0x004, //       tags, maps, memory: syncs should cost little; never a reason to leave them out
  ZERO: 0x008, //           memory: filled with zeros
  BUS1: 0x010, //           tags: for the bus's own use, not looked at here
  BUS2: 0x020,
  BUS3: 0x040,
  BUS4: 0x080,
  NOWRITE: 0x100, //        loads: the device only reads; not looked at here
  NOCACHE: 0x200, //        memory: not cached by the CPU
  KEEP_PG_OFFSET: 0x400, // tags: a bounced chunk keeps its offset in the page
  LOAD_MBUF: 0x100_0000, // for backends: a virtual range is the data of a mapped mbuf
});
export type BusDma = Bits<"BusDma">;

/** Operations of sync, from the point of view of host memory: READ is device to memory. @bsd #Y bus_dmasync_op_t, BUS_DMASYNC_PREREAD, BUS_DMASYNC_POSTREAD, BUS_DMASYNC_PREWRITE, BUS_DMASYNC_POSTWRITE */
export const Sync = bitset<"Sync">()({
  PREREAD: 1, //   before the device writes memory
  POSTREAD: 2, //  after it did, before the CPU reads
  PREWRITE: 4, //  after the CPU wrote memory, before the device reads
  POSTWRITE: 8, // after the device did
});
export type Sync = Bits<"Sync">;

/** @bsd #Y BUS_SPACE_MAXADDR */
export const BUS_SPACE_MAXADDR = MAXADDR;
/** @bsd #Y BUS_SPACE_MAXADDR_32BIT */
export const BUS_SPACE_MAXADDR_32BIT = MAXADDR_32BIT;
/** @bsd #Y BUS_SPACE_MAXADDR_24BIT */
export const BUS_SPACE_MAXADDR_24BIT = MAXADDR_24BIT;
/** No limit on the number of segments. @bsd #Y BUS_SPACE_UNRESTRICTED */
export const BUS_SPACE_UNRESTRICTED = 0x7fff_ffff;
