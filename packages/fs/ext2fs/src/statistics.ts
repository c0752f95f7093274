/** How much of an ext2 is used: what files can have is what the groups' own metadata leave. */
import type { FsStatistics } from "@physio/vfs";
import { inodeTableBlocks } from "./group.ts";
import { GROUP_DESC_BYTES } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { hasSuperblockCopy } from "./superblock.ts";

/** @bsd #Y ext2fs_statvfs */
export function ext2Statistics({ sb, freeBlocks, freeInodes }: Ext2Mount): FsStatistics {
  const descriptors = Math.ceil((sb.groupCount * GROUP_DESC_BYTES) / sb.blockSize);
  let overhead = sb.firstDataBlock;
  for (let group = 0; group < sb.groupCount; group++) {
    overhead += 2 + inodeTableBlocks(sb) + (hasSuperblockCopy(sb, group) ? 1 + descriptors : 0);
  }
  return {
    blockSize: sb.blockSize,
    blocks: sb.blocksCount - overhead,
    freeBlocks,
    availableBlocks: Math.max(0, freeBlocks - sb.reservedBlocks),
    inodes: sb.inodesCount,
    freeInodes,
  };
}
