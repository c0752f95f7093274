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
/** Pages that a tree of two levels has room for. */
const SMALL_TREE = SLOTS * SLOTS;
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

class Node {
  /** 0: a leaf. */
  readonly level: number;
  /** Pages that one slot stands for: 1 in a leaf. */
  readonly span: number;
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
    this.span = SPANS[level];
    this.base = base;
    this.parent = parent;
    this.slot = slot;
    this.count = 0;
    const leaf = level === 0;
    this.words = new Int32Array(leaf ? TAG_WORDS + SLOTS : TAG_WORDS);
    if (leaf) this.words.fill(NONE, TAG_WORDS);
    this.children = leaf ? [] : new Array<Node | null>(SLOTS).fill(null);
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
    // Small trees from the root, without a look at the last leaf: where lookups go all over a file, that is a
    // branch guessed wrong every other time (14 ns; 6 so).
    let node = this.#root;
    if (node === null || node.level > 1 || index >>> 0 !== index) return this.#lookup(index);
    if (node.level > 0) {
      if (index >= SMALL_TREE) return NONE;
      node = node.children[index >>> LOG_SLOTS];
      if (node === null) return NONE;
    } else if (index >= SLOTS) return NONE;
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
      found = gatherLeaf(leaf, tag, Math.max(at, leaf.base), end, into, found);
      at = leaf.base + SLOTS;
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
    if (node === null || index >= SLOTS * node.span) return null;
    // Shifts where the numbers allow them: divisions took half of a lookup's 13 ns.
    const small = index >>> 0 === index && node.level < SHIFTED_LEVELS;
    while (node !== null && node.level > 0) {
      const { children, base, span, level }: Node = node;
      node = small
        ? children[(index >>> (level * LOG_SLOTS)) & (SLOTS - 1)]
        : children[Math.floor((index - base) / span)];
    }
    if (node !== null) this.#last = node;
    return node;
  }

  /** The first leaf that reaches beyond `index` and has `tag` (−1: any) set somewhere, though maybe before it. */
  #leafFrom(index: number, tag: number): Node | null {
    let node = this.#root;
    if (node === null || index >= SLOTS * node.span) return null;
    let slot = Math.floor(index / node.span);
    for (;;) {
      if (node.level === 0) return node;
      const found: number = nextChild(node, tag, slot);
      if (found < SLOTS) {
        const child: Node = node.children[found]!;
        slot =
          found > slot || index < child.base ? 0 : Math.floor((index - child.base) / child.span);
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
    while (index >= SLOTS * root.span) {
      const above = new Node(root.level + 1, 0, null, 0);
      // An empty root is replaced, not kept below: it may only be the first leaf.
      if (root.count > 0) adopt(above, root);
      root = above;
    }
    this.#root = root;
    let node = root;
    while (node.level > 0) {
      const slot = Math.floor((index - node.base) / node.span);
      let child = node.children[slot];
      if (child === null) {
        child = new Node(node.level - 1, node.base + slot * node.span, node, slot);
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
  for (let word = (from - base) >> 5; word * 32 < last; word++) {
    let bits = words[tag * WORDS + word];
    if (word * 32 < from - base) bits &= -1 << ((from - base) & 31);
    for (; bits !== 0; bits &= bits - 1) {
      const slot = word * 32 + 31 - Math.clz32(bits & -bits);
      if (slot >= last || found === into.length) return found;
      into[found++] = base + slot;
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
