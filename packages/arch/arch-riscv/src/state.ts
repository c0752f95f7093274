/**
 * What the riscv backend keeps of a tag and a map.
 *
 * Both are the walk's (busdma-bounce), told how riscv goes. A map that neither bounces nor needs
 * maintenance has no state.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import type { CachedParts, WalkMap } from "@physio/busdma-bounce";
import { WalkTag } from "@physio/busdma-bounce";
import type { RiscvDecisions } from "./decisions.ts";
import { RISCV_FIXED, RISCV_SEED } from "./decisions.ts";

export type RiscvParts = CachedParts<RiscvDecisions>;
export type RiscvTag = WalkTag<RiscvDecisions>;

export const riscvOf = (tag: DmaTag): RiscvTag => tag.md as RiscvTag;
export const stateOf = (map: DmaMap): WalkMap | null => map.md as WalkMap | null;

export function riscvTag(parts: RiscvParts, tag: DmaTag): RiscvTag {
  const seed = tag.context.semantics.name === "seed";
  const rules = parts.decisions ?? (seed ? RISCV_SEED : RISCV_FIXED);
  return new WalkTag(parts, tag, rules, {
    lineRule: false,
    countsPieces: true,
    strictAlignment: false,
    memoryByPage: true,
  });
}
