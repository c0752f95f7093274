/** What FFS hangs on a vnode: the genfs part and the inode. */
import type { GenfsData, GenfsNode } from "@physio/genfs";
import type { Vnode } from "@physio/vfs";
import type { Inode } from "./inode.ts";

export class FfsNode implements GenfsData {
  readonly genfs: GenfsNode;
  readonly inode: Inode;

  constructor(genfs: GenfsNode, inode: Inode) {
    this.genfs = genfs;
    this.inode = inode;
  }
}

/** The FFS part of a vnode. @bsd #Y VTOI */
export function vtoi(vp: Vnode): Inode {
  return (vp.data as FfsNode).inode;
}
