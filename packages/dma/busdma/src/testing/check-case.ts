/**
 * Play a random case against a model in bytes.
 *
 * The model of a client is an array: what its pages hold as far as the CPU is concerned. What a
 * device must read after PREWRITE, and the client after POSTREAD, is known from it alone. Segments are
 * judged by segments.ts, pages by the sums of their zones, after every step; in the end everything is
 * unloaded and destroyed, and nothing may be left.
 */
import { Errno as E, ErrnoError, errnoName, PAGE_SIZE, Panic } from "@physio/kern";
import { BusDma } from "../flags.ts";
import type { DmaMap } from "../map.ts";
import type { DmaTag } from "../tag.ts";
import type { Answer } from "./bed.ts";
import { Bed, must, mustEqual, mustErrno } from "./bed.ts";
import type { Client } from "./carriers.ts";
import { clientOf, formOf, issue, piecesOf, tellsCaller } from "./carriers.ts";
import { transfer, useMemory } from "./play-transfer.ts";
import type { ClientPlan, DmaCase, StepPlan, TagPlan } from "./random-case.ts";
import type { Piece } from "./segments.ts";
import { bouncingPieces, mostSegments, wrongSegments } from "./segments.ts";
import type { MakeBackend } from "./under-test.ts";

/** How often each outcome came, by name: to see that cases go everywhere. */
export type CaseReport = Map<string, number>;

/** A client and what its pages hold. */
interface Party {
  readonly plan: ClientPlan;
  readonly client: Client;
  readonly bytes: Uint8Array;
  readonly pieces: readonly Piece[];
  /** Whose load it is in. */
  owner: Player | null;
}

/** A map, and the load that it is in. */
export interface Player {
  readonly map: DmaMap;
  party: Party | null;
  /** The name of its load, while that waits for pages. */
  waits: string | null;
  /** What it was told, once it is loaded. */
  answer: Answer | null;
  /** What the device must find in the segments; null: not known. */
  view: Uint8Array | null;
}

class Play {
  readonly bed: Bed;
  readonly report: CaseReport;
  readonly tags: DmaTag[];
  readonly players: Player[];
  readonly parties: Party[];
  /** Answers that were looked at. */
  #heard: number;

  constructor(make: MakeBackend, c: DmaCase, report: CaseReport) {
    this.bed = new Bed(make, c.bouncePages, c.seed);
    this.report = report;
    this.tags = [];
    this.players = [];
    this.#heard = 0;
    // Clients first: pools and memory take the rest.
    this.parties = c.clients.map((plan) => this.#makeParty(plan));
    for (const plan of c.tags) this.#makeTag(plan);
    for (const i of c.maps) if (i < this.tags.length) this.#makeMap(this.tags[i]);
  }

  #saw(outcome: string): void {
    this.report.set(outcome, (this.report.get(outcome) ?? 0) + 1);
  }

  /** @returns false: ENOMEM, which is right only where pages run out. */
  #tryMake(what: string, make: () => void): boolean {
    try {
      make();
      return true;
    } catch (error) {
      if (!(error instanceof ErrnoError && error.errno === E.ENOMEM)) throw error;
    }
    this.#saw(`${what} ENOMEM`);
    this.bed.counts();
    return false;
  }

  #makeTag(plan: TagPlan): void {
    const { filter } = plan;
    const rejects = (_: unknown, addr: number) =>
      filter !== null && Math.floor(addr / PAGE_SIZE) % filter.modulus === filter.remainder ? 1 : 0;
    const refused = this.bed.unit.context.filters === "refused";
    const options = { ...plan, filter: filter === null || refused ? null : rejects };
    const parent = plan.parent < 0 ? null : (this.tags[plan.parent] ?? null);
    this.#tryMake("tag", () => this.tags.push(this.bed.tag(options, parent)));
  }

  #makeMap(tag: DmaTag): void {
    this.#tryMake("map", () => {
      this.players.push({
        map: tag.createMap(),
        party: null,
        waits: null,
        answer: null,
        view: null,
      });
    });
  }

  #makeParty(plan: ClientPlan): Party {
    const { bed } = this;
    const ma = plan.runs.flatMap(({ bank, frames }) => bed.frames(frames, bank));
    const client = clientOf(bed, ma, plan.ranges);
    const bytes = new Uint8Array(ma.length * PAGE_SIZE);
    return { plan, client, bytes, pieces: piecesOf(bed, client, plan.form), owner: null };
  }

  step(plan: StepPlan, i: number): void {
    const player = this.players[plan.map % Math.max(1, this.players.length)];
    if (player === undefined) return;
    switch (plan.act) {
      case "load":
        if (player.party === null) this.#load(player, this.parties[plan.client], plan, i);
        break;
      case "pump":
        this.bed.unit.sched.pump();
        break;
      case "memory":
        this.#saw(useMemory(this.bed, player.map.tag, plan.noise) ? "memory" : "memory null");
        break;
      case "unload":
        this.#unload(player);
        break;
      case "write":
      case "read":
      case "both":
      case "ring":
        if (player.answer !== null) {
          transfer(this.bed, player, plan.act, plan.noise);
          this.#saw(plan.act);
        }
    }
    this.#hear();
    this.bed.counts();
  }

  #load(player: Player, party: Party, plan: StepPlan, i: number): void {
    if (party.owner !== null) return;
    const { bed } = this;
    const { form, way } = party.plan;
    const mem = formOf(bed, party.client, form);
    const before = bed.counts();
    const answers = bed.answers.length;
    const error = issue(bed, player.map, mem, way, plan.flags, `${i}`);
    if (error === E.EINPROGRESS) {
      must(
        (plan.flags & BusDma.NOWAIT) === 0 && !tellsCaller(mem, way),
        "a load that must not wait waits",
      );
      must(bed.answers.length === answers, "a load that waits has told its callback");
      this.#saw("EINPROGRESS");
      this.#mayBeShort(player, party, before.free, "EINPROGRESS");
      party.owner = player;
      player.party = party;
      player.waits = `${i}`;
      return;
    }
    must(
      bed.answers.length === answers + 1,
      `the callback ran ${bed.answers.length - answers} times`,
    );
    this.#heard = bed.answers.length;
    const answer = bed.last();
    const passedOn = tellsCaller(mem, way) || answer.error !== E.EFBIG ? answer.error : E.OK;
    mustErrno(
      error,
      passedOn,
      `the caller of a load whose callback got ${errnoName(answer.error)}`,
    );
    this.#ended(player, party, answer, before.free);
    const mayWait = (plan.flags & BusDma.NOWAIT) === 0 && !tellsCaller(mem, way);
    if (answer.error === E.ENOMEM && mayWait) {
      this.#mayBeShort(player, party, before.total, "ENOMEM, not EINPROGRESS,");
    }
    if (answer.error !== E.OK) {
      const after = bed.counts();
      must(
        after.free === before.free && after.active === before.active,
        "a load that failed took pages",
      );
    }
  }

  /** Judge the end of a load. */
  #ended(player: Player, party: Party, answer: Answer, free: number): void {
    const { tag } = player.map;
    const { pieces, client, plan } = party;
    const { error } = answer;
    this.#saw(errnoName(error));
    const fits = client.length <= tag.maxSize;
    must(
      fits === (error !== E.EINVAL),
      `${client.length} bytes of at most ${tag.maxSize}: ${errnoName(error)}`,
    );
    switch (error) {
      case E.OK: {
        const wrong = wrongSegments(this.bed, tag, pieces, answer.segs, plan.form !== "mbuf");
        must(
          wrong === null,
          `${wrong}, of ${plan.form} by ${tag.alignment}/${tag.boundary}/${tag.maxSegSize}`,
        );
        party.owner = player;
        player.party = party;
        player.answer = answer;
        return;
      }
      case E.EFBIG: {
        const most = mostSegments(tag, pieces);
        must(most > tag.segments, `EFBIG of at most ${most} segments, where ${tag.segments} fit`);
        return;
      }
      case E.ENOMEM:
        this.#mayBeShort(player, party, free, "ENOMEM");
        return;
      default:
        must(error === E.EINVAL, `a load that ends in ${errnoName(error)}`);
    }
  }

  /** Too few pages: some piece must bounce, and more of them than the `free` pages. */
  #mayBeShort(player: Player, party: Party, free: number, what: string): void {
    const pages = bouncingPieces(this.bed, player.map.tag, party.pieces);
    const zones = this.bed.unit.zones().length;
    must(pages > 0, `${what} of a load that needs no page`);
    must(zones > 1 || pages > free, `${what} of a load that needs ${pages} pages of ${free}`);
  }

  /** Callbacks of loads that waited. */
  #hear(): void {
    const { answers } = this.bed;
    for (; this.#heard < answers.length; this.#heard++) {
      const answer = answers[this.#heard];
      const player = this.players.find(({ waits }) => waits === answer.who);
      must(
        player?.map.waiting === false && answer.locked,
        `callback ${answer.who}: of nobody who waits, or not locked`,
      );
      const party = player?.party ?? null;
      if (player === undefined || party === null) return;
      this.#saw("resumed");
      player.waits = null;
      player.party = null;
      party.owner = null;
      this.#ended(player, party, answer, -1);
    }
  }

  #unload(player: Player): void {
    if (player.waits !== null) return;
    const { party, answer, view } = player;
    if (answer !== null && view !== null) {
      mustEqual(
        this.bed.deviceRead(player.map.tag, answer.segs),
        view,
        "what the device reads before the unload",
      );
    }
    player.map.unload();
    if (party !== null) party.owner = null;
    player.party = null;
    player.answer = null;
    player.view = null;
  }

  /** Unload until nobody waits, look at all bytes once more, and destroy everything. */
  end(): void {
    const { bed, players } = this;
    for (let round = 0; round <= players.length; round++) {
      bed.unit.sched.pump();
      this.#hear();
      for (const player of players) this.#unload(player);
      bed.counts();
    }
    must(!players.some(({ waits }) => waits !== null), "a load waits for ever");
    for (const { client, bytes } of this.parties) {
      mustEqual(bed.cpuRead(client.va, bytes.length), bytes, "what a client has in the end");
    }
    bed.tearDown(
      players.map(({ map }) => map),
      this.tags.toReversed(),
    );
  }
}

/**
 * Play `c` on a machine of `make`. Outcomes are counted in `report`.
 * @throws {Panic} what went wrong, at which step of which case.
 */
export function checkCase(
  make: MakeBackend,
  c: DmaCase,
  report: CaseReport = new Map(),
): CaseReport {
  let at = "in the making";
  try {
    const play = new Play(make, c, report);
    for (let i = 0; i < c.steps.length; i++) {
      at = `at step ${i}`;
      play.step(c.steps[i], i);
    }
    at = "in the end";
    play.end();
  } catch (error) {
    const { message } = error as Error;
    throw new Panic(`${message}\n${at} of ${JSON.stringify(c)}`, { cause: error });
  }
  return report;
}
