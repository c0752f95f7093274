/**
 * The sysctl tree: named values that a machine shows.
 *
 * A leaf is a path of dot-separated names, a description and a function that reads the value now;
 * nothing is stored twice. Nodes exist because leaves do. Follows sysctl(9); `hw.busdma` and the
 * other subtrees are filled by the parts that own the values.
 */
import { Errno, ErrnoError, panic } from "@physio/kern";

export type SysctlValue = number | string;

/** One leaf as `list` shows it. */
export interface SysctlEntry {
  readonly path: string;
  readonly value: SysctlValue;
  readonly description: string;
}

interface Leaf {
  readonly read: () => SysctlValue;
  readonly description: string;
}

/** A number that only its owner changes and everybody may read. */
export class Counter {
  value: number;

  constructor() {
    this.value = 0;
  }

  add(n = 1): void {
    this.value += n;
  }
}

const PATH = /^[a-z0-9_]+(\.[a-z0-9_]+)*$/i;

export class SysctlTree {
  readonly #leaves: Map<string, Leaf>;

  constructor() {
    this.#leaves = new Map();
  }

  /** Add a leaf; leaves are listed in the order in which they came. => the path is new. @bsd #Y SYSCTL_ADD_PROC */
  add(path: string, description: string, read: () => SysctlValue): void {
    if (!PATH.test(path)) panic(`sysctl: bad path "${path}"`);
    if (this.#leaves.has(path)) panic(`sysctl: ${path} exists`);
    this.#leaves.set(path, { read, description });
  }

  /** Add a counter as a leaf and return it. */
  counter(path: string, description: string): Counter {
    const counter = new Counter();
    this.add(path, description, () => counter.value);
    return counter;
  }

  /** Remove the leaf or the whole subtree at `path`. @bsd #Y sysctl_ctx_free */
  remove(path: string): void {
    for (const name of [...this.#leaves.keys()]) {
      if (name === path || name.startsWith(`${path}.`)) this.#leaves.delete(name);
    }
  }

  /** Value of one leaf. @throws {ErrnoError} ENOENT: no such leaf. */
  get(path: string): SysctlValue {
    const leaf = this.#leaves.get(path);
    if (leaf === undefined) throw new ErrnoError(Errno.ENOENT, `sysctl ${path}`);
    return leaf.read();
  }

  /** All leaves below `prefix` (or the leaf itself), in the order of their creation. */
  list(prefix = ""): SysctlEntry[] {
    const out: SysctlEntry[] = [];
    for (const [path, leaf] of this.#leaves) {
      if (prefix !== "" && path !== prefix && !path.startsWith(`${prefix}.`)) continue;
      out.push({ path, value: leaf.read(), description: leaf.description });
    }
    return out;
  }

  /** `path: value` lines, as sysctl(8) prints them. */
  format(prefix = ""): string {
    return this.list(prefix)
      .map((entry) => `${entry.path}: ${entry.value}`)
      .join("\n");
  }
}
