/**
 * Cylinder groups: where they start, what in them may hold data, where an inode lies.
 *
 * FFS on-disk format. A group is a copy of the super block, a header, a table of inodes, and data. In
 * version 1 groups with different numbers start a little later than their fragments do, so that the
 * copies do not lie on one platter of old disks; what is skipped holds data. In group 0 everything
 * before the data is taken: the disk's label is there. Inodes are numbered from 0; 0 and 1 are nobody's.
 *
 * Called by mount. Pure.
 */

import { Errno, ErrnoError, isWhole } from "@physio/kern";
import { Cg, GROUP_HEADER_BYTES, GROUP_MAGIC, readU32 } from "./layout.ts";
import type { Superblock } from "./superblock.ts";

/** Where an inode lies. */
export interface InodePlace {
  readonly group: number;
  /** Index in the inode table of the group. */
  readonly index: number;
  /** First fragment of its block. */
  readonly frag: number;
  /** Bytes into that block. */
  readonly offset: number;
}

/** The fragment where the parts of a group are counted from. @bsd #Y cgstart */
function groupStart(sb: Superblock, group: number): number {
  const base = group * sb.fragsPerGroup; // cgbase
  return base + sb.groupStep * ((group & ~sb.groupMask) >>> 0);
}

/** The fragment after the inode table. @bsd #Y cgdmin */
function groupData(sb: Superblock, group: number): number {
  return groupStart(sb, group) + sb.dataAt;
}

/** Fragments of a group: the last one may be shorter. */
function groupFrags(sb: Superblock, group: number): number {
  return Math.min(sb.fragsPerGroup, sb.size - group * sb.fragsPerGroup);
}

/** First fragment of the header of a group. @bsd #Y cgtod */
export function groupHeader(sb: Superblock, group: number): number {
  return groupStart(sb, group) + sb.headerAt;
}

/** Check that the header and the inode table of a group lie in it. @throws {ErrnoError} EIO: they do not. */
export function checkGroupPlace(sb: Superblock, group: number): void {
  const [from, to] = [group * sb.fragsPerGroup, groupData(sb, group)];
  if (to <= from + groupFrags(sb, group)) return;
  const what = `its inodes end at ${to}, its fragments are ${groupFrags(sb, group)} at ${from}`;
  throw new ErrnoError(Errno.EIO, `ffs: group ${group}: ${what}`);
}

/**
 * Check a header against what the super block says of the group.
 * => `bytes` starts with the header. The header's layout is known (`headersKnown`).
 *
 * @returns how many inodes of the group's table were ever written; version 2 writes them bit by bit.
 * @throws {ErrnoError} EIO: it is none, that of another group, or disagrees.
 */
export function checkGroupHeader(sb: Superblock, group: number, bytes: Uint8Array): number {
  const bad = (what: string): never => {
    const where = `header in fragment ${groupHeader(sb, group)}`;
    throw new ErrnoError(Errno.EIO, `ffs: group ${group}: ${where}: ${what}`);
  };
  if (bytes.length < GROUP_HEADER_BYTES) bad(`${bytes.length} bytes`);
  const u32 = (at: number): number => readU32(bytes, at, sb.bigEndian);
  if (u32(Cg.magic) !== GROUP_MAGIC) bad("no magic");
  if (u32(Cg.number) !== group) bad(`that of group ${u32(Cg.number)}`);
  const frags = groupFrags(sb, group);
  if (u32(Cg.ndblk) !== frags) bad(`${u32(Cg.ndblk)} fragments, there are ${frags}`);
  if (sb.version === 1) return sb.inodesPerGroup;
  const [inodes, inited] = [u32(Cg.niblk), u32(Cg.initedInodes)];
  if (inodes !== sb.inodesPerGroup) bad(`${inodes} inodes, there are ${sb.inodesPerGroup}`);
  if (inited > inodes) bad(`${inited} inodes written, there are ${inodes}`);
  return inited;
}

/**
 * Where inode `ino` lies.
 * @throws {ErrnoError} EINVAL: no whole number. EIO: a reference beyond the last inode.
 * @bsd #Y ino_to_cg, ino_to_fsba, ino_to_fsbo
 */
export function inodeLocation(sb: Superblock, ino: number): InodePlace {
  if (!isWhole(ino)) throw new ErrnoError(Errno.EINVAL, `inode ${ino}: no such number`);
  if (ino >= sb.inodesCount) {
    throw new ErrnoError(Errno.EIO, `inode ${ino}: number beyond ${sb.inodesCount - 1}`);
  }
  const group = Math.floor(ino / sb.inodesPerGroup);
  const index = ino % sb.inodesPerGroup;
  const block = Math.floor(index / sb.inodesPerBlock);
  const frag = groupStart(sb, group) + sb.tableAt + block * sb.frags;
  return { group, index, frag, offset: (index % sb.inodesPerBlock) * sb.inode.bytes };
}

/**
 * Whether `count` fragments from `frag` on may hold a file's data or block numbers: in the file
 * system, in one block of it, and clear of what a group keeps for itself.
 * => `count`: 1 to the fragments of a block. `frag` may be any number. @bsd #Y chkrange
 */
export function isDataRun(sb: Superblock, frag: number, count: number): boolean {
  if (!(frag >= 0 && frag + count <= sb.size)) return false;
  if ((frag % sb.frags) + count > sb.frags) return false;
  const group = Math.floor(frag / sb.fragsPerGroup);
  if (frag >= groupData(sb, group)) return true;
  return group > 0 && frag + count <= groupStart(sb, group) + sb.superAt;
}
