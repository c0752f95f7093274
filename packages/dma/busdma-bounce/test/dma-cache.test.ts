/** Cache maintenance over sync lists and bounce pages: the calls, and the lines that they reach. */
import { DmaCache, SyncList, SyncRoom, SyncSlab } from "@physio/busdma-bounce";
import { MiB, PAGE_SIZE } from "@physio/kern";
import { CpuPort } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { expect, test } from "vitest";

const PAGE = PAGE_SIZE;
const LINE = 64;
const KVA = 2 ** 44;

const listOf = (limit: number) => new SyncList(new SyncRoom(new SyncSlab(), limit));

/** RAM of three pages whose kernel addresses are its addresses and KVA. */
function machine() {
  const mem = new PhysMem({ banks: [{ base: MiB, size: 3 * PAGE }] });
  const random = { next: () => 0 };
  const cpu = new CpuPort(mem, { line: LINE, sets: 256, random });
  const calls: string[] = [];
  const map = { extract: (va: number) => (va < KVA + MiB + 3 * PAGE ? va - KVA : -1) };
  const cache = new DmaCache(LINE, cpu, map, (call, space, at, n) =>
    calls.push(`${call} ${space} ${at - (space === "kernel" ? KVA : 0) - MiB}+${n}`),
  );
  return { mem, cpu, calls, cache };
}

test("a kernel range is one call over all its pages, a physical one a call for each", () => {
  const { cache, calls } = machine();
  const list = listOf(8);
  list.append(KVA + MiB + 10, MiB + 10, PAGE, true);
  list.append(-1, MiB + PAGE + 64, PAGE, true);
  cache.ranges(list, "clean");
  expect(calls).toEqual([
    `clean kernel 10+${PAGE}`,
    `clean phys ${PAGE + 64}+${PAGE - 64}`,
    `clean phys ${2 * PAGE}+64`,
  ]);
});

test("before a device writes, the lines that a range shares are cleaned, and all are dropped", () => {
  const { cache, calls, cpu, mem } = machine();
  cpu.fill(MiB, 4 * LINE, 7);
  const list = listOf(8);
  list.append(KVA + MiB + 60, MiB + 60, 3 * LINE - 60 + 4, true);
  cache.beforeRead(list);
  expect(calls).toEqual(["clean kernel 60+1", "clean kernel 196+1", "invalidate kernel 60+136"]);
  const ram = new Uint8Array(4 * LINE);
  mem.read(MiB, ram);
  // The first and fourth line reached memory, the two between were ours alone.
  expect([ram[0], ram[59], ram[64], ram[191], ram[196], ram[255]]).toEqual([7, 7, 0, 0, 7, 7]);
  expect([0, 1, 2, 3].map((line) => cpu.cache!.contains(MiB + line * LINE))).toEqual(
    Array(4).fill(false),
  );
});

test("a kernel range whose mapping has gone panics", () => {
  const { cache } = machine();
  const list = listOf(1);
  list.append(KVA + MiB + 2 * PAGE, MiB + 2 * PAGE, 2 * PAGE, true);
  expect(() => cache.ranges(list, "invalidate")).toThrow("nothing is mapped there");
});

test("where memory is coherent only the hook hears of anything", () => {
  const { mem } = machine();
  const heard: string[] = [];
  const none = { extract: () => -1 };
  const list = listOf(1);
  list.append(KVA, MiB, PAGE, true);
  new DmaCache(LINE, new CpuPort(mem, null), none, (call) => heard.push(call)).ranges(
    list,
    "clean",
  );
  new DmaCache(LINE, new CpuPort(mem, null), none, null).ranges(list, "clean");
  expect(heard).toEqual(["clean"]);
});
