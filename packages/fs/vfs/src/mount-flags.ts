/** How a file system is mounted. */
import type { Bits } from "@physio/kern";
import { bitset } from "@physio/kern";

/** @bsd #Y MNT_RDONLY, MNT_NOATIME, MNT_NODEVMTIME */
export const MountFlag = bitset<"MountFlag">()({
  RDONLY: 0x1, //     nothing is written
  NOATIME: 0x2, //    reading leaves the access time alone
  NODEVMTIME: 0x4, // devices' times are left alone
});
export type MountFlag = Bits<"MountFlag">;
