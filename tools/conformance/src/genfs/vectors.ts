/**
 * Recorded genfs scenarios: their types, and what a replay cannot do without.
 *
 * What the fields mean is in conformance/genfs/README.md. The reader checks what the replay builds a
 * scene from; everything else of a step is the replay's to compare, so that a wrong vector fails its
 * step and no more.
 */
import { isListOf, isNumbers, isObject, readScenarios } from "../files.ts";

/** What was recorded of one step, and what a replay gives. */
export type Outcome = Record<string, unknown>;

export const VNODE_TYPES = ["VREG", "VDIR", "VLNK", "VBLK"] as const;
export const GOP_WRITES = ["normal", "rwmap", "compat"] as const;

/** Booleans are 0 or 1. */
export interface VnodeSpec {
  readonly type: (typeof VNODE_TYPES)[number];
  readonly size: number;
  readonly writeSize: number;
  readonly gopWrite: (typeof GOP_WRITES)[number];
  readonly mapped: number;
  readonly wrmap: number;
  readonly onWorklist: number;
  readonly dirtyBufs: number;
}

export interface MountSpec {
  readonly fsBshift: number;
  readonly devBshift: number;
  readonly eofShift: number;
  readonly noatime: number;
  readonly nodevmtime: number;
  readonly wapbl: number;
}

/** User memory: bytes, in pages from `base` on, of the pattern of `seed`. */
export interface UserSpec {
  readonly base: number;
  readonly bytes: number;
  readonly seed: number;
  /** [address, length] of the part that is write-protected. */
  readonly readOnly: readonly [number, number];
}

/** A LOCKED write fault of another thread, in the middle of a step. */
export interface FaultSpec {
  readonly off: number;
  readonly len: number;
  readonly seed: number;
}

/** Any step: each uses the fields that its row of the README lists. */
export interface Step {
  readonly op: string;
  readonly off: number;
  readonly count: number;
  readonly center: number;
  readonly access: string;
  readonly flags: readonly string[];
  readonly noArray?: number;
  readonly dontcare?: readonly number[];
  readonly lo: number;
  readonly hi: number;
  readonly daemon: number;
  readonly rw: string;
  readonly iov: readonly (readonly [number, number])[];
  readonly journalLocked: number;
  readonly space: string;
  readonly pages: readonly number[];
  readonly mode: string;
  readonly map: string;
  readonly len: number;
  readonly seed: number;
  readonly n: number | "all";
  readonly size: number;
  readonly mapped: number;
  readonly wrmap: number;
  readonly what: string;
  readonly blkno: number;
  readonly lbn: number;
  readonly error: string;
  readonly times: number;
  readonly held: string;
  readonly fault?: FaultSpec;
  readonly out: Outcome;
}

export interface Scenario {
  readonly id: string;
  readonly vnode: VnodeSpec;
  readonly mount: MountSpec;
  readonly disk: { readonly bytes: number; readonly seed: number };
  /** [first logical block, count, device block of the first]. */
  readonly map: readonly (readonly [number, number, number])[];
  readonly blocks: number;
  readonly maxRun: number;
  readonly holeRuns: number;
  readonly free: readonly number[];
  readonly user?: UserSpec;
  readonly steps: readonly Step[];
}

/** The scenarios of one file. @throws {VectorError} */
export const readGenfsVectors = (path: string): Scenario[] => readScenarios(path, fault);

/** The whole numbers that each part must have. */
const NUMBERS: Readonly<Record<string, readonly string[]>> = {
  vnode: ["size", "writeSize", "mapped", "wrmap", "onWorklist", "dirtyBufs"],
  mount: ["fsBshift", "devBshift", "eofShift", "noatime", "nodevmtime", "wapbl"],
  disk: ["bytes", "seed"],
};

/** What is wrong with a scenario, or null. */
function fault(value: unknown): string | null {
  if (!isObject(value)) return "not an object";
  if (typeof value.id !== "string") return "no id";
  for (const [part, names] of Object.entries(NUMBERS)) {
    const wrong = faultOfPart(part, value[part], names);
    if (wrong !== null) return wrong;
  }
  const { type, gopWrite } = value.vnode as Record<string, never>;
  if (!VNODE_TYPES.includes(type)) return `unknown vnode.type ${type}`;
  if (!GOP_WRITES.includes(gopWrite)) return `unknown vnode.gopWrite ${gopWrite}`;
  for (const name of ["blocks", "maxRun", "holeRuns"]) {
    if (!isSize(value[name])) return `${name} is not a number`;
  }
  if (!isListOf(value.map, isNumbers(3))) return "map is not a list of runs";
  if (!isListOf(value.free, Number.isSafeInteger)) return "free is not a list of blocks";
  return faultOfUser(value.user) ?? faultOfSteps(value.steps);
}

const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function faultOfPart(part: string, value: unknown, names: readonly string[]): string | null {
  if (!isObject(value)) return `no ${part}`;
  const wrong = names.find((name) => !isSize(value[name]));
  return wrong === undefined ? null : `${part}.${wrong} is not a number`;
}

function faultOfUser(user: unknown): string | null {
  if (user === undefined) return null;
  const wrong = faultOfPart("user", user, ["base", "bytes", "seed"]);
  if (wrong !== null) return wrong;
  return isNumbers(2)((user as Outcome).readOnly) ? null : "user.readOnly is not a range";
}

function faultOfSteps(steps: unknown): string | null {
  const isStep = (step: unknown) =>
    isObject(step) && typeof step.op === "string" && isObject(step.out);
  return isListOf(steps, isStep) ? null : "steps is not a list of operations with outcomes";
}
