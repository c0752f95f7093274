/**
 * What bouncing keeps of a map: its pages, and what it still needs.
 *
 * It is the list of its pages itself, since there are many maps: 72 bytes, 120 with a list beside it.
 * Hangs in the map's `md` slot, put there by the backend; a map without it never bounces.
 */

import type { DmaMap } from "@physio/busdma";
import { panic } from "@physio/kern";
import type { BounceZone } from "./zone.ts";
import { PageList } from "./zone.ts";

/** What a map's `md` has: its bounce state, by itself or as a part of a backend's own state. */
export interface Bouncing {
  readonly bounce: BounceState | null;
}

export class BounceState extends PageList implements Bouncing {
  readonly zone: BounceZone;
  /** Pages that the load under way needs, and how many of them are promised. */
  needed: number;
  reserved: number;

  constructor(zone: BounceZone) {
    super();
    this.zone = zone;
    this.needed = 0;
    this.reserved = 0;
  }

  get pages(): PageList {
    return this;
  }

  /** A backend without state of its own keeps this one. */
  get bounce(): BounceState {
    return this;
  }

  override toString(): string {
    const { needed, reserved, pages, zone } = this;
    return `${pages.count} pages of ${zone.name}, needs ${needed}, ${reserved} reserved`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `BounceState(${this.toString()})`;
  }
}

/** The bounce state of a map that has one. */
export function bounceOf(map: DmaMap): BounceState {
  const bounce = (map.md as Bouncing | null)?.bounce ?? null;
  if (bounce === null) panic("bounce: the map has no bounce state");
  return bounce;
}
