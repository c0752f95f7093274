/**
 * claims.json: places of rows that no tag expresses, kept by hand and checked here.
 *
 * A claim's code is `path#symbol`, its test `path: part of the test's name`; each may be a list.
 * The part is looked for in titles as they are written and in the `name:` texts of tables.
 */
import { CLAIMS, INVENTORY } from "./inventory.ts";
import type { Claim, Place, Problem, Seed } from "./model.ts";
import type { Tree } from "./tree.ts";

type Texts = string | readonly string[] | undefined;

interface RawClaim {
  readonly id: string;
  readonly seed?: string;
  readonly partly?: string;
  readonly remark?: string;
  readonly code?: Texts;
  readonly test?: Texts;
}

export interface Claims {
  readonly claims: readonly Claim[];
  readonly problems: readonly Problem[];
}

export function readClaims(tree: Tree, seeds: readonly Seed[]): Claims {
  const path = `${INVENTORY}/${CLAIMS}`;
  const text = tree.text(path);
  const raw: readonly RawClaim[] = text === null ? [] : JSON.parse(text);
  const problems: Problem[] = [];
  const claims = raw.map((claim): Claim => {
    const at = (text ?? "").indexOf(JSON.stringify(claim.id));
    const line = (text ?? "").slice(0, Math.max(at, 0)).split("\n").length;
    const report = (why: string) =>
      problems.push({ path, line, message: `claim ${claim.id}: ${why}` });
    if (!isKnown(claim, seeds)) report("no inventory has such a row");
    return {
      line,
      id: claim.id,
      seed: claim.seed ?? "",
      partly: claim.partly ?? "",
      remark: claim.remark ?? "",
      namesCode: list(claim.code).length > 0,
      code: list(claim.code).flatMap((ref) => codeOf(tree, ref, report)),
      tests: list(claim.test).flatMap((ref) => testOf(tree, ref, report)),
    };
  });
  return { claims, problems };
}

function isKnown(claim: RawClaim, seeds: readonly Seed[]): boolean {
  const among = seeds.filter((seed) => claim.seed === undefined || seed.id === claim.seed);
  return among.some((seed) => seed.rows.some((row) => row.name === claim.id));
}

function list(texts: Texts): readonly string[] {
  return texts === undefined ? [] : typeof texts === "string" ? [texts] : texts;
}

function codeOf(tree: Tree, ref: string, report: (why: string) => void): Place[] {
  const hash = ref.indexOf("#");
  const path = hash < 0 ? ref : ref.slice(0, hash);
  const symbol = hash < 0 ? "" : ref.slice(hash + 1);
  const source = tree.source(path);
  const place = source?.find(symbol) ?? null;
  if (source === null) report(`no file ${path}`);
  else if (place === null) report(`${path} has no symbol ${symbol}`);
  return place === null ? [] : [place];
}

function testOf(tree: Tree, ref: string, report: (why: string) => void): Place[] {
  const colon = ref.indexOf(": ");
  const path = colon < 0 ? ref : ref.slice(0, colon);
  const part = colon < 0 ? "" : ref.slice(colon + 2);
  const source = tree.source(path);
  const place = source?.titles().find((t) => part !== "" && t.symbol.includes(part)) ?? null;
  if (source === null) report(`no file ${path}`);
  else if (place === null) report(`${path} has no test with "${part}" in its name`);
  return place === null ? [] : [place];
}
