/**
 * Lock functions of tags: how bus_dma takes the driver's lock when it acts on its own.
 *
 * Only a deferred load does: the lock is taken right before the callback's load is resumed and
 * released right after. @bsd #Y bus_dma(9) lockfunc
 */
import { panic } from "@physio/kern";
import type { Mutex } from "@physio/sched";

export const BUS_DMA_LOCK = 0;
export const BUS_DMA_UNLOCK = 1;
/** @bsd #Y bus_dma_lock_op_t */
export type LockOp = typeof BUS_DMA_LOCK | typeof BUS_DMA_UNLOCK;
/** @bsd #Y bus_dma_lock_t */
export interface LockFunction {
  (op: LockOp): void;
  /** The mutex that it stands for, where there is one: verifying maps look whether it is held. */
  readonly mutex?: Mutex;
}

/** A lock function over a mutex. @bsd #Y busdma_lock_mutex */
export function busdmaLockMutex(mutex: Mutex): LockFunction {
  const lock = (op: LockOp) => (op === BUS_DMA_LOCK ? mutex.enter() : mutex.exit());
  return Object.assign(lock, { mutex });
}

/** The lock function of a tag that was given none: such a tag must not be used for loads that wait. @bsd #Y _busdma_dflt_lock, dflt_lock */
export function dfltLock(): never {
  panic("bus_dma: a deferred load was resumed on a tag without a lock function");
}
