/**
 * The two semantics: `seed` does what the original does, slips included; `fixed` mends them.
 *
 * Each difference is one named decision, read where it matters. What the original does and why we
 * differ is in the manual page; SEED exists so that the decisions can be tested one by one.
 */

export interface DmaSemantics {
  readonly name: "seed" | "fixed";
  /** An alignment or boundary that is no power of 2 is EINVAL when the tag is made, not a panic of its first load. */
  readonly checkPowersOf2: boolean;
  /** A tag with child tags cannot be destroyed. */
  readonly childrenKeepParent: boolean;
  /** The pool's pages for a tag are rounded up: a maxSize below a page is a page for ALLOCNOW too. */
  readonly poolCoversMaxSize: boolean;
  /** A map that could not be made does not count among its zone's maps. */
  readonly failedMapNotCounted: boolean;
  /** Every page of a physical range is held against the tag's window, not only its first address. */
  readonly testEveryPage: boolean;
  /** A load longer than the tag's maxSize is EINVAL, as bus_dma(9) promises. */
  readonly checkMaxSize: boolean;
  /** An inherited boundary lowers maxSegSize, as the tag's own does. */
  readonly inheritedBoundaryLowersSegment: boolean;
  /** A tag takes the larger of its own and its parent's alignment. */
  readonly inheritAlignment: boolean;
  /** Bounced chunks stay in their page when the alignment rounds their length up. */
  readonly chunksStayInPage: boolean;
  /** Unload and a failed load clear the map's reservation and give its bounce pages back. */
  readonly clearReservation: boolean;
  /** A list load that stalls midway gives back what it took and is resumed with all of it reserved. */
  readonly stalledLoadStartsOver: boolean;
  /** A load that needs more pages than its zone has fails at once instead of waiting for ever. */
  readonly refuseImpossible: boolean;
  /** PRE and POST operations in one sync each do their work. */
  readonly syncEachOperation: boolean;
  /** A load or an unload of a map whose load still waits panics; the original takes it, and loses track. */
  readonly waitingMapsAreBusy: boolean;
  /** A misaligned address bounces whatever a filter says; the original asks the filter, which may let it pass. */
  readonly alignmentBeforeFilters: boolean;
  /** Allocated memory is given back to the allocator that it came from; the original goes by the tag's history. */
  readonly freeByAllocation: boolean;
  /** Memory from bus_dmamem_alloc keeps its tag from being destroyed, as maps do. */
  readonly memoryKeepsTag: boolean;
}

/** Default of every machine. */
export const FIXED: DmaSemantics = Object.freeze({
  name: "fixed",
  checkPowersOf2: true,
  childrenKeepParent: true,
  poolCoversMaxSize: true,
  failedMapNotCounted: true,
  testEveryPage: true,
  checkMaxSize: true,
  inheritedBoundaryLowersSegment: true,
  inheritAlignment: true,
  chunksStayInPage: true,
  clearReservation: true,
  stalledLoadStartsOver: true,
  refuseImpossible: true,
  syncEachOperation: true,
  waitingMapsAreBusy: true,
  alignmentBeforeFilters: true,
  freeByAllocation: true,
  memoryKeepsTag: true,
});

/** What the original does. */
export const SEED: DmaSemantics = Object.freeze({
  name: "seed",
  checkPowersOf2: false,
  childrenKeepParent: false,
  poolCoversMaxSize: false,
  failedMapNotCounted: false,
  testEveryPage: false,
  checkMaxSize: false,
  inheritedBoundaryLowersSegment: false,
  inheritAlignment: false,
  chunksStayInPage: false,
  clearReservation: false,
  stalledLoadStartsOver: false,
  refuseImpossible: false,
  syncEachOperation: false,
  waitingMapsAreBusy: false,
  alignmentBeforeFilters: false,
  freeByAllocation: false,
  memoryKeepsTag: false,
});
