/**
 * Which domain a frame comes from: the policies of domainset(9).
 *
 * A policy is one small object of its user's, with the position of its round inside; several users
 * of one policy share the round. A policy asks a domain only when that has frames to give, so the hooks
 * for reclaiming are asked when memory as a whole does not serve the request, not at every step.
 *
 * Who may call: whoever allocates frames for a purpose of its own (uvm, kmem).
 */
import type { Frame } from "@physio/kern";
import { Errno, ErrnoError, isWhole, NO_FRAME } from "@physio/kern";
import { ANY_DOMAIN } from "./alloc.ts";
import { AllocClass } from "./pressure.ts";

/** What a policy needs of physical memory. */
export interface DomainMemory {
  readonly domainCount: number;
  /** What requests of class `cls` can have there, which leave the low reserve. */
  freeFramesIn(domain: number, cls?: AllocClass): number;
  allocFrame(domain?: number, cls?: AllocClass): Frame;
}

const FIXED = 0;
const PREFER = 1;
const ROUND_ROBIN = 2;

export class DomainPolicy {
  readonly #kind: number;
  /** The domain of FIXED and PREFER; where the round goes on for ROUND_ROBIN. */
  #domain: number;

  constructor(kind: number, domain: number) {
    if (!isWhole(domain)) throw new ErrnoError(Errno.EINVAL, `domainSet: domain ${domain}`);
    this.#kind = kind;
    this.#domain = domain;
  }

  /**
   * One frame from the domain that the policy chooses. @returns NO_FRAME when none can be had.
   * @throws {ErrnoError} EINVAL: the memory has no such domain.
   */
  allocFrame(mem: DomainMemory, cls: AllocClass = AllocClass.SYSTEM): Frame {
    if (this.#kind === FIXED) return mem.allocFrame(this.#domain, cls);
    const count = mem.domainCount;
    if (this.#kind === ROUND_ROBIN && this.#domain >= count) this.#domain = 0;
    let domain = this.#domain;
    for (let step = 0; step < count; step++) {
      if (mem.freeFramesIn(domain, cls) > 0) {
        const frame = mem.allocFrame(domain, cls);
        if (this.#kind === ROUND_ROBIN && frame !== NO_FRAME) this.#domain = (domain + 1) % count;
        return frame;
      }
      domain = (domain + 1) % count;
    }
    return mem.allocFrame(ANY_DOMAIN, cls);
  }
}

/** Makers of policies. @bsd #P[no interleave, no masks] domainset(9) */
export const domainSet = Object.freeze({
  /** Only this domain. */
  fixed: (domain: number): DomainPolicy => new DomainPolicy(FIXED, domain),
  /** This domain while it has free frames, then those behind it in order of number. */
  prefer: (domain: number): DomainPolicy => new DomainPolicy(PREFER, domain),
  /** One domain after the other; one without free frames is left out. */
  roundRobin: (): DomainPolicy => new DomainPolicy(ROUND_ROBIN, 0),
});
