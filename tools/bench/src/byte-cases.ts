/**
 * Cases that move bytes: copies between kernel memory and the host, the cache model, device ports.
 */
import type { VirtAddr } from "@physio/kern";
import { PAGE_SIZE } from "@physio/kern";
import { Membus } from "@physio/membus";
import type { PhysMem } from "@physio/physmem";
import { Kmem, Prot } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import type { Case } from "./cases.ts";
import { boxed, makeCase } from "./cases.ts";
import { newMemory } from "./memory-cases.ts";
import { Random } from "./random.ts";

export const COPY = 65536;
const COPIES = 2000;
const PAGE = PAGE_SIZE;
const LINE = 64;
const RW = Prot.READ | Prot.WRITE;

/** Kernel addresses of `pages` pages, no two frames of which lie in a row. */
export function scattered(kmem: Kmem, pages: number): VirtAddr {
  const first = kmem.mem.allocContig(2 * pages);
  const va = kmem.arena.alloc(pages * PAGE);
  for (let i = 0; i < pages; i++) kmem.pmap.kenter(va + i * PAGE, first + 2 * i, RW);
  return va;
}

function copyCases(kmem: Kmem, va: VirtAddr, suffix: string): Case[] {
  const { space } = kmem;
  const host = new Uint8Array(COPY).fill(5);
  const vas = boxed([va]);
  space.copyout(va, host, 0, COPY);
  return [
    makeCase(`copyin${suffix}`, COPIES, (n) => {
      for (let i = 0; i < n; i++) space.copyin(vas[0], host, 0, COPY);
    }),
    makeCase(`copyout${suffix}`, COPIES, (n) => {
      for (let i = 0; i < n; i++) space.copyout(vas[0], host, 0, COPY);
    }),
  ];
}

function newBus(mem: PhysMem, cached: boolean): Membus {
  const sched = new Scheduler();
  const cache = { line: LINE, sets: 64, ways: 4, random: new Random(7) };
  return new Membus({
    mem,
    trace: new Trace(64),
    now: () => sched.now,
    ...(cached ? { cache } : {}),
  });
}

function cacheCases(): Case[] {
  const { cpu, mem } = newBus(newMemory(), true);
  const pas = boxed([mem.addrOf(mem.allocFrame())]);
  const bytes = new Uint8Array(1024).fill(9);
  const line = new Uint8Array(LINE).fill(9);
  return [
    makeCase("cache read 1 KiB", 10_000, (n) => {
      for (let i = 0; i < n; i++) cpu.read(pas[0], bytes, 0, bytes.length);
    }),
    makeCase("cache write 1 KiB", 10_000, (n) => {
      for (let i = 0; i < n; i++) cpu.write(pas[0], bytes, 0, bytes.length);
    }),
    makeCase("cache write-back", 20_000, (n) => {
      for (let i = 0; i < n; i++) {
        cpu.write(pas[0], line, 0, LINE);
        cpu.writeBack(pas[0], LINE);
      }
    }),
  ];
}

function portCases(): Case[] {
  const bus = newBus(newMemory(), false);
  const port = bus.devicePort({ name: "bench" });
  const pas = boxed(Array.from({ length: 16 }, () => bus.mem.addrOf(bus.mem.allocFrame())));
  const page = new Uint8Array(PAGE).fill(3);
  return [
    makeCase("port read 4 KiB", 5000, (n) => {
      for (let i = 0; i < n; i++) port.read(pas[i % 16], page, 0, PAGE);
    }),
    makeCase("port write 4 KiB", 5000, (n) => {
      for (let i = 0; i < n; i++) port.write(pas[i % 16], page, 0, PAGE);
    }),
  ];
}

export function byteCases(): Case[] {
  const kmem = new Kmem(newMemory());
  return [
    ...copyCases(kmem, kmem.alloc(COPY), ""),
    ...copyCases(kmem, scattered(kmem, 17) + 0x234, " scattered"),
    ...cacheCases(),
    ...portCases(),
  ];
}
