/** What a decoder objects to: the file system is damaged, where a disk that fails gives a plain ErrnoError. */
import { Errno, ErrnoError } from "@physio/kern";

export class Damage extends ErrnoError {
  constructor(what: string) {
    super(Errno.EIO, what);
  }
}
