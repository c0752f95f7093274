/** What ext2 hangs on a vnode: the genfs part and the inode. */
import type { GenfsData, GenfsNode } from "@physio/genfs";
import type { Vnode } from "@physio/vfs";
import type { Inode } from "./inode.ts";

export class Ext2Node implements GenfsData {
  readonly genfs: GenfsNode;
  readonly inode: Inode;

  constructor(genfs: GenfsNode, inode: Inode) {
    this.genfs = genfs;
    this.inode = inode;
  }
}

/** The ext2 part of a vnode. @bsd #Y VTOI */
export function vtoi(vp: Vnode): Inode {
  return (vp.data as Ext2Node).inode;
}
