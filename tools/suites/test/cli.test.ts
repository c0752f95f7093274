/**
 * The command line against bad input: one line, a path, an errno, an exit code.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { expectComplaint, physio, scratchFolder } from "../src/cli.ts";
import { byteOf, gzipWithBadSum, retarget, slotOf, workshop } from "../src/damage.ts";
import { fixture } from "../src/fixtures.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const lic = fixture("lic-1k");
const man = fixture("man-2k-rev0");
const make = workshop(scratch.path, lic);
const raw = make.file("lic.img", lic.bytes);
const GPL = "/licences/GPL-2";

interface Case {
  readonly what: string;
  readonly args: readonly string[];
  readonly errno: string;
  /** What the line must name besides the errno. */
  readonly names: readonly string[];
}

const image = (what: string, path: string, errno: string, ...names: string[]): Case => ({
  what,
  args: ["ls", `${path}:/`],
  errno,
  names: [path, ...names],
});

const inside = (what: string, args: string[], errno: string, ...names: string[]): Case => ({
  what,
  args,
  errno,
  names: [args[1].slice(0, args[1].lastIndexOf(":/")), ...names],
});

const manifest = (what: string, text: Uint8Array | string, ...names: string[]): Case => {
  const path = make.file(`${what.replaceAll(/\W/g, "-")}.json`, text);
  return {
    what: `a manifest that ${what}`,
    args: ["verify", raw, "--manifest", path],
    errno: "EINVAL",
    names: [path, "not a manifest", ...names],
  };
};

const MKFIFO = "mkfifo"; // of the host

function fifo(): string {
  const path = join(scratch.path, "fifo");
  execFileSync(MKFIFO, [path]);
  return path;
}

const packed = gzipSync(lic.bytes);
const dirent = byteOf(lic, "/licences");

const IMAGES: readonly Case[] = [
  image("a missing image", join(scratch.path, "nope.img"), "ENOENT"),
  image("a folder as image", scratch.path, "EISDIR"),
  image("a FIFO as image", fifo(), "EINVAL", "not a regular file"),
  image("an empty image", make.file("empty.img", ""), "EIO", "empty"),
  image("an image of one byte", make.file("one.img", "x"), "EIO"),
  image(
    "an image that ends in its super block",
    make.file("s.img", lic.bytes.subarray(0, 1500)),
    "EIO",
  ),
  image("a truncated image", make.file("cut.img", lic.bytes.subarray(0, -1024)), "EIO", "8388608"),
  image("a truncated gzip file", make.file("cut.gz", packed.subarray(0, 200_000)), "EIO", "gzip"),
  image(
    "a gzip file of garbage",
    make.file("bad.gz", Buffer.from("\x1f\x8bgarbage, garbage", "latin1")),
    "EINVAL",
    "gzip",
  ),
  image(
    "a gzip file with a bad sum",
    make.file("sum.gz", gzipWithBadSum(lic.bytes)),
    "EINVAL",
    "gzip",
  ),
  image("a gzip file of nothing", make.file("nil.gz", gzipSync("")), "EIO", "empty"),
  image("a wrong magic", make.patched("magic.img", 1080, 0xdead), "EINVAL", "magic 0xdead"),
  image("text as image", make.file("text.img", "hello\n".repeat(1000)), "EINVAL", "magic"),
  image("extents", make.patched("extent.img", 1024 + 96, 0x42), "EOPNOTSUPP", "extent"),
  image(
    "a journal to replay",
    make.patched("rec.img", 1024 + 96, 6),
    "EOPNOTSUPP",
    "needs_recovery",
  ),
  image(
    "an unknown feature",
    make.patched("f.img", 1024 + 96, 0x40000002),
    "EOPNOTSUPP",
    "0x40000000",
  ),
  image("revision 7", make.patched("rev.img", 1024 + 76, 7), "EOPNOTSUPP", "revision 7"),
  image("blocks of 64 KiB", make.patched("bs.img", 1024 + 24, 6), "EOPNOTSUPP", "65536"),
  image("more blocks than the disk", make.patched("n.img", 1024 + 4, 8193), "EIO", "8389632"),
  image("a wild inode table", make.patched("g.img", 2048 + 8, 0xffffff), "EIO", "group 0"),
];

const wild = make.patched("wild.img", slotOf(lic, GPL, 0), 0xfffffff0);
const wildIndirect = make.patched("wild-ind.img", slotOf(lic, GPL, 12), 8192);
const zeroLength = make.image("rec0.img", (bytes) => bytes.fill(0, dirent + 4, dirent + 6));
const overlong = make.image("rec-long.img", (_, view) => view.setUint16(dirent + 4, 2048, true));
const loop = make.image("loop.img", retarget(lic, "/include/short-link", "short-link/"));
const rootless = make.image("rootless.img", (_, view) =>
  view.setUint16(slotOf(lic, "/", 0) - 40, 0o100644, true),
);

const PATHS: readonly Case[] = [
  inside("a missing file", ["cat", `${raw}:/licences/nope`], "ENOENT", "/licences/nope"),
  inside("a missing folder", ["stat", `${raw}:/no/such/file`], "ENOENT", "/no/such/file"),
  inside("a dangling symlink", ["cat", `${man.gz}:/dangling`], "ENOENT", "/dangling"),
  inside("a folder to cat", ["cat", `${raw}:/licences`], "EISDIR", "/licences"),
  inside("a file as folder", ["ls", `${raw}:${GPL}/x`], "ENOTDIR", `${GPL}/x`),
  inside("a slash after a file", ["stat", `${raw}:${GPL}/`], "ENOTDIR", `${GPL}/`),
  inside("a device to cat", ["cat", `${raw}:/console`], "EINVAL", "character special"),
  inside("a symlink to itself", ["cat", `${man.gz}:/self`], "ELOOP", "/self"),
  inside("a symlink loop", ["ls", `${loop}:/include/short-link/`], "ELOOP", "short-link"),
  inside("a long name", ["stat", `${raw}:/${"n".repeat(256)}`], "ENAMETOOLONG"),
  inside("a long path", ["stat", `${raw}:/${"d/".repeat(2100)}`], "ENAMETOOLONG"),
  inside("a wild block pointer", ["cat", `${wild}:${GPL}`], "EIO", GPL),
  inside(
    "an entry of length 0",
    ["ls", `${zeroLength}:/licences`],
    "EIO",
    "rec_len 0",
    "/licences",
  ),
  inside("a lookup past it", ["cat", `${zeroLength}:${GPL}`], "EIO", "rec_len 0", GPL),
  inside("an overlong entry", ["ls", `${overlong}:/licences`], "EIO", "rec_len 2048"),
  inside("a root that is a file", ["ls", `${rootless}:/`], "ENOTDIR", "root"),
];

const MANIFESTS: readonly Case[] = [
  {
    what: "a missing manifest",
    args: ["verify", raw, "--manifest", join(scratch.path, "no.json")],
    errno: "ENOENT",
    names: ["no.json"],
  },
  {
    what: "a folder as manifest",
    args: ["verify", raw, "--manifest", scratch.path],
    errno: "EISDIR",
    names: [scratch.path],
  },
  manifest("is empty", "", "not JSON"),
  manifest("is an image", lic.bytes.subarray(0, 4096), "not JSON"),
  manifest("is null", "null", '"entries"'),
  manifest("is a list", "[]", '"entries"'),
  manifest("has no list", '{"entries":{}}', '"entries"'),
  manifest("has an entry without a path", '{"entries":[{}]}', "entry 0"),
  manifest("has a relative path", '{"entries":[{"path":"a"}]}', '"path" is "a"'),
  manifest("has a text as size", '{"entries":[{"path":"/a","size":"1"}]}', '"size"'),
  manifest("has half a hash", '{"entries":[{"path":"/a","sha256":"00ff"}]}', '"sha256"'),
  manifest("has a bad range", '{"entries":[{"path":"/a","data":[{"offset":0}]}]}', '"data"'),
  {
    what: "a folder without fixtures",
    args: ["demo", "--fixtures", scratch.path],
    errno: "ENOENT",
    names: [scratch.path],
  },
];

for (const { what, args, errno, names } of [...IMAGES, ...PATHS, ...MANIFESTS])
  test.concurrent(`${what}: ${errno}`, async () => {
    expectComplaint(await physio(...args), errno, ...names);
  });

for (const [what, path] of [
  ["a wild block pointer", wild],
  ["a wild pointer to an indirect block", wildIndirect],
] as const)
  test.concurrent(`verify of ${what} names the file and EIO`, async () => {
    const run = await physio("verify", path, "--manifest", lic.manifest);
    expect(run.code).toBe(1);
    expect(run.err).toBe("");
    expect(run.text).toMatch(
      /^FAIL .*:\/licences\/GPL-2: read: EIO \(first bad offset (0|12288)\)$/m,
    );
    expect(run.text.match(/^FAIL /gm)?.length).toBe(1);
  });

test("verify exits 1 and names the file of which one data byte is flipped", async () => {
  const path = make.image("flip.img", (bytes) => {
    bytes[byteOf(lic, GPL, 1) + 9] ^= 1;
  });
  const [table, json] = await Promise.all([
    physio("verify", path, "--manifest", lic.manifest),
    physio("verify", path, "--manifest", lic.manifest, "--json"),
  ]);
  expect([table.code, json.code, table.err, json.err]).toEqual([1, 1, "", ""]);
  expect(table.text).toMatch(/^FAIL flip\.img:\/licences\/GPL-2: sha256 is /m);
  const said = JSON.parse(json.text);
  expect(said.ok).toBe(false);
  expect(said.images[0].failures.map((f: { path: string }) => f.path)).toEqual([GPL]);
});

test("--debug adds the stack to an errno's line", async () => {
  const run = await physio("ls", `${join(scratch.path, "nope.img")}:/`, "--debug");
  expect(run.code).toBe(1);
  expect(run.err).toMatch(/^physio: ErrnoError: .*nope\.img: cannot open: ENOENT\n {4}at /);
});
