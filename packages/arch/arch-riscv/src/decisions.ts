/**
 * Where `fixed` differs from the original in this backend, decision by decision.
 *
 * They stand beside those of busdma's DmaSemantics, which the backend reads too: each is one boolean,
 * read where it matters, with a test of its own both ways and a row in the manual page. No recorded
 * runs of this architecture exist: `seed` is what its source says.
 */
export interface RiscvDecisions {
  /**
   * A piece ends with its page only: it is bounced or entered in the sync list whole, and cut into
   * segments after. The original cuts it to maxSegSize before and to the boundary after.
   */
  readonly cutAfterBounce: boolean;
  /** The sync list takes as many entries as a load needs; the original's ends at the tag's segments. */
  readonly listGrows: boolean;
  /** A range without kernel address never lengthens a sync entry that has one. */
  readonly entriesKeepKind: boolean;
  /** POSTREAD invalidates what was used directly before it copies bounced data back. */
  readonly directBeforeCopies: boolean;
  /** Memory that is not cached needs no maintenance; the original makes its calls all the same. */
  readonly uncachedIsCoherent: boolean;
  /** Pools are grown by one page more than maxSize has, as a range may begin inside a page. */
  readonly poolCoversOffset: boolean;
}

/** Default of every machine. */
export const RISCV_FIXED: RiscvDecisions = Object.freeze({
  cutAfterBounce: true,
  listGrows: true,
  entriesKeepKind: true,
  directBeforeCopies: true,
  uncachedIsCoherent: true,
  poolCoversOffset: true,
});

/** What the original does. */
export const RISCV_SEED: RiscvDecisions = Object.freeze({
  cutAfterBounce: false,
  listGrows: false,
  entriesKeepKind: false,
  directBeforeCopies: false,
  uncachedIsCoherent: false,
  poolCoversOffset: false,
});
