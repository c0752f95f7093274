/**
 * Errno numbers and the exception that carries one.
 *
 * Values are FreeBSD's, positive. A function that a driver calls again and again returns an Errno
 * (0 = OK); an edge that is crossed once (creating, mounting, a command) throws an ErrnoError.
 *
 * @bsd #Y sys/sys/errno.h
 */

const NUMBERS = {
  OK: 0,
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EDEADLK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  EDOM: 33,
  ERANGE: 34,
  EAGAIN: 35,
  EINPROGRESS: 36,
  EOPNOTSUPP: 45,
  ETIMEDOUT: 60,
  ELOOP: 62,
  ENAMETOOLONG: 63,
  ENOTEMPTY: 66,
  EOVERFLOW: 84,
  EINTEGRITY: 97,
} as const;

declare const errnoBrand: unique symbol;

/** An error number; 0 is success. A returned Errno must be looked at. */
export type Errno = number & { readonly [errnoBrand]?: "errno" };

/** The error numbers that this system uses, by name. */
export const Errno: { readonly [K in keyof typeof NUMBERS]: Errno } = Object.freeze(NUMBERS);

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(NUMBERS).map(([name, value]) => [value, name]),
);

/** `12` → `"ENOMEM"`; a number without a name gives `"E<number>"`. */
export function errnoName(errno: Errno): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** An expected failure at an edge. Like Node's file errors it has `errno` (positive) and `code`. */
export class ErrnoError extends Error {
  override readonly name = "ErrnoError";
  readonly errno: Errno;
  readonly code: string;
  /** What was attempted, with the values that made it fail. */
  readonly what: string;

  /** @param what the operation and the offending values: "dmaTag: alignment 3 is not a power of 2" */
  constructor(errno: Errno, what: string) {
    super(`${what}: ${errnoName(errno)}`);
    this.errno = errno;
    this.code = errnoName(errno);
    this.what = what;
  }
}

/** Turn a returned errno into an exception. @throws {ErrnoError} when `errno` is not OK. */
export function check(errno: Errno, what: string): void {
  if (errno !== NUMBERS.OK) throw new ErrnoError(errno, what);
}
