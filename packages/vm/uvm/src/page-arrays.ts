/**
 * Arrays of pages for requests that outgrow a small one: kept when given back, so that page I/O makes
 * no garbage once it has run for a while. The original takes them from kernel memory.
 */
import { NO_FRAME } from "@physio/kern";

/** Where page I/O gets its arrays; one that may fail stands in for it in tests of failures. */
export interface PageArraySource {
  /** An array of at least `count` entries, all NO_FRAME. @returns null: none without sleeping. @bsd #Y kmem_zalloc KM_NOSLEEP */
  take(count: number, maySleep: boolean): Int32Array | null;
  /** Give back what `take` returned. */
  give(array: Int32Array): void;
}

const SIZES = [16, 64, 256];
const KEPT = 16;

export class PageArrays implements PageArraySource {
  readonly #spare: Int32Array[][];

  constructor() {
    this.#spare = SIZES.map(() => []);
  }

  take(count: number): Int32Array {
    const size = SIZES.findIndex((most) => count <= most);
    const array = size < 0 ? undefined : this.#spare[size].pop();
    if (array === undefined) return new Int32Array(size < 0 ? count : SIZES[size]).fill(NO_FRAME);
    return array.fill(NO_FRAME);
  }

  give(array: Int32Array): void {
    const spare = this.#spare[SIZES.indexOf(array.length)];
    if (spare !== undefined && spare.length < KEPT) spare.push(array);
  }
}
