/**
 * Images of any kind, written by this file after the description of the format.
 *
 * It shares no number and no code with the package: offsets stand here a second time. A Builder
 * takes files by name and size; what they hold follows from the name (`byteAt`), so that nothing has
 * to be remembered. Blocks are given out in order, last blocks as fragments, inodes in all groups
 * by turns.
 */

export interface Kind {
  readonly version: 1 | 2;
  readonly bigEndian: boolean;
  readonly blockSize: number;
  readonly fragSize: number;
  readonly groups: number;
  /** Fragments and inodes of a group. */
  readonly groupFrags: number;
  readonly groupInodes: number;
  /** Byte of the super block; default that of the version. */
  readonly place?: number;
  /** Version 1: 16-bit owners, entries without types, symlinks in blocks. */
  readonly oldInodes?: boolean;
  /** Version 1: how much later each group starts. */
  readonly step?: number;
  readonly mask?: number;
  /** Fragments that the last group lacks. */
  readonly shorter?: number;
}

export const KIND: Kind = Object.freeze({
  version: 1,
  bigEndian: false,
  blockSize: 4096,
  fragSize: 1024,
  groups: 3,
  groupFrags: 480,
  groupInodes: 64,
});

/** Byte `offset` of the file called `name`; never 0, so that holes can be told. */
export function byteAt(name: string, offset: number): number {
  let hash = name.length * 131;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) % 65_521;
  return 1 + ((hash + Math.floor(offset / 97) * 59 + offset * 7) % 251);
}

export interface BuiltFile {
  readonly path: string;
  readonly ino: number;
  readonly size: number;
  /** Blocks that are there; null: all. */
  readonly blocks: ReadonlySet<number> | null;
}

type Put = (at: number, value: number) => void;

export class Builder {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly files: BuiltFile[];
  readonly links: Map<string, string>;
  /** Names in each directory, in order. */
  readonly names: Map<string, [name: string, ino: number, type: number][]>;
  readonly inos: Map<string, number>;
  readonly frags: number;
  readonly size: number;
  readonly superAt: number;
  readonly headerAt: number;
  readonly tableAt: number;
  readonly dataAt: number;
  readonly place: number;
  /** Fragments that may hold data, and how many are given out: a whole block each. */
  readonly #free: number[];
  #part: { next: number; end: number };
  #inodes: number;

  constructor(kind: Kind) {
    const { blockSize, fragSize, groups, groupFrags, groupInodes } = kind;
    this.kind = kind;
    this.frags = blockSize / fragSize;
    this.size = groups * groupFrags - (kind.shorter ?? 0);
    this.bytes = new Uint8Array(this.size * fragSize);
    this.view = new DataView(this.bytes.buffer);
    this.files = [];
    this.links = new Map();
    this.names = new Map([["", []]]);
    this.inos = new Map([["", 2]]);
    this.place = kind.place ?? (kind.version === 1 ? 8192 : 65_536);
    const up = (bytes: number): number => Math.ceil(bytes / blockSize) * this.frags;
    this.superAt = up(this.place + 8192) || this.frags;
    this.headerAt = this.superAt + up(8192);
    this.tableAt = this.headerAt + this.frags;
    this.dataAt = this.tableAt + up(groupInodes * this.inodeBytes);
    this.#free = [];
    this.#part = { next: 0, end: 0 };
    this.#inodes = 0;
    for (let group = 0; group < groups; group++) this.#addFree(group);
  }

  get inodeBytes(): number {
    return this.kind.version === 1 ? 128 : 256;
  }

  get fanOut(): number {
    return this.kind.blockSize / (this.kind.version === 1 ? 4 : 8);
  }

  groupStart(group: number): number {
    const { groupFrags, step = 0, mask = -1 } = this.kind;
    return group * groupFrags + step * (group & ~mask);
  }

  #addFree(group: number): void {
    const { groupFrags } = this.kind;
    const start = this.groupStart(group);
    const end = Math.min((group + 1) * groupFrags, this.size);
    const add = (from: number, to: number): void => {
      for (let at = from; at + this.frags <= to; at += this.frags) this.#free.push(at);
    };
    if (group > 0) add(group * groupFrags, start + this.superAt);
    add(start + this.dataAt, end);
  }

  #block(): number {
    const block = this.#free.shift();
    if (block === undefined) throw new Error("the test's image is too small");
    return block;
  }

  #fragments(count: number): number {
    if (count === this.frags) return this.#block();
    if (this.#part.next + count > this.#part.end) {
      const block = this.#block();
      this.#part = { next: block, end: block + this.frags };
    }
    this.#part.next += count;
    return this.#part.next - count;
  }

  #ino(): number {
    const { groups, groupInodes } = this.kind;
    const n = this.#inodes++;
    return (n % groups) * groupInodes + 3 + Math.floor(n / groups);
  }

  /** Byte where an inode lies. */
  inodeByte(ino: number): number {
    const { groupInodes, fragSize } = this.kind;
    const group = Math.floor(ino / groupInodes);
    const table = (this.groupStart(group) + this.tableAt) * fragSize;
    return table + (ino % groupInodes) * this.inodeBytes;
  }

  put16: Put = (at, value) => this.view.setUint16(at, value, !this.kind.bigEndian);
  put32: Put = (at, value) => this.view.setUint32(at, value, !this.kind.bigEndian);
  put64: Put = (at, value) => this.view.setBigInt64(at, BigInt(value), !this.kind.bigEndian);
  /** A block number. */
  putPointer: Put = (at, value) => (this.kind.version === 1 ? this.put32 : this.put64)(at, value);

  /** Byte of the first of the 15 block numbers of an inode. */
  slots(ino: number): number {
    return this.inodeByte(ino) + (this.kind.version === 1 ? 40 : 112);
  }

  /** Byte of the number of block `lbn`, indirect blocks made as they are needed. */
  pointerByte(ino: number, lbn: number, indirect: { count: number }): number {
    const each = this.kind.version === 1 ? 4 : 8;
    if (lbn < 12) return this.slots(ino) + lbn * each;
    let left = lbn - 12;
    for (let level = 1; level <= 3; level++) {
      if (left >= this.fanOut ** level) {
        left -= this.fanOut ** level;
        continue;
      }
      let at = this.slots(ino) + (11 + level) * each;
      for (let l = level - 1; l >= 0; l--) {
        const index = Math.floor(left / this.fanOut ** l) % this.fanOut;
        at = this.#indirectAt(at, indirect) * this.kind.fragSize + index * each;
      }
      return at;
    }
    throw new Error(`block ${lbn} cannot be reached`);
  }

  #indirectAt(at: number, indirect: { count: number }): number {
    const little = !this.kind.bigEndian;
    const known =
      this.kind.version === 1
        ? this.view.getUint32(at, little)
        : Number(this.view.getBigUint64(at, little));
    if (known !== 0) return known;
    const block = this.#block();
    indirect.count++;
    this.putPointer(at, block);
    return block;
  }

  /** A name in its directory. */
  #enter(path: string, ino: number, type: number): void {
    const cut = path.lastIndexOf("/");
    this.names.get(path.slice(0, cut))!.push([path.slice(cut + 1), ino, type]);
    this.inos.set(path, ino);
  }

  #inode(ino: number, mode: number, size: number, sectors: number, links = 1): void {
    const at = this.inodeByte(ino);
    this.put16(at, mode);
    this.put16(at + 2, links);
    if (this.kind.version === 1) {
      this.put64(at + 8, size);
      for (const [i, field] of [16, 24, 32].entries()) this.put32(at + field, 1000 * ino + i);
      this.put32(at + 104, sectors);
      if (this.kind.oldInodes) {
        this.put16(at + 4, ino + 7);
        this.put16(at + 6, ino + 8);
      }
      this.put32(at + 112, this.kind.oldInodes ? 0 : ino + 70_000);
      this.put32(at + 116, this.kind.oldInodes ? 0 : ino + 80_000);
    } else {
      this.put32(at + 4, ino + 70_000);
      this.put32(at + 8, ino + 80_000);
      this.put64(at + 16, size);
      this.put64(at + 24, sectors);
      for (const [i, field] of [32, 40, 48].entries()) this.put64(at + field, 1000 * ino + i);
    }
  }

  /** Store blocks of a file; `fill` writes each of them. @returns its sectors. */
  #data(
    ino: number,
    size: number,
    blocks: Iterable<number>,
    fill: (lbn: number, to: Uint8Array) => void,
  ): number {
    const { blockSize, fragSize } = this.kind;
    const indirect = { count: 0 };
    let frags = 0;
    for (const lbn of blocks) {
      const bytes = Math.min(size - lbn * blockSize, blockSize);
      const count = lbn < 12 ? Math.ceil(bytes / fragSize) : this.frags;
      const pointer = this.pointerByte(ino, lbn, indirect);
      const place = this.#fragments(count);
      this.putPointer(pointer, place);
      // What lies in the fragments behind the end must never be seen.
      const to = this.bytes.subarray(place * fragSize, (place + count) * fragSize);
      to.fill(0xee);
      fill(lbn, to.subarray(0, bytes));
      frags += count;
    }
    return ((frags + indirect.count * this.frags) * fragSize) / 512;
  }

  /** A file of `size` bytes. With `blocks` only those are there, the others are holes. */
  file(path: string, size: number, blocks: readonly number[] | null = null, mode = 0o644): number {
    const ino = this.#ino();
    const { blockSize } = this.kind;
    const all = blocks ?? Array.from({ length: Math.ceil(size / blockSize) }, (_, i) => i);
    const sectors = this.#data(ino, size, all, (lbn, to) => {
      for (let i = 0; i < to.length; i++) to[i] = byteAt(path, lbn * blockSize + i);
    });
    this.#inode(ino, 0x8000 | mode, size, sectors);
    this.#enter(path, ino, 8);
    this.files.push({ path, ino, size, blocks: blocks === null ? null : new Set(blocks) });
    return ino;
  }

  symlink(path: string, target: string): number {
    const ino = this.#ino();
    const text = new TextEncoder().encode(target);
    const room = this.kind.oldInodes ? 0 : this.kind.version === 1 ? 60 : 120;
    let sectors = 0;
    if (text.length < room) this.bytes.set(text, this.slots(ino));
    else sectors = this.#data(ino, text.length, [0], (_lbn, to) => to.set(text));
    this.#inode(ino, 0xa1ff, text.length, sectors);
    this.#enter(path, ino, 10);
    this.links.set(path, target);
    return ino;
  }

  /** A special file: `mode` has its type. */
  special(path: string, mode: number, type: number, rdev = 0): number {
    const ino = this.#ino();
    this.#inode(ino, mode, 0, 0);
    this.putPointer(this.slots(ino), rdev);
    this.#enter(path, ino, type);
    return ino;
  }

  directory(path: string): number {
    const ino = this.#ino();
    this.#enter(path, ino, 4);
    this.names.set(path, []);
    return ino;
  }

  /** A second name. */
  hardLink(path: string, existing: string): void {
    this.#enter(path, this.inos.get(existing)!, 8);
  }

  /** Entries of a directory, in pieces of 512 bytes. */
  #entries(path: string): Uint8Array {
    const up = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const all: [string, number, number][] = [
      [".", this.inos.get(path)!, 4],
      ["..", this.inos.get(up)!, 4],
      ...this.names.get(path)!,
    ];
    const pieces: { bytes: Uint8Array; used: number; last: number }[] = [];
    for (const [name, ino, type] of all) {
      const text = new TextEncoder().encode(name);
      const need = 8 + Math.ceil((text.length + 1) / 4) * 4;
      let piece = pieces.at(-1);
      if (piece === undefined || piece.used + need > 512) {
        piece = { bytes: new Uint8Array(512), used: 0, last: 0 };
        pieces.push(piece);
      }
      const view = new DataView(piece.bytes.buffer);
      const little = !this.kind.bigEndian;
      const at = piece.used;
      if (at > 0) view.setUint16(piece.last + 4, at - piece.last, little);
      view.setUint32(at, ino, little);
      view.setUint16(at + 4, 512 - at, little);
      if (this.kind.oldInodes) view.setUint16(at + 6, text.length, little);
      else {
        view.setUint8(at + 6, type);
        view.setUint8(at + 7, text.length);
      }
      piece.bytes.set(text, at + 8);
      piece.last = at;
      piece.used += need;
    }
    const bytes = new Uint8Array(pieces.length * 512);
    for (const [i, piece] of pieces.entries()) bytes.set(piece.bytes, i * 512);
    return bytes;
  }

  /** Write directories, group headers and the super block. @returns the image. */
  finish(): Uint8Array {
    const { blockSize, groups } = this.kind;
    for (const path of this.names.keys()) {
      const bytes = this.#entries(path);
      const ino = this.inos.get(path)!;
      const blocks = Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, i) => i);
      const sectors = this.#data(ino, bytes.length, blocks, (lbn, to) =>
        to.set(bytes.subarray(lbn * blockSize, lbn * blockSize + to.length)),
      );
      this.#inode(ino, 0x41ed, bytes.length, sectors, 2);
    }
    for (let group = 0; group < groups; group++) this.#header(group);
    this.#superblock(this.place);
    return this.bytes;
  }

  #header(group: number): void {
    const { fragSize, groupFrags, groupInodes, version } = this.kind;
    const at = (this.groupStart(group) + this.headerAt) * fragSize;
    if (this.kind.oldInodes === true) return; // its header had another layout
    this.put32(at + 4, 0x090255);
    this.put32(at + 12, group);
    this.put32(at + 20, Math.min(groupFrags, this.size - group * groupFrags));
    if (version === 1) return;
    this.put32(at + 116, groupInodes);
    this.put32(at + 120, groupInodes);
  }

  #superblock(at: number): void {
    const { kind, frags } = this;
    const { version, blockSize, fragSize } = kind;
    const put = (offset: number, value: number): void => this.put32(at + offset, value);
    put(8, this.superAt);
    put(12, this.headerAt);
    put(16, this.tableAt);
    put(20, this.dataAt);
    put(24, kind.step ?? 0);
    put(28, kind.mask ?? -1);
    put(44, kind.groups);
    put(48, blockSize);
    put(52, fragSize);
    put(56, frags);
    put(80, Math.log2(blockSize));
    put(84, Math.log2(fragSize));
    put(96, Math.log2(frags));
    put(100, Math.log2(fragSize / 512));
    put(104, 1536);
    put(116, this.fanOut);
    put(120, blockSize / this.inodeBytes);
    put(160, 2048);
    put(184, kind.groupInodes);
    put(188, kind.groupFrags);
    this.bytes[at + 209] = 1;
    this.bytes.set(new TextEncoder().encode("built"), at + 680);
    if (version === 1) {
      put(32, 1_000_000);
      put(36, this.size);
      put(1320, kind.oldInodes ? 0 : 60);
      put(1324, kind.oldInodes ? -1 : 2);
      put(1356, kind.oldInodes ? -1 : 1);
    } else {
      this.put64(at + 1000, this.place);
      this.put64(at + 1072, 1_000_000);
      this.put64(at + 1080, this.size);
      put(1320, 120);
    }
    if (kind.oldInodes !== true) this.put64(at + 1328, 2 ** 45);
    put(1372, version === 1 ? 0x011954 : 0x19540119);
  }
}

/** Something of everything. */
export function mixedTree(kind: Kind): Builder {
  const b = new Builder(kind);
  const { blockSize, fragSize } = kind;
  b.directory("/sizes");
  const sizes = [0, 1, 511, 512, 513, fragSize, fragSize + 1, blockSize - 1, blockSize];
  for (const size of new Set(sizes)) {
    b.file(`/sizes/${size}`, size);
  }
  b.file("/sizes/two", blockSize + 3 * 512 + 1);
  b.file("/sizes/direct-short", 12 * blockSize - fragSize + 5);
  b.file("/sizes/direct", 12 * blockSize);
  b.file("/sizes/indirect", 12 * blockSize + 1);
  b.directory("/holes");
  const [single, double] = [12, 12 + b.fanOut];
  const triple = double + b.fanOut ** 2;
  const lbns = [2, 11, single, double - 1, double, double + b.fanOut, triple - 1, triple];
  b.file("/holes/every-level", (triple + 3) * blockSize + 700, lbns);
  b.file("/holes/nothing", 1_000_001, []);
  b.file("/holes/then-fragments", 3 * blockSize + 1, [0, 3]);
  b.directory("/links");
  for (const length of [1, 59, 60, 61, 119, 120, 121, 1000]) {
    b.symlink(`/links/of-${length}`, "x".repeat(length));
  }
  b.symlink("/links/up", "../sizes/two");
  b.hardLink("/links/hard", "/sizes/two");
  b.directory("/wide");
  for (let i = 0; i < 60; i++) b.file(`/wide/entry-${i}-${"padding".repeat(i % 7)}`, i % 5);
  b.special("/null", 0x21b6, 2, 0x0203);
  b.special("/disk", 0x6180, 6, 0x12_3_45_67);
  b.special("/pipe", 0x1180, 1);
  b.special("/socket", 0xc180, 12);
  return b;
}
