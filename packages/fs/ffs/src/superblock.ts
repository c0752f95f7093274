/**
 * The super block: what a file system says about itself, checked.
 *
 * FFS on-disk format, versions 1 and 2, either byte order. Whoever holds a Superblock may rely on
 * this:
 * - blocks are 4 to 64 KiB, fragments 512 bytes or more, 1 to 8 of them a block;
 * - all fragments lie on the device;
 * - the parts of a group come in order, block by block, and its inode table has room for its inodes;
 * - the groups cover the file system: (groupCount − 1) * fragsPerGroup < size <= groupCount * fragsPerGroup.
 *
 * Called once by mount. Bytes from a disk may be anything: every objection is an ErrnoError.
 */

import { decodeName, Errno, ErrnoError, isPowerOf2, OFF_MAX } from "@physio/kern";
import type { InodeLayout } from "./layout.ts";
import {
  BLOCK_MAX,
  BLOCK_MIN,
  BLOCK_SLOTS,
  DIRECT_BLOCKS,
  FFS1_MAGIC,
  FFS2_MAGIC,
  FFS2_PLACE,
  FRAGMENT_MIN,
  FRAGMENTS_MAX,
  INODE_FORMAT_44,
  INODE1,
  INODE2,
  OLD_GROUP_HEADERS,
  readI32,
  readI64,
  readU32,
  Sb,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_ROOM,
  VOLUME_NAME_BYTES,
} from "./layout.ts";

/** Which kind of super block bytes look like. */
export interface Flavor {
  readonly version: 1 | 2;
  readonly bigEndian: boolean;
}

/** A checked super block. Immutable. Places and counts of a disk are in fragments. */
export interface Superblock extends Flavor {
  /** Byte of the disk where it was found. */
  readonly place: number;
  /** Bytes, and their logarithms. */
  readonly blockSize: number;
  readonly blockShift: number;
  readonly fragSize: number;
  readonly fragShift: number;
  /** Fragments of a block. */
  readonly frags: number;
  /** Fragments of the file system. */
  readonly size: number;
  readonly groupCount: number;
  readonly fragsPerGroup: number;
  readonly inodesPerGroup: number;
  readonly inodesPerBlock: number;
  readonly inodesCount: number;
  /** Where the fields of an inode are. */
  readonly inode: InodeLayout;
  /** From the start of a group: copy of the super block, header, inode table, data. */
  readonly superAt: number;
  readonly headerAt: number;
  readonly tableAt: number;
  readonly dataAt: number;
  /** Version 1: the start moves by `groupStep` times the bits of the group's number outside of `groupMask`. */
  readonly groupStep: number;
  readonly groupMask: number;
  /** Group headers have the layout that is known here. */
  readonly headersKnown: boolean;
  /** Block numbers that fit an indirect block. */
  readonly pointersPerBlock: number;
  /** A shorter target is in the inode; 0: one that has no blocks is. */
  readonly maxSymlinkLen: number;
  /** Owners have 16 bits, directory entries no type. */
  readonly oldInodes: boolean;
  /** Bytes that a file may have. */
  readonly maxFileSize: number;
  /** Fragments that files can have, and how many are free; the part of them that the super user keeps. */
  readonly dataFrags: number;
  readonly freeFrags: number;
  readonly keptShare: number;
  readonly freeInodes: number;
  /** It was unmounted cleanly. */
  readonly clean: boolean;
  /** Seconds: last write. */
  readonly time: number;
  readonly volumeName: string;
}

function invalid(what: string): never {
  throw new ErrnoError(Errno.EINVAL, `ffs: ${what}`);
}

/** The version and byte order whose magic `bytes` have, or null. => a super block's bytes, or fewer. */
export function flavorOf(bytes: Uint8Array): Flavor | null {
  for (const bigEndian of [false, true]) {
    const magic = readU32(bytes, Sb.magic, bigEndian);
    if (magic === FFS1_MAGIC) return { version: 1, bigEndian };
    if (magic === FFS2_MAGIC) return { version: 2, bigEndian };
  }
  return null;
}

/**
 * Whether a super block with a good magic belongs where it was found, and is no copy of one
 * elsewhere: version 2 says where its first one is. Version 1 with blocks of 64 KiB has a copy
 * where version 2 has its first.
 */
export function isAtHome(
  bytes: Uint8Array,
  { version, bigEndian }: Flavor,
  place: number,
): boolean {
  if (version === 1 && place !== FFS2_PLACE) return true;
  return readI64(bytes, Sb.sblockLoc, bigEndian) === place;
}

function volumeName(bytes: Uint8Array): string {
  let end = Sb.volumeName;
  while (end < Sb.volumeName + VOLUME_NAME_BYTES && bytes[end] !== 0) end++;
  return decodeName(bytes, Sb.volumeName, end);
}

/** A size that must be a power of two and have its shift beside it. */
function checkShift(what: string, size: number, shift: number): void {
  if (!isPowerOf2(size) || 2 ** shift !== size) invalid(`${what} of ${size} bytes, shift ${shift}`);
}

function checkSizes(bytes: Uint8Array, sb: Superblock): void {
  const field = (at: number): number => readI32(bytes, at, sb.bigEndian);
  const { blockSize, fragSize, frags, inode } = sb;
  checkShift("blocks", blockSize, sb.blockShift);
  checkShift("fragments", fragSize, sb.fragShift);
  if (blockSize < BLOCK_MIN || blockSize > BLOCK_MAX) {
    invalid(`blocks of ${blockSize} bytes, ${BLOCK_MIN} to ${BLOCK_MAX} possible`);
  }
  if (fragSize < FRAGMENT_MIN || fragSize > blockSize || frags > FRAGMENTS_MAX) {
    invalid(`fragments of ${fragSize} bytes in blocks of ${blockSize}`);
  }
  const shift = field(Sb.fragShift);
  if (field(Sb.frag) !== frags || 2 ** shift !== frags) {
    invalid(`${field(Sb.frag)} fragments a block, shift ${shift}: there are ${frags}`);
  }
  const sbsize = field(Sb.sbsize);
  if (!(sbsize >= SUPERBLOCK_BYTES && sbsize <= SUPERBLOCK_ROOM)) {
    invalid(`super block of ${sbsize} bytes`);
  }
  const cgsize = field(Sb.cgsize);
  if (!(cgsize > 0 && cgsize <= blockSize)) invalid(`group header of ${cgsize} bytes`);
  const toSectors = field(Sb.fsbtodb);
  if (!(toSectors >= 0 && toSectors <= sb.fragShift - 9)) invalid(`fsbtodb ${toSectors}`);
  if (sb.inodesPerBlock !== blockSize / inode.bytes) {
    invalid(`${sb.inodesPerBlock} inodes of ${inode.bytes} bytes in a block of ${blockSize}`);
  }
  if (sb.pointersPerBlock !== blockSize / inode.pointerBytes) {
    invalid(`${sb.pointersPerBlock} block numbers in a block of ${blockSize} bytes`);
  }
  const room = BLOCK_SLOTS * inode.pointerBytes;
  if (!(sb.maxSymlinkLen >= 0 && sb.maxSymlinkLen <= room)) {
    invalid(`symlinks of ${sb.maxSymlinkLen} bytes in the ${room} of an inode`);
  }
}

function checkGroups(sb: Superblock): void {
  const { groupCount, fragsPerGroup, inodesPerGroup, inodesPerBlock, size, frags } = sb;
  const { superAt, headerAt, tableAt, dataAt, groupStep } = sb;
  const parts = `super block ${superAt}, header ${headerAt}, inodes ${tableAt}, data ${dataAt}`;
  if (!(superAt >= 0 && superAt < headerAt && headerAt < tableAt && tableAt < dataAt)) {
    invalid(`a group's parts are out of order: ${parts}`);
  }
  if (!(dataAt <= fragsPerGroup)) invalid(`groups of ${fragsPerGroup} fragments: ${parts}`);
  if ([superAt, headerAt, tableAt, dataAt, fragsPerGroup, groupStep].some((n) => n % frags !== 0)) {
    invalid(`not on blocks of ${frags} fragments: ${parts}, groups of ${fragsPerGroup}`);
  }
  if (!(inodesPerGroup > 0 && inodesPerGroup % inodesPerBlock === 0)) {
    invalid(`${inodesPerGroup} inodes a group, ${inodesPerBlock} a block`);
  }
  const tableBlocks = inodesPerGroup / inodesPerBlock;
  if (tableAt + tableBlocks * frags > dataAt) {
    invalid(`${inodesPerGroup} inodes a group need ${tableBlocks} blocks: ${parts}`);
  }
  if (!(groupCount > 0 && sb.inodesCount < 2 ** 32)) {
    invalid(`${groupCount} groups of ${inodesPerGroup} inodes`);
  }
  if (!(size > (groupCount - 1) * fragsPerGroup && size <= groupCount * fragsPerGroup)) {
    invalid(`${size} fragments in ${groupCount} groups of ${fragsPerGroup}`);
  }
  if (!(groupStep >= 0)) invalid(`groups start ${groupStep} fragments later each`);
}

/** Bytes that 15 slots reach, or that the file system allows, whichever is less. */
function maxFileSize(bytes: Uint8Array, flavor: Flavor, blockSize: number, old: boolean): number {
  const n = blockSize / (flavor.version === 1 ? 4 : 8);
  const reach = Math.min((DIRECT_BLOCKS + n + n ** 2 + n ** 3) * blockSize, OFF_MAX);
  if (old) return reach; // the field is younger
  const said = readI64(bytes, Sb.maxFileSize, flavor.bigEndian);
  if (!(said > 0)) invalid(`files of ${said} bytes at most`);
  return Math.min(reach, said);
}

type Counts = Pick<Superblock, "dataFrags" | "freeFrags" | "keptShare" | "freeInodes">;

/** What is used and free. Nothing depends on it: what is beyond reason is cut to what there is. */
function countsOf(bytes: Uint8Array, flavor: Flavor, sb: Omit<Superblock, keyof Counts>): Counts {
  const old = flavor.version === 1;
  const cut = (n: number, most: number): number => Math.min(Math.max(n, 0), Math.max(most, 0));
  const count = (oldAt: number, at: number): number =>
    (old ? readI32 : readI64)(bytes, old ? oldAt : at, flavor.bigEndian);
  const dataFrags = cut(count(Sb.oldDsize, Sb.dsize), sb.size);
  const whole = count(Sb.oldFreeBlocks, Sb.freeBlocks) * sb.frags;
  return {
    dataFrags,
    freeFrags: cut(whole + count(Sb.oldFreeFrags, Sb.freeFrags), dataFrags),
    keptShare: cut(readI32(bytes, Sb.minfree, flavor.bigEndian), 100) / 100,
    freeInodes: cut(count(Sb.oldFreeInodes, Sb.freeInodes), sb.inodesCount),
  };
}

/** The fields as they stand. => the magic is checked. */
function readFields(bytes: Uint8Array, flavor: Flavor, place: number): Superblock {
  const { version, bigEndian } = flavor;
  const i32 = (at: number): number => readI32(bytes, at, bigEndian);
  const u32 = (at: number): number => readU32(bytes, at, bigEndian);
  const first = version === 1;
  const blockSize = i32(Sb.bsize);
  const fragSize = i32(Sb.fsize);
  const groupCount = u32(Sb.ncg);
  const inodesPerGroup = u32(Sb.ipg);
  const oldInodes = first && i32(Sb.oldInodeFormat) < INODE_FORMAT_44;
  const fields = {
    version,
    bigEndian,
    place,
    blockSize,
    blockShift: i32(Sb.bshift),
    fragSize,
    fragShift: i32(Sb.fshift),
    frags: blockSize / fragSize,
    size: first ? i32(Sb.oldSize) : readI64(bytes, Sb.size, bigEndian),
    groupCount,
    fragsPerGroup: i32(Sb.fpg),
    inodesPerGroup,
    inodesPerBlock: u32(Sb.inopb),
    inodesCount: groupCount * inodesPerGroup,
    inode: first ? INODE1 : INODE2,
    superAt: i32(Sb.sblkno),
    headerAt: i32(Sb.cblkno),
    tableAt: i32(Sb.iblkno),
    dataAt: i32(Sb.dblkno),
    groupStep: first ? i32(Sb.oldCgOffset) : 0,
    groupMask: first ? i32(Sb.oldCgMask) : -1,
    headersKnown: !first || i32(Sb.oldPostblFormat) !== OLD_GROUP_HEADERS,
    pointersPerBlock: i32(Sb.nindir),
    maxSymlinkLen: oldInodes ? 0 : i32(Sb.maxSymlinkLen),
    oldInodes,
    maxFileSize: maxFileSize(bytes, flavor, blockSize, oldInodes),
    clean: bytes[Sb.clean] !== 0,
    time: first ? i32(Sb.oldTime) : readI64(bytes, Sb.time, bigEndian),
    volumeName: volumeName(bytes),
  };
  return Object.freeze({ ...fields, ...countsOf(bytes, flavor, fields) });
}

/**
 * Decode and check a super block.
 * => `bytes`: 1376 bytes or more from byte `place` of the device. `deviceBytes`: what the device holds.
 *
 * @throws {ErrnoError} EINVAL: not FFS, or numbers that contradict each other. EIO: bytes missing,
 *   of the super block or of the file system.
 */
export function decodeSuperblock(
  bytes: Uint8Array,
  place: number,
  deviceBytes: number,
): Superblock {
  if (bytes.length < SUPERBLOCK_BYTES) {
    const what = `ffs: ${bytes.length} of ${SUPERBLOCK_BYTES} bytes of super block`;
    throw new ErrnoError(Errno.EIO, what);
  }
  const flavor = flavorOf(bytes);
  if (flavor === null) invalid(`no magic at byte ${place + Sb.magic}`);
  const sb = readFields(bytes, flavor, place);
  checkSizes(bytes, sb);
  checkGroups(sb);
  const total = sb.size * sb.fragSize;
  if (!(total <= deviceBytes)) {
    throw new ErrnoError(
      Errno.EIO,
      `ffs: file system of ${total} bytes on a device of ${deviceBytes} bytes`,
    );
  }
  return sb;
}
