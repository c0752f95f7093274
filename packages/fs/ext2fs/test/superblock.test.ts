import { Errno, ErrnoError } from "@physio/kern";
import { expect, test } from "vitest";
import { Compat, RoCompat, Sb } from "../src/layout.ts";
import { decodeSuperblock, hasSuperblockCopy } from "../src/superblock.ts";
import { fixtureBytes, superblockBytes } from "./image.ts";

const DEVICE = 8 * 1024 * 1024;
const GOOD = superblockBytes(fixtureBytes("lic-1k"));

/** The super block of lic-1k with some 16- or 32-bit fields changed. */
function changed(fields: Record<number, number>, size: 2 | 4 = 4): Uint8Array {
  const bytes = GOOD.slice();
  const view = new DataView(bytes.buffer);
  for (const [at, value] of Object.entries(fields)) {
    if (size === 2) view.setUint16(Number(at), value, true);
    else view.setUint32(Number(at), value, true);
  }
  return bytes;
}

function failure(run: () => unknown): ErrnoError {
  try {
    run();
  } catch (error) {
    if (error instanceof ErrnoError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const refusals = [
  {
    name: "another magic",
    bytes: changed({ [Sb.magic]: 0x1234 }, 2),
    errno: Errno.EINVAL,
    what: "ext2: magic 0x1234 at byte 1080, wanted 0xef53",
  },
  {
    name: "revision 2",
    bytes: changed({ [Sb.revision]: 2 }),
    errno: Errno.EOPNOTSUPP,
    what: "ext2: revision 2",
  },
  {
    name: "three known features",
    bytes: changed({ [Sb.featureIncompat]: 0x2 | 0x4 | 0x40 | 0x80 }),
    errno: Errno.EOPNOTSUPP,
    what: "ext2: features needs_recovery extent 64bit",
  },
  {
    name: "a known and two unknown features",
    bytes: changed({ [Sb.featureIncompat]: 0xc0008002 }),
    errno: Errno.EOPNOTSUPP,
    what: "ext2: features inline_data 0xc0000000",
  },
  {
    name: "blocks of 8 KiB",
    bytes: changed({ [Sb.logBlockSize]: 3 }),
    errno: Errno.EOPNOTSUPP,
    what: "ext2: blocks of 8192 bytes, 4096 at most",
  },
  {
    name: "blocks of 64 KiB",
    bytes: changed({ [Sb.logBlockSize]: 6 }),
    errno: Errno.EOPNOTSUPP,
    what: "ext2: blocks of 65536 bytes, 4096 at most",
  },
  {
    name: "blocks of 128 KiB",
    bytes: changed({ [Sb.logBlockSize]: 7 }),
    errno: Errno.EINVAL,
    what: "ext2: block size 2^(10 + 7)",
  },
  {
    name: "an endless block size",
    bytes: changed({ [Sb.logBlockSize]: 0xffffffff }),
    errno: Errno.EINVAL,
    what: "ext2: block size 2^(10 + 4294967295)",
  },
  {
    name: "no blocks per group",
    bytes: changed({ [Sb.blocksPerGroup]: 0 }),
    errno: Errno.EINVAL,
    what: "ext2: 0 blocks per group, 1 to 8192 possible",
  },
  {
    name: "more blocks per group than a bitmap has bits",
    bytes: changed({ [Sb.blocksPerGroup]: 8193 }),
    errno: Errno.EINVAL,
    what: "ext2: 8193 blocks per group, 1 to 8192 possible",
  },
  {
    name: "no inodes per group",
    bytes: changed({ [Sb.inodesPerGroup]: 0 }),
    errno: Errno.EINVAL,
    what: "ext2: 0 inodes per group, 1 to 8192 possible",
  },
  {
    name: "more inodes per group than a bitmap has bits",
    bytes: changed({ [Sb.inodesPerGroup]: 8193 }),
    errno: Errno.EINVAL,
    what: "ext2: 8193 inodes per group, 1 to 8192 possible",
  },
  {
    name: "inodes of 0 bytes",
    bytes: changed({ [Sb.inodeSize]: 0 }, 2),
    errno: Errno.EINVAL,
    what: "ext2: inodes of 0 bytes in blocks of 1024",
  },
  {
    name: "inodes of 64 bytes",
    bytes: changed({ [Sb.inodeSize]: 64 }, 2),
    errno: Errno.EINVAL,
    what: "ext2: inodes of 64 bytes in blocks of 1024",
  },
  {
    name: "inodes of 192 bytes",
    bytes: changed({ [Sb.inodeSize]: 192 }, 2),
    errno: Errno.EINVAL,
    what: "ext2: inodes of 192 bytes in blocks of 1024",
  },
  {
    name: "inodes larger than a block",
    bytes: changed({ [Sb.inodeSize]: 2048 }, 2),
    errno: Errno.EINVAL,
    what: "ext2: inodes of 2048 bytes in blocks of 1024",
  },
  {
    name: "first data block 0 with blocks of 1 KiB",
    bytes: changed({ [Sb.firstDataBlock]: 0 }),
    errno: Errno.EINVAL,
    what: "ext2: first data block 0 with blocks of 1024 bytes",
  },
  {
    name: "no blocks",
    bytes: changed({ [Sb.blocksCount]: 1 }),
    errno: Errno.EINVAL,
    what: "ext2: 1 blocks, the first is 1",
  },
  {
    name: "an inode too many",
    bytes: changed({ [Sb.inodesCount]: 641 }),
    errno: Errno.EINVAL,
    what: "ext2: 641 inodes, 4 groups of 160 inodes",
  },
  {
    name: "a group of one block each",
    bytes: changed({
      [Sb.blocksPerGroup]: 1,
      [Sb.inodesPerGroup]: 1,
      [Sb.inodesCount]: 39,
      [Sb.blocksCount]: 40,
    }),
    errno: Errno.OK,
    what: "",
  },
  {
    name: "a reserved inode as the first",
    bytes: changed({ [Sb.firstInode]: 2 }),
    errno: Errno.EINVAL,
    what: "ext2: first inode 2",
  },
  {
    name: "meta_bg from beyond the table",
    bytes: changed({ [Sb.featureIncompat]: 0x12, [Sb.firstMetaBg]: 2 }),
    errno: Errno.EINVAL,
    what: "ext2: first meta_bg descriptor block 2 of 1",
  },
  {
    name: "part of a super block",
    bytes: GOOD.subarray(0, 1023),
    errno: Errno.EIO,
    what: "ext2: 1023 of 1024 bytes of super block",
  },
];

for (const c of refusals) {
  test(`decodeSuperblock: ${c.name}: ${c.what || "is accepted"}`, () => {
    if (c.errno === Errno.OK) {
      expect(decodeSuperblock(c.bytes, DEVICE).groupCount).toBe(39);
      return;
    }
    const error = failure(() => decodeSuperblock(c.bytes, DEVICE));
    expect([error.errno, error.what]).toEqual([c.errno, c.what]);
  });
}

test("decodeSuperblock: group descriptors that do not fit are EINVAL", () => {
  const counts = { [Sb.blocksPerGroup]: 1, [Sb.inodesPerGroup]: 1, [Sb.inodesCount]: 1 };
  const error = failure(() =>
    decodeSuperblock(changed({ ...counts, [Sb.blocksCount]: 2 }), DEVICE),
  );
  expect(error.code).toBe("EINVAL");
  expect(error.what).toBe("ext2: 1 blocks of group descriptors in a file system of 2 blocks");
});

test("decodeSuperblock: a device shorter than the file system is EIO with both lengths", () => {
  const error = failure(() => decodeSuperblock(GOOD, DEVICE - 1));
  expect(error.code).toBe("EIO");
  expect(error.what).toBe("ext2: file system of 8388608 bytes on a device of 8388607 bytes");
  expect(failure(() => decodeSuperblock(GOOD, Number.NaN)).code).toBe("EIO");
});

test("decodeSuperblock: read-only-compatible and compatible features refuse nothing", () => {
  const bytes = changed({ [Sb.featureRoCompat]: 0xffffffff, [Sb.featureCompat]: 0xffffffff });
  expect(decodeSuperblock(bytes, DEVICE).groupCount).toBe(4);
});

test("decodeSuperblock: revision 0 has no features, and inodes of 128 bytes", () => {
  const sb = decodeSuperblock(
    changed({
      [Sb.revision]: 0,
      [Sb.featureIncompat]: 0xffffffff,
      [Sb.firstInode]: 99,
      [Sb.inodeSize]: 7,
    }),
    DEVICE,
  );
  expect([sb.featureCompat, sb.featureIncompat, sb.featureRoCompat]).toEqual([0, 0, 0]);
  expect([sb.inodeSize, sb.firstInode]).toEqual([128, 11]);
});

test("decodeSuperblock: the flags word says which char the hashes took", () => {
  expect(decodeSuperblock(changed({ [Sb.flags]: 1 }), DEVICE).hashUnsigned).toBe(false);
  expect(decodeSuperblock(changed({ [Sb.flags]: 2 }), DEVICE).hashUnsigned).toBe(true);
  expect(decodeSuperblock(changed({ [Sb.flags]: 0 }), DEVICE).hashUnsigned).toBe(false);
});

test("hasSuperblockCopy: every group, powers of 3, 5 and 7, or two named ones", () => {
  const copies = (bytes: Uint8Array) => {
    const sb = decodeSuperblock(bytes, DEVICE);
    return Array.from({ length: 130 }, (_, g) => g).filter((g) => hasSuperblockCopy(sb, g));
  };
  expect(copies(changed({ [Sb.featureRoCompat]: 0 }))).toHaveLength(130);
  expect(copies(changed({ [Sb.featureRoCompat]: RoCompat.sparse_super }))).toEqual([
    0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125,
  ]);
  const two = {
    [Sb.featureCompat]: Compat.sparse_super2,
    [Sb.backupGroups]: 1,
    [Sb.backupGroups + 4]: 77,
  };
  expect(copies(changed(two))).toEqual([0, 1, 77]);
});
