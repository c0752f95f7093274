/** Whose new files are: the host's user. */

export function processOwner(): { uid: number; gid: number } {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** Permission bits that new files do not get. */
export function processMask(): number {
  return process.umask();
}

/** The clock of new files, in seconds since 1970; SOURCE_DATE_EPOCH stops it, so that an image can be made twice. */
export function hostClock(): () => number {
  const { SOURCE_DATE_EPOCH: fixed } = process.env; // asking again and again costs 6 us a file
  if (fixed === undefined || !/^\d+$/.test(fixed)) return () => Math.floor(Date.now() / 1000);
  return () => Number(fixed);
}
