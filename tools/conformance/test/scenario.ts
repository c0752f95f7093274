/** A small scenario that passes, written by hand: 100 bytes that a device with no limits can reach. */
import type { Op, Scenario } from "../src/vectors.ts";

const TAG = {
  alignment: 1,
  boundary: 0,
  lowaddr: "MAXADDR",
  highaddr: "MAXADDR",
  maxsize: 65536,
  nsegments: 16,
  maxsegsz: 65536,
};

const OPS = [
  {
    op: "tag_create",
    tag: "t0",
    parent: null,
    ...TAG,
    filter: null,
    flags: [],
    lock: "driver",
    expect: { error: null, effective: { ...TAG, mayBounce: false } },
  },
  { op: "map_create", tag: "t0", map: "m0", flags: [], expect: { error: null, trivial: true } },
  {
    op: "load_buffer",
    tag: "t0",
    map: "m0",
    va: 0x1_0000_0000,
    len: 100,
    flags: [],
    expect: { error: null, events: [{ callback: "m0", error: null, segments: [[1048576, 100]] }] },
  },
  { op: "unload", tag: "t0", map: "m0", expect: {} },
  { op: "map_destroy", tag: "t0", map: "m0", expect: { error: null } },
];

export const SCENARIO: Scenario = {
  id: "hand-made-000",
  variant: "x86",
  machine: {
    pageSize: 4096,
    physicalTop: 0x1000_0000,
    ram: [[1048576, 2]],
    kernelMap: [[0x1_0000_0000, 1048576, 1]],
    userMap: [],
    bouncePages: [],
  },
  ops: OPS as unknown as readonly Op[],
};

/** The same with a field of one operation replaced. */
export function withOp(step: number, part: object, id = SCENARIO.id): Scenario {
  const ops = SCENARIO.ops.map((op, i) => (i === step ? { ...op, ...part } : op));
  return { ...SCENARIO, id, ops: ops as readonly Op[] };
}
