/**
 * specfs: disks as files of their own.
 *
 * A block device's vnode ends where the medium ends and maps its blocks to themselves, in sectors of
 * 512 bytes. Its pages are cached like a file's: the page operations are passed in, since what caches
 * pages (genfs) stands above this package. Follows miscfs/specfs/spec_vnops.c.
 *
 * => one vnode for a disk. Its page cache, the buffer cache and the pages of a file system on the same
 * disk do not know of each other: who writes here syncs first, and mounts afterwards.
 */
import type { BlockDevice } from "@physio/blkio";
import { DEV_BSIZE } from "@physio/blkio";
import type { Bytes, Errno } from "@physio/kern";
import { Errno as E, ErrnoError, KiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Mount } from "./mount.ts";
import type { Attributes, BlockMap, VnodeOps } from "./vnode.ts";
import { Vnode } from "./vnode.ts";
import { flushVnode } from "./vnode-io.ts";

/** Sectors of one run at most. @bsd #Y MAXBSIZE */
const MOST_SECTORS = (64 * KiB) / DEV_BSIZE;

/** What reads and writes the device through pages. */
export type PagedOps = Pick<VnodeOps, "read" | "write" | "getpagesNow" | "getpages" | "putpages">;

/** A disk whose size is known. */
export interface SpecDisk extends BlockDevice {
  readonly mediaSize: Bytes;
  readonly sectorSize: Bytes;
}

export interface SpecOptions {
  /** The mount that the vnode belongs to: its transactions and flags (NODEVMTIME) hold for it. */
  readonly mount: Mount;
  readonly disk: SpecDisk;
  /** Unique in the mount. */
  readonly ino: number;
  readonly paged: PagedOps;
  /** What `paged` needs to find on the vnode. */
  readonly data: unknown;
  /** What stat(2) calls the device. */
  readonly rdev?: { readonly major: number; readonly minor: number };
}

/** Make the vnode of a disk, referenced, and enter it in the mount. @bsd #P[one for a disk, no open and close] spec_node_init */
export function specVnode(options: SpecOptions): Vnode {
  const { mount, disk, ino, data } = options;
  const object = mount.context.pages.newObject();
  const ops = specVnodeops(options);
  const vp = new Vnode(mount, ops, "block special", ino, disk.mediaSize, object, data, disk);
  mount.enter(vp);
  return vp;
}

function specVnodeops(options: SpecOptions): VnodeOps {
  const { disk, paged } = options;
  const noDirectory = (vp: Vnode): never => {
    throw new ErrnoError(E.ENOTDIR, `inode ${vp.ino} is the disk ${disk.name}`);
  };
  return {
    lookup: noDirectory,
    readdir: noDirectory,
    readlink: (vp) => {
      throw new ErrnoError(E.EINVAL, `inode ${vp.ino} is the disk ${disk.name}`);
    },
    getattr: (vp) => getattr(vp, options),
    read: paged.read,
    write: paged.write,
    getpagesNow: paged.getpagesNow,
    getpages: paged.getpages,
    putpages: paged.putpages,
    fsync: (vp, flags = 0) => flushVnode(vp, flags),
    bmap: (_vp, lbn, out) => specBmap(disk, lbn, out),
  };
}

/** @returns OK: a sector is itself; EIO: it is not on the disk. @bsd #Y spec_bmap */
// biome-ignore lint/correctness/useYield: a block map may sleep
function* specBmap(disk: SpecDisk, lbn: number, out: BlockMap): Sleeps<Errno> {
  const sectors = Math.floor(disk.mediaSize / DEV_BSIZE);
  if (!(lbn >= 0 && lbn < sectors)) return E.EIO;
  out.blkno = lbn;
  out.run = Math.min(sectors - lbn, MOST_SECTORS) - 1;
  return E.OK;
}

function getattr(vp: Vnode, { disk, rdev }: SpecOptions): Attributes {
  return {
    type: vp.type,
    mode: 0o600,
    ino: vp.ino,
    links: 1,
    uid: 0,
    gid: 0,
    size: disk.mediaSize,
    sectors: 0,
    blockSize: disk.sectorSize,
    atime: 0,
    mtime: 0,
    ctime: 0,
    rdev: rdev ?? { major: 0, minor: vp.ino },
  };
}
