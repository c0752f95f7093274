/**
 * Flag families: sets of bits with a type, and their printer.
 *
 * A family is a frozen object of plain numbers made by `bitset`, so it can be walked to print a
 * value the way printf's %b does: `formatBits(Sync, 3)` → `0x3<PREREAD,PREWRITE>`.
 */

declare const bits: unique symbol;

/** A set of bits of family N. `a | b` of one family and 0 are accepted; a single flag of another is not. */
export type Bits<N extends string> = number & { readonly [bits]?: N };

/** Give every member of a flag family the family's type; the values stay plain numbers. */
export function bitset<N extends string>() {
  return <const T extends Record<string, number>>(
    members: T,
  ): { readonly [K in keyof T]: Bits<N> } => Object.freeze(members) as never;
}

/** `value` in hex with the names of its bits; bits without a name are listed as a number. @bsd #Y printf(9) %b */
export function formatBits(family: Readonly<Record<string, number>>, value: number): string {
  const names: string[] = [];
  const printed = `0x${(value >>> 0).toString(16)}`;
  let rest = value;
  for (const [name, bit] of Object.entries(family)) {
    if (bit === 0 || (rest & bit) !== (bit | 0)) continue; // `|` and `&` give bit 31 as a sign
    names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0) names.push(`0x${(rest >>> 0).toString(16)}`);
  return names.length === 0 ? printed : `${printed}<${names.join(",")}>`;
}
