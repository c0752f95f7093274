/**
 * The command line: a campaign, or one list again.
 *
 * A failure is shrunk, printed, and written as a file that `--replay` takes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { PROFILE_NAMES } from "@physio/machine";
import type { CampaignOptions } from "./campaign.ts";
import { campaign, tryList } from "./campaign.ts";
import type { OpList } from "./list.ts";
import { decodeList, encodeList } from "./list.ts";
import { FLAG_SETS } from "./ops.ts";
import { truncate } from "./process.ts";
import type { Failure, Truncate } from "./run.ts";
import { shrink } from "./shrink.ts";

const SETS = Object.keys(FLAG_SETS);
const BLOCK_SIZES = ["1024", "2048", "4096"];
const USAGE = `usage: fsx [--seed S] [--ops N] [--block-size ${BLOCK_SIZES.join("|")}]
  [--profile ${PROFILE_NAMES.join("|")}] [--threads T] [--set ${SETS.join("|")}]
  [--save FILE] | --replay FILE`;
const THREADS_MOST = 8;

/** Where lines go. */
export interface Printer {
  log(line: string): void;
  error(line: string): void;
}

/** The command line makes no sense. */
class UsageError extends Error {}

interface Arguments {
  readonly options: CampaignOptions;
  readonly replay: string | null;
  readonly save: string | null;
}

function argumentsOf(argv: readonly string[]): Arguments {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { ...text, default: "1" },
      ops: { ...text, default: "10000" },
      "block-size": { ...text, default: "1024" },
      profile: { ...text, default: "pc" },
      threads: { ...text, default: "1" },
      set: { ...text, default: "all" },
      save: text,
      replay: text,
    },
  });
  const options = {
    seed: whole("seed", values.seed, 2 ** 31),
    ops: whole("ops", values.ops, 10 ** 9),
    blockSize: Number(oneOf("block-size", values["block-size"], BLOCK_SIZES)),
    profile: oneOf("profile", values.profile, PROFILE_NAMES),
    threads: Math.max(1, whole("threads", values.threads, THREADS_MOST)),
    set: oneOf("set", values.set, SETS),
  };
  return { options, replay: values.replay ?? null, save: values.save ?? null };
}

function whole(name: string, value: string, most: number): number {
  if (/^\d+$/.test(value) && Number(value) <= most) return Number(value);
  throw new UsageError(`--${name} ${value}: not a number from 0 to ${most}`);
}

function oneOf(name: string, value: string, list: readonly string[]): string {
  if (list.includes(value)) return value;
  throw new UsageError(`--${name} ${value}: there are ${list.join(", ")}`);
}

/** A list that fails. */
interface Found {
  readonly list: OpList;
  readonly failure: Failure;
  readonly change: Truncate;
}

/** Shrink a failing list, print it and write it. */
function report({ list, failure, change }: Found, path: string, out: Printer): void {
  out.log(`failed: ${failure.why}`);
  const shrunk = shrink(list, failure, (shorter) => tryList(shorter, change));
  const { ops } = shrunk.list;
  out.log(`shrunk to ${ops.length} of ${list.ops.length} operations in ${shrunk.tries} tries:`);
  for (const op of ops) out.log(`  ${JSON.stringify(op)}`);
  out.log(`now: ${shrunk.failure.why}`);
  writeFileSync(path, encodeList(shrunk.list));
  out.log(`written: fsx --replay ${path}`);
}

function replay(path: string, change: Truncate, out: Printer): number {
  let list: OpList;
  try {
    list = decodeList(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`);
  }
  const failure = tryList(list, change);
  const where = failure === null ? "" : ` at operation ${failure.at}: ${failure.why}`;
  out.log(
    `${path}: ${list.ops.length} operations, ${failure === null ? "good" : `failed${where}`}`,
  );
  return failure === null ? 0 : 1;
}

function run({ options, save }: Arguments, change: Truncate, out: Printer): number {
  const { seed, set, blockSize, profile, threads } = options;
  const what = `seed ${seed}, ${set}, blocks of ${blockSize}, ${profile}, ${threads} threads`;
  const { done, list, failure } = campaign({ ...options, truncate: change });
  if (list === null || failure === null) {
    out.log(`${done} operations, no failure (${what})`);
    return 0;
  }
  out.log(`after ${done} operations (${what}):`);
  report({ list, failure, change }, resolve(save ?? `fsx-${list.seed}.jsonl`), out);
  return 1;
}

/** Do what the command line says; `change`: for a planted fault. @returns 0: no failure; 1: one; 2: the command line. */
export function fsx(argv: readonly string[], out: Printer, change: Truncate = truncate): number {
  try {
    const args = argumentsOf(argv);
    return args.replay === null ? run(args, change, out) : replay(args.replay, change, out);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const usage = error instanceof UsageError || code?.startsWith("ERR_PARSE_ARGS") === true;
    if (!usage) throw error;
    out.error(`fsx: ${message}`);
    out.error(USAGE);
    return 2;
  }
}
