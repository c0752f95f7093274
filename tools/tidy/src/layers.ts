/**
 * The levels of the house, as layers.json has them.
 *
 * A package may import packages of strictly lower levels. Nothing else in the repository says
 * which package stands on which level.
 */
import { readFileSync } from "node:fs";

export const SCOPE = "@physio/";

/** The lowest level that may see the host's clock and have runtime dependencies: `machine`. */
export const MACHINE_LEVEL = 12;

export interface Placed {
  readonly name: string;
  readonly group: string;
  readonly line: string;
  readonly level: number;
}

export class Layers {
  /** Every package, lowest level first, in the order of layers.json. */
  readonly all: readonly Placed[];
  readonly #byName: ReadonlyMap<string, Placed>;

  constructor(all: readonly Placed[]) {
    this.all = [...all].sort((a, b) => a.level - b.level);
    this.#byName = new Map(all.map((p) => [p.name, p]));
  }

  find(name: string): Placed | undefined {
    return this.#byName.get(name);
  }

  /** `@physio/uvm (level 8)`. */
  label(name: string): string {
    const placed = this.find(name);
    return `${SCOPE}${name} (${placed ? `level ${placed.level}` : "on no level"})`;
  }

  /** What `from` may import: `levels 0 to 7`, or `none` on the ground floor. */
  allowed(from: Placed): string {
    if (from.level === 0) return "none";
    return from.level === 1 ? "level 0" : `levels 0 to ${from.level - 1}`;
  }

  /**
   * Why `from` must not use `to`.
   *
   * @returns null when `to` stands on a strictly lower level.
   */
  forbids(from: Placed, to: string): string | null {
    const target = this.find(to);
    if (target === undefined) {
      return `${SCOPE}${to}, which layers.json does not list; allowed: ${this.allowed(from)}`;
    }
    if (target.level < from.level) return null;
    const direction = target.level > from.level ? "upward" : "sideways";
    const where = `level ${target.level}, ${direction}`;
    return `${SCOPE}${to} (${where}); allowed: ${this.allowed(from)}`;
  }
}

/** @throws {Error} when the file lists a package twice or a level out of order. */
export function readLayers(path: string | URL): Layers {
  const { levels } = JSON.parse(readFileSync(path, "utf8")) as {
    levels: { level: number; packages: Omit<Placed, "level">[] }[];
  };
  const all: Placed[] = [];
  const seen = new Set<string>();
  let above = -1;
  for (const { level, packages } of levels) {
    if (!(level > above)) throw new Error(`layers.json: level ${level} follows level ${above}`);
    above = level;
    for (const p of packages) {
      if (seen.has(p.name)) throw new Error(`layers.json: ${p.name} is listed twice`);
      seen.add(p.name);
      all.push({ name: p.name, group: p.group, line: p.line, level });
    }
  }
  return new Layers(all);
}
