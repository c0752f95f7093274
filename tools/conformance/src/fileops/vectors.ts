/**
 * Recorded sequences of file operations: one a file, an operation a line.
 *
 * What the fields mean is in conformance/fileops/README.md. The block size of the file system, and what the files must
 * hold at the end, are in the manifest beside a sequence; without one the name says the block size
 * ("-1k"), or it is 4 KiB, and the end is not compared.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Bytes } from "@physio/kern";
import { isWhole, KiB } from "@physio/kern";
import { isListOf, isObject, readScenarios, VectorError } from "../files.ts";

/** An operation and what Linux answered; each uses the fields that its row of the README lists. */
export interface FileOp {
  readonly op: string;
  readonly file: number;
  readonly off: number;
  readonly len: number;
  readonly lens: readonly number[];
  readonly size?: Bytes;
  readonly sync: boolean;
  readonly ret: number | string;
  readonly errno?: string;
  readonly crc?: string;
  readonly tailzero?: boolean;
  /** Allocated units of 512 bytes. */
  readonly sectors?: number;
}

/** What a file must hold at the end. */
export interface FinalFile {
  readonly file: number;
  readonly size: Bytes;
  readonly sha256: string;
}

export interface Sequence {
  readonly id: string;
  readonly blockSize: Bytes;
  readonly ops: readonly FileOp[];
  readonly final: readonly FinalFile[];
}

/** The longest file that a sequence may make: the disk is memory. */
const SIZE_MOST = 8 * 1024 * KiB;
const DEFAULT_BLOCK = 4 * KiB;

/** Numbers that an operation cannot do without. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  pwrite: ["file", "off", "len"],
  pread: ["file", "off", "len"],
  append: ["file", "len"],
  pwritev: ["file", "off"],
  dwrite: ["file", "off", "len"],
  dread: ["file", "off", "len"],
  mread: ["file", "off", "len"],
  mwrite: ["file", "off", "len"],
  truncate: ["file", "size"],
  fsync: ["file"],
  reopen: ["file"],
  dropcache: [],
};

/** The sequence of one file. @throws {VectorError} */
export function readSequences(path: string): Sequence[] {
  const ops = readScenarios<FileOp>(path, fault);
  const name = basename(path);
  const entry = manifestEntry(join(dirname(path), "manifest.json"), name);
  const made = entry?.mke2fs;
  const stated = /-b (\d+)/.exec(typeof made === "string" ? made : "")?.[1];
  const named = /-([124])k\b/.exec(name)?.[1];
  const fromName = named === undefined ? DEFAULT_BLOCK : Number(named) * KiB;
  const blockSize = stated === undefined ? fromName : Number(stated);
  if (![KiB, 2 * KiB, 4 * KiB].includes(blockSize))
    throw new VectorError(`${path}: blocks of ${blockSize} bytes`);
  const final = (entry?.final ?? []) as FinalFile[];
  return [{ id: name.replace(/(\.ops)?\.jsonl(\.gz)?$/, ""), blockSize, ops, final }];
}

/** What the manifest says of a file; null: nothing. @throws {VectorError} */
function manifestEntry(path: string, name: string): Record<string, unknown> | null {
  if (!existsSync(path)) return null;
  let manifest: unknown = null;
  try {
    manifest = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new VectorError(`${path}: ${(error as Error).message}`);
  }
  const files = isObject(manifest) && Array.isArray(manifest.files) ? manifest.files : [];
  const entry: unknown = files.find((file) => isObject(file) && sameFile(file.file, name));
  if (!isObject(entry)) return null;
  const isFinal = (file: unknown) =>
    isObject(file) && isWhole(file.file as number) && typeof file.sha256 === "string";
  if (entry.final === undefined || isListOf(entry.final, isFinal)) return entry;
  throw new VectorError(`${path}: ${name}: "final" is no list of files`);
}

/** Whether two names differ at most by being gzipped. */
function sameFile(listed: unknown, name: string): boolean {
  return typeof listed === "string" && listed.replace(/\.gz$/, "") === name.replace(/\.gz$/, "");
}

/** What is wrong with an operation, or null. */
function fault(value: unknown): string | null {
  if (!isObject(value)) return "not an object";
  const { op } = value;
  if (typeof op !== "string" || !Object.hasOwn(NEEDS, op)) return `no operation ${String(op)}`;
  for (const name of NEEDS[op]) {
    const number = value[name];
    if (!(isWhole(number as number) && (number as number) <= SIZE_MOST)) {
      return `${op}: ${name} is ${String(number)}`;
    }
  }
  if (op === "pwritev" && !isListOf(value.lens, (length) => isWhole(length as number)))
    return "pwritev: lens is no list of lengths";
  return null;
}
