/** How long what is dirty may wait for the syncer. Seconds, as in sys/kern/vfs_subr.c. */
import type { VnodeType } from "./vnode.ts";

/** Until the data of files are written; directories; devices and metadata. @bsd #Y filedelay, dirdelay, metadelay */
export const FILE_DELAY = 30;
export const DIRECTORY_DELAY = 15;
export const METADATA_DELAY = 10;

/** The delay of a vnode that has become dirty. @bsd #Y reassignbuf */
export function syncDelay(type: VnodeType): number {
  if (type === "directory") return DIRECTORY_DELAY;
  return type === "block special" ? METADATA_DELAY : FILE_DELAY;
}
