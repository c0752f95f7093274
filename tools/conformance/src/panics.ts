/**
 * What our panics say, by the code that the vectors record.
 *
 * A code stands for one broken contract, whichever package finds it. The expressions are as narrow
 * as the messages allow: no message may answer for two codes.
 */
import { Panic } from "@physio/kern";

const CODES: Readonly<Record<string, RegExp>> = {
  "vlist-offset-past-segment": /^vlist: offset \d+ in a range of \d+ bytes$/,
  "ext-trailer-overrun": /^mbuf: ext trailer overrun: /,
  "mbuf-no-packet-header": /^mbuf: no packet header on /,
  "mbuf-not-unmapped": /^mbuf: not unmapped: /,
  "ccb-unsupported-function": /^bus_dma: ccb with function \d+, which has no data to load$/,
  "ccb-unsupported-data-kind": /^bus_dma: ccb with an unknown kind of data, /,
  "uio-user-without-process": /^bus_dma: uio of user memory without a process$/,
  "default-lock-called": /^bus_dma: a deferred load was resumed on a tag without a lock function$/,
  "dmamem-free-with-map":
    /^bus_dma: dmamem free of 0x[\da-f]+ with a map that did not come with it$/,
  "dmamem-small-spans-pages": /^bus_dma: small dmamem of \d+ bytes at \d+ crosses a page$/,
  "bounce-copy-size-mismatch": /^bounce \w+: a chunk runs into a page that was not recorded$/,
  "page-list-chunk-overrun": /^bus_dma: a chunk of \d+ bytes overruns the transfer's \d+$/,
  "alignment-not-power-of-two": /: alignment \d+ is not a power of 2$/,
  "boundary-not-power-of-two": /: boundary \d+ is not a power of 2$/,
  "destroy-of-dmamem-map": /^bus_dma: destroy of a map that came with DMA memory$/,
  "page-not-ram": /^bus_dma: load of \d+ bytes at \d+: the page is not RAM$/,
  "alignment-above-page": /^bus_dma: alignment \d+ is above a page$/,
  "sync-combination": /^bus_dma: sync of data used in place with .*, which is no combination$/,
};

/** Every code that has an expression. */
export const PANIC_CODES: readonly string[] = Object.keys(CODES);

/** The code that `message` answers for; the message itself, marked, when that is none or several. */
export function panicCode(message: string): string {
  const codes = PANIC_CODES.filter((code) => CODES[code].test(message));
  return codes.length === 1 ? codes[0] : `(${codes.join(", ") || "no code"}) ${message}`;
}

/** The code of a `Panic` of ours; null for everything else that can be thrown. */
export const codeOfThrown = (thrown: unknown): string | null =>
  thrown instanceof Panic ? panicCode(thrown.message) : null;
