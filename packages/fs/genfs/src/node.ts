/**
 * genfs nodes: what a vnode needs to use the generic page routines.
 *
 * A file system supplies four operations and a block map; genfs does the rest. The node hangs in
 * front of the file system's inode (`vnode.data`), as genfs_node does in C. Follows genfs_node.h.
 */
import type { Bits, Bytes, Errno, FileOffset } from "@physio/kern";
import { bitset, panic } from "@physio/kern";
import type { Scheduler, Sleeps } from "@physio/sched";
import { RwLock } from "@physio/sched";
import type { Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import type { GenfsDecisions } from "./decisions.ts";
import { FIXED } from "./decisions.ts";

/** Which times of a file change. @bsd #Y GOP_UPDATE_ACCESSED, GOP_UPDATE_MODIFIED */
export const GopUpdate = bitset<"GopUpdate">()({
  ACCESSED: 1,
  MODIFIED: 2,
});
export type GopUpdate = Bits<"GopUpdate">;

/** What genfs asks of a file system, beside the block map in its vnode operations. @bsd #Y struct genfs_ops */
export interface GenfsOps {
  /**
   * End of the file's blocks when its size is `size`: rounded up to what a transfer may cover. With `mem`: end of what
   * pages may show.   @bsd #Y GOP_SIZE, GOP_SIZE_MEM
   */
  size(vp: Vnode, size: Bytes, mem: boolean): FileOffset;
  /**
   * Allocate blocks for the holes in [`offset`, `offset + length`). => after an error the file has none that
   * the call allocated: nobody writes to them, and they would show what the disk has there.
   * @returns OK; ENOSPC; EIO.   @bsd #Y GOP_ALLOC
   */
  alloc(vp: Vnode, offset: FileOffset, length: Bytes): Sleeps<Errno>;
  /** Write the busy pages `pages[0 … count)`, a run: `gopWrite` for most. @returns OK (also: on its way); EIO, … @bsd #Y GOP_WRITE */
  write(vp: Vnode, pages: Int32Array, count: number, flags: Pgo): Sleeps<Errno>;
  /** The file was looked at or changed. @bsd #Y GOP_MARKUPDATE */
  markUpdate(vp: Vnode, update: GopUpdate): void;
}

/** @bsd #Y struct genfs_node */
export class GenfsNode {
  readonly ops: GenfsOps;
  readonly decisions: GenfsDecisions;
  /** Truncation against page I/O. @bsd #Y g_glock */
  readonly lock: RwLock;
  /** Counts the requests for pages to write to: whoever cleans the whole file sees that one came. @bsd #Y g_dirtygen */
  dirtyGeneration: number;
  /** Where a sequential reader would go on, for read-ahead. */
  nextRead: FileOffset;

  constructor(sched: Scheduler, ops: GenfsOps, name: string, decisions: GenfsDecisions = FIXED) {
    this.ops = ops;
    this.decisions = decisions;
    this.lock = new RwLock(sched, name);
    this.dirtyGeneration = 0;
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
  if (genfs === undefined) refuseNode(vp);
  return genfs;
}

function refuseNode({ ino }: Vnode): never {
  panic(`genfs: inode ${ino} has no node`);
}
