/**
 * Page faults: make one page of an address space accessible.
 *
 * The phases of a fault, in `fault` below:
 *
 *   findEntry      the map entry, its rights, the window of neighbours
 *   ownPage        the anonymous layer: a page that the map has made its own
 *   zeroPage       anonymous memory: a new page of zeroes
 *   residentPage   the object layer, what is in memory: neighbours are mapped, the centre is busy
 *   fetchPage      the object layer, asleep while the pager gets the centre
 *   copyPage       a private write: the map gets a copy of its own
 *   enterPage      a mapping; a page is marked dirty before anybody can write to it
 *
 * Whoever sleeps starts over, or looks whether the map has changed. A write mapping is given only to a
 * write fault, or where the page is dirty already: so a page that was cleaned faults again, and its pager
 * hears of every page that becomes dirty. Pages over holes (RDONLY) go through the pager with `write`,
 * which allocates. Follows uvm_fault_internal of sys/uvm/uvm_fault.c.
 */
import type { Errno, Frame, VirtAddr } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import { clearReference, leafIndex, leafOf, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import { Amap } from "./amap.ts";
import type { MapEntry, VmMap } from "./map.ts";
import { Advice } from "./map.ts";
import type { UvmObject } from "./object.ts";
import { DONTCARE, Pg, Pgo } from "./page.ts";
import type { UvmPages } from "./pages.ts";
import { PageRequest } from "./request.ts";

const { WRITE } = Prot;
const PAGE = PAGE_SIZE;
const FAULT = traceEvent(Ktr.VM, "fault", "space", "page", "access", "error");

/** Pages round the one that faults which are mapped if they are resident: before it and after it. @bsd #Y uvmadvice */
const BACK = Object.freeze([3, 0, 8]);
const AHEAD = Object.freeze([4, 0, 7]);
/** The largest window. @bsd #Y UVM_MAXRANGE */
export const WINDOW_MOST = 16;

/** Why the last fault failed: what a kernel would tell the program. @bsd #Y SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR, BUS_OBJERR */
export type FaultReason =
  | "none"
  | "unmapped" // SIGSEGV: no mapping there
  | "rights" //   SIGSEGV: not for this access
  | "beyond" //   SIGBUS: the object ends before that page
  | "object" //   SIGBUS: the pager failed: EIO, ENOSPC
  | "memory"; //  killed: out of memory

/** What a fault needs of its address space. */
export interface FaultSpace {
  readonly pages: UvmPages;
  readonly map: VmMap;
  readonly pmap: Pmap;
  /** For requests that do not sleep. */
  readonly nearby: PageRequest;
  /** Faults so far, and pages that the map made its own. @bsd #Y uvmexp.faults, flt_acow, flt_przero */
  faults: number;
  copies: number;
  faultReason: FaultReason;
}

/** A step says how the fault ended, or: */
const AGAIN = -1; // the world has changed, start over
type Step = Errno | typeof AGAIN;

/** One fault. */
class Fault {
  readonly va: VirtAddr;
  readonly access: Prot;
  /** The page will be wired: no neighbours. */
  readonly wiring: boolean;
  entry: MapEntry | null;
  /** Pages of the entry before the one that faults. */
  distance: number;
  /** Its number in the object. */
  index: number;
  /** A private write: the map needs a copy. */
  copies: boolean;
  /** Of the map, when the entry was found. */
  version: number;
  /** What `residentPage` and `fetchPage` have got, busy. */
  frame: Frame;

  constructor(va: VirtAddr, access: Prot, wiring: boolean) {
    this.va = va;
    this.access = access;
    this.wiring = wiring;
    this.entry = null;
    this.distance = 0;
    this.index = 0;
    this.copies = false;
    this.version = 0;
    this.frame = NO_FRAME;
  }
}

/**
 * Map the page at `va`, page aligned, for `access`. It is mapped until the caller sleeps.
 * @returns OK; EFAULT: no mapping, not for this access, or the object ends before it; ENOMEM; EIO,
 * ENOSPC, … from the pager. `space.faultReason` says more.   @bsd #P[no wired entries, no loans, no swap] uvm_fault
 */
export function* fault(
  space: FaultSpace,
  va: VirtAddr,
  access: Prot,
  wiring = false,
): Sleeps<Errno> {
  const at = new Fault(va, access, wiring);
  space.faults++;
  let step: Step = AGAIN;
  while (step === AGAIN) {
    const entry = findEntry(space, at);
    if (entry === null) break;
    const own = ownFrame(entry, at.distance);
    if (own !== NO_FRAME) {
      step = yield* ownPage(space, at, own);
    } else if (entry.object === null) {
      step = yield* zeroPage(space, at, entry);
    } else {
      step = residentPage(space, at, entry, entry.object);
      if (step === E.EBUSY) step = yield* fetchPage(space, at, entry.object);
      if (step !== E.OK) continue;
      if (at.copies) step = yield* copyPage(space, at, entry);
      else step = yield* enterObjectPage(space, at, entry);
    }
  }
  return finish(space, at, step);
}

/** Look the address up. @returns null: it may not be accessed so. @bsd #Y uvmfault_lookup, uvm_fault_check */
function findEntry(space: FaultSpace, at: Fault): MapEntry | null {
  const entry = space.map.lookup(at.va);
  at.entry = entry;
  if (entry === null || entry.prot === 0 || (entry.prot & at.access) !== at.access) return null;
  const pages = (at.va - entry.start) / PAGE;
  at.distance = pages;
  at.index = entry.offset / PAGE + pages;
  at.copies = entry.copyOnWrite && (at.access & WRITE) !== 0;
  at.version = space.map.version;
  return entry;
}

/** The map has a page of its own there. @bsd #Y uvm_fault_upper */
function* ownPage(space: FaultSpace, at: Fault, frame: Frame): Sleeps<Step> {
  const { pages } = space;
  if ((pages.flags(frame) & Pg.BUSY) !== 0) {
    yield* pages.waitPage(frame);
    return AGAIN;
  }
  if (isHeld(space, at.va, frame)) return yield* waitHeld(space);
  space.pmap.enter(at.va, frame, at.entry!.prot); // dirty since it came
  return E.OK;
}

/** Anonymous memory that was not touched yet. @bsd #Y uvm_fault_lower_promote */
function* zeroPage(space: FaultSpace, at: Fault, entry: MapEntry): Sleeps<Step> {
  if (isHeld(space, at.va, NO_FRAME)) return yield* waitHeld(space);
  const frame = addOwn(space, at, entry);
  if (frame === NO_FRAME) return yield* lackMemory(space);
  space.pages.zero(frame);
  space.pmap.enter(at.va, frame, entry.prot);
  space.pages.unbusy(frame);
  return E.OK;
}

/**
 * What the object has in memory: neighbours are mapped for reading, the centre goes to `at.frame`, busy.
 * @returns OK; EBUSY: ask the pager; or its error.   @bsd #Y uvm_fault_lower_lookup
 */
function residentPage(space: FaultSpace, at: Fault, entry: MapEntry, object: UvmObject): Errno {
  const request = space.nearby;
  const narrow = at.wiring ? 1 : entry.advice;
  const back = Math.min(BACK[narrow], at.distance);
  const ahead = Math.min(AHEAD[narrow], (entry.end - at.va) / PAGE - 1);
  request.count = back + 1 + ahead;
  request.center = back;
  request.offset = (at.index - back) * PAGE;
  request.write = (at.access & WRITE) !== 0 && !at.copies;
  request.flags = Pgo.LOCKED;
  for (let i = 0; i < request.count; i++) {
    const skip = i !== back && isOurs(space, entry, at, i - back);
    request.pages[i] = skip ? DONTCARE : NO_FRAME;
  }
  if (entry.advice === Advice.SEQUENTIAL) useUp(space.pages, object, at.index - back, back);
  const error = pagerOf(object).getNow(request);
  at.frame = request.pages[back] >= 0 ? request.pages[back] : NO_FRAME;
  for (let i = 0; i < request.count; i++) {
    if (i !== back && request.pages[i] >= 0) {
      enterNeighbour(space, entry, at.va + (i - back) * PAGE, request.pages[i]);
    }
  }
  if (error === E.OK && at.frame === NO_FRAME) panic("fault: the pager says OK, and has no page");
  return error;
}

/** The pager gets the centre. @returns OK; AGAIN; its error. @bsd #Y uvm_fault_lower_io */
function* fetchPage(space: FaultSpace, at: Fault, object: UvmObject): Sleeps<Step> {
  const { pages } = space;
  const pager = pagerOf(object);
  const request = new PageRequest(1);
  request.offset = at.index * PAGE;
  request.count = 1;
  request.write = (at.access & WRITE) !== 0 && !at.copies;
  request.flags = Pgo.SYNCIO;
  pager.reference(); // the entry may go while we sleep
  const error = yield* pager.get(request);
  const frame = request.pages[0];
  if (error === E.OK && frame < 0) panic("fault: the pager says OK, and has no page");
  let step: Step = error;
  if (error === E.OK) {
    if (!isCurrent(space, at) || (pages.flags(frame) & Pg.RELEASED) !== 0) step = AGAIN;
    if (step === AGAIN) pages.unbusy(frame);
    else at.frame = frame;
  }
  pager.detach();
  return step;
}

/** A private write: a page of the map's own with the same bytes. @bsd #Y uvmfault_promote */
function* copyPage(space: FaultSpace, at: Fault, entry: MapEntry): Sleeps<Step> {
  const { pages } = space;
  if (isHeld(space, at.va, NO_FRAME)) {
    pages.unbusy(at.frame);
    return yield* waitHeld(space);
  }
  const copy = addOwn(space, at, entry);
  if (copy !== NO_FRAME) {
    pages.pmaps.copyPage(at.frame, copy);
    space.pmap.enter(at.va, copy, entry.prot);
    pages.unbusy(copy);
    space.copies++;
  }
  pages.activate(at.frame);
  pages.unbusy(at.frame);
  return copy === NO_FRAME ? yield* lackMemory(space) : E.OK;
}

/** Map the object's page itself. @bsd #Y uvm_fault_lower_direct, uvm_fault_lower_enter */
function* enterObjectPage(space: FaultSpace, at: Fault, entry: MapEntry): Sleeps<Step> {
  const { pages } = space;
  const { frame } = at;
  if (isHeld(space, at.va, frame)) {
    pages.unbusy(frame);
    return yield* waitHeld(space);
  }
  const flags = pages.flags(frame);
  const write = (at.access & WRITE) !== 0;
  if (write && (flags & Pg.RDONLY) !== 0) panic(`fault: ${pages.describe(frame)} is read-only`);
  let { prot } = entry;
  if (write) pages.markDirty(frame);
  else if (entry.copyOnWrite || (flags & (Pg.CLEAN | Pg.RDONLY)) !== 0) prot &= ~WRITE;
  space.pmap.enter(at.va, frame, prot);
  pages.activate(frame);
  pages.unbusy(frame);
  return E.OK;
}

/** A resident neighbour, busy, is mapped for reading. @bsd #Y uvm_fault_lower_neighbor */
function enterNeighbour(space: FaultSpace, entry: MapEntry, va: VirtAddr, frame: Frame): void {
  const prot = entry.prot & ~WRITE;
  if (prot !== 0 && !isHeld(space, va, frame)) space.pmap.enter(va, frame, prot);
  space.pages.unbusy(frame);
}

/** The map's own page, `distance` pages into an entry, or NO_FRAME. The amap may have come since the look-up. */
function ownFrame(entry: MapEntry, distance: number): Frame {
  return entry.amap === null ? NO_FRAME : entry.amap.lookup(entry.slot + distance);
}

/** A page of the map's own for the address, busy. @returns NO_FRAME: memory is short. */
function addOwn(space: FaultSpace, at: Fault, entry: MapEntry): Frame {
  if (entry.amap === null) {
    entry.amap = new Amap(space.pages);
    entry.slot = 0;
  }
  return entry.amap.add(entry.slot + at.distance);
}

/** Whether the page `step` pages further needs no look at the object: it is mapped, or the map's own. */
function isOurs(space: FaultSpace, entry: MapEntry, at: Fault, step: number): boolean {
  if (space.pmap.frameAt(at.va + step * PAGE) !== NO_FRAME) return true;
  return ownFrame(entry, at.distance + step) !== NO_FRAME;
}

/** Pages that a sequential reader leaves behind. @bsd #Y uvm_fault_check MADV_SEQUENTIAL */
function useUp(pages: UvmPages, object: UvmObject, first: number, count: number): void {
  for (let index = first; index < first + count; index++) {
    const frame = object.lookup(index);
    if (frame === NO_FRAME || (pages.flags(frame) & Pg.BUSY) !== 0) continue;
    clearReference(pages.mem, frame);
    pages.deactivate(frame);
  }
}

/** Whether what `findEntry` found is still so, though the fault has slept. @bsd #Y uvmfault_relock */
function isCurrent(space: FaultSpace, at: Fault): boolean {
  return at.version === space.map.version && ownFrame(at.entry!, at.distance) === NO_FRAME;
}

/** Whether somebody has another page wired at `va`, so that none can be entered there. */
function isHeld(space: FaultSpace, va: VirtAddr, frame: Frame): boolean {
  const { holds } = space.pmap;
  if (holds.pages === 0 || !holds.isHeld(leafOf(va), leafIndex(va))) return false;
  return frame === NO_FRAME || space.pmap.frameAt(va) !== frame;
}

/** Sleep until something is unwired in this space. */
function* waitHeld(space: FaultSpace): Sleeps<Step> {
  yield* space.pages.sched.sleep(space, "vslock");
  return AGAIN;
}

function* lackMemory(space: FaultSpace): Sleeps<Step> {
  return (yield* space.pages.waitMemory(true)) === E.OK ? AGAIN : E.ENOMEM;
}

function pagerOf(object: UvmObject): NonNullable<UvmObject["pager"]> {
  if (object.pager === null) panic(`fault: object ${object.id} has no pager`);
  return object.pager;
}

/** The error of a fault, and its reason. `step` AGAIN: the look-up has failed. */
function finish(space: FaultSpace, at: Fault, step: Step): Errno {
  let error: Errno = E.EFAULT;
  let reason: FaultReason = at.entry === null ? "unmapped" : "rights";
  if (step === E.OK) reason = "none";
  else if (step === E.EINVAL) reason = "beyond";
  else if (step === E.ENOMEM) reason = "memory";
  else if (step !== AGAIN) reason = "object";
  if (step !== AGAIN && step !== E.EINVAL) error = step;
  space.faultReason = reason;
  space.pages.trace.record(FAULT, space.pmap.id, at.va / PAGE, at.access, error);
  return error;
}
