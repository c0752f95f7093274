/**
 * The pages of an object in the order in which they came: uvm_object's memq.
 *
 * The original walks this list when it writes an object back, and keeps its place with markers while it
 * sleeps. Only `seed` semantics need the order, so only their objects keep it; a page costs an entry
 * here that the index does without.
 */
import { panic, Tailq } from "@physio/kern";

/** A page of the list, or a marker. */
export class OrderEntry {
  /** Page number; −1 is a marker. */
  readonly index: number;
  next: OrderEntry | null;
  prev: OrderEntry | null;

  constructor(index: number) {
    this.index = index;
    this.next = null;
    this.prev = null;
  }
}

export class PageOrder {
  /** The pages, oldest first, and markers. */
  readonly list: Tailq<OrderEntry>;
  readonly #entries: Map<number, OrderEntry>;

  constructor() {
    this.list = new Tailq<OrderEntry>();
    this.#entries = new Map();
  }

  /** A page that came. => it is not in the list. */
  append(index: number): void {
    const entry = new OrderEntry(index);
    this.#entries.set(index, entry);
    this.list.insertTail(entry);
  }

  /** => page `index` is in the list. */
  remove(index: number): void {
    this.list.remove(this.entry(index));
    this.#entries.delete(index);
  }

  /** The entry of a page. => page `index` is in the list. */
  entry(index: number): OrderEntry {
    const entry = this.#entries.get(index);
    if (entry === undefined) panic(`page ${index} is not in the list`);
    return entry;
  }
}
