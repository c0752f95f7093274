/**
 * What the arm64 backend keeps of a tag and a map.
 *
 * Both are the walk's (busdma-bounce), told how arm64 goes. Every map has a state: there is no trivial
 * map on this machine. Memory's own maps have no bounce state, as they never bounce.
 */
import type { DmaTag } from "@physio/busdma";
import type { CachedParts } from "@physio/busdma-bounce";
import { WalkTag } from "@physio/busdma-bounce";
import type { Arm64Decisions } from "./decisions.ts";
import { ARM64_FIXED, ARM64_SEED } from "./decisions.ts";

export type Arm64Parts = CachedParts<Arm64Decisions>;
export type Arm64Tag = WalkTag<Arm64Decisions>;

export const arm64Of = (tag: DmaTag): Arm64Tag => tag.md as Arm64Tag;

export function arm64Tag(parts: Arm64Parts, tag: DmaTag): Arm64Tag {
  const seed = tag.context.semantics.name === "seed";
  const rules = parts.decisions ?? (seed ? ARM64_SEED : ARM64_FIXED);
  return new WalkTag(parts, tag, rules, {
    lineRule: true,
    countsPieces: false,
    strictAlignment: true,
    memoryByPage: rules.memoryByPage,
  });
}
