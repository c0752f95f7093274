/**
 * Garbage: the bytes that an operation leaves behind.
 *
 * The new generation of a process that measures is large enough that nothing is collected meanwhile,
 * so the growth of the used heap is what was allocated.
 */
import { getHeapStatistics } from "node:v8";
import { median } from "./arithmetic.ts";

/** Room for what the operations could allocate: nothing may be collected meanwhile. */
export const GARBAGE_FLAGS: readonly string[] = Object.freeze([
  "--expose-gc",
  "--min-semi-space-size=64",
  "--max-semi-space-size=64",
]);

/** A full collection. @throws without --expose-gc. */
export function collect(): void {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("this is measured with --expose-gc");
  gc();
}

function used(): number {
  return getHeapStatistics().used_heap_size;
}

/** Bytes that `body` allocates an operation, the median of some repeats. */
export function garbageOf(body: (n: number) => void, operations: number, repeats = 5): number {
  return median(
    Array.from({ length: repeats }, () => {
      collect();
      const before = used();
      body(operations);
      const grown = used() - before;
      if (grown < 0) throw new Error("garbage was collected while it was measured");
      return grown / operations;
    }),
  );
}
