/** What ext2 hangs on a vnode: the genfs part, the inode, and what is known of a directory's names. */
import type { GenfsData, GenfsNode } from "@physio/genfs";
import { GopUpdate } from "@physio/genfs";
import type { Vnode } from "@physio/vfs";
import { syncDelay } from "@physio/vfs";
import type { Inode } from "./inode.ts";
import type { Ext2Mount } from "./mount.ts";
import type { NameIndex } from "./name-index.ts";

export class Ext2Node implements GenfsData {
  readonly genfs: GenfsNode;
  readonly inode: Inode;
  /** Of a directory that was changed: its names, and where there is room. */
  names: NameIndex | null;
  /** It was never written: what its place on the disk holds is of another file. */
  fresh: boolean;
  /** It has no links and no blocks any more. */
  emptied: boolean;

  constructor(genfs: GenfsNode, inode: Inode) {
    this.genfs = genfs;
    this.inode = inode;
    this.names = null;
    this.fresh = false;
    this.emptied = false;
  }
}

/** The inode of a vnode. @bsd #Y VTOI */
export function vtoi(vp: Vnode): Inode {
  return (vp.data as Ext2Node).inode;
}

/** The ext2 part of a vnode. */
export function vtoe(vp: Vnode): Ext2Node {
  return vp.data as Ext2Node;
}

/** The inode has changed: it is written with the next sync, fsync or when the vnode ends. */
export function touch(ext2: Ext2Mount, vp: Vnode): void {
  ext2.dirtyInodes.add(vp);
  if (!vp.onWorklist && !ext2.mount.readOnly) ext2.context.syncer.add(vp, syncDelay(vp.type));
}

/** The file was looked at or changed: its times. @bsd #Y ext2_itimes */
export function markUpdate(ext2: Ext2Mount, vp: Vnode, update: GopUpdate): void {
  if (ext2.mount.readOnly) return;
  const inode = vtoi(vp);
  const now = ext2.now();
  if ((update & GopUpdate.ACCESSED) !== 0) inode.atime = now;
  if ((update & GopUpdate.MODIFIED) !== 0) {
    inode.mtime = now;
    inode.ctime = now;
  }
  touch(ext2, vp);
}
