/** Sync lists: what shares an entry, what fills the list, and the two ways of adding to it. */

import { inspect } from "node:util";
import { SegList } from "@physio/busdma";
import { SyncList, SyncRoom, SyncSlab } from "@physio/busdma-bounce";
import { expect, test } from "vitest";

const HIGH = 2 ** 40;

const listOf = (limit: number) => new SyncList(new SyncRoom(new SyncSlab(), limit));

/** [kernel address or −1, physical address, length]. */
type Piece = readonly [number, number, number];

const cases: readonly {
  readonly name: string;
  readonly pieces: readonly Piece[];
  readonly keep: string;
  readonly lengthen?: string;
}[] = [
  {
    name: "pieces that adjoin both ways share an entry",
    pieces: [
      [0x1000, HIGH, 0x100],
      [0x1100, HIGH + 0x100, 0x200],
    ],
    keep: "0x1000+768",
  },
  {
    name: "pieces that adjoin in memory only do not",
    pieces: [
      [0x1000, HIGH, 0x100],
      [0x2000, HIGH + 0x100, 0x100],
    ],
    keep: "0x1000+256, 0x2000+256",
  },
  {
    name: "pieces that adjoin in the kernel's map only do not",
    pieces: [
      [0x1000, HIGH, 0x100],
      [0x1100, HIGH + 0x200, 0x100],
    ],
    keep: "0x1000+256, 0x1100+256",
  },
  {
    name: "a kernel piece never joins a physical one",
    pieces: [
      [-1, HIGH, 0x100],
      [0x100, HIGH + 0x100, 0x100],
    ],
    keep: "phys 0x10000000000+256, 0x100+256",
  },
  {
    name: "a physical piece joins a kernel one in the original only",
    pieces: [
      [0x1000, HIGH, 0x100],
      [-1, HIGH + 0x100, 0x100],
    ],
    keep: "0x1000+256, phys 0x10000000100+256",
    lengthen: "0x1000+512",
  },
  {
    name: "address 0 is an address, of both kinds",
    pieces: [
      [0, 0x1000, 1],
      [-1, 0, 1],
      [-1, 1, 1],
    ],
    keep: "0x0+1, phys 0x0+2",
  },
];

for (const { name, pieces, keep, lengthen = keep } of cases) {
  test(`sync list: ${name}`, () => {
    for (const keepKind of [true, false]) {
      const list = listOf(8);
      for (const [va, pa, length] of pieces) list.append(va, pa, length, keepKind);
      expect(inspect(list)).toBe(`SyncList(${list.count}) [${keepKind ? keep : lengthen}]`);
    }
  });
}

test("sync list: a full one takes what lengthens its last entry, and nothing else", () => {
  const list = listOf(1);
  expect(list.append(-1, 0, 10, true)).toBe(1);
  expect(list.append(-1, 10, 10, true)).toBe(0);
  expect(list.append(-1, 30, 10, true)).toBe(-1);
  expect([list.count, list.length(0)]).toEqual([1, 20]);
  list.clear();
  expect(list.append(-1, 20, 10, true)).toBe(1);
});

test("sync list: segments are added as their pieces would be", () => {
  let state = 1;
  const draw = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
  for (let round = 0; round < 2000; round++) {
    const keepKind = draw(2) === 0;
    const limit = 1 + draw(12);
    const lists = [listOf(limit), listOf(limit)];
    for (let loads = draw(3); loads >= 0; loads--) {
      const segs = new SegList(8);
      let va = draw(2) === 0 ? -1 : HIGH + draw(4) * 100;
      const start = va;
      const fits: boolean[] = [];
      for (let left = draw(8), pa = draw(3) * 100; left > 0; left--) {
        const size = 50 * (1 + draw(2));
        segs.addr[segs.count] = pa;
        segs.len[segs.count++] = size;
        if (!fits.includes(false)) fits.push(lists[0].append(va, pa, size, keepKind) >= 0);
        if (va >= 0) va += size;
        pa += size + (draw(3) === 0 ? 100 : 0);
      }
      expect(lists[1].appendSegments(start, segs, keepKind)).toBe(!fits.includes(false));
      expect(inspect(lists[1]), `round ${round}`).toBe(inspect(lists[0]));
      if (fits.includes(false)) break;
    }
  }
});
