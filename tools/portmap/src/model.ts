/**
 * What the parts of portmap hand to each other.
 *
 * A seed is one of the originals that this project follows; a row is one thing in it: a function, a
 * flag, a promise. Tags (in sources), mentions (in tests) and claims (in claims.json) say where a
 * row has its place here. Paths are relative to the root with forward slashes; lines count from 1.
 */

export const TOPICS = ["bus_dma complete", "paging complete", "memory and time"] as const;
export type Topic = (typeof TOPICS)[number];

export const KINDS = [
  "function",
  "operation",
  "flag",
  "errno",
  "struct",
  "variable",
  "sysctl",
  "promise",
] as const;
export type Kind = (typeof KINDS)[number];

export interface Row {
  readonly name: string;
  readonly kind: Kind;
  /** In the original. */
  readonly line: number;
  /** What will bring it, when it is not there yet. */
  readonly topic: Topic;
  /** In our words; promises have one. */
  readonly text: string;
}

export interface Seed {
  /** Name of the inventory's file without `.json`: `subr_bus_dma.c`. */
  readonly id: string;
  /** Where the original has it: `sys/kern/subr_bus_dma.c`. */
  readonly path: string;
  readonly origin: string;
  /** Other ways in which a tag may name the seed. */
  readonly aliases: readonly string[];
  /** Beginnings of names that nobody but this seed defines: such a name must be in some inventory. */
  readonly families: readonly string[];
  readonly rows: readonly Row[];
}

/** Where something is. */
export interface Place {
  readonly path: string;
  readonly line: number;
  /** `DmaMap.load`, or a test's title. */
  readonly symbol: string;
}

export type TagStatus = "ported" | "partly" | "no";

/** One name of a tag. */
export interface Term {
  readonly name: string;
  /** What follows the name: the tag is about a part of it. */
  readonly part: string;
}

/** The text of a tag, taken apart. */
export interface Tag {
  readonly status: TagStatus;
  readonly why: string;
  /** The original's file as the tag gives it, or "". */
  readonly file: string;
  readonly terms: readonly Term[];
}

/** A tag in its place. */
export interface PlacedTag extends Tag {
  readonly place: Place;
}

/** A test that names an original. */
export interface Mention {
  readonly name: string;
  readonly place: Place;
}

/** A line of claims.json, checked. */
export interface Claim {
  /** In claims.json. */
  readonly line: number;
  readonly id: string;
  /** A seed's id; "": every seed that has the row. */
  readonly seed: string;
  /** Why it is only partly there; "": it is there. */
  readonly partly: string;
  readonly remark: string;
  /** Whether it names code at all, found or not. */
  readonly namesCode: boolean;
  readonly code: readonly Place[];
  readonly tests: readonly Place[];
}

export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export type Status = "done" | "partly" | "notYet";

/** A row with all that is known of it. */
export interface Entry {
  readonly row: Row;
  readonly status: Status;
  readonly code: readonly Place[];
  readonly tests: readonly Place[];
  readonly remarks: readonly string[];
}
