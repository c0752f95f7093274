/**
 * When a piece of a load must bounce: its address, its alignment, or a cache line that it shares.
 *
 * A line that holds both a device's bytes and others cannot be maintained for both, so what does not
 * fill its lines goes through a bounce page. Exempt are coherent maps, DMA memory, which is rounded
 * up to lines, and mbufs, whose neighbours nobody writes while a device does.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import { addrNeedsBounce } from "@physio/busdma-bounce";
import type { Bytes, PhysAddr, VirtAddr } from "@physio/kern";
import { isAligned, isPowerOf2, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import type { Arm64Tag } from "./state.ts";
import { arm64Of, stateOf } from "./state.ts";

const fillsLines = (at: PhysAddr | VirtAddr, length: Bytes, line: Bytes): boolean =>
  isAligned(at, line) && isAligned(length, line);

/** @bsd #Y cacheline_bounce */
function lineRule(md: Arm64Tag, map: DmaMap, at: PhysAddr | VirtAddr, length: Bytes): boolean {
  const state = stateOf(map);
  return !state.lineFree && !state.mbuf && !fillsLines(at, length, md.line);
}

/** Whether any of a range may bounce, asked once a range: `at` is its virtual address if it has one. @bsd #Y might_bounce */
export function mightBounce(map: DmaMap, at: PhysAddr | VirtAddr, length: Bytes): boolean {
  const md = arm64Of(map.tag);
  return stateOf(map).bounce !== null && (md.couldBounce || lineRule(md, map, at, length));
}

/** Whether a piece must. @bsd #Y must_bounce */
export function mustBounce(map: DmaMap, pa: PhysAddr, length: Bytes): boolean {
  const md = arm64Of(map.tag);
  return lineRule(md, map, pa, length) || addressRule(md, map.tag, pa);
}

/** Whether the address alone says so. Panics on an alignment that is no power of 2. @bsd #Y alignment_bounce */
function addressRule(md: Arm64Tag, tag: DmaTag, pa: PhysAddr): boolean {
  if (!md.couldBounce) return false;
  if (!tag.powersOf2 && !isPowerOf2(tag.alignment))
    panic(`bus_dma: alignment ${tag.alignment} is not a power of 2`);
  return !isAligned(pa, tag.alignment) || addrNeedsBounce({ tag }, pa);
}

/** Whether the range would be used as it is by an ordinary load. @bsd #Y bus_dma_id_mapped (arm64) */
export function isIdentity(tag: DmaTag, pa: PhysAddr, length: Bytes): boolean {
  const md = arm64Of(tag);
  if (!md.coherent && !fillsLines(pa, length, md.line)) return false;
  const every = md.semantics.testEveryPage;
  for (let done = 0; done < length; done += every ? PAGE_SIZE - pageOffset(pa + done) : length) {
    if (addressRule(md, tag, pa + done)) return false;
  }
  return true;
}
