/**
 * What the bytes of a file may be while several threads change it: a linearisable model.
 *
 * Every change is a record of a range with the time when it began and ended. A byte that somebody read
 * between two times may have the value of any record that covers it, but for one that was over before another
 * began which itself was over before the read began. A shrinking file is a record of zeros from its new end on; a growing one,
 * of zeros from its old end on. A store through a mapping counts only where the file was long enough.
 * At quiet points `settle` takes what is there, if it may be, for the truth from then on.
 *
 * The values say which record they come from: no two records of a file have the same value at one place, and
 * none has 0, or what memory and disks are filled with before they are used.
 */

/** Values that records have, and those that they leave out: what frames hold that nobody has filled. */
const VALUES = 241;
const NEW_JUNK = 0x5a;
const FREE_JUNK = 0xdf;
/** What a disk is filled with before it is used. */
export const STALE = 0xff;

interface ByteRecord {
  readonly from: number;
  to: number;
  /** Names its values; 0: zeros. */
  readonly id: number;
  readonly start: number;
  end: number;
  /** It may have had no effect. */
  maybe: boolean;
}

/** What a size change did, and when. */
interface SizeChange {
  readonly start: number;
  end: number;
  readonly from: number;
  to: number;
}

/** The byte that record `id` has at `position`. */
function byteAt(id: number, position: number): number {
  const value = 1 + ((id * 97 + position * 31 + (position >> 8) * 7) % VALUES);
  const above = value < NEW_JUNK ? value : value + 1;
  return above < FREE_JUNK ? above : above + 1;
}

/** The bytes that record `id` has in [`from`, `from + length`). */
export function bytesAt(id: number, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(id, from + i);
  return bytes;
}

/** The first of `bytes` that was never anybody's, or −1. */
export function findLeak(bytes: Uint8Array): number {
  return bytes.findIndex((byte) => byte === STALE || byte === NEW_JUNK || byte === FREE_JUNK);
}

/** One change under way: `ByteModel.finish` ends it. */
export class Change {
  readonly id: number;
  readonly records: ByteRecord[];
  readonly size: SizeChange | null;

  constructor(id: number, records: ByteRecord[], size: SizeChange | null) {
    this.id = id;
    this.records = records;
    this.size = size;
  }
}

export class ByteModel {
  /** Bytes as they were at the last quiet point; zeros beyond the file's end. */
  readonly base: Uint8Array;
  #size: number;
  #records: ByteRecord[];
  #sizes: SizeChange[];
  #now: number;
  #nextId: number;

  constructor(mostBytes: number) {
    this.base = new Uint8Array(mostBytes);
    this.#size = 0;
    this.#records = [];
    this.#sizes = [];
    this.#now = 0;
    this.#nextId = 1;
  }

  /** The time, which goes on with every question. */
  now(): number {
    return this.#now++;
  }

  /** The size after all changes. => none is under way, or the caller keeps the others away. */
  get size(): number {
    return this.#sizes.at(-1)?.to ?? this.#size;
  }

  /** A write of [`from`, `to`) begins. => no other change of the size is under way. */
  beginWrite(from: number, to: number): Change {
    const id = this.#nextId++;
    const records = from > this.size ? [this.#add(this.size, from, 0)] : [];
    records.push(this.#add(from, to, id));
    return new Change(id, records, to > this.size ? this.#resize(to) : null);
  }

  /** A change of the size begins. => as for beginWrite */
  beginTruncate(size: number): Change {
    const old = this.size;
    const records = [this.#add(Math.min(old, size), size < old ? this.base.length : size, 0)];
    return new Change(0, records, this.#resize(size));
  }

  /** A store through a mapping begins. */
  beginStore(from: number, to: number): Change {
    const id = this.#nextId++;
    return new Change(id, [this.#add(from, to, id)], null);
  }

  /** A write or truncation has ended: all of it was done, or only what lies before `done`; the file has `size` bytes. */
  finish(change: Change, done: number, size: number): void {
    for (const record of change.records) {
      record.end = this.now();
      record.to = Math.min(record.to, done);
    }
    if (change.size === null) return;
    change.size.end = this.now();
    change.size.to = size;
  }

  /** A store has ended; with `done` false it was not made. */
  finishStore(change: Change, done: boolean): void {
    const [record] = change.records;
    const { from, to } = record;
    const { least, most } = this.sizes(record.start);
    record.end = this.now();
    record.to = done ? Math.min(to, Math.max(least, from)) : from;
    if (!done || to <= least || most <= from) return;
    const rest = { ...record, from: Math.max(from, least), to: Math.min(to, most), maybe: true };
    this.#records.push(rest);
  }

  /** The sizes that the file may have had since `since`. */
  sizes(since: number): { readonly least: number; readonly most: number } {
    let before = this.#size;
    const during: number[] = [];
    for (const { start, end, from, to } of this.#sizes) {
      if (end < since) before = to;
      else if (start < this.#now) during.push(from, to);
    }
    return { least: Math.min(before, ...during), most: Math.max(before, ...during) };
  }

  /** Why `bytes`, read at `from` since `since`, cannot be; null: they can. */
  complaint(from: number, bytes: Uint8Array, since: number): string | null {
    const to = from + bytes.length;
    const edges = new Set([from, to]);
    const near = this.#records.filter((r) => r.from < to && r.to > from);
    for (const r of near) {
      edges.add(Math.max(r.from, from));
      edges.add(Math.min(r.to, to));
    }
    const sorted = [...edges].sort((a, b) => a - b);
    for (let i = 0; i + 1 < sorted.length; i++) {
      const [low, high] = [sorted[i], sorted[i + 1]];
      const may = candidates(near, low, since);
      const at = this.#firstOdd(may, bytes, from, low, high);
      if (at < 0) continue;
      const byte = bytes[at - from];
      return `byte ${at} is ${byte}, and may be ${this.#say(may, at)}; ${this.#whose(near, at, byte)}`;
    }
    return null;
  }

  /** Nothing is under way: the file holds `bytes` from now on. @returns as complaint. */
  settle(bytes: Uint8Array): string | null {
    const { size } = this;
    if (bytes.length !== size) return `the file has ${bytes.length} bytes, the model ${size}`;
    const why = this.complaint(0, bytes, this.now());
    if (why !== null) return why;
    this.base.fill(0);
    this.base.set(bytes);
    this.#size = size;
    this.#records = [];
    this.#sizes = [];
    return null;
  }

  #add(from: number, to: number, id: number): ByteRecord {
    const record = { from, to, id, start: this.now(), end: Infinity, maybe: false };
    this.#records.push(record);
    return record;
  }

  #resize(to: number): SizeChange {
    const change = { start: this.now(), end: Infinity, from: this.size, to };
    this.#sizes.push(change);
    return change;
  }

  /** The first byte of [`low`, `high`) that no candidate has, or −1; `bytes` begin at `from`. */
  #firstOdd(
    may: readonly (ByteRecord | null)[],
    bytes: Uint8Array,
    from: number,
    low: number,
    high: number,
  ): number {
    const [likely] = may;
    for (let at = low; at < high; at++) {
      const byte = bytes[at - from];
      if (this.#value(likely, at) === byte) continue;
      if (!may.some((r) => this.#value(r, at) === byte)) return at;
    }
    return -1;
  }

  /** Null stands for the last quiet point. */
  #value(record: ByteRecord | null, at: number): number {
    if (record === null) return this.base[at];
    return record.id === 0 ? 0 : byteAt(record.id, at);
  }

  #say(may: readonly (ByteRecord | null)[], at: number): string {
    return may
      .map((r) => `${this.#value(r, at)} (${r === null ? "before" : describe(r)})`)
      .join(", ");
  }

  #whose(near: readonly ByteRecord[], at: number, byte: number): string {
    const from = near.find((r) => r.from <= at && r.to > at && this.#value(r, at) === byte);
    if (from !== undefined) return `it is ${describe(from)}'s`;
    return this.base[at] === byte ? "it is what was before" : "it is nobody's";
  }
}

/** The records, null for what was before them, that byte `at` may have had since `since`. */
function candidates(
  near: readonly ByteRecord[],
  at: number,
  since: number,
): readonly (ByteRecord | null)[] {
  const covering = near.filter((r) => r.from <= at && r.to > at);
  const final = covering.filter((r) => r.end < since && !r.maybe);
  const may: (ByteRecord | null)[] = covering.filter((r) => !final.some((f) => f.start > r.end));
  if (final.length === 0) may.push(null);
  return may;
}

function describe(r: ByteRecord): string {
  const what = r.id === 0 ? "zeros" : `change ${r.id}`;
  return `${what} [${r.from}, ${r.to}) at ${r.start}–${r.end}${r.maybe ? " perhaps" : ""}`;
}
