/** Flag families and their printer: a table, then every set of flags read back from its own text. */

import { bitset, formatBits } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

const Sync = bitset<"Sync">()({ PREREAD: 1, PREWRITE: 2, POSTREAD: 4, POSTWRITE: 8 });
const Wide = bitset<"Wide">()({ NONE: 0, LOW: 0x1, MIDDLE: 0x30, HIGH: 0x8000_0000 });

describe("formatBits, by hand", () => {
  const cases = [
    { family: Sync, value: 0, text: "0x0" },
    { family: Sync, value: 1, text: "0x1<PREREAD>" },
    { family: Sync, value: 3, text: "0x3<PREREAD,PREWRITE>" },
    { family: Sync, value: 12, text: "0xc<POSTREAD,POSTWRITE>" },
    { family: Sync, value: 0x14, text: "0x14<POSTREAD,0x10>" },
    { family: Sync, value: 0x300, text: "0x300<0x300>" },
    { family: Wide, value: 0, text: "0x0" },
    { family: Wide, value: 0x30, text: "0x30<MIDDLE>" },
    { family: Wide, value: 0x11, text: "0x11<LOW,0x10>" },
    { family: Wide, value: 0x8000_0001, text: "0x80000001<LOW,HIGH>" },
    { family: Wide, value: 0x4000_0000, text: "0x40000000<0x40000000>" },
  ];
  for (const { family, value, text } of cases) {
    test(text, () => expect(formatBits(family, value)).toBe(text));
  }

  test("a set made with | prints bit 31 as a bit, not as a sign", () => {
    expect(formatBits(Wide, Wide.HIGH | Wide.LOW)).toBe("0x80000001<LOW,HIGH>");
  });
});

test("a family is frozen and keeps its plain numbers", () => {
  expect(Object.isFrozen(Sync)).toBe(true);
  expect({ ...Sync }).toEqual({ PREREAD: 1, PREWRITE: 2, POSTREAD: 4, POSTWRITE: 8 });
});

test("the text of a set gives the set back, for all 32 bits", () => {
  const family = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`BIT${i}`, 2 ** ((i * 7) % 32)]),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (value) => {
      const match = /^0x([0-9a-f]+)(?:<(.+)>)?$/.exec(formatBits(family, value));
      const names = match?.[2]?.split(",") ?? [];
      const bits = names.map((name) => family[name] ?? Number(name));
      expect(Number.parseInt(match?.[1] ?? "", 16)).toBe(value);
      expect(bits.reduce((sum, bit) => sum + bit, 0)).toBe(value);
      const known = Object.keys(family).filter(
        (name) => Math.floor(value / family[name]) % 2 === 1,
      );
      expect(names.filter((name) => name in family)).toEqual(known);
    }),
    { numRuns: 500, ...SEED },
  );
});
