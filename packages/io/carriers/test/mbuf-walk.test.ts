/** What bus_dma sees of a chain: the ranges of the walk, its errors and its panics. */
import type { ExtPages, MbufSink } from "@physio/carriers/mbuf";
import {
  assertPacketHeader,
  extPagesLength,
  Mbuf,
  MbufFlag,
  walkMbuf,
} from "@physio/carriers/mbuf";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { expectPanic } from "./mbuf-fixture.ts";

const { PKTHDR, EXT, EXTPG } = MbufFlag;

/** Writes down what it is given; call number `stopAt` answers EFBIG. */
function recorder(stopAt = -1): { calls: string[]; sink: MbufSink } {
  const calls: string[] = [];
  const note = (call: string): Errno => {
    calls.push(call);
    return calls.length - 1 === stopAt ? Errno.EFBIG : Errno.OK;
  };
  const sink: MbufSink = {
    virtual: (va, length, pmap, mbuf) => {
      expect(pmap).toBe(null);
      return note(`${mbuf ? "m" : "v"} ${va}+${length}`);
    },
    physical: (pa, length) => note(`p ${pa}+${length}`),
  };
  return { calls, sink };
}

/** Frame number n is at n pages. */
const memory = { addrOf: (frame: number) => frame * PAGE_SIZE };

function mapped(data: number, len: number, next: Mbuf | null = null): Mbuf {
  return Object.assign(new Mbuf(), { data, len, next });
}

function unmapped(
  pages: Partial<ExtPages>,
  data: number,
  len: number,
  next: Mbuf | null = null,
): Mbuf {
  const none = { va: 0, len: 0 };
  const all = {
    memory,
    header: none,
    frames: [],
    firstOffset: 0,
    lastLength: 0,
    trailer: none,
    ...pages,
  };
  return Object.assign(new Mbuf(), { flags: EXT | EXTPG, pages: all, data, len, next });
}

const HIGH = 2 ** 52 - PAGE_SIZE;
const THREE: Partial<ExtPages> = {
  header: { va: 1000, len: 30 },
  frames: [7, 3, 9],
  firstOffset: 96,
  lastLength: 100,
  trailer: { va: 2000, len: 16 },
};

const cases: { name: string; m: Mbuf | null; calls: string[] }[] = [
  { name: "no chain", m: null, calls: [] },
  { name: "a mapped mbuf", m: mapped(HIGH, 54), calls: [`m ${HIGH}+54`] },
  {
    name: "a chain with empty mbufs",
    m: mapped(100, 0, mapped(200, 5, mapped(300, 0, mapped(400, 6)))),
    calls: ["m 200+5", "m 400+6"],
  },
  {
    name: "an empty unmapped mbuf, whatever it has",
    m: Object.assign(unmapped(THREE, 0, 0), { pages: null }),
    calls: [],
  },
  {
    name: "all parts of an unmapped mbuf",
    m: unmapped(THREE, 0, 30 + 4000 + 4096 + 100 + 16, mapped(5, 1)),
    calls: ["v 1000+30", "p 28768+4000", "p 12288+4096", "p 36864+100", "v 2000+16", "m 5+1"],
  },
  { name: "a part of the header", m: unmapped(THREE, 10, 5), calls: ["v 1010+5"] },
  { name: "the header to its end", m: unmapped(THREE, 10, 20), calls: ["v 1010+20"] },
  {
    name: "from the header into a frame",
    m: unmapped(THREE, 29, 2),
    calls: ["v 1029+1", "p 28768+1"],
  },
  {
    name: "from the first frame on",
    m: unmapped(THREE, 30, 4001),
    calls: ["p 28768+4000", "p 12288+1"],
  },
  { name: "from inside the first frame", m: unmapped(THREE, 130, 10), calls: ["p 28868+10"] },
  {
    name: "from inside the second frame",
    m: unmapped(THREE, 30 + 4000 + 8, 4090),
    calls: ["p 12296+4088", "p 36864+2"],
  },
  {
    name: "only the trailer",
    m: unmapped(THREE, 30 + 4000 + 4096 + 100, 16),
    calls: ["v 2000+16"],
  },
  {
    name: "from inside the trailer",
    m: unmapped(THREE, 30 + 4000 + 4096 + 100 + 6, 10),
    calls: ["v 2006+10"],
  },
  {
    name: "one frame, of which only the last length counts",
    m: unmapped({ frames: [5], firstOffset: 4000, lastLength: 500 }, 100, 400),
    calls: ["p 24580+400"],
  },
  {
    name: "frames without header",
    m: unmapped({ frames: [1, 2], lastLength: 1 }, 4095, 2),
    calls: ["p 8191+1", "p 8192+1"],
  },
  {
    name: "header and trailer without frames",
    m: unmapped({ header: { va: 10, len: 2 }, trailer: { va: 20, len: 2 } }, 1, 3),
    calls: ["v 11+1", "v 20+2"],
  },
];

describe("the walk of", () => {
  for (const { name, m, calls } of cases) {
    test(name, () => {
      const { calls: seen, sink } = recorder();
      expect([walkMbuf(m, sink), seen]).toEqual([Errno.OK, calls]);
    });

    if (calls.length > 0) {
      test(`${name} ends at the first error`, () => {
        for (let stop = 0; stop < calls.length; stop++) {
          const { calls: seen, sink } = recorder(stop);
          expect([walkMbuf(m, sink), seen]).toEqual([Errno.EFBIG, calls.slice(0, stop + 1)]);
        }
      });
    }
  }
});

test("bytes behind the trailer panic, after the ranges before them", () => {
  const { calls, sink } = recorder();
  expectPanic(
    () => walkMbuf(unmapped(THREE, 30 + 8196, 17), sink),
    "ext trailer overrun",
    "17 bytes",
  );
  expectPanic(
    () => walkMbuf(unmapped(THREE, 30 + 8196 + 16, 1), sink),
    "ext trailer overrun",
    "16 + 1",
  );
  expectPanic(
    () => walkMbuf(unmapped({}, 0, Number.POSITIVE_INFINITY), sink),
    "ext trailer overrun",
  );
  expect(calls).toEqual([]);
});

test("the flag for unmapped without storage, and storage without the list, panic", () => {
  const { sink } = recorder();
  const m = unmapped(THREE, 0, 10);
  m.flags = EXTPG;
  expectPanic(() => walkMbuf(m, sink), "not unmapped", "a page list");
  m.flags = EXTPG | EXT;
  m.pages = null;
  expectPanic(() => walkMbuf(m, sink), "not unmapped", "no page list");
});

test("a chain that begins no packet is told by assertPacketHeader", () => {
  const m = mapped(4096, 10);
  expectPanic(() => assertPacketHeader(m), "no packet header", "+10");
  m.flags = PKTHDR;
  assertPacketHeader(m);
});

test("the length of a page list is that of its parts", () => {
  expect(extPagesLength(unmapped(THREE, 0, 0).pages!)).toBe(30 + 4000 + 4096 + 100 + 16);
  expect(
    extPagesLength(unmapped({ frames: [5], firstOffset: 9, lastLength: 5 }, 0, 0).pages!),
  ).toBe(5);
});
