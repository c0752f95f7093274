/**
 * The demo as a user runs it: what it prints, that it repeats, and how much memory it takes.
 */
import { join } from "node:path";
import { GiB, MiB } from "@physio/kern";
import { expect, test } from "vitest";
import { FROM_SOURCE, node, physio, ROOT } from "../src/cli.ts";
import { FIXTURE_NAMES, fixture } from "../src/fixtures.ts";
import { haveE2fsprogs } from "../src/make-image.ts";

async function demo(...args: string[]) {
  const run = await physio("demo", "--json", ...args);
  expect(run.err).toBe("");
  expect(run.code).toBe(0);
  return JSON.parse(run.text);
}

const regular = (name: (typeof FIXTURE_NAMES)[number]) =>
  fixture(name).entries.filter((entry) => entry.type === "regular");

/** The tree that is copied, three times: counts, and both verdicts. */
function expectCopied({ images, copies }: Awaited<ReturnType<typeof demo>>): void {
  const { files, directories, others, bytes } = images[2];
  const counts = { files, directories, others, bytes, failures: [] };
  expect(copies).toEqual({
    image: images[2].image,
    ok: true,
    ways: ["buffered", "mapped", "direct"].map((way) => ({ way, ...counts })),
    e2fsck: haveE2fsprogs() ? { clean: true, text: "clean" } : null,
  });
}

/** Every file of every image, no more and no less, with all of its bytes. */
function expectAllVerified(result: Awaited<ReturnType<typeof demo>>): void {
  expect(result.ok).toBe(true);
  expect(result.images).toEqual(
    FIXTURE_NAMES.map((name) => ({
      image: `${name}.img.gz`,
      files: regular(name).length,
      directories: fixture(name).entries.filter((e) => e.type === "directory").length,
      others: fixture(name).entries.filter((e) => !["regular", "directory"].includes(e.type!))
        .length,
      bytes: regular(name).reduce((sum, entry) => sum + (entry.size as number), 0),
      unlisted: 0,
      failures: [],
      mapped: expect.objectContaining({ agrees: true }),
    })),
  );
  expectCopied(result);
}

/** CI sets PHYSIO_ALL. */
const whole = test.runIf(process.env.PHYSIO_ALL !== undefined);

test("the demo verifies every file and says in numbers what it did", async () => {
  const result = await demo("--sysctl");
  expectAllVerified(result);
  expect(result).toMatchObject({ profile: "pc-32bit-dma", seed: 1, faults: [] });
  expect(result.io).toMatchObject({ busFaults: 0, deviceErrors: 0, deferrals: 0 });
  expect(result.io.bouncedPages).toBeGreaterThan(1000);
  expect(result.io.ios).toBeGreaterThan(500);
  expect(result.sysctl["hw.busdma.zone0.total_bounced"]).toBeGreaterThan(0);
  expect(result.sysctl["hw.busdma.zone0.active_bpages"]).toBe(0);
  expect(result.sysctl["hw.busdma.zone0.reserved_bpages"]).toBe(0);
  expect(result.processMemory).toBeGreaterThan(30 * MiB);
  expect(result.processMemory).toBeLessThan(200 * MiB);
});

test("the table has the same facts, for people", async () => {
  const run = await physio("demo");
  expect(run.code).toBe(0);
  for (const name of FIXTURE_NAMES)
    expect(run.text).toMatch(new RegExp(`^${name}\\.img\\.gz .*all agree$`, "m"));
  for (const way of ["buffered", "mapped", "direct"])
    expect(run.text).toMatch(new RegExp(`^man-2k-rev0\\.img\\.gz, ${way} .*all agree$`, "m"));
  expect(run.text).toMatch(/^hdr-4k\.img\.gz:\/mmapped +300,000 +\d+ +agrees$/m);
  expect(run.text).toMatch(/^our reader {2}every copy agrees/m);
  expect(run.text).toMatch(/^e2fsck -fn {2}(clean|not installed)$/m);
  const memory = /^process memory +([\d.]+) MiB$/m.exec(run.text);
  expect(Number(memory?.[1])).toBeLessThan(200);
  expect(run.text).toMatch(/^trace hash +[0-9a-f]{16}$/m);
  expect(run.text).toMatch(/^bounce pool, high water +[\d,]+ pages, \d+$/m);
});

test("one seed gives one trace hash; another seed another one, and the same files", async () => {
  const [first, second, other] = await Promise.all([
    demo("--seed", "7"),
    demo("--seed", "7"),
    demo("--seed", "8"),
  ]);
  expect(first.traceHash).toMatch(/^[0-9a-f]{16}$/);
  expect(second.traceHash).toBe(first.traceHash);
  expect(second.io).toEqual(first.io);
  expect(other.traceHash).not.toBe(first.traceHash);
  for (const result of [first, second, other]) expectAllVerified(result);
});

whole("several seeds: the order of things changes, the files do not", async () => {
  const results = await Promise.all(["0", "31337", "2147483647"].map((s) => demo("--seed", s)));
  for (const result of results) expectAllVerified(result);
  expect(new Set(results.map((result) => result.traceHash)).size).toBe(results.length);
});

for (const pages of [2, 8]) {
  whole(
    `a pool of ${pages} bounce pages a disk: loads wait for pages, and all agrees`,
    async () => {
      const result = await demo("--bounce-pages", String(pages));
      expectAllVerified(result);
      expect(result.io.deferrals).toBeGreaterThan(0);
      expect(result.io.bouncePages).toBeLessThanOrEqual(pages * FIXTURE_NAMES.length);
      expect(result.io.bounceHighWater).toBeLessThanOrEqual(result.io.bouncePages);
    },
  );
}

test("profile pc: nothing is bounced, in the report and in every sysctl", async () => {
  const result = await demo("--profile", "pc", "--sysctl");
  expectAllVerified(result);
  expect(result.io).toMatchObject({ bouncedPages: 0, deferrals: 0, bounceHighWater: 0 });
  const counters = Object.entries<number>(result.sysctl).filter(([path]) =>
    /\.(total_bounced|total_deferred|active_bpages|reserved_bpages)$/.test(path),
  );
  for (const [path, value] of counters) expect([path, value]).toEqual([path, 0]);
  expect(result.sysctl).toHaveProperty("hw.busdma.total_bpages");
});

const BIG_MACHINE = `
import { machine, pc32BitDma } from "@physio/machine";
const MiB = 2 ** 20;
const m = machine(pc32BitDma());
const va = m.kmem.alloc(64 * MiB);
const piece = new Uint8Array(MiB).fill(0xa5);
for (let i = 0; i < 64; i++) m.kmem.write(va + i * MiB, piece);
const back = new Uint8Array(MiB);
m.kmem.read(va + 63 * MiB, back);
const same = Buffer.compare(piece, back) === 0;
console.log(JSON.stringify({ same, ram: m.sysctl("hw.physmem"), touched: m.mem.touchedBytes, rss: process.memoryUsage.rss() }));
`;

test("a machine with 8 GiB, 64 MiB of them written, stays under 200 MiB", async () => {
  const run = await node(
    [FROM_SOURCE, "--input-type=module", "--eval", BIG_MACHINE],
    join(ROOT, "tools/suites"),
  );
  expect(run.err).toBe("");
  const said = JSON.parse(run.text);
  expect(said.same).toBe(true);
  expect(said.ram).toBeGreaterThan(8 * GiB - MiB);
  expect(said.touched).toBeGreaterThanOrEqual(64 * MiB);
  expect(said.rss).toBeLessThan(200 * MiB);
});
