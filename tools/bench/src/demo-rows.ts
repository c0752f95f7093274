/**
 * Demo: reading a file system whole, contents hashed and compared.
 *
 * The image holds 64 MiB of files when mke2fs is there to make it; else the largest fixture serves,
 * and the row says so.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DemoInput, DemoOutput } from "./demo-worker.ts";
import { haveTool, runTool } from "./native.ts";
import type { Row } from "./row.ts";
import { value } from "./row.ts";
import { scratch } from "./scratch.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const FIXTURES = fileURLToPath(new URL("../../../fixtures/ext2/", import.meta.url));
const published = { unit: "MB/s", gate: null, goal: null } as const;
const ROWS: readonly Row[] = Object.freeze([
  { id: "demo", title: "verify on a PC", ...published },
  { id: "demo32", title: "verify on a PC whose disk reaches 4 GiB", ...published },
]);

/** [files a folder, bytes a file]: 64 MiB together, from small files to one large one. */
const SIZES: readonly (readonly [number, number])[] = [
  [512, 4096],
  [96, 65536],
  [24, 1 << 20],
  [1, 32 << 20],
];

/** Bytes that look like nothing, the same every time. */
function content(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = seed | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

/** Write the files and an image of them into `folder`. */
function generate(folder: string): DemoInput {
  const tree = join(folder, "tree");
  const entries: object[] = [];
  for (const [n, [files, size]] of SIZES.entries()) {
    mkdirSync(join(tree, `d${n}`), { recursive: true });
    for (let i = 0; i < files; i++) {
      const path = `/d${n}/f${i}`;
      const bytes = content(size, n * 1000 + i + 1);
      writeFileSync(join(tree, path), bytes);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      entries.push({ path, type: "regular", size, sha256 });
    }
  }
  const image = join(folder, "tree.img");
  const manifest = join(folder, "manifest.json");
  writeFileSync(manifest, JSON.stringify({ entries }));
  const args = ["-q", "-F", "-t", "ext2", "-b", "4096", "-d", tree, image, "96M"];
  runTool("mke2fs", args, { MKE2FS_CONFIG: "/dev/null" });
  return { image, manifest };
}

function measureOn(input: DemoInput, note: string): Measured {
  const { direct, bounced } = runWorker<DemoOutput>("demo", input);
  return {
    outcomes: new Map([
      ["demo", value(direct, note)],
      ["demo32", value(bounced, note)],
    ]),
    charts: [],
  };
}

function measure(): Measured {
  if (haveTool("mke2fs")) {
    return scratch((folder) => measureOn(generate(folder), "64 MiB in 633 files"));
  }
  const fixture = join(FIXTURES, "hdr-4k");
  const input = { image: `${fixture}.img.gz`, manifest: `${fixture}.manifest.json` };
  return measureOn(input, "the fixture hdr-4k: mke2fs is not installed");
}

export const DEMO: Suite = { rows: ROWS, measure };
