/**
 * Credentials: on whose behalf a thread acts.
 *
 * An object of this class never changes, so threads, open files and requests share it and nobody
 * counts references; to act as somebody else is to carry another object. `uid` and `gid` are the
 * effective ids, which permission checks look at; `ruid` is the real user, who pays. Two credentials
 * are the same if their values are (`equals`), whatever the order in which groups were given.
 *
 * Follows ucred(9), groupmember(9) and setgroups(2). Invariant: every id is a whole number from 0 to
 * ID_MAX; `groups` is ascending, without repetition and without `gid`. Anybody may call everything.
 */
import { Errno, ErrnoError } from "@physio/kern";

/** What `Credentials.of` takes. Ids are whole numbers from 0 to 2^32 − 2. */
export interface CredentialsOptions {
  /** Effective user. */
  readonly uid: number;
  /** Real user; `uid` when absent. */
  readonly ruid?: number;
  /** Effective group. */
  readonly gid: number;
  /** Supplementary groups, in any order, at most NGROUPS_MAX; none when absent. */
  readonly groups?: readonly number[];
}

/** @throws {ErrnoError} EINVAL `id` is not a whole number from 0 to 2^32 − 2. */
function checkId(what: string, id: number): void {
  if (!(Number.isInteger(id) && id >= 0 && id <= Credentials.ID_MAX)) {
    throw new ErrnoError(Errno.EINVAL, `credentials: ${what} ${id} is not from 0 to 2^32 - 2`);
  }
}

export class Credentials {
  /** The largest id; the next number is (uid_t)−1, which means "leave as it is" in chown(2). */
  static readonly ID_MAX = 0xffff_fffe;
  /** The largest number of supplementary groups. @bsd #Y sys/sys/syslimits.h NGROUPS_MAX */
  static readonly NGROUPS_MAX = 1023;

  readonly uid: number;
  readonly ruid: number;
  readonly gid: number;
  readonly groups: readonly number[];

  private constructor(uid: number, ruid: number, gid: number, groups: readonly number[]) {
    this.uid = uid;
    this.ruid = ruid;
    this.gid = gid;
    this.groups = groups;
    Object.freeze(this);
  }

  /**
   * Credentials with the given ids; the options are copied.
   * @throws {ErrnoError} EINVAL an id is out of range, or there are more than NGROUPS_MAX groups.
   * @bsd #P[no saved ids, no real group, no labels or jails] sys/kern/kern_prot.c crget, crsetgroups
   */
  static of(options: CredentialsOptions): Credentials {
    const { uid, gid, ruid = uid, groups = [] } = options;
    checkId("uid", uid);
    checkId("ruid", ruid);
    checkId("gid", gid);
    if (groups.length > Credentials.NGROUPS_MAX) {
      throw new ErrnoError(
        Errno.EINVAL,
        `credentials: ${groups.length} groups, at most ${Credentials.NGROUPS_MAX}`,
      );
    }
    for (const group of groups) checkId("group", group);
    const others = new Set(groups);
    others.delete(gid);
    const sorted = [...others].toSorted((a, b) => a - b);
    return new Credentials(uid, ruid, gid, Object.freeze(sorted));
  }

  /** Whether the effective user is the superuser. */
  get isRoot(): boolean {
    return this.uid === 0;
  }

  /** Whether `gid` is the effective group or one of the others. @bsd #Y sys/kern/kern_prot.c groupmember */
  isMember(gid: number): boolean {
    return gid === this.gid || this.groups.includes(gid);
  }

  /** Whether `other` gives the same rights to the same users. */
  equals(other: Credentials): boolean {
    if (this === other) return true;
    if (this.uid !== other.uid || this.ruid !== other.ruid || this.gid !== other.gid) return false;
    if (this.groups.length !== other.groups.length) return false;
    for (let i = 0; i < this.groups.length; i++) {
      if (this.groups[i] !== other.groups[i]) return false;
    }
    return true;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const real = this.ruid === this.uid ? "" : ` ruid ${this.ruid}`;
    const others = this.groups.length === 0 ? "" : ` groups ${this.groups.join(",")}`;
    return `Credentials(uid ${this.uid}${real} gid ${this.gid}${others})`;
  }
}

/** The kernel's own credentials: user 0, group 0. */
export const ROOT_CRED = Credentials.of({ uid: 0, gid: 0 });
