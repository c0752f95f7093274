/** Errors of the host's file system as ours. */
import { Errno, ErrnoError } from "@physio/kern";

/** @returns the host's errno where we have it, else EIO. */
export function hostError(error: unknown, what: string): ErrnoError {
  const { code } = error as { code?: string };
  const known = code !== undefined && Object.hasOwn(Errno, code) ? code : "EIO";
  return new ErrnoError(Errno[known as keyof typeof Errno], what);
}
