/** Banks: what is refused, and how addresses and frame numbers translate on several layouts. */
import { Errno, ErrnoError, GiB, hex, MiB, NO_FRAME, PAGE_SIZE, Panic, TiB } from "@physio/kern";
import type { PhysMemConfig, SparseBank } from "@physio/physmem";
import { PhysMem, SECTION_FRAMES } from "@physio/physmem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

describe("what is refused", () => {
  const bad: [name: string, errno: number, banks: SparseBank[]][] = [
    ["no banks", Errno.EINVAL, []],
    ["an empty bank", Errno.EINVAL, [{ base: 0, size: 0 }]],
    ["a base off the page", Errno.EINVAL, [{ base: 0x800, size: MiB }]],
    ["a size off the page", Errno.EINVAL, [{ base: 0, size: MiB + 1 }]],
    ["a base below 0", Errno.EINVAL, [{ base: -PAGE_SIZE, size: MiB }]],
    ["a size that is no number", Errno.EINVAL, [{ base: 0, size: Number.NaN }]],
    ["an end above 52 bits", Errno.EINVAL, [{ base: 2 ** 52 - MiB, size: MiB + PAGE_SIZE }]],
    ["a base above 52 bits", Errno.EINVAL, [{ base: 2 ** 52, size: MiB }]],
    [
      "the same bank twice",
      Errno.EEXIST,
      [
        { base: 0, size: MiB },
        { base: 0, size: MiB },
      ],
    ],
    [
      "an overlap of a page",
      Errno.EEXIST,
      [
        { base: MiB - PAGE_SIZE, size: MiB },
        { base: 0, size: MiB },
      ],
    ],
    [
      "a bank inside of another",
      Errno.EEXIST,
      [
        { base: 0, size: GiB },
        { base: MiB, size: MiB },
      ],
    ],
    ["more frames than fit", Errno.ENOMEM, [{ base: 0, size: 8 * TiB }]],
  ];
  for (const [name, errno, banks] of bad) {
    test(name, () => {
      const make = () => new PhysMem({ banks });
      expect(make).toThrow(ErrnoError);
      expect(make).toThrow(expect.objectContaining({ errno }));
    });
  }

  const odd: [config: unknown, message: string][] = [
    [undefined, "physmem: configuration undefined"],
    [null, "physmem: configuration null"],
    [{}, "physmem: banks are undefined, no array"],
    [{ banks: null }, "physmem: banks are null, no array"],
    [{ banks: "ab" }, "physmem: banks are ab, no array"],
    [{ banks: [null] }, "physmem: bank null"],
    [{ banks: [{ base: 0, size: MiB }, undefined] }, "physmem: bank undefined"],
    [{ banks: [3] }, "physmem: bank 3"],
    [{ banks: [{}] }, "physmem: bank undefined+NaN"],
    [{ banks: [{ size: MiB }] }, "physmem: bank undefined+0x100000"],
    [{ banks: [{ base: "0", size: MiB }] }, "physmem: bank 0+0x100000"],
    [{ banks: [{ base: null, size: MiB }] }, "physmem: bank null+0x100000"],
    [{ banks: [{ base: 0, size: "4096" }] }, "physmem: bank 0x0+4096"],
    [{ banks: [{ base: 0, size: 4096n }] }, "physmem: bank 0x0+4096"],
    [{ banks: [{ base: 0n, size: 4096 }] }, "physmem: bank 0+0x1000"],
    [{ banks: [{ base: 0, size: MiB, domain: "1" }] }, "has domain 1"],
    [{ banks: [{ base: 0, size: MiB, domain: null }] }, "has domain null"],
  ];
  for (const [config, message] of odd) {
    test(`what has other types than it should: ${message}`, () => {
      const make = () => new PhysMem(config as PhysMemConfig);
      expect(make).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(make).toThrow(message);
    });
  }

  test("requests of other types than they should have", () => {
    const mem = new PhysMem({ banks: [{ base: 0, size: MiB }] });
    const any = (value: unknown) => value as never;
    for (const limits of [null, 3, "low"])
      expect(() => mem.allocContig(1, any(limits))).toThrow(`limits ${limits}: EINVAL`);
    for (const limits of [
      { low: null },
      { low: undefined },
      { domain: null },
      { align: undefined },
    ])
      expect(mem.allocContig(1, any(limits))).not.toBe(NO_FRAME);
    for (const limits of [{ low: "x" }, { high: {} }, { domain: "0" }, { align: "a" }])
      expect(() => mem.allocContig(1, any(limits))).toThrow("EINVAL");
    expect(() => mem.allocContig(any("3"))).toThrow("3 pages");
    expect(() => mem.allocContig(any(null))).toThrow("null pages");
    expect(() => mem.allocFrame(any("0"))).toThrow("domain 0 of 1: EINVAL");
    expect(() => mem.allocFrame(any(null))).toThrow("domain null of 1: EINVAL");
    const frame = mem.allocFrame();
    for (const bad of [String(frame), null, {}, undefined]) {
      expect(() => mem.freeFrame(any(bad))).toThrow(Panic);
      expect(() => mem.wire(any(bad))).toThrow(Panic);
    }
    for (const count of ["1", null, {}])
      expect(() => mem.freeFrame(frame, any(count))).toThrow(Panic);
    mem.check();
  });

  test("the offending bank is named", () => {
    expect(() => new PhysMem({ banks: [{ base: 0x1000, size: 0x800 }] })).toThrow(
      "physmem: bank 0x1000+0x800 is not page aligned: EINVAL",
    );
  });
});

const LAYOUTS: readonly SparseBank[][] = [
  [{ base: 0, size: 16 * PAGE_SIZE }],
  [{ base: 0x5000, size: 9 * MiB }],
  [
    { base: 0, size: 640 * 1024 },
    { base: MiB, size: 30 * MiB },
  ],
  [
    { base: 0, size: 3 * GiB },
    { base: 4 * GiB, size: 5 * GiB },
  ],
  [
    { base: 2 ** 40 + 0x3000, size: PAGE_SIZE },
    { base: 2 ** 33, size: 7 * MiB + PAGE_SIZE },
  ],
  [
    { base: 0, size: MiB },
    { base: MiB, size: MiB },
    { base: 2 ** 52 - 5 * MiB, size: 5 * MiB },
  ],
];

describe("addresses and frames", () => {
  for (const banks of LAYOUTS) {
    const name = banks.map(({ base, size }) => `${hex(base)}+${hex(size)}`).join(", ");
    const mem = new PhysMem({ banks });
    const inBank = fc
      .tuple(
        fc.nat(banks.length - 1),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      )
      .map(([i, part]) => banks[i].base + Math.floor(part * banks[i].size));

    test(`translate both ways: ${name}`, () => {
      fc.assert(
        fc.property(inBank, (pa) => {
          const frame = mem.frameOf(pa);
          expect(mem.addrOf(frame)).toBe(pa - (pa % PAGE_SIZE));
          const row = frame % SECTION_FRAMES;
          expect((mem.addrOf(frame) / PAGE_SIZE) % SECTION_FRAMES).toBe(row);
        }),
        { numRuns: 200, ...SEED },
      );
    });

    test(`end where the banks end: ${name}`, () => {
      const frames = new Set<number>();
      for (const { base, size } of banks) {
        const first = mem.frameOf(base);
        const last = mem.frameOf(base + size - 1);
        expect(last - first).toBe(size / PAGE_SIZE - 1);
        for (const frame of [first, last]) frames.add(frame);
        expect(() => mem.addrOf(last + 1)).toThrow(Panic);
        const next = banks.find((bank) => bank.base === base + size);
        const beyond = [mem.isRam(base, size), mem.isRam(base, size + 1)];
        expect(beyond).toEqual([true, next !== undefined]); // banks that touch are one range of RAM
        if (next === undefined) expect(mem.frameOf(base + size)).toBe(NO_FRAME);
        const below = banks.some((bank) => bank.base + bank.size === base);
        expect(mem.isRam(base - 1, 2)).toBe(below);
      }
      const pages = banks.reduce((sum, { size }) => sum + size / PAGE_SIZE, 0);
      expect([mem.totalFrames, mem.freeFrames]).toEqual([pages, pages]);
      expect(mem.top).toBe(Math.max(...banks.map(({ base, size }) => base + size)));
      const pairs = banks.filter(({ size }) => size > PAGE_SIZE).length;
      expect(frames.size).toBe(banks.length + pairs);
    });
  }
});

test("a machine with a terabyte costs what is touched", () => {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: 3 * GiB },
      { base: 4 * GiB, size: TiB },
    ],
  });
  expect([mem.totalFrames, mem.touchedBytes]).toEqual([(TiB + 3 * GiB) / PAGE_SIZE, 0]);
  const frame = mem.allocFrame();
  const high = mem.allocContig(64 * 1024, { align: GiB, low: 512 * GiB });
  expect(mem.read(mem.addrOf(high), new Uint8Array(MiB))).toBe(Errno.OK);
  expect([mem.addrOf(high) % GiB, mem.touchedBytes]).toEqual([0, 0]);
  expect(mem.write(mem.addrOf(frame), new Uint8Array([1]))).toBe(Errno.OK);
  expect(mem.touchedBytes).toBe(4 * MiB);
  mem.freeFrame(frame);
  mem.freeFrame(high, 64 * 1024);
  mem.check();
  expect(mem.freeFrames).toBe(mem.totalFrames);
});
