/**
 * The recorded bus_dma scenarios of conformance/busdma: their types and their reader.
 *
 * What the fields mean is in the README beside the files.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** 2^64 − 1 is written as "MAXADDR". */
export type Limit = number | "MAXADDR";
export type Space = "kernel" | "user" | "phys";

export interface MachineSpec {
  readonly physicalTop: number;
  /** [first byte, pages]. */
  readonly ram: readonly (readonly [number, number])[];
  /** [virtual address, physical address, pages]. */
  readonly kernelMap: readonly (readonly [number, number, number])[];
  readonly userMap: readonly (readonly [number, number, number])[];
  readonly bouncePages: readonly number[];
}

export interface BioSpec {
  readonly kind: "mapped" | "unmapped" | "vlist";
  readonly bcount: number;
  readonly va?: number;
  readonly pages?: readonly number[];
  readonly list?: readonly (readonly [number, number])[];
  readonly offset?: number;
}

export interface MemSpec {
  readonly type: string;
  readonly va?: number;
  readonly pa?: number;
  readonly len?: number;
  readonly list?: readonly (readonly [number, number])[];
  readonly bio?: BioSpec;
}

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
  readonly filter: unknown;
  readonly lock: "driver" | null;
  readonly va: number;
  readonly pa: number;
  readonly len: number;
  readonly addr: number;
  readonly seed: number;
  readonly space: Space;
  readonly bio: BioSpec;
  readonly mem: MemSpec;
  readonly pages: readonly number[];
  readonly offset: number;
  readonly unloadInCallback?: boolean;
  readonly expect: Readonly<Record<string, unknown>>;
}

export interface Scenario {
  readonly id: string;
  readonly variant: string;
  readonly machine: MachineSpec;
  readonly ops: readonly Op[];
}

/** The scenarios of one file, `name` without its ending. */
export function readVectors(name: string): Scenario[] {
  const file = new URL(`../../../../conformance/busdma/${name}.jsonl.gz`, import.meta.url);
  const text = gunzipSync(readFileSync(file)).toString("utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Scenario);
}
