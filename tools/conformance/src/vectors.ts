/**
 * Recorded bus_dma scenarios: their types, and what a replay cannot do without.
 *
 * What the fields mean is in conformance/busdma/README.md. The reader checks what the replay builds a
 * machine from; everything else of an operation is the replay's to compare, so that a wrong vector
 * fails its step and no more.
 */
import { PAGE_SIZE } from "@physio/kern";
import { isListOf, isNumbers, isObject, readScenarios } from "./files.ts";

/** 2^64 − 1 is written as "MAXADDR". */
export type Limit = number | "MAXADDR";
export type Space = "kernel" | "user" | "phys";
/** An address and a length, both in bytes. */
export type Range = readonly [number, number];
/** What was recorded of one operation, and what a replay gives. */
export type Outcome = Record<string, unknown>;

export interface MachineSpec {
  readonly pageSize: number;
  readonly physicalTop: number;
  /** [first byte, pages]. */
  readonly ram: readonly Range[];
  /** [virtual address, physical address, pages]. */
  readonly kernelMap: readonly (readonly [number, number, number])[];
  readonly userMap: readonly (readonly [number, number, number])[];
  readonly bouncePages: readonly number[];
  readonly cacheLine?: number;
}

export interface MbufSpec {
  readonly len: number;
  /** Mapped. */
  readonly va?: number;
  /** Unmapped. */
  readonly offset?: number;
  readonly header?: { readonly va: number; readonly len: number };
  readonly pages?: readonly number[];
  readonly firstOffset?: number;
  readonly lastLength?: number;
  readonly trailer?: { readonly va: number; readonly len: number };
  readonly external?: boolean;
}

export interface UioSpec {
  readonly space: "user" | "kernel";
  readonly resid: number;
  readonly iov: readonly Range[];
  readonly process?: boolean;
}

export interface BioSpec {
  readonly kind: "mapped" | "unmapped" | "vlist";
  readonly bcount: number;
  readonly va?: number;
  readonly pages?: readonly number[];
  readonly list?: readonly Range[];
  readonly offset?: number;
}

export interface CcbSpec {
  readonly function: string;
  readonly direction: string;
  readonly data: {
    readonly type: string;
    readonly va?: number;
    readonly pa?: number;
    readonly len?: number;
    readonly list?: readonly Range[];
    readonly listCount?: number;
    readonly transferLength?: number;
    readonly bio?: BioSpec;
  };
}

export interface MemSpec {
  readonly type: string;
  readonly va?: number;
  readonly pa?: number;
  readonly len?: number;
  readonly list?: readonly Range[];
  readonly bio?: BioSpec;
  readonly uio?: UioSpec;
  readonly mbufs?: readonly MbufSpec[];
  readonly ccb?: CcbSpec;
}

export type FilterRule =
  | { readonly rule: "frame-mod"; readonly modulus: number; readonly remainder: number }
  | { readonly rule: "range"; readonly from: number; readonly to: number }
  | { readonly rule: "accept-all" | "reject-all" };

/** Any operation: each uses the fields that its row of the README lists. */
export interface Op {
  readonly op: string;
  readonly tag: string;
  readonly parent: string | null;
  readonly map: string;
  readonly flags: readonly string[];
  readonly operations: readonly string[];
  readonly alignment: number;
  readonly boundary: number;
  readonly lowaddr: Limit;
  readonly highaddr: Limit;
  readonly maxsize: Limit;
  readonly nsegments: number;
  readonly maxsegsz: Limit;
  readonly filter: FilterRule | null;
  readonly lock: "driver" | null;
  readonly va: number;
  readonly pa: number;
  readonly len: number;
  readonly addr: number;
  readonly seed: number;
  readonly space: Space;
  readonly mbufs: readonly MbufSpec[];
  readonly packetLength: number | null;
  readonly uio: UioSpec;
  readonly bio: BioSpec;
  readonly ccb: CcbSpec;
  readonly mem: MemSpec;
  readonly pages: readonly number[];
  readonly offset: number;
  readonly supply: { readonly va: number; readonly pages: readonly number[] } | null;
  readonly unloadInCallback?: boolean;
  readonly expect: Outcome;
}

export const VARIANTS = ["x86", "x86-filters", "arm64"] as const;
export type Variant = (typeof VARIANTS)[number];

export interface Scenario {
  readonly id: string;
  readonly variant: Variant;
  readonly machine: MachineSpec;
  readonly ops: readonly Op[];
}

/** The scenarios of one file. @throws {VectorError} */
export const readVectors = (path: string): Scenario[] => readScenarios(path, fault);

/** What is wrong with a scenario, or null. */
function fault(value: unknown): string | null {
  if (!isObject(value)) return "not an object";
  if (typeof value.id !== "string") return "no id";
  if (!VARIANTS.includes(value.variant as Variant)) return `unknown variant ${value.variant}`;
  const { machine, ops } = value;
  if (!isObject(machine)) return "no machine";
  if (machine.pageSize !== PAGE_SIZE) return `machine.pageSize is ${machine.pageSize}`;
  if (!(Number.isSafeInteger(machine.physicalTop) && (machine.physicalTop as number) > 0))
    return "machine.physicalTop is not an address";
  if (!isListOf(machine.ram, isNumbers(2))) return "machine.ram is not a list of runs";
  for (const name of ["kernelMap", "userMap"]) {
    if (!isListOf(machine[name], isNumbers(3))) return `machine.${name} is not a list of runs`;
  }
  if (!isListOf(machine.bouncePages, Number.isSafeInteger))
    return "machine.bouncePages is not a list of addresses";
  if (value.variant === "arm64" && !Number.isSafeInteger(machine.cacheLine))
    return "machine.cacheLine is not a size";
  const isOp = (op: unknown) => isObject(op) && typeof op.op === "string" && isObject(op.expect);
  if (!isListOf(ops, isOp)) return "ops is not a list of operations with outcomes";
  return null;
}
