/**
 * Commands that are stopped half-way, and images in use: what was done stays, and nobody writes beside another.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { PHYSIO, scratchFolder } from "../src/cli.ts";
import { debugfsCat, expectClean, physioAll, physioWell, repair } from "../src/cli-many.ts";
import { HostTree, haveE2fsprogs, textOf } from "../src/make-image.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const at = (name: string): string => join(scratch.path, name);

/** A tree of files that differ. */
function manyFiles(name: string, count: number, size: number): HostTree {
  const tree = new HostTree(at(name));
  for (let i = 0; i < count; i++) tree.file(`/f${i}`, textOf(`${name} ${i}`, size));
  return tree;
}

interface Stopped {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Start a command and send it a signal when it has printed so many lines; `meanwhile` runs before. */
function stopAfter(
  lines: number,
  signal: NodeJS.Signals,
  args: readonly string[],
  meanwhile: (child: ChildProcess) => void = () => {},
): Promise<Stopped> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...PHYSIO, ...args], { timeout: 20_000 });
    let out = "";
    let err = "";
    let sent = false;
    child.stdout.on("data", (piece: Buffer) => {
      out += piece.toString();
      if (sent || out.split("\n").length <= lines) return;
      sent = true;
      meanwhile(child);
      child.kill(signal);
    });
    child.stderr.on("data", (piece: Buffer) => {
      err += piece.toString();
    });
    child.on("close", (code, by) => resolve({ code, signal: by, out, err }));
  });
}

/** Paths in the image of the files that a command said it had copied. */
const copiedIn = (out: string): string[] =>
  [...out.matchAll(/ -> [^\n]*:(\/\S+\/f\d+)\n/g)].map((match) => match[1]);

function expectWhole(image: string, tree: HostTree, paths: readonly string[]): void {
  for (const path of paths) {
    const original = fs.readFileSync(tree.host(path.slice(path.lastIndexOf("/"))));
    expect(debugfsCat(image, path).equals(original), path).toBe(true);
  }
}

describe.skipIf(!haveE2fsprogs())("with e2fsprogs as the judge", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    test.concurrent(`${signal}: a copy stops, and what it did is whole`, async () => {
      const tree = manyFiles(signal, 400, 30_000);
      const image = at(`${signal}.img`);
      await physioWell(["mkfs", image, "--size", "24M"]);
      const run = await stopAfter(5, signal, ["put", "-rv", tree.folder, `${image}:/`]);
      expect(run).toMatchObject({ code, signal: null });
      expect(run.err).toBe(`physio: stopped by ${signal}; what was done is on the disk\n`);
      expectClean(image);
      const copied = copiedIn(run.out);
      expect(copied.length).toBeGreaterThanOrEqual(5);
      expect(copied.length).toBeLessThan(400);
      expectWhole(image, tree, copied.slice(0, 20));
      expect(fs.existsSync(`${image}.lock`)).toBe(false);
    });
  }

  test.concurrent("kill -9: e2fsck repairs the image, and nothing that was synced is lost", async () => {
    const [before, during] = [manyFiles("before", 20, 20_000), manyFiles("during", 300, 20_000)];
    const image = at("killed.img");
    const size = ["--size", "16M"];
    await physioWell(["mkfs", image, ...size], ["put", "-r", before.folder, `${image}:/`]);
    const put = ["put", "-rv", "--fsync", during.folder, `${image}:/`];
    const run = await stopAfter(25, "SIGKILL", put);
    expect(run).toMatchObject({ code: null, signal: "SIGKILL" });
    expect(fs.existsSync(`${image}.lock`)).toBe(true);
    repair(image);
    const names = Array.from({ length: 20 }, (_, i) => `/before/f${i}`);
    expectWhole(image, before, names);
    const [, sync] = await physioAll([
      ["put", at("before/f0"), `${image}:/after`], // the lock is stale
      ["sync", image],
    ]);
    expect(sync).toMatchObject({ code: 0, err: "" });
    expect(fs.existsSync(`${image}.lock`)).toBe(false);
    expectClean(image);
  });

  test.concurrent("while one writes, others are kept away", async () => {
    const tree = manyFiles("busy", 400, 30_000);
    const image = at("busy.img");
    await physioWell(["mkfs", image, "--size", "24M"]);
    const lock = `${fs.realpathSync(image)}.lock`;
    let held = "";
    await stopAfter(2, "SIGINT", ["put", "-rv", tree.folder, `${image}:/`], () => {
      held = fs.readFileSync(lock, "utf8");
    });
    expect(held).toMatch(/^\d+ \d+ \S+\n$/);
    fs.writeFileSync(lock, `${process.pid} ${startOf(process.pid)} ${hostname()}\n`);
    const file = at("busy/f0");
    const refused = await physioAll([
      ["put", file, `${image}:/x`],
      ["ls", `${image}:/`],
      ["mkfs", image, "--size", "1M"],
    ]);
    for (const { code, out, err } of refused) {
      expect([code, out]).toEqual([1, ""]);
      expect(err).toBe(`physio: ${image}: in use by process ${process.pid} (${lock}): EBUSY\n`);
    }
    fs.rmSync(lock);
    expectClean(image);
  });
});

/** When a process began, as Linux tells. */
function startOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ")[19];
  } catch {
    return "-";
  }
}

test("locks: readers share, stale ones go, others' stay", async () => {
  const image = at("locks.img");
  await physioWell(["mkfs", image, "--size", "256K"]);
  const lock = `${fs.realpathSync(image)}.lock`;
  const reader = `${lock}.${process.pid}.7`;
  const own = `${process.pid} ${startOf(process.pid)} ${hostname()}\n`;
  const put = ["put", at("locks.img"), `${image}:/x`];
  const mkdir = ["mkdir", `${image}:/made`];
  const CASES = [
    ["a reader", reader, own, mkdir, 1],
    ["a reader beside a reader", reader, own, ["ls", `${image}:/`], 0],
    ["a process that has gone", lock, `4194303 1 ${hostname()}\n`, ["rm", "-f", `${image}:/q`], 0],
    ["a number that is another's now", lock, `${process.pid} 1 ${hostname()}\n`, mkdir, 0],
    ["another host", lock, "1 1 elsewhere.example\n", put, 1],
    ["a lock that is being written", lock, "", put, 1],
    ["a reader that has gone", reader, `4194303 1 ${hostname()}\n`, ["sync", image], 0],
  ] as const;
  for (const [what, path, mark, args, code] of CASES) {
    fs.writeFileSync(path, mark);
    const [run] = await physioAll([args]);
    expect([what, run.code]).toEqual([what, code]);
    if (code === 1) expect(run.err).toMatch(/: in use by .*: EBUSY\n$/);
    else expect(run.err).toBe("");
    const stays = code === 1 || args[0] === "ls";
    expect([what, fs.existsSync(path)]).toEqual([what, stays]);
    fs.rmSync(path, { force: true });
  }
});
