/** What e2fsprogs say of an image, where they are installed. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import type { Piece } from "../src/mkfs.ts";

const ENV = {
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  LC_ALL: "C",
  MKE2FS_CONFIG: "/dev/null",
};

export interface Said {
  readonly code: number;
  readonly text: string;
}

/** Run a tool; it takes `time`, seconds since 1970, for the present. */
export function run(tool: string, args: readonly string[], time?: number): Said {
  const fake = time === undefined ? {} : { E2FSPROGS_FAKE_TIME: String(time) };
  const { status, stdout } = spawnSync(tool, args, {
    env: { ...ENV, ...fake },
    encoding: "latin1",
  });
  return { code: status ?? -1, text: stdout };
}

const THERE = ["mke2fs", "e2fsck", "debugfs"].every((tool) => run(tool, ["-V"]).code !== -1);
if (!THERE) console.warn("tests against e2fsprogs are skipped: they are not installed");

/** A test that needs e2fsprogs. */
export const judged: ReturnType<typeof test.runIf> = test.runIf(THERE);

/** A folder for images; it goes with the tests. */
export class Workshop {
  readonly folder: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "physio-ext2-"));
    afterAll(() => rmSync(this.folder, { recursive: true }), 60_000);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A file of `bytes`. */
  file(name: string, bytes: Uint8Array): string {
    writeFileSync(this.path(name), bytes);
    return this.path(name);
  }

  /** A sparse file of `size` bytes that holds `pieces`. */
  sparse(name: string, size: number, pieces: Iterable<Piece>): string {
    const path = this.path(name);
    const fd = openSync(path, "w");
    ftruncateSync(fd, size);
    for (const { offset, bytes } of pieces) writeSync(fd, bytes, 0, bytes.length, offset);
    closeSync(fd);
    return path;
  }

  /** What `e2fsck -fn` says of an image: code 0 is clean. */
  fsck(path: string): Said {
    return run("e2fsck", ["-fn", path]);
  }

  read(path: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(readFileSync(path));
  }
}
