import { encodeName } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";
import { effectiveHashVersion, HASH_END, NameHasher, nameHash } from "../src/dirhash.ts";
import { HASH_VECTORS } from "./dirhash.vectors.ts";

const NO_SEED = new Uint32Array(4);

/** The words of a seed given as a UUID, as debugfs takes it. */
function seedOf(text: string): Uint32Array {
  if (text === "") return NO_SEED;
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  return Uint32Array.from([0, 4, 8, 12], (at) => bytes.readUInt32LE(at));
}

test("effectiveHashVersion: unsigned adds 3 to the three stored versions", () => {
  expect([0, 1, 2, 3].map((v) => effectiveHashVersion(v, true))).toEqual([3, 4, 5, 3]);
  expect([0, 1, 2, 3].map((v) => effectiveHashVersion(v, false))).toEqual([0, 1, 2, 3]);
});

test("NameHasher: an unknown version is EIO", () => {
  const name = encodeName("a");
  for (const version of [-1, 6, 255, Number.NaN]) {
    expect(() => nameHash(version, name, NO_SEED)).toThrow(
      `directory hash version ${version}, 0 to 5 known: EIO`,
    );
  }
});

test("NameHasher: the value that ends a directory is no name's", () => {
  // Found by search: the legacy hash of this name is 0xfffffffe before it is moved down.
  const major = nameHash(0, encodeName("-vxNle"), NO_SEED).major;
  expect([HASH_END, major]).toEqual([0xfffffffe, 0xfffffffc]);
});

test("NameHasher: signed and unsigned agree on names of ASCII, of any length", () => {
  const hasher = new NameHasher();
  fc.assert(
    fc.property(
      fc.uint8Array({ max: 127, maxLength: 300 }),
      fc.integer({ min: 0, max: 2 }),
      (name, v) => {
        hasher.hash(v, name, NO_SEED);
        const { major, minor } = hasher;
        expect(hasher.hash(v + 3, name, NO_SEED)).toBe(major);
        expect(hasher.minor).toBe(minor);
        expect(major % 2).toBe(0);
        expect(Number.isInteger(minor) && minor >= 0 && minor < 2 ** 32).toBe(true);
      },
    ),
  );
});

for (const [name, seed, hashes] of HASH_VECTORS) {
  const title = name.length > 24 ? `${name.slice(0, 20)}… (${name.length} bytes)` : name;
  test(`nameHash: agrees with debugfs about ${JSON.stringify(title)}`, () => {
    const bytes = Uint8Array.from(name, (c) => c.charCodeAt(0));
    const ours: number[] = [];
    for (let version = 0; version <= 5; version++) {
      const { major, minor } = nameHash(version, bytes, seedOf(seed));
      ours.push(major, minor);
    }
    expect(ours).toEqual(hashes);
  });
}
