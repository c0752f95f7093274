/** A small scenario of genfs that passes, written by hand: a file of two pages over two blocks and a hole. */
import type { Scenario, Step } from "../src/genfs/vectors.ts";

const VNODE = {
  size: 8192,
  writeSize: 8192,
  onWorklist: 0,
  wrmapDirty: 0,
  numOutput: 0,
  dirtyGen: 0,
};
/** Of the pattern of seed 5, first page. */
export const FIRST_PAGE = 2393178035;

const STEPS = [
  {
    op: "getpages",
    off: 0,
    count: 1,
    center: 0,
    access: "r",
    flags: ["SYNCIO"],
    out: {
      err: 0,
      m: [0],
      bmap: [[0, 0, 0]],
      io: [[0, "R", 0, 4096, 0, 0, 2]],
      gop: [["mark", "A"]],
      trans: [1, 1, 0, 0],
      pages: [[0, 1, "BC", "-", "-", 0, FIRST_PAGE]],
      vnode: VNODE,
    },
  },
  {
    op: "release",
    pages: [0],
    mode: "fault",
    map: "r",
    out: { err: 0, pages: [[0, 1, "C", "r", "a", 0, FIRST_PAGE]] },
  },
  { op: "complete", n: "all", out: { err: 0 } },
  { op: "inject", what: "clear", out: { err: 0 } },
  { op: "putpages", lo: 0, hi: 0, flags: ["FREE"], daemon: 0, out: { err: 0, pages: [] } },
];

export const GENFS_SCENARIO: Scenario = {
  id: "hand-made-genfs-000",
  vnode: {
    type: "VREG",
    size: 8192,
    writeSize: 8192,
    gopWrite: "normal",
    mapped: 0,
    wrmap: 0,
    onWorklist: 0,
    dirtyBufs: 0,
  },
  mount: { fsBshift: 12, devBshift: 9, eofShift: 12, noatime: 0, nodevmtime: 0, wapbl: 0 },
  disk: { bytes: 16384, seed: 5 },
  map: [[0, 1, 0]],
  blocks: 2,
  maxRun: 15,
  holeRuns: 0,
  free: [8, 16],
  steps: STEPS as unknown as readonly Step[],
};

/** The same with a field of one step replaced. */
export function withStep(step: number, part: object, id = GENFS_SCENARIO.id): Scenario {
  const steps = GENFS_SCENARIO.steps.map((one, i) => (i === step ? { ...one, ...part } : one));
  return { ...GENFS_SCENARIO, id, steps: steps as readonly Step[] };
}
