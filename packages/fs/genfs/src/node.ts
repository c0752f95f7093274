/**
 * genfs nodes: what a vnode needs to use the generic page routines.
 *
 * A file system supplies few operations and a block map; genfs does the rest. The node hangs in
 * front of the file system's inode (`vnode.data`), as genfs_node does in C. Follows genfs_node.h.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Scheduler } from "@physio/sched";
import { RwLock } from "@physio/sched";
import type { Vnode } from "@physio/vfs";

/** What genfs asks of a file system. @bsd #P[no alloc, no write] struct genfs_ops */
export interface GenfsOps {
  /** End of the file's blocks when its size is `size`: rounded up to what a transfer may cover. @bsd #Y GOP_SIZE */
  size(vp: Vnode, size: Bytes): FileOffset;
}

/** @bsd #P[no dirty generation] struct genfs_node */
export class GenfsNode {
  readonly ops: GenfsOps;
  /** Truncation against page I/O. @bsd #Y g_glock */
  readonly lock: RwLock;
  /** Where a sequential reader would go on, for read-ahead. */
  nextRead: FileOffset;

  constructor(sched: Scheduler, ops: GenfsOps, name: string) {
    this.ops = ops;
    this.lock = new RwLock(sched, name);
    this.nextRead = 0;
  }
}

/** What a file system hangs on its vnodes so that genfs finds its part. */
export interface GenfsData {
  readonly genfs: GenfsNode;
}

/** @bsd #Y VTOG */
export function vtog(vp: Vnode): GenfsNode {
  const { genfs } = vp.data as GenfsData;
  if (genfs === undefined) panic(`genfs: inode ${vp.ino} has no node`);
  return genfs;
}
