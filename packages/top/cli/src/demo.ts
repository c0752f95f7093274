/**
 * `physio demo`: which images it reads, and the tree that it copies.
 *
 * The tree goes three times into one new image, through the page cache, through mappings and past the cache. Then
 * the image is mounted again and every copy compared with the manifest of the original; e2fsck, where it is
 * installed, has its say too. All of it on a machine of its own, so that what the demo says of reading stays so.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MiB } from "@physio/kern";
import type { IoWay } from "@physio/machine";
import { FileIo } from "@physio/machine";
import type { Failure, Manifest, ManifestEntry } from "@physio/machine/verify";
import { verifyImage } from "@physio/machine/verify";
import type { Sleeps } from "@physio/sched";
import type { Mount, Vnode } from "@physio/vfs";
import { Copier } from "./copy.ts";
import { ImagePlace } from "./image-place.ts";
import { makeImage } from "./mkfs-command.ts";
import type { CommonOptions, Session } from "./session.ts";
import { withSession } from "./session.ts";
import type { Subject } from "./verify-command.ts";
import { newHasher, readManifest } from "./verify-command.ts";

const IMAGES = ["lic-1k", "hdr-4k", "man-2k-rev0"];
/** The image whose tree is copied: the smallest, and one whose blocks are smaller than pages. */
const COPIED = "man-2k-rev0";
const WAYS: readonly IoWay[] = ["buffered", "mapped", "direct"];
const NEW_IMAGE = { size: 16 * MiB, blockSize: 2048 };
/** 2026-01-01: runs do not differ by when they were. */
const TIME = 1_767_225_600;
/** Of the host, if it is there. */
const E2FSCK = "e2fsck";
const COPIER = { recursive: true, preserve: true, lasting: false };

/** The demo's images in a folder of fixtures. */
export function demoSubjects(fixtures: string): Subject[] {
  return IMAGES.map((name) => subjectOf(fixtures, name));
}

function subjectOf(fixtures: string, name: string): Subject {
  return {
    image: join(fixtures, `${name}.img.gz`),
    manifest: join(fixtures, `${name}.manifest.json`),
  };
}

/** What came of one way of copying. */
interface CopiedWay {
  readonly way: IoWay;
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  readonly bytes: number;
  readonly failures: readonly Failure[];
}

export interface CopyReport {
  /** Whose tree it is. */
  readonly image: string;
  readonly ok: boolean;
  readonly ways: readonly CopiedWay[];
  /** null: it is not installed. */
  readonly e2fsck: { readonly clean: boolean; readonly text: string } | null;
}

/** Copy the demo's tree three ways into a new image, and have it judged. @throws {ErrnoError} an image cannot be read or made. */
export async function copyDemo(fixtures: string, options: CommonOptions): Promise<CopyReport> {
  const folder = mkdtempSync(join(tmpdir(), "physio-demo-"));
  try {
    const image = join(folder, "copy.img");
    const subject = subjectOf(fixtures, COPIED);
    const manifest = readManifest(subject.manifest);
    makeImage(image, { ...NEW_IMAGE, time: TIME });
    const plain = { profile: options.profile, seed: options.seed, ...bounce(options) };
    await withSession(plain, (session) => copyAll(session, subject.image, image));
    const ways = await withSession(plain, (session) => judgeAll(session, image, manifest));
    const e2fsck = judgeByE2fsck(image);
    const agree = ways.every((way) => way.failures.length === 0);
    return { image: `${COPIED}.img.gz`, ok: agree && e2fsck?.clean !== false, ways, e2fsck };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const bounce = ({ bouncePages }: CommonOptions): { bouncePages?: number } =>
  bouncePages === undefined ? {} : { bouncePages };

async function copyAll(session: Session, from: string, to: string): Promise<void> {
  const source = await session.root(from);
  const target = await session.root(to, true, {});
  for (const way of WAYS) {
    session.run(copyOne(session, source, target, way));
  }
  session.finish();
}

/** Copy the tree of `source` to the directory of that name. @throws {ErrnoError} the first failure. */
function* copyOne(session: Session, source: Vnode, target: Vnode, way: IoWay): Sleeps<void> {
  const io = new FileIo(session.machine, way);
  const failed = (error: Error) => {
    throw error;
  };
  const copier = new Copier(COPIER, { point() {}, copied() {}, moved() {}, failed });
  const from = { place: new ImagePlace(COPIED, source, io), path: "/" };
  const to = { place: new ImagePlace("copy.img", target, io), path: `/${way}` };
  yield* copier.copy(from, to, false);
  io.close();
}

async function judgeAll(session: Session, image: string, manifest: Manifest): Promise<CopiedWay[]> {
  const mount = await session.mountImage(image);
  const ways = WAYS.map((way) => session.run(judgeOne(session, mount, manifest, way)));
  session.finish();
  return ways;
}

/** Compare the copy below `/way` with the manifest. */
function* judgeOne(
  session: Session,
  mount: Mount,
  manifest: Manifest,
  way: IoWay,
): Sleeps<CopiedWay> {
  const entries = manifest.entries.map(copyOf);
  const report = yield* verifyImage(
    session.machine,
    mount,
    { entries },
    {
      newHasher,
      below: `/${way}`,
    },
  );
  const { files, directories, others, bytes, failures } = report;
  return { way, files, directories, others, bytes, failures };
}

/** What a copy's entry says: all that cp -rp keeps. The size of a directory is its own affair. */
function copyOf(entry: ManifestEntry): ManifestEntry {
  const own = new Set(["ino", "links", "sectors", ...(entry.type === "directory" ? ["size"] : [])]);
  const kept = Object.entries(entry).filter(([name]) => !own.has(name));
  return Object.fromEntries(kept) as unknown as ManifestEntry;
}

function judgeByE2fsck(image: string): CopyReport["e2fsck"] {
  const env = { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" };
  const run = spawnSync(E2FSCK, ["-fn", image], { env, encoding: "utf8" });
  if (run.error !== undefined) return null;
  const clean = run.status === 0;
  return { clean, text: clean ? "clean" : `${run.stdout}${run.stderr}`.trim() };
}
