/**
 * The numbers of the ext2 on-disk format: magic, offsets, feature bits, modes.
 *
 * Facts follow Linux Documentation/filesystems/ext2, revisions 0 and 1; names of features are those
 * that debugfs prints, including the ext3 and ext4 ones, so that a refusal can say what it met.
 * Every integer on disk is little-endian; `readU16` and `readU32` are the only way in. They never
 * throw: a byte outside the array reads as 0, and each decoder checks the length it needs first.
 *
 * Used by every decoder of this package; nothing here depends on another file of it.
 */

import type { Bits } from "@physio/kern";
import { bitset } from "@physio/kern";

export const EXT2_MAGIC = 0xef53;
/** Where the first super block starts, whatever the block size. */
export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_BYTES = 1024;

export const ROOT_INO = 2;
/** Whose blocks are room for more group descriptors (feature resize_inode). */
export const RESIZE_INO = 7;
/** First inode that is not reserved, where revision 0 does not say. */
export const REV0_FIRST_INO = 11;
/** Bytes of an inode in revision 0; the smallest inode of revision 1. */
export const REV0_INODE_BYTES = 128;
export const GROUP_DESC_BYTES = 32;

export const NAME_MAX = 255;
/** i_block: 12 direct, then single, double and triple indirect. */
export const DIRECT_BLOCKS = 12;
export const INDIRECT_SLOT = 12;
export const DOUBLE_INDIRECT_SLOT = 13;
export const TRIPLE_INDIRECT_SLOT = 14;
export const BLOCK_SLOTS = 15;
/** i_block as bytes; a symbolic link shorter than this is stored in it. */
export const BLOCK_SLOT_BYTES = 60;
/** Names that a file may have, and 2 more than the directories that a directory may have. */
export const LINK_MAX = 32000;
/** A block of extended attributes: how it begins, and where it counts the files that share it. */
export const ATTRIBUTES_MAGIC = 0xea020000;
export const ATTRIBUTES_REFERENCES = 4;
/** The longest file that a reader without the feature large_file takes. */
export const SMALL_FILE_MAX = 0x7fffffff;
/** The unit of i_blocks. */
export const SECTOR_BYTES = 512;

/** Features a reader may ignore. */
export type CompatFeatures = Bits<"Ext2Compat">;
export const Compat = bitset<"Ext2Compat">()({
  dir_prealloc: 0x1,
  imagic_inodes: 0x2,
  has_journal: 0x4,
  ext_attr: 0x8,
  resize_inode: 0x10,
  dir_index: 0x20, // directories may carry a hash index
  lazy_bg: 0x40,
  snapshot_bitmap: 0x100,
  sparse_super2: 0x200, // super block copies in two named groups only
  fast_commit: 0x400,
  stable_inodes: 0x800,
  orphan_file: 0x1000,
});

/** Features a reader must know, or refuse the file system. */
export type IncompatFeatures = Bits<"Ext2Incompat">;
export const Incompat = bitset<"Ext2Incompat">()({
  compression: 0x1,
  filetype: 0x2, // directory entries carry a file type
  needs_recovery: 0x4, // the journal holds what the blocks do not
  journal_dev: 0x8,
  meta_bg: 0x10, // group descriptors lie in the groups they describe
  extent: 0x40,
  "64bit": 0x80,
  mmp: 0x100,
  flex_bg: 0x200,
  ea_inode: 0x400,
  dirdata: 0x1000,
  metadata_csum_seed: 0x2000,
  large_dir: 0x4000,
  inline_data: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
});

/** Features that a writer must know; reading is safe without. */
export type RoCompatFeatures = Bits<"Ext2RoCompat">;
export const RoCompat = bitset<"Ext2RoCompat">()({
  sparse_super: 0x1, // super block copies in groups 0, 1 and powers of 3, 5 and 7
  large_file: 0x2, // some file is 2 GiB or longer
  huge_file: 0x8, // i_blocks has 48 bits
  uninit_bg: 0x10,
  dir_nlink: 0x20,
  extra_isize: 0x40,
  snapshot: 0x80,
  quota: 0x100,
  bigalloc: 0x200,
  metadata_csum: 0x400, // index blocks give up one entry for a checksum
  replica: 0x800,
  "read-only": 0x1000,
  project: 0x2000,
  shared_blocks: 0x4000,
  verity: 0x8000,
  orphan_present: 0x10000,
});

/** Byte offsets in the super block. */
export const Sb = Object.freeze({
  inodesCount: 0,
  blocksCount: 4,
  reservedBlocks: 8,
  freeBlocks: 12,
  freeInodes: 16,
  firstDataBlock: 20,
  logBlockSize: 24,
  logFragmentSize: 28,
  blocksPerGroup: 32,
  fragmentsPerGroup: 36,
  inodesPerGroup: 40,
  mtime: 44,
  wtime: 48,
  mountCount: 52,
  maxMountCount: 54,
  magic: 56,
  state: 58,
  errors: 60,
  lastCheck: 64,
  revision: 76,
  firstInode: 84,
  inodeSize: 88,
  blockGroup: 90,
  featureCompat: 92,
  featureIncompat: 96,
  featureRoCompat: 100,
  uuid: 104,
  volumeName: 120,
  reservedDescriptors: 206,
  journalInode: 224,
  journalDevice: 228,
  lastOrphan: 232,
  hashSeed: 236,
  defHashVersion: 252,
  firstMetaBg: 260,
  mkfsTime: 264,
  minExtraInodeSize: 348,
  wantExtraInodeSize: 350,
  flags: 352,
  backupGroups: 588,
});

/** Byte offsets in a group descriptor. */
export const GroupDesc = Object.freeze({
  blockBitmap: 0,
  inodeBitmap: 4,
  inodeTable: 8,
  freeBlocks: 12,
  freeInodes: 14,
  usedDirs: 16,
});

/** s_state: unmounted cleanly, errors seen. */
export const STATE_CLEAN = 0x1;
export const STATE_ERRORS = 0x2;
/** s_errors: go on after one. */
export const ERRORS_CONTINUE = 1;
/** s_flags: which `char` the directory hashes were made with. */
export const SIGNED_HASH = 0x1;
export const UNSIGNED_HASH = 0x2;

/** Bytes of an inode beyond 128 that have a meaning. */
export const EXTRA_INODE_BYTES = 32;

/** Byte offsets in an inode. */
export const Ino = Object.freeze({
  mode: 0,
  uidLow: 2,
  size: 4,
  atime: 8,
  ctime: 12,
  mtime: 16,
  dtime: 20,
  gidLow: 24,
  links: 26,
  sectors: 28,
  flags: 32,
  block: 40,
  generation: 100,
  fileAcl: 104,
  sizeHigh: 108,
  sectorsHigh: 116,
  uidHigh: 120,
  gidHigh: 122,
  extraSize: 128, // only of inodes longer than 128 bytes, like what follows
  createTime: 144,
});

/** The type field of i_mode and its values. */
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

/** i_flags: the directory has a hash index. */
export const INDEX_FL = 0x1000;
/** i_flags: i_blocks counts file system blocks (with huge_file). */
export const HUGE_FILE_FL = 0x40000;
/** i_flags: i_block holds an extent tree (only with the feature extent). */
export const EXTENTS_FL = 0x80000;
/** i_flags: i_block holds the data (only with the feature inline_data). */
export const INLINE_DATA_FL = 0x10000000;

/** file_type of a directory entry (feature filetype). */
export const DirentType = Object.freeze({
  unknown: 0,
  regular: 1,
  directory: 2,
  character: 3,
  block: 4,
  FIFO: 5,
  socket: 6,
  symlink: 7,
});
/** rec_len, name_len and name start here in a directory entry, which begins with the inode. */
export const DIRENT_REC_LEN = 4;
export const DIRENT_NAME_LEN = 6;
export const DIRENT_FILE_TYPE = 7;
export const DIRENT_HEADER = 8;
/** The smallest entry: a header and a name of 1 to 4 bytes. */
export const DIRENT_MIN = 12;

/** Name hashes of an index; +3 for the one that takes bytes as unsigned. */
export const HASH_LEGACY = 0;
export const HASH_HALF_MD4 = 1;
export const HASH_TEA = 2;
export const HASH_LEGACY_UNSIGNED = 3;
export const HASH_HALF_MD4_UNSIGNED = 4;
export const HASH_TEA_UNSIGNED = 5;
/** What to add to a stored version where the super block says unsigned. */
export const HASH_UNSIGNED_STEP = 3;

/** 16 bits, little-endian, at `at`. => in the array; outside of it bytes read as 0. */
export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

/** The low 16 bits of `value`, little-endian, to `at`. */
export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** The low 32 bits of `value`, little-endian, to `at`. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  const low = value % 2 ** 32;
  bytes[at] = low;
  bytes[at + 1] = low >>> 8;
  bytes[at + 2] = low >>> 16;
  bytes[at + 3] = low >>> 24;
}

/** 32 bits, little-endian, at `at`: 0 … 2^32 − 1. => as `readU16`. */
export function readU32(bytes: Uint8Array, at: number): number {
  const low = bytes[at] | (bytes[at + 1] << 8);
  return (low | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
