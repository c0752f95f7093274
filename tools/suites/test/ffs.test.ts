/**
 * FFS through the whole machine: a second file system under the same genfs, found by its magic.
 *
 * The manifests were made by The Sleuth Kit and GRUB.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { MachineConfig } from "@physio/machine";
import { arm64, MemoryMedia, machine, pc, pc32BitDma, riscv } from "@physio/machine";
import type { Manifest } from "@physio/machine/verify";
import { parseManifest } from "@physio/machine/verify";
import { describe, expect, test } from "vitest";
import { physio, ROOT } from "../src/cli.ts";
import { examine } from "../src/examine.ts";
import { fixture } from "../src/fixtures.ts";

const folder = join(ROOT, "fixtures/ffs");
const [OLD, NEW] = ["ffs1-le-4k", "ffs2-le-8k"] as const;
const gz = (name: string): string => join(folder, `${name}.img.gz`);
const manifestFile = (name: string): string => join(folder, `${name}.manifest.json`);
const imageOf = (name: string): Uint8Array => new Uint8Array(gunzipSync(readFileSync(gz(name))));

function manifestOf(name: string): Manifest {
  return parseManifest(JSON.parse(readFileSync(manifestFile(name), "utf8")));
}

const ALL: readonly (readonly [string, () => MachineConfig])[] = [
  ["pc-32bit-dma", () => pc32BitDma({ bouncePages: 8 })],
  ["pc", () => pc()],
  ["arm64", () => arm64()],
  ["riscv", () => riscv()],
];
const CONFIGS = process.env.PHYSIO_ALL === undefined ? ALL.slice(0, 1) : ALL;

describe.each(CONFIGS)("on %s", (_profile, config) => {
  test.each([OLD, NEW])("%s: every entry agrees with its manifest", (name) => {
    const { report } = examine(new MemoryMedia(imageOf(name)), manifestOf(name), config());
    expect(report).toMatchObject({ files: 320, directories: 3, others: 2, failures: [] });
    expect(report.unlisted).toBe(1); // the root
  });
});

/** What mounting an image says. */
function mounting(bytes: Uint8Array): string {
  const m = machine(pc());
  function* main() {
    const mount = yield* m.mount(yield* m.attachDisk("nvme0", new MemoryMedia(bytes)));
    const { fsName } = mount.ops;
    yield* mount.unmount();
    return fsName;
  }
  try {
    return m.runSync(main());
  } catch (error) {
    return (error as Error).message;
  } finally {
    m.sched.pump();
    m.checkQuiet();
  }
}

test("the file system is found by its magic: ext2 first, then FFS", () => {
  const lic = fixture("lic-1k").bytes;
  const both = imageOf(OLD);
  expect(mounting(both)).toBe("ffs");
  expect(mounting(lic.slice())).toBe("ext2");
  both.set(lic.subarray(1024, 2048), 1024); // an ext2 super block before that of FFS
  expect(mounting(both)).toMatch(/^ext2: .*: E[A-Z]+$/);
  expect(mounting(new Uint8Array(300_000))).toBe(
    "neither ext2 (magic 0x0 at byte 1080) nor FFS (no magic in its places): EINVAL",
  );
  expect(mounting(new Uint8Array(1024))).toMatch(/too few.*: EIO$/);
});

test("physio verify, stat and cat work on it", async () => {
  const [verified, cat, stat] = await Promise.all([
    physio("verify", gz(NEW), "--manifest", manifestFile(NEW)),
    physio("cat", `${gz(OLD)}:/licences/GPL-2`),
    physio("stat", "--json", `${gz(OLD)}:/slow`),
  ]);
  expect([verified.code, verified.err]).toEqual([0, ""]);
  const { entries } = manifestOf(OLD);
  const gpl = entries.find((entry) => entry.path === "/licences/GPL-2");
  expect(createHash("sha256").update(cat.out).digest("hex")).toBe(gpl!.sha256);
  expect(JSON.parse(stat.text)).toMatchObject({ type: "symlink", size: 200, blockSize: 4096 });
});
