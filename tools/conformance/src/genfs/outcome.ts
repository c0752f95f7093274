/**
 * What a step has changed: pages, vnode, disk, user memory, in the shape of the vectors.
 *
 * State is told only when it differs from what was told last, and always as a whole.
 */
import type { Frame } from "@physio/kern";
import { PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { isModified } from "@physio/pmap";
import { PageQueue, Pg } from "@physio/uvm";
import { crc32 } from "./pattern.ts";
import type { Scene } from "./scene.ts";
import type { Outcome, Scenario } from "./vectors.ts";

/** Letters of page flags, in their order; M, of the pmap, follows. */
const LETTERS: readonly (readonly [number, string])[] = [
  [Pg.BUSY, "B"],
  [Pg.FAKE, "F"],
  [Pg.CLEAN, "C"],
  [Pg.RDONLY, "R"],
  [Pg.WANTED, "W"],
  [Pg.RELEASED, "X"],
  [Pg.PAGEOUT, "P"],
];
const QUEUES: ReadonlyMap<number, string> = new Map([
  [PageQueue.NONE, "-"],
  [PageQueue.ACTIVE, "a"],
  [PageQueue.INACTIVE, "i"],
]);
/** Pages of the longest run that is told as one. */
const RUN_MOST = 256;

/** Pages in a row that are alike. */
interface PageRun {
  readonly first: number;
  readonly alike: readonly [flags: string, mapping: string, queue: string, wired: number];
  count: number;
  crc: number;
}

export class Observer {
  readonly #scene: Scene;
  /** What was told last, as JSON. */
  readonly #told: Map<string, string>;

  constructor(scene: Scene, scenario: Scenario) {
    this.#scene = scene;
    this.#told = new Map([
      ["pages", "[]"],
      ["pageout", "[0,0]"],
    ]);
    const { user } = scene;
    if (scenario.user !== undefined) this.#told.set("user", JSON.stringify(user?.checksum()));
  }

  /** Put what has changed since the last step into `outcome`. */
  tell(outcome: Outcome): void {
    const { events, pages, vp, node, device, user } = this.#scene;
    events.tell(outcome);
    this.#tell(outcome, "pages", pageRuns(this.#scene));
    this.#tell(outcome, "vnode", {
      size: vp.size,
      writeSize: vp.writeSize,
      onWorklist: vp.onWorklist ? 1 : 0,
      wrmapDirty: vp.writeMapDirty ? 1 : 0,
      numOutput: vp.numOutput,
      dirtyGen: node.dirtyGeneration,
    });
    this.#tell(outcome, "pageout", [pages.paging, pages.daemonFreed]);
    if (events.wrote) outcome.disk = crc32(device.contents);
    if (user !== null) this.#tell(outcome, "user", user.checksum());
  }

  #tell(outcome: Outcome, name: string, value: unknown): void {
    const text = JSON.stringify(value);
    if (this.#told.get(name) === text) return;
    this.#told.set(name, text);
    outcome[name] = value;
  }
}

/** All resident pages: [first page index, count, flags, mapping, queue, wire count, crc]. */
function pageRuns(scene: Scene): unknown[] {
  const { pages, vp } = scene;
  const runs: PageRun[] = [];
  for (const index of vp.object.indexes()) {
    const frame = vp.object.lookup(index);
    const alike = attributesOf(scene, index, frame);
    const at = pages.mem.byteOffset(frame);
    const bytes = pages.mem.bytes(frame).subarray(at, at + PAGE_SIZE);
    const last = runs.at(-1);
    const joins = last !== undefined && index === last.first + last.count && last.count < RUN_MOST;
    if (joins && alike.every((value, i) => value === last.alike[i])) {
      last.count++;
      last.crc = crc32(bytes, last.crc);
    } else runs.push({ first: index, alike, count: 1, crc: crc32(bytes) });
  }
  return runs.map(({ first, count, alike, crc }) => [first, count, ...alike, crc]);
}

function attributesOf(scene: Scene, index: number, frame: Frame): PageRun["alike"] {
  const { pages, mapping } = scene;
  const state = pages.flags(frame);
  const letters = LETTERS.map(([bit, letter]) => ((state & bit) === 0 ? "" : letter)).join("");
  const modified = isModified(pages.mem, frame) ? "M" : "";
  const queue = QUEUES.get(pages.mem.section(frame).queue[frame & ROW_MASK]) ?? "?";
  return [letters + modified, mapping.rights(index * PAGE_SIZE), queue, pages.wireCount(frame)];
}
