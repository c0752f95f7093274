/**
 * Where `fixed` differs from the original in this backend, decision by decision.
 *
 * They stand beside those of busdma's DmaSemantics, which the backend reads too: each is one boolean,
 * read where it matters, with a test of its own both ways and a row in the manual page. A backend
 * takes them from the name of its context's semantics unless it is given a set.
 */
export interface Arm64Decisions {
  /**
   * A piece ends with its page only: it is bounced or entered in the sync list whole, and cut into
   * segments after. The original cuts it to maxSegSize before and to the boundary after, so that
   * bounce pages run out, lines are shared, and sync entries overlap.
   */
  readonly cutAfterBounce: boolean;
  /** Each page of DMA memory is translated; the original takes it for contiguous, whatever it is. */
  readonly memoryByPage: boolean;
  /** The sync list takes as many entries as a load needs; the original's ends at the tag's segments. */
  readonly listGrows: boolean;
  /** A range without kernel address never lengthens a sync entry that has one. */
  readonly entriesKeepKind: boolean;
  /** Only the data of mapped mbufs is free of the line rule, not what is loaded after it. */
  readonly mbufRuleByRange: boolean;
  /** POSTREAD invalidates what was used directly before it copies bounced data back. */
  readonly directBeforeCopies: boolean;
}

/** Default of every machine. */
export const ARM64_FIXED: Arm64Decisions = Object.freeze({
  cutAfterBounce: true,
  memoryByPage: true,
  listGrows: true,
  entriesKeepKind: true,
  mbufRuleByRange: true,
  directBeforeCopies: true,
});

/** What the original does. */
export const ARM64_SEED: Arm64Decisions = Object.freeze({
  cutAfterBounce: false,
  memoryByPage: false,
  listGrows: false,
  entriesKeepKind: false,
  mbufRuleByRange: false,
  directBeforeCopies: false,
});
