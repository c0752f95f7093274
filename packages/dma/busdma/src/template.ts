/**
 * Tag templates: constraints under construction, for drivers that make several tags alike.
 *
 * Follows bus_dma_template_init, _fill, _clone and _tag of bus_dma(9). A template is a plain value:
 * it may be used again after `tag`, and changed in between.
 */
import type { TagOptions } from "./constraints.ts";
import { BUS_SPACE_MAXADDR, BUS_SPACE_UNRESTRICTED } from "./flags.ts";
import { dfltLock } from "./lock.ts";
import type { DmaContext, DmaTag } from "./tag.ts";
import { createTag } from "./tag.ts";

const NO_LIMITS: TagOptions = Object.freeze({
  alignment: 1,
  boundary: 0,
  lowAddr: BUS_SPACE_MAXADDR,
  highAddr: BUS_SPACE_MAXADDR,
  maxSize: BUS_SPACE_MAXADDR,
  segments: BUS_SPACE_UNRESTRICTED,
  maxSegSize: BUS_SPACE_MAXADDR,
  flags: 0,
  lock: dfltLock,
});

/** @bsd #Y bus_dma_template_t */
export class TagTemplate {
  readonly #context: DmaContext;
  #parent: DmaTag | null;
  #options: TagOptions;

  /** A template without limits below `parent`. @bsd #Y bus_dma_template_init */
  constructor(parent: DmaTag) {
    this.#context = parent.context;
    this.#parent = parent;
    this.#options = NO_LIMITS;
  }

  /** What the template says now. */
  get options(): TagOptions {
    return this.#options;
  }

  get parent(): DmaTag | null {
    return this.#parent;
  }

  /** Set some constraints; the others stay. @returns the template. @bsd #Y bus_dma_template_fill, BD_ALIGNMENT, BD_BOUNDARY, BD_LOWADDR, BD_HIGHADDR, BD_MAXSIZE, BD_NSEGMENTS, BD_MAXSEGSIZE, BD_FLAGS, BD_LOCKFUNC, BD_LOCKFUNCARG */
  fill(options: TagOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }

  /** Put another tag below this one. @returns the template. @bsd #Y BD_PARENT */
  under(parent: DmaTag): this {
    this.#parent = parent;
    return this;
  }

  /** Take everything of `tag`, its parent too. @returns the template. @bsd #Y bus_dma_template_clone */
  clone(tag: DmaTag): this {
    this.#parent = tag.parent;
    const own = tag.parent === null || tag.filterParent === tag.parent;
    this.#options = {
      alignment: tag.alignment,
      boundary: tag.boundary,
      lowAddr: tag.lowAddr,
      highAddr: tag.highAddr,
      ...(own ? { filter: tag.filter, filterArg: tag.filterArg } : {}),
      maxSize: tag.maxSize,
      segments: tag.segments,
      maxSegSize: tag.maxSegSize,
      flags: tag.flags,
      lock: tag.lock,
      domain: tag.domain,
    };
    return this;
  }

  /** Make a tag of it. @throws {ErrnoError} as DmaTag.child. @bsd #Y bus_dma_template_tag */
  tag(): DmaTag {
    return createTag(this.#context, this.#parent, this.#options);
  }
}
