/** How much a FileIo moves at once: by itself, so that whoever wants only the number gets no more. */
import type { Bytes } from "@physio/kern";
import { KiB } from "@physio/kern";

/** Bytes that one call moves at most. */
export const IO_BYTES: Bytes = 256 * KiB;
