/**
 * The name cache of one mount: what lookups in its directories have found.
 *
 * A positive entry says which vnode a name is, a negative one that there is no such name. An entry
 * references nothing: it goes when its directory or its vnode ends. "." and ".." are not remembered.
 * Beyond the limit the entry that was used longest ago goes. Follows vfs_cache.c.
 *
 * => whoever makes, removes or renames a name holds the directory's lock alone, and calls `enter` or
 * `purge` before he lets go of it; whoever enters what a lookup has found shares the lock.
 *
 * Invariant (`check`): an entry is in its directory's table, on the list of recent use and, if it is
 * positive, in its vnode's set.
 */
import { panic, Tailq } from "@physio/kern";
import type { Vnode } from "./vnode.ts";

class NameEntry {
  readonly dvp: Vnode;
  readonly name: string;
  /** Null: there is no such name. */
  vp: Vnode | null;
  next: NameEntry | null;
  prev: NameEntry | null;

  constructor(dvp: Vnode, name: string, vp: Vnode | null) {
    this.dvp = dvp;
    this.name = name;
    this.vp = vp;
    this.next = null;
    this.prev = null;
  }
}

export class NameCache {
  /** Entries that are kept; 0: none. */
  readonly limit: number;
  /** Lookups that an entry answered: with a vnode; with the word that there is none; and the others. */
  hits: number;
  negativeHits: number;
  misses: number;
  readonly #directories: Map<Vnode, Map<string, NameEntry>>;
  /** Entries of each vnode: its names. */
  readonly #names: Map<Vnode, Set<NameEntry>>;
  /** Longest unused first. */
  readonly #recent: Tailq<NameEntry>;

  constructor(limit: number) {
    this.limit = limit;
    this.hits = 0;
    this.negativeHits = 0;
    this.misses = 0;
    this.#directories = new Map();
    this.#names = new Map();
    this.#recent = new Tailq<NameEntry>();
  }

  /** Entries, negative ones too. */
  get length(): number {
    return this.#recent.length;
  }

  /**
   * What is known of `name`: a vnode, which is not referenced; null: there is no such name; undefined:
   * nothing is known. => the caller references `dvp`.   @bsd #Y cache_lookup
   */
  lookup(dvp: Vnode, name: string): Vnode | null | undefined {
    const entry = this.#directories.get(dvp)?.get(name);
    if (entry === undefined) {
      this.misses++;
      return undefined;
    }
    this.#recent.remove(entry);
    this.#recent.insertTail(entry);
    if (entry.vp === null) this.negativeHits++;
    else this.hits++;
    return entry.vp;
  }

  /** `name` is `vp`, or null: there is no such name. => both are of this mount, and referenced. @bsd #Y cache_enter */
  enter(dvp: Vnode, name: string, vp: Vnode | null): void {
    if (name === "." || name === ".." || this.limit === 0) return;
    this.purge(dvp, name);
    const entry = new NameEntry(dvp, name, vp);
    let table = this.#directories.get(dvp);
    if (table === undefined) {
      table = new Map();
      this.#directories.set(dvp, table);
    }
    table.set(name, entry);
    if (vp !== null) {
      const names = this.#names.get(vp);
      if (names === undefined) this.#names.set(vp, new Set([entry]));
      else names.add(entry);
    }
    this.#recent.insertTail(entry);
    if (this.#recent.length > this.limit) this.#remove(this.#recent.first!);
  }

  /** Forget one name of a directory. @bsd #Y cache_purge1 */
  purge(dvp: Vnode, name: string): void {
    const entry = this.#directories.get(dvp)?.get(name);
    if (entry !== undefined) this.#remove(entry);
  }

  /** Forget all names in a directory. @bsd #Y cache_purge1 PURGE_CHILDREN */
  purgeDirectory(dvp: Vnode): void {
    for (const entry of this.#directories.get(dvp)?.values() ?? []) this.#remove(entry);
  }

  /** Forget a vnode: its names, and all names in it. @bsd #Y cache_purge */
  purgeVnode(vp: Vnode): void {
    for (const entry of this.#names.get(vp) ?? []) this.#remove(entry);
    this.purgeDirectory(vp);
  }

  /** Forget everything. @bsd #Y cache_purgevfs */
  clear(): void {
    for (const entry of this.#recent) this.#remove(entry);
  }

  /** Walk everything and panic on a broken invariant. */
  check(): void {
    let listed = 0;
    for (const entry of this.#recent) {
      const { dvp, name, vp } = entry;
      const known = this.#directories.get(dvp)?.get(name) === entry;
      const named = vp === null || this.#names.get(vp)?.has(entry) === true;
      if (!known || !named) panic(`name cache: "${name}" of inode ${dvp.ino} is lost`);
      if (dvp.state === "dead" || vp?.state === "dead") {
        panic(`name cache: "${name}" of inode ${dvp.ino} names a vnode that has ended`);
      }
      listed++;
    }
    const sum = (sizes: Iterable<{ readonly size: number }>): number =>
      [...sizes].reduce((total, { size }) => total + size, 0);
    const tabled = sum(this.#directories.values());
    if (listed !== this.length || tabled !== listed || sum(this.#names.values()) > listed) {
      panic(`name cache: ${tabled} entries in directories, ${listed} listed`);
    }
  }

  #remove(entry: NameEntry): void {
    const { dvp, name, vp } = entry;
    this.#recent.remove(entry);
    const table = this.#directories.get(dvp);
    table?.delete(name);
    if (table?.size === 0) this.#directories.delete(dvp);
    if (vp === null) return;
    const names = this.#names.get(vp);
    names?.delete(entry);
    if (names?.size === 0) this.#names.delete(vp);
  }
}
