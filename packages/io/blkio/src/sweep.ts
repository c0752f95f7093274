/**
 * A sweep over a disk: requests in the order of their places, upwards and then again from the lowest.
 *
 * Two heaps: what lies ahead in this sweep, and what came too late for it and waits for the next. A
 * request keeps its index in its heap, so that one can be taken out of its turn. Taking and inserting
 * cost the logarithm of the length; a sorted array, moved by each, took 80 µs at 4096 requests.
 *
 * Invariant: nothing ahead was behind the head when it came. Requests for one place keep their order.
 */
import type { FileOffset } from "@physio/kern";
import type { DiskRequest } from "./disk-queue.ts";

export class Sweep {
  #ahead: DiskRequest[];
  #behind: DiskRequest[];
  /** Where the last request of the sweep ended. */
  #position: FileOffset;

  constructor() {
    this.#ahead = [];
    this.#behind = [];
    this.#position = 0;
  }

  get length(): number {
    return this.#ahead.length + this.#behind.length;
  }

  insert(request: DiskRequest): void {
    request.ahead = request.offset >= this.#position;
    const heap = request.ahead ? this.#ahead : this.#behind;
    heap.push(request);
    siftUp(heap, heap.length - 1);
  }

  /** The next one in this sweep; null: the next one begins another, or there is none. */
  get next(): DiskRequest | null {
    return this.#ahead.length > 0 ? this.#ahead[0] : null;
  }

  /** Take the next one. => there is one. */
  take(): DiskRequest {
    if (this.#ahead.length === 0) this.#turn();
    const request = this.#ahead[0];
    this.remove(request);
    this.#position = request.offset + request.bcount;
    return request;
  }

  /** Take one out of its turn; the sweep goes on from where it was. => it is here. */
  remove(request: DiskRequest): void {
    const heap = request.ahead ? this.#ahead : this.#behind;
    const at = request.heapIndex;
    const last = heap.pop()!;
    if (last === request) return;
    heap[at] = last;
    last.heapIndex = at;
    siftUp(heap, at);
    siftDown(heap, last.heapIndex);
  }

  #turn(): void {
    const empty = this.#ahead;
    this.#ahead = this.#behind;
    this.#behind = empty;
    for (let i = 0; i < this.#ahead.length; i++) this.#ahead[i].ahead = true;
  }
}

function isBefore(a: DiskRequest, b: DiskRequest): boolean {
  return a.offset === b.offset ? a.serial < b.serial : a.offset < b.offset;
}

function siftUp(heap: DiskRequest[], from: number): void {
  const request = heap[from];
  let at = from;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(request, heap[parent])) break;
    heap[at] = heap[parent];
    heap[at].heapIndex = at;
    at = parent;
  }
  heap[at] = request;
  request.heapIndex = at;
}

function siftDown(heap: DiskRequest[], from: number): void {
  const request = heap[from];
  let at = from;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
    if (!isBefore(heap[child], request)) break;
    heap[at] = heap[child];
    heap[at].heapIndex = at;
    at = child;
  }
  heap[at] = request;
  request.heapIndex = at;
}
