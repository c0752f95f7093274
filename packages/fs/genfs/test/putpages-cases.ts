/**
 * Calls of putpages on pictures of pages (pictures.ts), with the clusters that they write.
 *
 * Block i of the file is block i of the disk, so a cluster is [first page, pages]. Pages came in ascending
 * order: so the walk by list and the walk by tag meet them alike.
 */
import { Pgo } from "@physio/uvm";

const { CLEANIT, FREE, DEACTIVATE, SYNCIO, ALLPAGES } = Pgo;

export interface PutCase {
  readonly name: string;
  readonly before: string;
  /** Pages; `hi` 0: all from `lo` on. */
  readonly lo?: number;
  readonly hi?: number;
  readonly flags: number;
  readonly writes: readonly (readonly [number, number])[];
  readonly after: string;
}

const D20 = "D".repeat(20);
const C20 = "C".repeat(20);

export const PUT_CASES: PutCase[] = [
  {
    name: "clean pages need no write",
    before: "CC.C",
    flags: CLEANIT | SYNCIO,
    writes: [],
    after: "CC.C",
  },
  {
    name: "a dirty page is written",
    before: "CDC",
    flags: CLEANIT | SYNCIO,
    writes: [[1, 1]],
    after: "CCC",
  },
  {
    name: "a page that a mapping modified is written",
    before: "CMC",
    flags: CLEANIT | SYNCIO,
    writes: [[1, 1]],
    after: "CCC",
  },
  {
    name: "dirty neighbours are one cluster",
    before: "DDMD",
    flags: CLEANIT | SYNCIO,
    writes: [[0, 4]],
    after: "CCCC",
  },
  {
    name: "a clean page, and one that is missing, end a cluster",
    before: "DDCD.D",
    flags: CLEANIT | SYNCIO,
    writes: [
      [0, 2],
      [3, 1],
      [5, 1],
    ],
    after: "CCCC.C",
  },
  {
    name: "a cluster has 16 pages at most",
    before: D20,
    flags: CLEANIT | SYNCIO,
    writes: [
      [0, 16],
      [16, 4],
    ],
    after: C20,
  },
  {
    name: "a cluster reaches over both ends of the range",
    before: "DDDDD",
    lo: 2,
    hi: 3,
    flags: CLEANIT | SYNCIO,
    writes: [[0, 5]],
    after: "CCCCC",
  },
  {
    name: "a cluster begins at most 8 pages before the page",
    before: D20,
    lo: 10,
    hi: 11,
    flags: CLEANIT | SYNCIO,
    writes: [[2, 16]],
    after: `DD${"C".repeat(16)}DD`,
  },
  {
    name: "what is not gathered backward is gathered forward",
    before: D20,
    lo: 3,
    hi: 4,
    flags: CLEANIT | SYNCIO,
    writes: [[0, 16]],
    after: `${"C".repeat(16)}DDDD`,
  },
  {
    name: "pages out of the range that no cluster needs are left alone",
    before: "D.D.D",
    lo: 2,
    hi: 3,
    flags: CLEANIT | SYNCIO,
    writes: [[2, 1]],
    after: "D.C.D",
  },
  {
    name: "hi 0 is the end of the object",
    before: "D.D.D",
    lo: 2,
    hi: 0,
    flags: CLEANIT | SYNCIO,
    writes: [
      [2, 1],
      [4, 1],
    ],
    after: "D.C.C",
  },
  {
    name: "ALLPAGES is the whole object, whatever the end",
    before: "D.D.D",
    lo: 0,
    hi: 1,
    flags: CLEANIT | SYNCIO | ALLPAGES,
    writes: [
      [0, 1],
      [2, 1],
      [4, 1],
    ],
    after: "C.C.C",
  },
  {
    name: "FREE frees pages of the range, dirty ones unwritten",
    before: "DCDCD",
    lo: 1,
    hi: 4,
    flags: FREE,
    writes: [],
    after: "D...D",
  },
  {
    name: "CLEANIT with FREE writes first",
    before: "CDC",
    flags: CLEANIT | FREE | SYNCIO,
    writes: [[1, 1]],
    after: "...",
  },
  {
    name: "pages of a cluster out of the range are written, and not freed",
    before: "DDDD",
    lo: 1,
    hi: 3,
    flags: CLEANIT | FREE | SYNCIO,
    writes: [[0, 4]],
    after: "C..C",
  },
  {
    name: "DEACTIVATE moves pages of the range to the inactive queue",
    before: "CDCDC",
    lo: 1,
    hi: 4,
    flags: DEACTIVATE,
    writes: [],
    after: "CdcdC",
  },
  {
    name: "pages of a cluster out of the range are written, and not deactivated",
    before: "DDDD",
    lo: 1,
    hi: 3,
    flags: CLEANIT | DEACTIVATE | SYNCIO,
    writes: [[0, 4]],
    after: "CccC",
  },
  {
    name: "a wired page is written, and stays on no queue",
    before: "CwW",
    flags: CLEANIT | DEACTIVATE | SYNCIO,
    writes: [[1, 1]],
    after: "cWW",
  },
  {
    name: "inactive pages stay inactive",
    before: "dcd",
    flags: CLEANIT | SYNCIO,
    writes: [
      [0, 1],
      [2, 1],
    ],
    after: "ccc",
  },
  {
    name: "pages over holes that are clean are not written",
    before: "DRD",
    flags: CLEANIT | SYNCIO,
    writes: [
      [0, 1],
      [2, 1],
    ],
    after: "CRC",
  },
];
