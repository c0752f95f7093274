/**
 * Worker of the M6 rows: bytes that an operation on memory or time leaves behind.
 */
import { byteCases } from "./byte-cases.ts";
import type { Case } from "./cases.ts";
import { warm } from "./cases.ts";
import { garbageOf } from "./garbage.ts";
import { memoryCases } from "./memory-cases.ts";
import { timeCases } from "./time-cases.ts";

export interface CoreGarbageInput {
  /** The only case to measure; null: all. */
  readonly only: string | null;
}

/** Bytes an operation, by case. */
export type Garbage = Record<string, number>;

export interface CoreGarbageOutput {
  readonly memory: Garbage;
  readonly bytes: Garbage;
  readonly time: Garbage;
  /** Of one resumption of a bare generator. */
  readonly resumption: number;
}

/** Garbage of every case, without what its resumptions leave behind by themselves. */
function measure(cases: readonly Case[], resumption: number, only: string | null): Garbage {
  return Object.fromEntries(
    cases
      .filter((c) => only === null || c.name === only)
      .map((c) => [c.name, garbageOf(c.body, c.operations) - c.resumptions * resumption]),
  );
}

export function measureCoreGarbage({ only }: CoreGarbageInput): CoreGarbageOutput {
  const [memory, bytes, time] = [memoryCases(), byteCases(), timeCases()];
  warm([...memory, ...bytes, ...time]);
  const bare = time.find((c) => c.name === "bare");
  if (bare === undefined) throw new Error("there is no bare generator to compare with");
  const resumption = garbageOf(bare.body, bare.operations);
  const own = (cases: readonly Case[]) => measure(cases, resumption, only);
  return { memory: own(memory), bytes: own(bytes), time: own(time), resumption };
}
