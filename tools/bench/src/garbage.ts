/**
 * Garbage: the bytes that an operation leaves behind.
 *
 * The new generation of a process that measures is large enough that nothing is collected meanwhile,
 * so the growth of the used heap is what was allocated.
 */
import { getHeapStatistics } from "node:v8";

/** Room for what the operations could allocate: nothing may be collected meanwhile. */
export const GARBAGE_FLAGS: readonly string[] = Object.freeze([
  "--expose-gc",
  "--min-semi-space-size=64",
  "--max-semi-space-size=64",
  "--no-flush-bytecode", // a collection must not make functions be compiled anew
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

/** Until asking costs the same every time. */
function warmUsed(): void {
  for (let i = 0; i < 200; i++) used();
}

/** Bytes that `body` allocates an operation; negative: something was collected meanwhile. */
function growth(body: (n: number) => void, operations: number): number {
  collect();
  body(Math.ceil(operations / 8));
  const first = used();
  const before = used(); // asking costs some hundred bytes itself
  body(operations);
  const grown = used() - before;
  return grown < 0 ? grown : Math.max(0, grown - (before - first)) / operations;
}

/**
 * The same in steady state: the least of some repeats, as code that is not compiled for good yet boxes
 * numbers. @throws when most repeats were spoilt.
 */
export function garbageOf(body: (n: number) => void, operations: number, repeats = 7): number {
  warmUsed();
  const all = Array.from({ length: repeats }, () => growth(body, operations));
  const sound = all.filter((grown) => grown >= 0);
  // The compiler's threads may give back a little, late; a collection spoils all repeats.
  if (sound.length < repeats / 2) throw new Error("garbage was collected while it was measured");
  return Math.min(...sound);
}
