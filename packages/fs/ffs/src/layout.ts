/**
 * The numbers of the FFS on-disk format: magics, places, offsets, modes.
 *
 * Facts follow fs(5), dir(5) and the structures struct fs, struct cg, struct ufs1_dinode, struct
 * ufs2_dinode and struct direct, versions 1 and 2. Every integer on the disk has the byte order of
 * the machine that made the file system; `readU16`, `readU32`, `readI32` and `readI64` are the only
 * way in. They never throw: a byte outside the array reads as 0, and each decoder checks the length
 * it needs first.
 *
 * Disk addresses are numbers of fragments. A block is 1, 2, 4 or 8 fragments, aligned to its size.
 *
 * Used by every decoder of this package; nothing here depends on another file of it.
 */

/** fs_magic of both versions. */
export const FFS1_MAGIC = 0x011954;
export const FFS2_MAGIC = 0x19540119;
/** cg_magic. */
export const GROUP_MAGIC = 0x090255;

/** Bytes of the disk where a super block may start, in the order in which they are looked at. */
export const SUPERBLOCK_PLACES: readonly number[] = Object.freeze([65_536, 8192, 0, 262_144]);
/** The first of them: that of version 2; version 1 with large blocks has a copy there. */
export const FFS2_PLACE = 65_536;
/** The room that a super block has. */
export const SUPERBLOCK_ROOM = 8192;
/** What of it has a meaning: struct fs. */
export const SUPERBLOCK_BYTES = 1376;

export const ROOT_INO = 2;
/** The inode number of whiteouts, which hide names of a lower layer. */
export const WHITEOUT_INO = 1;

export const BLOCK_MIN = 4096;
export const BLOCK_MAX = 65_536;
export const FRAGMENT_MIN = 512;
export const FRAGMENTS_MAX = 8;
/** The unit of di_blocks. */
export const SECTOR_BYTES = 512;

/** di_db: direct blocks; di_ib: single, double and triple indirect. */
export const DIRECT_BLOCKS = 12;
export const INDIRECT_LEVELS = 3;
export const BLOCK_SLOTS = 15;

/** Byte offsets in the super block. */
export const Sb = Object.freeze({
  sblkno: 8,
  cblkno: 12,
  iblkno: 16,
  dblkno: 20,
  oldCgOffset: 24,
  oldCgMask: 28,
  oldTime: 32,
  oldSize: 36,
  oldDsize: 40,
  ncg: 44,
  bsize: 48,
  fsize: 52,
  frag: 56,
  minfree: 60,
  bshift: 80,
  fshift: 84,
  fragShift: 96,
  fsbtodb: 100,
  sbsize: 104,
  nindir: 116,
  inopb: 120,
  cgsize: 160,
  ipg: 184,
  fpg: 188,
  oldFreeBlocks: 196,
  oldFreeInodes: 200,
  oldFreeFrags: 204,
  clean: 209,
  volumeName: 680,
  sblockLoc: 1000,
  freeBlocks: 1016,
  freeInodes: 1024,
  freeFrags: 1032,
  time: 1072,
  size: 1080,
  dsize: 1088,
  maxSymlinkLen: 1320,
  oldInodeFormat: 1324,
  maxFileSize: 1328,
  oldPostblFormat: 1356,
  magic: 1372,
});

export const VOLUME_NAME_BYTES = 32;
/** fs_old_inodefmt from which on owners have 32 bits and directory entries a type. */
export const INODE_FORMAT_44 = 2;
/** fs_old_postblformat of file systems whose group headers have an older layout. */
export const OLD_GROUP_HEADERS = -1;

/** Byte offsets in the header of a cylinder group. */
export const Cg = Object.freeze({
  magic: 4,
  number: 12,
  ndblk: 20,
  niblk: 116,
  initedInodes: 120,
});
/** What of the header is read. */
export const GROUP_HEADER_BYTES = 168;

/** Byte offsets in an inode; `at` of the fields that both versions have elsewhere. */
export interface InodeLayout {
  readonly bytes: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  /** di_db, and behind it di_ib; a short symlink lies here instead. */
  readonly blocks: number;
  /** Bytes of one block number. */
  readonly pointerBytes: number;
  readonly sectors: number;
  readonly generation: number;
  readonly flags: number;
}

export const INODE_MODE = 0;
export const INODE_LINKS = 2;
/** Owners of 16 bits, in the old inode format. */
export const INODE_OLD_UID = 4;
export const INODE_OLD_GID = 6;

export const INODE1: InodeLayout = Object.freeze({
  bytes: 128,
  uid: 112,
  gid: 116,
  size: 8,
  atime: 16,
  mtime: 24,
  ctime: 32,
  blocks: 40,
  pointerBytes: 4,
  sectors: 104,
  generation: 108,
  flags: 100,
});

export const INODE2: InodeLayout = Object.freeze({
  bytes: 256,
  uid: 4,
  gid: 8,
  size: 16,
  atime: 32,
  mtime: 40,
  ctime: 48,
  blocks: 112,
  pointerBytes: 8,
  sectors: 24,
  generation: 80,
  flags: 88,
});

/** The type field of di_mode and its values. */
export const S_IFMT = 0xf000;
export const S_IFIFO = 0x1000;
export const S_IFCHR = 0x2000;
export const S_IFDIR = 0x4000;
export const S_IFBLK = 0x6000;
export const S_IFREG = 0x8000;
export const S_IFLNK = 0xa000;
export const S_IFSOCK = 0xc000;
/** Set-id, sticky and the nine permission bits. */
export const MODE_PERMISSIONS = 0xfff;

/** Directories are written in pieces of this size; no entry crosses into the next. */
export const DIRBLKSIZ = 512;
export const NAME_MAX = 255;
export const DIRENT_REC_LEN = 4;
export const DIRENT_TYPE = 6;
export const DIRENT_NAME_LEN = 7;
export const DIRENT_HEADER = 8;
/** The smallest entry: a header and a name of 1 to 3 bytes with its NUL. */
export const DIRENT_MIN = 12;
/** d_type of a whiteout. */
export const DT_WHT = 14;

const TWO_32 = 2 ** 32;

/** 16 bits at `at`. => in the array; outside of it bytes read as 0. */
export function readU16(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  return bigEndian ? (bytes[at] << 8) | bytes[at + 1] : bytes[at] | (bytes[at + 1] << 8);
}

/** 32 bits at `at`: 0 … 2^32 − 1. => as `readU16`. */
export function readU32(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  return readI32(bytes, at, bigEndian) >>> 0;
}

/** 32 bits at `at` with a sign. => as `readU16`. */
export function readI32(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  const [a, b, c, d] = bigEndian ? [at + 3, at + 2, at + 1, at] : [at, at + 1, at + 2, at + 3];
  return bytes[a] | (bytes[b] << 8) | (bytes[c] << 16) | (bytes[d] << 24);
}

/** 64 bits at `at` with a sign. Exact up to 2^53; beyond, near enough to be refused. => as `readU16`. */
export function readI64(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  const [low, high] = bigEndian ? [at + 4, at] : [at, at + 4];
  return readI32(bytes, high, bigEndian) * TWO_32 + readU32(bytes, low, bigEndian);
}
