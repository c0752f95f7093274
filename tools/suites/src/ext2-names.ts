/** What tests of ext2 make again and again. */
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { createFile, makeDirectory, makeSymlink, vnRelease } from "@physio/vfs";
import type { Ext2Machine } from "./ext2-machine.ts";

/** A new, empty file. */
export function* created(root: Vnode, path: string): Sleeps<void> {
  yield* vnRelease(yield* createFile(root, path));
}

/** Some names of every kind. */
export function plant(m: Ext2Machine): void {
  const { top } = m;
  m.run(makeDirectory(top, "/dir"));
  m.run(makeDirectory(top, "/dir/below"));
  m.run(makeDirectory(top, "/other"));
  m.run(created(top, "/dir/file"));
  m.run(created(top, "/file"));
  m.run(makeSymlink(top, "/to-dir", "dir"));
  m.run(makeSymlink(top, "/to-new", "dir/new"));
  m.run(makeSymlink(top, "/loop", "loop"));
}

/** A block device. */
export const special = (major: number, minor: number) =>
  ({ type: "block special", mode: 0o600, uid: 0, gid: 0, rdev: { major, minor } }) as const;
