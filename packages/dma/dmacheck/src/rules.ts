/**
 * The rules of bus_dma(9) that a driver is held to: what each says, and where the manual page says it.
 *
 * Ten rules; the third has one name for each sync operation that may be missing. Line numbers are
 * those of the FreeBSD 11.1 page, as in the port map.
 */

/** Names of the rules. */
export type RuleId =
  | "load-of-loaded"
  | "not-loaded"
  | "no-prewrite"
  | "no-preread"
  | "no-postread"
  | "no-postwrite"
  | "mixed-sync"
  | "stale-segments"
  | "efbig-kept"
  | "destroy-of-loaded"
  | "map-leak"
  | "stray-access"
  | "overlap";

export interface Rule {
  readonly id: RuleId;
  /** 1 to 10. */
  readonly number: number;
  /** What a driver owes. */
  readonly text: string;
  /** Section and lines of bus_dma(9). */
  readonly page: string;
}

const rule = (id: RuleId, number: number, text: string, page: string): Rule =>
  Object.freeze({ id, number, text, page: `bus_dma(9), ${page}` });

export const RULES: Readonly<Record<RuleId, Rule>> = Object.freeze({
  "load-of-loaded": rule(
    "load-of-loaded",
    1,
    "a map holds one mapping: it is unloaded before it is loaded again",
    "bus_dmamap_load, line 359",
  ),
  "not-loaded": rule(
    "not-loaded",
    2,
    "sync and unload are for a map that is loaded",
    "bus_dmamap_sync, lines 519-526",
  ),
  "no-prewrite": rule(
    "no-prewrite",
    3,
    "PREWRITE comes after the CPU has written memory and before the device reads it",
    "bus_dmamap_sync, lines 523-529",
  ),
  "no-preread": rule(
    "no-preread",
    3,
    "PREREAD comes before the device writes memory, each time",
    "bus_dmamap_sync, lines 529-532",
  ),
  "no-postread": rule(
    "no-postread",
    3,
    "POSTREAD comes after the device has written memory and before the CPU uses it or the map is unloaded",
    "bus_dmamap_sync, lines 532-535",
  ),
  "no-postwrite": rule(
    "no-postwrite",
    3,
    "POSTWRITE comes after the device has read memory and before it is used again or the map is unloaded",
    "bus_dmasync_op_t, lines 165-166",
  ),
  "mixed-sync": rule(
    "mixed-sync",
    4,
    "one sync has PRE operations or POST operations, not both",
    "bus_dmasync_op_t, lines 141-143",
  ),
  "stale-segments": rule(
    "stale-segments",
    5,
    "the segments of a load are valid until its callback returns",
    "bus_dmamap_callback_t, lines 117-118",
  ),
  "efbig-kept": rule(
    "efbig-kept",
    6,
    "a load that ended with EFBIG is unloaded before the map is used again",
    "bus_dmamap_load, lines 359 and 432-435",
  ),
  "destroy-of-loaded": rule(
    "destroy-of-loaded",
    7,
    "a map is unloaded before it is destroyed or its memory is freed",
    "bus_dmamap_destroy, line 349; bus_dmamem_alloc, lines 594-597",
  ),
  "map-leak": rule(
    "map-leak",
    8,
    "all maps of a tag are destroyed before the tag is",
    "bus_dma_tag_destroy, line 303",
  ),
  "stray-access": rule(
    "stray-access",
    9,
    "a device uses memory only while a map of its driver has it loaded",
    "bus_dmamap_sync, lines 523-526",
  ),
  overlap: rule(
    "overlap",
    10,
    "memory that a device writes is loaded in one map at a time",
    "bus_dmamap_t, line 101",
  ),
});
