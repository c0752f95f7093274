/** Banks over memory that the caller lends: no copy, and it may grow. */
import { Errno, ErrnoError, GiB, KiB, MAXADDR, MiB, PAGE_SIZE } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { Adoptable, BankConfig, GrowableMemory } from "../src/index.ts";
import { PhysMem } from "../src/index.ts";

/** What Node and browsers have, and the library of no language version declares. */
interface WasmMemory extends GrowableMemory {
  grow(pages: number): number;
}
const { WebAssembly: wasmHost } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (limits: { initial: number; maximum: number; shared?: boolean }) => WasmMemory;
  };
};
const Resizable = ArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(size: number): void };
const WASM_PAGE = 64 * KiB;
const memory = (pages: number, most = 256): WasmMemory =>
  new wasmHost.Memory({ initial: pages, maximum: most });

/** Every kind of lent memory, 1 MiB of it, with the bytes as the lender sees them. */
const lenders: readonly {
  name: string;
  make: () => { adopt: Adoptable; offset?: number; seen: () => Uint8Array };
}[] = [
  {
    name: "an ArrayBuffer",
    make: () => {
      const b = new ArrayBuffer(MiB);
      return { adopt: b, seen: () => new Uint8Array(b) };
    },
  },
  {
    name: "a SharedArrayBuffer",
    make: () => {
      const b = new SharedArrayBuffer(MiB);
      return { adopt: b, seen: () => new Uint8Array(b) };
    },
  },
  {
    name: "a window of a Uint8Array",
    make: () => {
      const w = new Uint8Array(2 * MiB).subarray(12345, 12345 + MiB);
      return { adopt: w, seen: () => w };
    },
  },
  {
    name: "a DataView",
    make: () => {
      const b = new ArrayBuffer(2 * MiB);
      return { adopt: new DataView(b, 8, MiB), seen: () => new Uint8Array(b, 8, MiB) };
    },
  },
  {
    name: "a WebAssembly.Memory",
    make: () => {
      const m = memory(16);
      return { adopt: m, seen: () => new Uint8Array(m.buffer, 0, MiB) };
    },
  },
  {
    name: "a shared WebAssembly.Memory",
    make: () => {
      const m = new wasmHost.Memory({ initial: 16, maximum: 64, shared: true });
      return { adopt: m, seen: () => new Uint8Array(m.buffer, 0, MiB) };
    },
  },
  {
    name: "part of a WebAssembly.Memory",
    make: () => {
      const m = memory(64);
      return {
        adopt: m,
        offset: 3 * WASM_PAGE + 16,
        seen: () => new Uint8Array(m.buffer, 3 * WASM_PAGE + 16, MiB),
      };
    },
  },
];
const bases = [0, 0x10_3000, 4 * GiB - MiB / 2, MAXADDR + 1 - MiB];

describe("adopted memory is the lender's own", () => {
  for (const { name, make } of lenders) {
    for (const base of bases) {
      test(`${name} at 0x${base.toString(16)}: both see what the other writes`, () => {
        const { seen, ...lent } = make();
        const mem = new PhysMem({ banks: [{ base, size: MiB, ...lent }] });
        expect([mem.totalFrames, mem.top]).toEqual([256, base + MiB]);
        const across = base + 5 * PAGE_SIZE - 3;
        expect(mem.write(across, Uint8Array.of(1, 2, 3, 4, 5))).toBe(Errno.OK);
        expect([...seen().subarray(5 * PAGE_SIZE - 3, 5 * PAGE_SIZE + 2)]).toEqual([1, 2, 3, 4, 5]);
        seen()[MiB - 1] = 77;
        const last = new Uint8Array(2);
        expect(mem.read(base + MiB - 2, last)).toBe(Errno.OK);
        expect([...last]).toEqual([0, 77]);
        const frame = mem.frameOf(across);
        expect(mem.bytes(frame)[mem.byteOffset(frame) + PAGE_SIZE - 1]).toBe(3);
        expect(mem.view(frame).getUint16(mem.byteOffset(frame) + PAGE_SIZE - 3, true)).toBe(0x0201);
        expect([mem.touchedBytes, mem.hasBytes(frame)]).toEqual([0, true]);
      });
    }
  }

  test("copy and fill cross from lent memory to sparse memory and back", () => {
    const lent = new Uint8Array(64 * KiB).map((_, i) => i % 251);
    const mem = new PhysMem({
      banks: [
        { base: 0, size: 8 * MiB },
        { base: 8 * MiB, adopt: lent },
      ],
    });
    expect(mem.copy(4 * MiB - 100, 8 * MiB + 1000, 8000)).toBe(Errno.OK); // over a section's end
    const seen = new Uint8Array(8000);
    mem.read(4 * MiB - 100, seen);
    expect(seen).toEqual(lent.slice(1000, 9000));
    expect(mem.fill(8 * MiB + 10, 20, 9)).toBe(Errno.OK);
    expect([...lent.subarray(9, 12), lent[29], lent[30]]).toEqual([9, 9, 9, 9, 30]);
    expect(mem.copy(8 * MiB, MiB, 4096)).toBe(Errno.OK); // never written: zeros
    expect(lent.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
    expect(mem.touchedBytes).toBe(8 * MiB);
  });

  test("a range over two banks that touch is one range", () => {
    const lent = new Uint8Array(8 * KiB);
    const mem = new PhysMem({
      banks: [
        { base: MiB, size: MiB },
        { base: 2 * MiB, adopt: lent },
      ],
    });
    expect(mem.write(2 * MiB - 2, Uint8Array.of(1, 2, 3, 4))).toBe(Errno.OK);
    expect([...lent.subarray(0, 3)]).toEqual([3, 4, 0]);
    const seen = new Uint8Array(6);
    mem.read(2 * MiB - 3, seen);
    expect([...seen]).toEqual([0, 1, 2, 3, 4, 0]);
    expect(mem.isRam(2 * MiB - 2, 8 * KiB + 3)).toBe(false);
  });
});

describe("growth", () => {
  test("of a WebAssembly.Memory: views are taken again, and nothing is lost", () => {
    const wasm = memory(16);
    const mem = new PhysMem({
      banks: [{ base: GiB, adopt: wasm, offset: WASM_PAGE, size: 8 * WASM_PAGE }],
    });
    const frame = mem.frameOf(GiB);
    const seen = new Uint8Array(4);
    mem.write(GiB, Uint8Array.of(1, 2, 3, 4));
    mem.read(GiB, seen); // its view is remembered
    mem.view(frame).setUint8(mem.byteOffset(frame) + 3, 5);
    wasm.grow(3);
    mem.read(GiB, seen);
    expect([...seen]).toEqual([1, 2, 3, 5]);
    mem.write(GiB + 1, Uint8Array.of(9));
    wasm.grow(1);
    expect(new Uint8Array(wasm.buffer)[WASM_PAGE + 1]).toBe(9);
    expect(mem.view(frame).getUint8(mem.byteOffset(frame) + 1)).toBe(9);
    expect(mem.copy(GiB + PAGE_SIZE, GiB, 4)).toBe(Errno.OK);
    wasm.grow(1);
    expect(mem.fill(GiB, 1, 8)).toBe(Errno.OK);
    expect([...new Uint8Array(wasm.buffer, WASM_PAGE + PAGE_SIZE, 4)]).toEqual([1, 9, 3, 5]);
    expect(new Uint8Array(wasm.buffer)[WASM_PAGE]).toBe(8);
  });

  test("of a shared WebAssembly.Memory keeps working too", () => {
    const wasm = new wasmHost.Memory({ initial: 1, maximum: 4, shared: true });
    const mem = new PhysMem({ banks: [{ base: 0, adopt: wasm }] });
    wasm.grow(1);
    mem.write(0, Uint8Array.of(7));
    expect(new Uint8Array(wasm.buffer)[0]).toBe(7);
  });

  test("under a live view: a lent buffer that was detached is EBUSY, and says what to lend instead", () => {
    const wasm = memory(16);
    const mem = new PhysMem({
      banks: [
        { base: 0, adopt: new Uint8Array(wasm.buffer) },
        { base: GiB, size: MiB },
      ],
    });
    wasm.grow(1);
    const attempt = () => mem.read(0, new Uint8Array(4));
    expect(attempt).toThrow(ErrnoError);
    expect(attempt).toThrow(
      /1048576 adopted bytes at 0 are gone.*adopt the WebAssembly.Memory.*EBUSY/,
    );
    expect(mem.write(GiB, Uint8Array.of(1))).toBe(Errno.OK); // other banks go on
  });

  test("a buffer that shrank below its bank is EBUSY", () => {
    const buffer = new Resizable(MiB, { maxByteLength: MiB });
    const mem = new PhysMem({ banks: [{ base: 0, adopt: buffer }] });
    buffer.resize(MiB / 2);
    expect(() => mem.write(0, Uint8Array.of(1))).toThrow(/the buffer has 524288 now: EBUSY/);
    buffer.resize(0);
    expect(() => mem.write(0, Uint8Array.of(1))).toThrow(/the buffer has 0 now: EBUSY/);
  });

  test("of what lends by a buffer that is none is EBUSY", () => {
    const lender: { buffer: ArrayBufferLike } = { buffer: new ArrayBuffer(MiB) };
    const mem = new PhysMem({ banks: [{ base: 0, adopt: lender }] });
    structuredClone(lender.buffer, { transfer: [lender.buffer as ArrayBuffer] });
    lender.buffer = { byteLength: MiB } as unknown as ArrayBuffer;
    expect(() => mem.write(0, Uint8Array.of(1))).toThrow(/adopted bytes at 0 are gone.*EBUSY/);
    lender.buffer = new ArrayBuffer(MiB);
    expect(mem.write(0, Uint8Array.of(1))).toBe(Errno.OK);
  });

  test("the same WebAssembly.Memory twice is seen, shared or not, grown or not", () => {
    for (const shared of [false, true]) {
      const wasm = new wasmHost.Memory({ initial: 2, maximum: 4, shared });
      wasm.grow(1);
      const twice = (offset: number) => () =>
        new PhysMem({
          banks: [
            { base: 0, adopt: wasm, size: WASM_PAGE },
            { base: MiB, adopt: wasm, offset, size: WASM_PAGE },
          ],
        });
      expect(twice(0)).toThrow(/adopt the same bytes: EEXIST/);
      expect(twice(WASM_PAGE)).not.toThrow();
    }
  });
});

describe("what cannot be adopted", () => {
  const bad: readonly [string, BankConfig[], RegExp][] = [
    [
      "bytes that are not whole pages",
      [{ base: 0, adopt: new Uint8Array(5000) }],
      /0x0\+0x1388 is not page aligned.*EINVAL/,
    ],
    [
      "more than there is",
      [{ base: 0, adopt: new ArrayBuffer(4096), size: 8192 }],
      /8192 bytes at 0 of 4096.*EINVAL/,
    ],
    [
      "an offset behind the end",
      [{ base: 0, adopt: new ArrayBuffer(4096), offset: 4096 }],
      /0 bytes at 4096 of 4096.*EINVAL/,
    ],
    [
      "an offset that is no number",
      [{ base: 0, adopt: new ArrayBuffer(4096), offset: Number.NaN }],
      /NaN bytes at NaN of 4096.*EINVAL/,
    ],
    [
      "a negative offset",
      [{ base: 0, adopt: new ArrayBuffer(8192), offset: -4096, size: 4096 }],
      /4096 bytes at -4096.*EINVAL/,
    ],
    [
      "something without a buffer",
      [{ base: 0, adopt: {} as unknown as Adoptable }],
      /cannot adopt a object.*EINVAL/,
    ],
    [
      "nothing",
      [{ base: 0, adopt: null as unknown as Adoptable }],
      /cannot adopt a object.*EINVAL/,
    ],
    [
      "an object that has a length, as a buffer has",
      [{ base: 0, adopt: { byteLength: 4096 } as unknown as Adoptable }],
      /cannot adopt a object.*EINVAL/,
    ],
    [
      "an object whose buffer is none",
      [{ base: 0, adopt: { buffer: { byteLength: 4096 } } as unknown as Adoptable }],
      /cannot adopt a object.*EINVAL/,
    ],
    [
      "an object whose buffer is an array",
      [{ base: 0, adopt: { buffer: new Uint8Array(4096) } as unknown as Adoptable }],
      /cannot adopt a object.*EINVAL/,
    ],
    [
      "a number",
      [{ base: 0, adopt: 4096 as unknown as Adoptable }],
      /cannot adopt a number.*EINVAL/,
    ],
    ["an empty memory", [{ base: 0, adopt: memory(0) }], /0 bytes at 0 of 0.*EINVAL/],
    ["a bank without size or memory", [{ base: 0x1000 } as BankConfig], /0x1000.*EINVAL/],
    [
      "memory that ends above 52 bits",
      [{ base: MAXADDR + 1 - 4096, adopt: new ArrayBuffer(8192) }],
      /EINVAL/,
    ],
  ];
  for (const [name, banks, message] of bad) {
    test(name, () => {
      expect(() => new PhysMem({ banks })).toThrow(ErrnoError);
      expect(() => new PhysMem({ banks })).toThrow(message);
    });
  }

  test("the same bytes twice", () => {
    const buffer = new ArrayBuffer(64 * KiB);
    const part = (offset: number) => new Uint8Array(buffer, offset, 32 * KiB);
    const make = (a: Adoptable, b: Adoptable) => () =>
      new PhysMem({
        banks: [
          { base: 0, adopt: a },
          { base: MiB, adopt: b },
        ],
      });
    expect(make(part(0), part(16 * KiB))).toThrow(
      /banks at 0x0 and 0x100000 adopt the same bytes.*EEXIST/,
    );
    expect(make(buffer, part(0))).toThrow(/EEXIST/);
    expect(make(part(0), part(32 * KiB))).not.toThrow();
  });
});
