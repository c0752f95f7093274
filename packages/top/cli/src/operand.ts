/**
 * Operands: `IMAGE:/path`, and names of the host.
 *
 * An image's name may hold colons and slashes, so where to cut is looked up: the longest name that
 * exists is the image, else all up to the last `:/`.
 */
import { existsSync } from "node:fs";

/** A file in an image; the path begins with a slash and may be a pattern. */
export interface ImageOperand {
  readonly image: string;
  readonly path: string;
}

/** A file of the host. */
interface HostOperand {
  readonly image: null;
  readonly path: string;
}

export type Operand = ImageOperand | HostOperand;

/** Cut `text` at a `:/`, or before a colon at its end. @returns null: there is neither. */
function cut(text: string): ImageOperand | null {
  const cuts = [...text.matchAll(/:(?=\/)/g)].map((match) => match.index).reverse();
  const best = cuts.find((at) => existsSync(text.slice(0, at))) ?? cuts.at(-1);
  if (best !== undefined) return { image: text.slice(0, best), path: text.slice(best + 1) };
  return text.endsWith(":") ? { image: text.slice(0, -1), path: "/" } : null;
}

/** An operand that must be in an image; a name alone is an image's root. */
export function imageOperand(text: string): ImageOperand {
  const root = { image: text, path: "/" };
  return existsSync(text) ? root : (cut(text) ?? root);
}

/** An operand that may be in an image; what exists on the host is the host's. */
export function anyOperand(text: string): Operand {
  const host: HostOperand = { image: null, path: text };
  return existsSync(text) ? host : (cut(text) ?? host);
}

/** An operand as the user would write it. */
export function operandText({ image, path }: Operand): string {
  return image === null ? path : `${image}:${path}`;
}
