/**
 * Intrusive lists after sys/queue.h: STAILQ (singly linked, tail insertion) and TAILQ (doubly).
 *
 * The link lives in the element, so an element is on at most one list per link and moving it
 * allocates nothing. An element that must be on two lists holds a small entry object for one.
 *
 * Invariant: an element that is on no list has null links.
 */
import { panic } from "./panic.ts";

/** What an element of a Stailq carries. */
export interface StailqEntry<T> {
  next: T | null;
}

/** Singly-linked tail queue: insert at the tail, take from the head, append a whole list. @bsd #Y STAILQ */
export class Stailq<T extends StailqEntry<T>> {
  first: T | null = null;
  last: T | null = null;
  length = 0;

  insertTail(element: T): void {
    if (element.next !== null || element === this.last) panic("Stailq: element is on a list");
    if (this.last === null) this.first = element;
    else this.last.next = element;
    this.last = element;
    this.length++;
  }

  removeHead(): T | null {
    const head = this.first;
    if (head === null) return null;
    this.first = head.next;
    if (this.first === null) this.last = null;
    head.next = null;
    this.length--;
    return head;
  }

  /** Move all of `other` behind this list; `other` is empty afterwards. */
  concat(other: Stailq<T>): void {
    if (other.first === null) return;
    if (this.last === null) this.first = other.first;
    else this.last.next = other.first;
    this.last = other.last;
    this.length += other.length;
    other.first = null;
    other.last = null;
    other.length = 0;
  }
}

/** What an element of a Tailq carries. */
export interface TailqEntry<T> {
  next: T | null;
  prev: T | null;
}

/** Doubly-linked tail queue: remove from anywhere. @bsd #Y TAILQ */
export class Tailq<T extends TailqEntry<T>> {
  first: T | null = null;
  last: T | null = null;
  length = 0;

  insertTail(element: T): void {
    this.insertBefore(null, element);
  }

  insertHead(element: T): void {
    this.insertBefore(this.first, element);
  }

  /** Put `element` before `at`; `null` means at the end. => `at` is on this list. */
  insertBefore(at: T | null, element: T): void {
    if (element.next !== null || element.prev !== null || element === this.first) {
      panic("Tailq: element is on a list");
    }
    const before = at === null ? this.last : at.prev;
    element.next = at;
    element.prev = before;
    if (before === null) this.first = element;
    else before.next = element;
    if (at === null) this.last = element;
    else at.prev = element;
    this.length++;
  }

  /** => `element` is on this list. */
  remove(element: T): void {
    if (element.prev === null && element !== this.first)
      panic("Tailq: element is not on this list");
    if (element.prev === null) this.first = element.next;
    else element.prev.next = element.next;
    if (element.next === null) this.last = element.prev;
    else element.next.prev = element.prev;
    element.next = null;
    element.prev = null;
    this.length--;
  }

  /** The elements in order. The list may lose the element just given, and no other, during the walk. */
  *[Symbol.iterator](): Generator<T, void, void> {
    for (let at = this.first; at !== null; ) {
      const following = at.next;
      yield at;
      at = following;
    }
  }
}
