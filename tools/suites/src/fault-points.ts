/**
 * The places of a machine where something can fail, counted, so that each can be made to fail once.
 *
 * A first run counts; every later run names one place and its number, and there it fails. What is a
 * shortage (pages, kernel addresses) ends some time later, as the waiters are owed.
 */

/** `page`: a frame; `kva`: pager addresses; `array`: an array of pages that may be refused; `buf`: memory of a cached block; `disk`: a transfer; the others are the file system's. */
export const POINTS = ["page", "kva", "array", "buf", "disk", "bmap", "alloc", "begin"] as const;
export type Point = (typeof POINTS)[number];

export class FaultPoints {
  /** Times that each place was come by. */
  readonly counts: Record<Point, number>;
  /** It has failed. */
  fired: boolean;
  /** Nothing is counted, nothing fails. */
  paused: boolean;
  readonly #point: Point | null;
  readonly #number: number;

  /** Fail the `number`th time (from 0) that `point` is come by; null: never. */
  constructor(point: Point | null = null, number = 0) {
    this.counts = { page: 0, kva: 0, array: 0, buf: 0, disk: 0, bmap: 0, alloc: 0, begin: 0 };
    this.fired = false;
    this.paused = false;
    this.#point = point;
    this.#number = number;
  }

  /** Come by `point`. @returns whether it fails. */
  hits(point: Point): boolean {
    if (this.paused) return false;
    const number = this.counts[point]++;
    if (point !== this.#point || number !== this.#number) return false;
    this.fired = true;
    return true;
  }
}
