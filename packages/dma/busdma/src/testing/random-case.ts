/**
 * Random cases as plain values: a machine, its tags, its clients and what happens to them.
 *
 * A case is the same for the same numbers, needs no machine to be looked at, and prints as JSON.
 * `checkCase` plays it.
 */
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import { MAXADDR, PAGE_SIZE } from "@physio/kern";
import { BusDma } from "../flags.ts";
import type { Form, Range, Way } from "./carriers.ts";
import { FORMS, LIST_FORMS, RUN_FORMS, WAYS } from "./carriers.ts";
import type { RandomSource } from "./under-test.ts";
import { HIGH_BANK, HIGH_SIZE, LOW_BANK, REACH, TOP_BANK } from "./under-test.ts";

const PAGE = PAGE_SIZE;

/** Constraints of a tag. `filter` rejects frames whose number is `remainder` modulo `modulus`. */
export interface TagPlan {
  readonly parent: number;
  readonly lowAddr: BusAddr;
  readonly highAddr: BusAddr;
  readonly alignment: Bytes;
  readonly boundary: Bytes;
  readonly maxSize: Bytes;
  readonly maxSegSize: Bytes;
  readonly segments: number;
  readonly flags: BusDma;
  readonly filter: { readonly modulus: number; readonly remainder: number } | null;
}

/** Memory in runs of frames, and the carrier that takes ranges of it. */
export interface ClientPlan {
  readonly runs: readonly { readonly bank: PhysAddr; readonly frames: number }[];
  readonly ranges: readonly Range[];
  readonly form: Form;
  readonly way: Way;
}

/**
 * load: map `map` gets client `client`, unless it has one.   write, read, both, ring: a transfer of
 * the map, to the device, from it, both, and two in a row with one sync between.   unload.   pump: those
 * who wait may go on.   memory: DMA memory of the map's tag is taken, used and freed.
 */
const TRANSFERS = Object.freeze(["write", "read", "both", "ring"] as const);
export type TransferAct = (typeof TRANSFERS)[number];
const ACTS = Object.freeze(["load", ...TRANSFERS, "unload", "pump", "memory"] as const);
type Act = (typeof ACTS)[number];

export interface StepPlan {
  readonly act: Act;
  readonly map: number;
  readonly client: number;
  readonly flags: BusDma;
  /** Names the bytes that are moved. */
  readonly noise: number;
}

export interface DmaCase {
  readonly bouncePages: number;
  readonly seed: number;
  readonly tags: readonly TagPlan[];
  /** The tag of each map. */
  readonly maps: readonly number[];
  readonly clients: readonly ClientPlan[];
  readonly steps: readonly StepPlan[];
}

type Draw = (below: number) => number;
const one = <T>(draw: Draw, from: readonly T[]): T => from[draw(from.length)];

const LOW_ADDRS = [
  MAXADDR,
  MAXADDR,
  REACH,
  REACH,
  REACH,
  REACH,
  HIGH_BANK + 6 * PAGE - 1,
  HIGH_BANK + HIGH_SIZE - 1,
  TOP_BANK + 2 * PAGE - 1,
];
const HIGH_ADDRS = [MAXADDR, MAXADDR, MAXADDR, HIGH_BANK + HIGH_SIZE - 1];
const SIZES = [16, 100, 512, 1000, PAGE, PAGE, 3 * PAGE, MAXADDR, MAXADDR, MAXADDR];

/** `like`: the tag whose zone it shares, as long as nothing else says otherwise. */
function drawTag(draw: Draw, parent: number, like: TagPlan | null): TagPlan {
  const keeps = parent < 0 && draw(8) === 0;
  const flags = (keeps ? BusDma.KEEP_PG_OFFSET : 0) | (draw(5) === 0 ? BusDma.COHERENT : 0);
  return {
    parent,
    lowAddr: like !== null && draw(3) !== 0 ? like.lowAddr : one(draw, LOW_ADDRS),
    highAddr: one(draw, HIGH_ADDRS),
    // A chunk that keeps its offset in the page keeps its misalignment, too.
    alignment: keeps ? 1 : one(draw, [1, 1, 1, 1, 1, 2, 4, 64, 512, PAGE]),
    boundary: one(draw, [0, 0, 0, 0, 16, 256, PAGE, 2 * PAGE, 64 * PAGE]),
    maxSize: one(draw, [100, 4 * PAGE, 5 * PAGE, 5 * PAGE, 5 * PAGE, 5 * PAGE, 8 * PAGE]),
    maxSegSize: one(draw, SIZES),
    segments: one(draw, [1, 4, 8, 64, 400, 400, 400, 400, 400]),
    flags: draw(10) === 0 ? flags | BusDma.ALLOCNOW : flags,
    filter: draw(8) === 0 ? { modulus: 2 + draw(3), remainder: draw(2) } : null,
  };
}

const isList = (form: Form): boolean => (LIST_FORMS as readonly Form[]).includes(form);
const isRun = (form: Form): boolean => (RUN_FORMS as readonly Form[]).includes(form);

function drawRanges(draw: Draw, pages: number, most: number): Range[] {
  const ranges: Range[] = [];
  const size = pages * PAGE;
  let at = one(draw, [0, 0, 0, 1, 64, 100, PAGE - 1]);
  for (let left = most; left > 0 && at < size; left--) {
    const room = size - at;
    const whole = left === 1 && draw(2) === 0;
    const length = whole
      ? room
      : Math.min(room, one(draw, [1, 7, 64, PAGE, 1 + draw(room), room, room]));
    ranges.push([at, length]);
    at += length + one(draw, [0, 0, 1, 64, 200]);
  }
  return ranges;
}

function drawClient(draw: Draw): ClientPlan {
  const form = one(draw, FORMS);
  const pages = one(draw, [1, 1, 2, 3, 4, 5]);
  const runs: { bank: PhysAddr; frames: number }[] = [];
  for (let left = pages; left > 0; ) {
    const frames = isRun(form) ? left : 1 + draw(left);
    runs.push({ bank: one(draw, [LOW_BANK, HIGH_BANK, HIGH_BANK, HIGH_BANK, TOP_BANK]), frames });
    left -= frames;
  }
  const ranges = drawRanges(draw, pages, isList(form) ? 1 + draw(4) : 1);
  return { runs, ranges, form, way: one(draw, WAYS) };
}

/** A tag and clients that get into each other's way: all of it bounces, in a pool for little more than one load. */
const CROWDED: Partial<TagPlan> = Object.freeze({
  lowAddr: REACH,
  highAddr: MAXADDR,
  maxSize: 5 * PAGE,
  segments: 400,
  filter: null,
});

function drawCrowded(draw: Draw): ClientPlan {
  const client = drawClient(draw);
  const frames = 3 + draw(3);
  const runs = [{ bank: HIGH_BANK, frames }];
  return { ...client, runs, ranges: [[0, frames * PAGE - draw(100)]] };
}

/** A case, drawn from `random`: the same numbers give the same case. */
export function randomCase(random: RandomSource): DmaCase {
  const draw: Draw = (below) => random.next() % below;
  const crowded = draw(4) === 0;
  const first = drawTag(draw, -1, null);
  const tags = [crowded ? { ...first, ...CROWDED } : first];
  if (!crowded && draw(2) === 0) tags.push(drawTag(draw, draw(3) === 0 ? -1 : 0, first));
  const some = () => (crowded ? 4 : 1 + draw(4));
  const maps = Array.from({ length: some() }, () => draw(tags.length));
  const clients = Array.from({ length: some() }, () =>
    crowded ? drawCrowded(draw) : drawClient(draw),
  );
  const steps = Array.from(
    { length: 3 + draw(10) },
    (_, i): StepPlan => ({
      act: i === 0 ? "load" : one(draw, ["load", "load", "load", "load", "load", ...ACTS]),
      map: draw(maps.length),
      client: draw(clients.length),
      flags: draw(3) === 0 ? BusDma.NOWAIT : BusDma.WAITOK,
      noise: draw(256),
    }),
  );
  // Just enough for a first map, so that loads get into each other's way; or too few; or plenty.
  const bouncePages = Math.ceil(tags[0].maxSize / PAGE) + one(draw, [-1, 1, 1, 1, 1, 2, 3, 20]);
  return { bouncePages, seed: random.next(), tags, maps, clients, steps };
}
