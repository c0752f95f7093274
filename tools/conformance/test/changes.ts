/** Changing one value of a recorded outcome: what the runner must notice. */
export type Draw = (below: number) => number;
type Outcome = Record<string | number, unknown>;

/** A place in an outcome: its holder and the key or index in there. */
interface Place {
  readonly holder: Outcome;
  readonly key: string | number;
}

/** Every leaf of an outcome but those named `except`; empty lists count, as something can be put into them. */
function leaves(holder: Outcome, except: ReadonlySet<string>): Place[] {
  return Object.entries(holder).flatMap(([key, value]) => {
    if (except.has(key)) return [];
    const isBranch = typeof value === "object" && value !== null && Object.keys(value).length > 0;
    return isBranch ? leaves(value as Outcome, except) : [{ holder, key }];
  });
}

function otherThan(value: unknown, draw: Draw): unknown {
  if (typeof value === "number") return value + [1, -1, 4096, 0.5][draw(4)];
  if (typeof value === "boolean") return !value;
  if (value === null) return ["EINVAL", "ENOMEM", 0][draw(3)];
  if (Array.isArray(value)) return [[0, 1]];
  return [null, `${value as string}x`, ""][draw(3)];
}

/**
 * Change one value of `expected`, leave it out, or put one in where there is none.
 * => fields named in `except` are not compared. @returns what was done, in words.
 */
export function changeOne(
  expected: Record<string, unknown>,
  draw: Draw,
  except: readonly string[],
): string {
  const places = leaves(expected, new Set(except));
  const at = places[draw(places.length)] as Place | undefined;
  const before = JSON.stringify(expected);
  if (at === undefined) expected.error = null;
  else if (draw(4) === 0 && !Array.isArray(at.holder)) delete at.holder[at.key];
  else at.holder[at.key] = otherThan(at.holder[at.key], draw);
  return `${before} -> ${JSON.stringify(expected)}`;
}
