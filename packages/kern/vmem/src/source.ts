/**
 * Where an arena gets spans from when it runs out, and the adapter that makes an arena one.
 *
 * Implemented by whoever owns a larger range: another arena (`Arena.from`), a kernel map, a test.
 * Follows vmem_import_t and vmem_release_t of vmem(9).
 */

/** @bsd #Y vmem_import_t, vmem_release_t */
export interface ArenaSource {
  /**
   * Hand over a range that starts on a multiple of the arena's quantum.
   * => `size`: units of addresses, a multiple of the quantum.
   * @returns its first address, or −1.
   */
  import(size: number): number;
  /** Take back exactly a range that `import` gave. */
  release(start: number, size: number): void;
}

/** What ParentSource needs of an arena. */
interface Parent {
  readonly quantum: number;
  xalloc(size: number, align: number): number;
  alloc(size: number): number;
  free(start: number, size: number): void;
}

/** Imports by allocating from another arena; `align`: what its ranges start on a multiple of. */
export class ParentSource implements ArenaSource {
  readonly #parent: Parent;
  readonly #align: number;

  constructor(parent: Parent, align: number) {
    this.#parent = parent;
    this.#align = align;
  }

  /** The same for an arena of this quantum, whose spans start on multiples of it. */
  forQuantum(quantum: number): ParentSource {
    return quantum <= this.#align ? this : new ParentSource(this.#parent, quantum);
  }

  import(size: number): number {
    if (this.#align <= this.#parent.quantum) return this.#parent.alloc(size);
    return this.#parent.xalloc(size, this.#align);
  }

  release(start: number, size: number): void {
    this.#parent.free(start, size);
  }
}
