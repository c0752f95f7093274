/** What ext2 tells genfs about its files. */
import type { GenfsOps } from "@physio/genfs";
import { gopWrite } from "@physio/genfs";
import { alignUp } from "@physio/kern";
import { ext2Alloc } from "./map-write.ts";
import type { Ext2Mount } from "./mount.ts";
import { markUpdate } from "./node.ts";

export function ext2GenfsOps(ext2: Ext2Mount): GenfsOps {
  const { blockSize } = ext2.sb;
  return {
    size: (_vp, size) => alignUp(size as number, blockSize),
    // A page may reach over the end of the file: what lies behind its last block gets none.
    alloc: (vp, offset, length) => {
      const end = alignUp(vp.writeSize as number, blockSize);
      return ext2Alloc(ext2, vp, offset, Math.min(length, end - offset));
    },
    write: gopWrite,
    markUpdate: (vp, update) => markUpdate(ext2, vp, update),
  };
}
