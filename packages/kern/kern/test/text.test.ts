/**
 * Names as text: bytes that are not UTF-8 by hand, no byte lost for random names, and agreement with
 * the host's TextDecoder and TextEncoder wherever those are defined.
 */

import { decodeName, encodeName } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** Bytes that begin, continue or nearly begin a sequence: random ones seldom make a whole one. */
const spicy = fc.constantFrom(
  ...[0x00, 0x2f, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1],
  ...[0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xfe, 0xff],
);
const bytes = fc
  .array(fc.oneof(spicy, fc.integer({ min: 0, max: 255 })), { maxLength: 60 })
  .map((list) => Uint8Array.from(list));

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What the host makes of `name`, or null when it is not UTF-8. */
function hostDecode(name: Uint8Array): string | null {
  try {
    return strict.decode(name);
  } catch {
    return null;
  }
}

describe("bytes and their text, by hand", () => {
  const cases = [
    { what: "ASCII", name: [0x61, 0x2e, 0x63], text: "a.c" },
    { what: "two bytes", name: [0xc3, 0xa9], text: "é" },
    { what: "three bytes", name: [0xe2, 0x82, 0xac], text: "€" },
    { what: "four bytes", name: [0xf0, 0x9f, 0x92, 0xbe], text: "\u{1f4be}" },
    { what: "a byte order mark", name: [0xef, 0xbb, 0xbf], text: "\ufeff" },
    { what: "Latin-1", name: [0x6e, 0xe9, 0x65], text: "n\udce9e" },
    { what: "a lone continuation", name: [0x80], text: "\udc80" },
    { what: "0xff", name: [0xff], text: "\udcff" },
    { what: "overlong NUL", name: [0xc0, 0x80], text: "\udcc0\udc80" },
    { what: "overlong, three bytes", name: [0xe0, 0x9f, 0xbf], text: "\udce0\udc9f\udcbf" },
    { what: "a surrogate", name: [0xed, 0xa0, 0x80], text: "\udced\udca0\udc80" },
    {
      what: "above U+10FFFF",
      name: [0xf4, 0x90, 0x80, 0x80],
      text: "\udcf4\udc90\udc80\udc80",
    },
    { what: "the last code point", name: [0xf4, 0x8f, 0xbf, 0xbf], text: "\u{10ffff}" },
    { what: "a cut sequence", name: [0x61, 0xe2, 0x82], text: "a\udce2\udc82" },
    { what: "a cut one before text", name: [0xe2, 0x82, 0x61], text: "\udce2\udc82a" },
    { what: "nothing", name: [], text: "" },
  ];
  for (const { what, name, text } of cases) {
    test(what, () => {
      expect(decodeName(Uint8Array.from(name))).toBe(text);
      expect([...encodeName(text)]).toEqual(name);
    });
  }

  test("a range ends a sequence that goes on behind it", () => {
    const name = Uint8Array.from([0x61, 0xe2, 0x82, 0xac, 0x62]);
    expect(decodeName(name, 1, 4)).toBe("€");
    expect(decodeName(name, 1, 3)).toBe("\udce2\udc82");
    expect(decodeName(name, 2)).toBe("\udc82\udcacb");
  });
});

test("no byte of a name is lost", () => {
  fc.assert(
    fc.property(bytes, (name) => {
      expect([...encodeName(decodeName(name))]).toEqual([...name]);
    }),
    { numRuns: 3000, ...SEED },
  );
});

test("different names have different texts", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(decodeName(a) === decodeName(b)).toBe(Buffer.compare(a, b) === 0);
    }),
    { numRuns: 500, ...SEED },
  );
});

test("valid UTF-8 decodes as the host decodes it; in anything else a stray byte shows", () => {
  fc.assert(
    fc.property(bytes, (name) => {
      const text = decodeName(name);
      const host = hostDecode(name);
      if (host !== null) expect(text).toBe(host);
      else expect(text).toMatch(/[\udc80-\udcff]/u);
    }),
    { numRuns: 3000, ...SEED },
  );
});

test("text of whole code points encodes as the host encodes it, and comes back", () => {
  const encoder = new TextEncoder();
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      const name = encodeName(text);
      expect([...name]).toEqual([...encoder.encode(text)]);
      expect(decodeName(name)).toBe(text);
    }),
    { numRuns: 250, ...SEED },
  );
});
