/**
 * The index of an object's pages: from page number to frame, with two tags.
 *
 * A radix tree of 128 slots a node. A leaf's slots are frames, those of the nodes above are nodes; a
 * node has one bit a slot for each tag, and a node above has the bit if anything below it has. So a
 * dirty page is found in a huge clean file without a look at the others. The leaf that was used last
 * is kept: a reader that goes straight on pays for the tree once in 128 pages.
 *
 * Page numbers reach 2^40 and more, so they are taken apart by exact divisions, not by shifts.
 * Invariant (`check`): a node's counts and tags agree with what is below it.
 */
import type { Frame } from "@physio/kern";
import { NO_FRAME, panic } from "@physio/kern";

const SLOTS = 128;
const LOG_SLOTS = 7;
/** Levels below this one are reached by shifts of 32 bits. */
const SHIFTED_LEVELS = 5;
/** Pages that a slot stands for, by level: enough for every offset in a file. */
const SPANS = [1, SLOTS, SLOTS ** 2, SLOTS ** 3, SLOTS ** 4, SLOTS ** 5];
const WORDS = SLOTS / 32; // of one tag
const NONE = NO_FRAME;

/** What a page can be tagged with. */
export const PageTag = Object.freeze({ DIRTY: 0, WRITEBACK: 1 } as const);
export type PageTag = (typeof PageTag)[keyof typeof PageTag];

const TAG_WORDS = 2 * WORDS;

/** Of all leaves. */
const NO_CHILDREN: readonly (Node | null)[] = /* @__PURE__ */ Object.freeze([]);

class Node {
  /** 0: a leaf. */
  readonly level: number;
  /** The first page number below it. */
  readonly base: number;
  parent: Node | null;
  /** Where it hangs in its parent; 0 without one. */
  readonly slot: number;
  /** Slots in use. */
  count: number;
  /** The tags' words, and in a leaf then the frames. */
  readonly words: Int32Array;
  readonly children: (Node | null)[];

  constructor(level: number, base: number, parent: Node | null, slot: number) {
    this.level = level;
    this.base = base;
    this.parent = parent;
    this.slot = slot;
    this.count = 0;
    const leaf = level === 0;
    this.words = new Int32Array(leaf ? TAG_WORDS + SLOTS : TAG_WORDS);
    if (leaf) this.words.fill(NONE, TAG_WORDS);
    this.children = leaf
      ? (NO_CHILDREN as (Node | null)[])
      : new Array<Node | null>(SLOTS).fill(null);
  }
}

export class PageIndex {
  /** Pages that are in it. */
  count: number;
  #root: Node | null;
  #last: Node;

  constructor() {
    this.count = 0;
    this.#root = null;
    this.#last = NOWHERE;
  }

  /** The frame of page `index`, or NO_FRAME. @bsd #Y uvm_pagelookup */
  lookup(index: number): Frame {
    // From the root, by shifts, and without a look at the last leaf: where lookups go all over a file that is
    // a branch guessed wrong every other time (13 ns with divisions and the last leaf, 5 so).
    let node = this.#root;
    if (node === null || node.level >= SHIFTED_LEVELS || index >>> 0 !== index) {
      return this.#lookup(index);
    }
    let shift = node.level * LOG_SLOTS;
    if (index >>> shift >= SLOTS) return NONE;
    for (; shift > 0; shift -= LOG_SLOTS) {
      node = node.children[(index >>> shift) & (SLOTS - 1)];
      if (node === null) return NONE;
    }
    return node.words[TAG_WORDS + (index & (SLOTS - 1))];
  }

  /**
   * How many pages from `index` on are in a row of memory: page `index` in `frame`, the next one in the next
   * frame, and so on; `most` at most, and not beyond the leaf. => page `index` is in `frame`.
   */
  run(index: number, frame: Frame, most: number): number {
    const leaf = this.#leaf(index)!;
    const first = TAG_WORDS + (index - leaf.base);
    const { words } = leaf;
    const last = Math.min(most, words.length - first);
    let count = 1;
    while (count < last && words[first + count] === frame + count) count++;
    return count;
  }

  /** => page `index` is not there. */
  insert(index: number, frame: Frame): void {
    const leaf = this.#leaf(index) ?? this.#makeLeaf(index);
    const at = TAG_WORDS + (index - leaf.base);
    if (leaf.words[at] !== NONE) panic(`page ${index} is resident already`);
    leaf.words[at] = frame;
    leaf.count++;
    this.count++;
  }

  /** => page `index` is there. Its tags go with it. */
  remove(index: number): void {
    const leaf = this.#leaf(index);
    const at = leaf === null ? 0 : TAG_WORDS + (index - leaf.base);
    if (leaf === null || leaf.words[at] === NONE) panic(`page ${index} is not resident`);
    this.clear(PageTag.DIRTY, index);
    this.clear(PageTag.WRITEBACK, index);
    leaf.words[at] = NONE;
    this.count--;
    leaf.count--;
    if (leaf.count === 0) this.#drop(leaf);
  }

  /** => page `index` is there. */
  set(tag: PageTag, index: number): void {
    let node = this.#leaf(index);
    if (node === null) return;
    let slot = index - node.base;
    while (node !== null) {
      const { words, parent }: Node = node;
      const word = tag * WORDS + (slot >> 5);
      const bit = 1 << (slot & 31);
      if ((words[word] & bit) !== 0) return;
      words[word] |= bit;
      slot = node.slot;
      node = parent;
    }
  }

  clear(tag: PageTag, index: number): void {
    let node = this.#leaf(index);
    if (node === null) return;
    let slot = index - node.base;
    while (node !== null) {
      const { words, parent }: Node = node;
      const word = tag * WORDS + (slot >> 5);
      const bit = 1 << (slot & 31);
      if ((words[word] & bit) === 0) return; // then no node above says otherwise
      words[word] &= ~bit;
      if (hasTag(node, tag)) return;
      slot = node.slot;
      node = parent;
    }
  }

  has(tag: PageTag, index: number): boolean {
    const leaf = this.#leaf(index);
    if (leaf === null) return false;
    const slot = index - leaf.base;
    return (leaf.words[tag * WORDS + (slot >> 5)] & (1 << (slot & 31))) !== 0;
  }

  /** Whether any page has the tag. */
  any(tag: PageTag): boolean {
    return this.#root !== null && hasTag(this.#root, tag);
  }

  /** The first page from `from` on, below `end`, that has the tag; −1: none. */
  nextTagged(tag: PageTag, from: number, end: number): number {
    // Most often it is in the leaf of the one before: 7 ns, not 32.
    const { base, words } = this.#last;
    if (from >= base && from < base + SLOTS) {
      const slot = nextBit(words, tag * WORDS, from - base);
      if (slot < SLOTS) return base + slot < end ? base + slot : -1;
    }
    for (let at = from; at < end; ) {
      const leaf = this.#leafFrom(at, tag);
      if (leaf === null) return -1;
      const first = Math.max(at - leaf.base, 0);
      const slot = nextBit(leaf.words, tag * WORDS, first);
      if (slot < SLOTS) return leaf.base + slot < end ? leaf.base + slot : -1;
      at = leaf.base + SLOTS;
    }
    return -1;
  }

  /** The first page from `from` on, below `end`; −1: none. */
  next(from: number, end: number): number {
    for (let at = from; at < end; ) {
      const leaf = this.#leafFrom(at, -1);
      if (leaf === null) return -1;
      for (let slot = Math.max(at - leaf.base, 0); slot < SLOTS; slot++) {
        if (leaf.words[TAG_WORDS + slot] === NONE) continue;
        return leaf.base + slot < end ? leaf.base + slot : -1;
      }
      at = leaf.base + SLOTS;
    }
    return -1;
  }

  /** The pages from `from` on, below `end`, that have the tag: their numbers into `into`. @returns how many, at most its length. */
  gather(tag: PageTag, from: number, end: number, into: Float64Array): number {
    let found = 0;
    for (let at = from; at < end && found < into.length; ) {
      const leaf = this.#leafFrom(at, tag);
      if (leaf === null) break;
      const { parent } = leaf;
      const whole = parent === null ? 0 : Math.min(SLOTS, Math.floor((end - parent.base) / SLOTS));
      const before = found;
      if (parent !== null && at <= leaf.base) {
        found = gatherBelow(parent, tag, leaf.slot, whole, into, found);
      }
      if (parent === null || found === before) {
        found = gatherLeaf(leaf, tag, Math.max(at, leaf.base), end, into, found);
        at = leaf.base + SLOTS;
      } else if (found + SLOTS > into.length) at = into[found - 1] + 1;
      else at = parent.base + whole * SLOTS;
    }
    return found;
  }

  /** Walk everything and panic on a broken invariant; `name`: whose it is. */
  check(name: string): void {
    const count = this.#root === null ? 0 : checkNode(this.#root, name);
    if (count !== this.count) panic(`${name}: ${count} pages in the index, counted ${this.count}`);
  }

  /** `lookup` in any tree. */
  #lookup(index: number): Frame {
    const leaf = this.#leaf(index);
    return leaf === null ? NONE : leaf.words[TAG_WORDS + (index - leaf.base)];
  }

  /** The leaf that covers page `index`, or null. It becomes the last one. */
  #leaf(index: number): Node | null {
    const slot = index - this.#last.base;
    if (slot >= 0 && slot < SLOTS) return this.#last;
    let node = this.#root;
    if (node === null || index >= SLOTS * SPANS[node.level]) return null;
    // Shifts where the numbers allow them: divisions took half of a lookup's 13 ns.
    const small = index >>> 0 === index && node.level < SHIFTED_LEVELS;
    while (node !== null && node.level > 0) {
      const { children, base, level }: Node = node;
      node = small
        ? children[(index >>> (level * LOG_SLOTS)) & (SLOTS - 1)]
        : children[Math.floor((index - base) / SPANS[level])];
    }
    if (node !== null) this.#last = node;
    return node;
  }

  /** The first leaf that reaches beyond `index` and has `tag` (−1: any) set somewhere, though maybe before it. */
  #leafFrom(index: number, tag: number): Node | null {
    let node = this.#root;
    if (node === null || index >= SLOTS * SPANS[node.level]) return null;
    let slot = Math.floor(index / SPANS[node.level]);
    for (;;) {
      if (node.level === 0) {
        this.#last = node;
        return node;
      }
      const found: number = nextChild(node, tag, slot);
      if (found < SLOTS) {
        const child: Node = node.children[found]!;
        slot =
          found > slot || index < child.base
            ? 0
            : Math.floor((index - child.base) / SPANS[child.level]);
        node = child;
        continue;
      }
      // Nothing left below: on to the next slot of the parent.
      const { parent }: Node = node;
      if (parent === null) return null;
      slot = node.slot + 1;
      node = parent;
    }
  }

  #makeLeaf(index: number): Node {
    let root = this.#root ?? new Node(0, 0, null, 0);
    while (index >= SLOTS * SPANS[root.level]) {
      const above = new Node(root.level + 1, 0, null, 0);
      // An empty root is replaced, not kept below: it may only be the first leaf.
      if (root.count > 0) adopt(above, root);
      root = above;
    }
    this.#root = root;
    let node = root;
    while (node.level > 0) {
      const slot = Math.floor((index - node.base) / SPANS[node.level]);
      let child = node.children[slot];
      if (child === null) {
        child = new Node(node.level - 1, node.base + slot * SPANS[node.level], node, slot);
        node.children[slot] = child;
        node.count++;
      }
      node = child;
    }
    this.#last = node;
    return node;
  }

  /** Take an empty leaf out, and every node above that it leaves empty. */
  #drop(leaf: Node): void {
    if (this.#last === leaf) this.#last = NOWHERE;
    let node = leaf;
    while (node.count === 0) {
      const { parent } = node;
      if (parent === null) {
        this.#root = null;
        return;
      }
      parent.children[node.slot] = null;
      parent.count--;
      node = parent;
    }
  }
}

/** A leaf that covers no page, so that the fast path of a lookup has no null to test. */
const NOWHERE = /* @__PURE__ */ new Node(0, -SLOTS, null, 0);

/** Hang the old root below a new one, in its slot 0. */
function adopt(above: Node, root: Node): void {
  above.children[0] = root;
  above.count = 1;
  root.parent = above;
  for (const tag of [PageTag.DIRTY, PageTag.WRITEBACK]) {
    if (hasTag(root, tag)) above.words[tag * WORDS] |= 1;
  }
}

function hasTag(node: Node, tag: PageTag): boolean {
  const { words } = node;
  const at = tag * WORDS;
  return (words[at] | words[at + 1] | words[at + 2] | words[at + 3]) !== 0;
}

/** The first bit from `slot` on of the four words at `at`; SLOTS: none. */
function nextBit(words: Int32Array, at: number, slot: number): number {
  if (slot >= SLOTS) return SLOTS;
  let word = slot >> 5;
  let bits = words[at + word] & (-1 << (slot & 31));
  while (bits === 0) {
    word++;
    if (word === WORDS) return SLOTS;
    bits = words[at + word];
  }
  return word * 32 + 31 - Math.clz32(bits & -bits);
}

/** The first child from `slot` on that has the tag (−1: any child); SLOTS: none. */
function nextChild(node: Node, tag: number, slot: number): number {
  if (tag >= 0) return nextBit(node.words, tag * WORDS, slot);
  let at = slot;
  while (at < SLOTS && node.children[at] === null) at++;
  return at;
}

function gatherLeaf(
  leaf: Node,
  tag: PageTag,
  from: number,
  end: number,
  into: Float64Array,
  count: number,
): number {
  const { words, base } = leaf;
  const last = Math.min(end - base, SLOTS);
  let found = count;
  let slot = nextBit(words, tag * WORDS, from - base);
  for (; slot < last && found < into.length; slot = nextBit(words, tag * WORDS, slot + 1)) {
    into[found++] = base + slot;
  }
  return found;
}

/** The same for the leaves of `node` in slots [`from`, `last`), all of each, while there is room for all of one. */
// hot: bits are taken off in one loop, 1.3 ns a page; by calls for leaves and words it was 3.2.
function gatherBelow(
  node: Node,
  tag: PageTag,
  from: number,
  last: number,
  into: Float64Array,
  count: number,
): number {
  const { words: above, children } = node;
  const first = tag * WORDS;
  let found = count;
  for (let slot = from; slot < last && found + SLOTS <= into.length; slot++) {
    if ((above[first + (slot >> 5)] & (1 << (slot & 31))) === 0) continue;
    const { words, base } = children[slot]!;
    for (let word = 0; word < WORDS; word++) {
      const at = base + 32 * word + 31;
      let bits = words[first + word];
      while (bits !== 0) {
        const low = bits & -bits;
        into[found++] = at - Math.clz32(low);
        bits ^= low;
      }
    }
  }
  return found;
}

/** @returns pages below `node`. */
function checkNode(node: Node, name: string): number {
  if (node.level === 0) {
    let count = 0;
    for (let slot = 0; slot < SLOTS; slot++) if (node.words[TAG_WORDS + slot] !== NONE) count++;
    if (count !== node.count) panic(`${name}: leaf at page ${node.base} counts ${node.count}`);
    return count;
  }
  let pages = 0;
  let children = 0;
  node.children.forEach((child, slot) => {
    if (child !== null) {
      children++;
      pages += checkNode(child, name);
    }
    for (const tag of [PageTag.DIRTY, PageTag.WRITEBACK]) {
      const bit = (node.words[tag * WORDS + (slot >> 5)] & (1 << (slot & 31))) !== 0;
      if (bit !== (child !== null && hasTag(child, tag))) {
        panic(`${name}: tag ${tag} of the node at page ${node.base}, slot ${slot}, is ${bit}`);
      }
    }
  });
  if (children !== node.count) panic(`${name}: node at page ${node.base} counts ${node.count}`);
  return pages;
}
