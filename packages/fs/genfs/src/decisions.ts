/**
 * Where genfs_io.c 1.18 errs: each slip is one named decision.
 *
 * `SEED` does what that revision does, `FIXED` what later ones do, or what keeps data and ends. A
 * node reads its record once. What becomes of pages when their I/O ends is uvm's to decide
 * (UvmPagesOptions.semantics).
 */

export interface GenfsDecisions {
  /** Pages to be written are looked for in the order in which they came, or by their tags. */
  readonly walk: "list" | "tag";
  /** A request to write makes the vnode dirty before it has succeeded. */
  readonly dirtyBeforeSuccess: boolean;
  /** A LOCKED request that fails to get the lock forgets which entries were DONTCARE. */
  readonly wipesDontCare: boolean;
  /** A write fault begins its journal transaction while it holds the node's lock and busy pages. */
  readonly lateJournal: boolean;
  /** Read-ahead sleeps for kernel addresses. */
  readonly readAheadSleeps: boolean;
  /** A write fault over a hole makes pages dirty before blocks are allocated. */
  readonly dirtyBeforeAllocation: boolean;
  /** OVERWRITE leaves pages that are resident CLEAN. */
  readonly overwriteKeepsClean: boolean;
  /** A walk that stops early may take the vnode off the worklist all the same. */
  readonly stoppedWalkCleans: boolean;
  /** Asynchronous requests wholly beyond the end of the disk's blocks never end. */
  readonly losesPastEof: boolean;
  /** A write beyond the end of the file's blocks is not cut. */
  readonly writesPastEof: boolean;
  /** Reclaim goes on for ever over pages that it cannot get rid of; else it is EBUSY. */
  readonly reclaimSpins: boolean;
  /** A request that waits while the file grows takes its old end for the end: what was written behind it reads as zeros. */
  readonly ignoresGrowth: boolean;
  /** Pages may be read in again while direct I/O writes what is below them. */
  readonly directUnlocked: boolean;
  /** A transfer in one piece that the disk ends early, without an error, counts as whole. */
  readonly shortIsWhole: boolean;
  /** A pass over a vnode that is off the worklist frees what was written to meanwhile, unwritten. */
  readonly cleanWholePass: boolean;
  /** While an object is cleaned, only the page that the walk stands on loses its write mappings, not the cluster round it. */
  readonly protectsWalkedOnly: boolean;
  /** A walk may give way again and again at one page: two walks do so for each other for ever. */
  readonly givesWayAgain: boolean;
}

export const SEED: GenfsDecisions = /* @__PURE__ */ Object.freeze({
  walk: "list",
  dirtyBeforeSuccess: true,
  wipesDontCare: true,
  lateJournal: true,
  readAheadSleeps: true,
  dirtyBeforeAllocation: true,
  overwriteKeepsClean: true,
  stoppedWalkCleans: true,
  losesPastEof: true,
  writesPastEof: true,
  reclaimSpins: true,
  ignoresGrowth: true,
  directUnlocked: true,
  shortIsWhole: true,
  cleanWholePass: true,
  protectsWalkedOnly: true,
  givesWayAgain: true,
});

export const FIXED: GenfsDecisions = /* @__PURE__ */ Object.freeze({
  walk: "tag",
  dirtyBeforeSuccess: false,
  wipesDontCare: false,
  lateJournal: false,
  readAheadSleeps: false,
  dirtyBeforeAllocation: false,
  overwriteKeepsClean: false,
  stoppedWalkCleans: false,
  losesPastEof: false,
  writesPastEof: false,
  reclaimSpins: false,
  ignoresGrowth: false,
  directUnlocked: false,
  shortIsWhole: false,
  cleanWholePass: false,
  protectsWalkedOnly: false,
  givesWayAgain: false,
});
