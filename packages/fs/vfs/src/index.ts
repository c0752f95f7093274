export type { CreateOptions, Ownership } from "./calls.ts";
export {
  createFile,
  makeDirectory,
  makeLink,
  makeSpecial,
  makeSymlink,
  removeDirectory,
  setAttributes,
  truncatePath,
  unlinkPath,
  vnRelease,
} from "./calls.ts";
export { DIRECTORY_DELAY, FILE_DELAY, METADATA_DELAY, syncDelay } from "./delays.ts";
export type { Transactions, TransMode, TransState } from "./fstrans.ts";
export { Fstrans } from "./fstrans.ts";
export type { Journal } from "./journal.ts";
export { inJournal } from "./journal.ts";
export type { FsContext, FsStatistics, MountOps, MountOptions } from "./mount.ts";
export { Mount } from "./mount.ts";
export { MountFlag } from "./mount-flags.ts";
export { NameCache } from "./namecache.ts";
export type { NameiOptions, ParentLookup } from "./namei.ts";
export { lookupIn, lookupParent, MAXSYMLINKS, namei } from "./namei.ts";
export { renamePath } from "./rename.ts";
export type { PagedOps, SpecDisk, SpecOptions } from "./specfs.ts";
export { specVnode } from "./specfs.ts";
export { Syncer } from "./syncer.ts";
export type {
  AttributeChanges,
  Attributes,
  DirBatch,
  DirEntry,
  NameOf,
  NewFile,
  VnodeOps,
  VnodeState,
  VnodeType,
} from "./vnode.ts";
export { BlockMap, FsyncFlag, IoFlag, Vnode } from "./vnode.ts";
export { VnodeCache } from "./vnode-cache.ts";
export {
  flushVnode,
  vnFsync,
  vnLock,
  vnRead,
  vnTryLock,
  vnUnlock,
  vnWrite,
  WriteErrors,
} from "./vnode-io.ts";
export { setSize, setWriteSize, zeroRange } from "./vnode-size.ts";
