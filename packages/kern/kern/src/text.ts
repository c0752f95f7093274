/**
 * File names as text: UTF-8, and back without loss.
 *
 * A BSD file name is any bytes but '/' and NUL. A byte that is not part of valid UTF-8 becomes the
 * lone surrogate U+DC80 … U+DCFF that ends in it, and goes back to that byte, so every name on a
 * disk has exactly one string and the reverse. (The library has neither DOM nor Node types here,
 * and TextDecoder would lose such bytes.)
 */

const REPLACED = 0xdc00;

/** Length in bytes of the valid UTF-8 sequence at `at`, or 0. */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const b = bytes[at];
  if (b < 0x80) return 1;
  const length =
    b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > end) return 0;
  for (let i = 1; i < length; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1];
  if (b === 0xe0 && second < 0xa0) return 0; // overlong
  if (b === 0xed && second >= 0xa0) return 0; // a surrogate
  if (b === 0xf0 && second < 0x90) return 0; // overlong
  if (b === 0xf4 && second >= 0x90) return 0; // above U+10FFFF
  return length;
}

/** The bytes [`from`, `to`) as text. */
export function decodeName(bytes: Uint8Array, from = 0, to = bytes.length): string {
  let text = "";
  for (let at = from; at < to; ) {
    const length = sequenceLength(bytes, at, to);
    if (length === 0) {
      text += String.fromCharCode(REPLACED + bytes[at++]);
      continue;
    }
    let code = length === 1 ? bytes[at] : bytes[at] & (0x7f >> length);
    for (let i = 1; i < length; i++) code = (code << 6) | (bytes[at + i] & 0x3f);
    text += String.fromCodePoint(code);
    at += length;
  }
  return text;
}

function pushCode(out: number[], code: number): void {
  if (code < 0x80) out.push(code);
  else if (code >= REPLACED + 0x80 && code <= REPLACED + 0xff) out.push(code - REPLACED);
  else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
  else if (code < 0x10000) {
    out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  } else {
    out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f));
    out.push(0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
}

/** The bytes of `text`; the inverse of `decodeName`. */
export function encodeName(text: string): Uint8Array {
  const out: number[] = [];
  for (const char of text) pushCode(out, char.codePointAt(0)!);
  return Uint8Array.from(out);
}
