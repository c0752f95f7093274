/**
 * Making a failing list shorter, as long as it fails.
 *
 * What comes after the failure goes first. Then ever smaller parts are left out, again from the beginning
 * after each success; at last lengths and flags become plainer. Any failure counts, also another one.
 */
import type { OpList } from "./list.ts";
import type { FsxOp } from "./ops.ts";
import type { Failure } from "./run.ts";

/** Why a list fails; null: it does not. */
export type Fails = (list: OpList) => Failure | null;

export interface Shrunk {
  readonly list: OpList;
  readonly failure: Failure;
  /** Lists that were tried. */
  readonly tries: number;
}

/** => `list` fails with `failure`. `most`: lists to try. */
export function shrink(list: OpList, failure: Failure, fails: Fails, most = 600): Shrunk {
  const shrinker = new Shrinker(list, failure, fails, most);
  shrinker.cut();
  shrinker.leaveOut();
  shrinker.simplify();
  return { list: shrinker.list, failure: shrinker.failure, tries: shrinker.tries };
}

class Shrinker {
  list: OpList;
  failure: Failure;
  tries: number;
  readonly #fails: Fails;
  readonly #most: number;

  constructor(list: OpList, failure: Failure, fails: Fails, most: number) {
    this.list = list;
    this.failure = failure;
    this.tries = 0;
    this.#fails = fails;
    this.#most = most;
  }

  /** Take `ops` for the list, if they fail. */
  #try(ops: readonly FsxOp[]): boolean {
    if (this.tries >= this.#most) return false;
    this.tries++;
    const list = { ...this.list, ops };
    const failure = this.#fails(list);
    if (failure === null) return false;
    this.failure = failure;
    this.list = { ...list, ops: ops.slice(0, failure.at + 1) };
    return true;
  }

  /** Nothing behind the failure; as few as possible before it. */
  cut(): void {
    const ops = this.list.ops.slice(0, this.failure.at + 1);
    this.#try(ops);
    for (let last = 4; last < ops.length; last *= 4) if (this.#try(ops.slice(-last))) return;
  }

  leaveOut(): void {
    for (let part = Math.ceil(this.list.ops.length / 2); part >= 1; ) {
      let shorter = false;
      for (let from = 0; from < this.list.ops.length; ) {
        const { ops } = this.list;
        const rest = [...ops.slice(0, from), ...ops.slice(from + part)];
        if (rest.length > 0 && this.#try(rest)) shorter = true;
        else from += part;
      }
      if (part > 1) part = Math.floor(part / 2);
      else if (!shorter || this.tries >= this.#most) return;
    }
  }

  simplify(): void {
    for (let i = 0; i < this.list.ops.length; i++) {
      for (const change of SIMPLER) {
        const { ops } = this.list;
        const op = ops[i];
        if (op === undefined) return;
        const simpler = change(op);
        if (simpler !== null) this.#try(ops.with(i, simpler));
      }
    }
  }
}

/** Plainer forms of an operation; null: it is plain already. */
const SIMPLER: readonly ((op: FsxOp) => FsxOp | null)[] = [
  ({ beside, ...op }) => (beside === undefined ? null : op),
  ({ sync, ...op }) => (sync === undefined ? null : op),
  ({ kept, ...op }) => (kept === undefined ? null : op),
  (op) => (op.off === 0 ? null : { ...op, off: 0 }),
  (op) => (op.off % 4096 === 0 ? null : { ...op, off: op.off - (op.off % 4096) }),
  (op) => (op.len === 1 ? null : { ...op, len: 1 }),
  (op) => (op.len <= 512 ? null : { ...op, len: 512 }),
  (op) => (op.len <= 4096 ? null : { ...op, len: 4096 }),
];
