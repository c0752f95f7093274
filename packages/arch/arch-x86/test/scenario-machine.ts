/**
 * The machine of a recorded scenario: RAM, two address spaces, a bounce pool with a fixed supply,
 * and the byte streams that the scenarios fill and check.
 */
import { crc32 } from "node:zlib";
import { x86Backend } from "@physio/arch-x86";
import type { DmaContext, DmaSemantics } from "@physio/busdma";
import { BouncePool } from "@physio/busdma-bounce";
import type { BusAddr, PhysAddr } from "@physio/kern";
import { Errno, PAGE_SIZE, pageOffset } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem, Prot } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import type { MachineSpec, Space } from "./vectors.ts";

/** A stretch of physical memory: [address, length]. */
export type Run = readonly [PhysAddr, number];

/** Byte `i` of the pattern of `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  return Uint8Array.from(
    { length },
    (_, i) => (seed * 37 + i * 131 + Math.floor(i / 256) * 17 + 11) % 256,
  );
}

export class ScenarioMachine {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly pool: BouncePool;
  readonly context: DmaContext;
  readonly #spaces: Readonly<Record<"kernel" | "user", Pmap>>;

  constructor(spec: MachineSpec, semantics: DmaSemantics) {
    const banks = spec.ram.map(([base, pages]) => ({ base, size: pages * PAGE_SIZE }));
    // RAM ends at physicalTop, which the runs need not reach: its last page then stands alone.
    const last = spec.physicalTop - PAGE_SIZE;
    if (banks.every((bank) => bank.base + bank.size <= last)) {
      banks.push({ base: last, size: PAGE_SIZE });
    }
    this.mem = new PhysMem({ banks });
    this.sched = new Scheduler();
    const trace = new Trace();
    const supply = [...spec.bouncePages];
    this.pool = new BouncePool({
      mem: this.mem,
      sched: this.sched,
      trace,
      sysctl: new SysctlTree(),
      allocPage: (highest: BusAddr) => {
        const at = supply.findIndex((pa) => pa + PAGE_SIZE - 1 <= highest);
        return at < 0 ? -1 : supply.splice(at, 1)[0];
      },
    });
    const kmem = new Kmem(this.mem);
    this.#spaces = { kernel: kmem.pmap, user: kmem.pmaps.create("user") };
    for (const [va, pa, pages] of spec.kernelMap) this.#enter("kernel", va, pa, pages);
    for (const [va, pa, pages] of spec.userMap) this.#enter("user", va, pa, pages);
    this.context = {
      backend: x86Backend(this.pool, kmem),
      semantics,
      kernelPmap: kmem.pmap,
      trace,
    };
  }

  #enter(space: "kernel" | "user", va: number, pa: number, pages: number): void {
    for (let at = 0; at < pages * PAGE_SIZE; at += PAGE_SIZE) {
      // The scenario says where the page is: it is taken from the allocator unless it was before.
      this.mem.allocContig(1, { low: pa + at, high: pa + at + PAGE_SIZE - 1 });
      this.#spaces[space].enter(va + at, this.mem.frameOf(pa + at), Prot.READ | Prot.WRITE);
    }
  }

  /** The physical memory behind a range, page by page. */
  runs(space: Space, addr: number, length: number): Run[] {
    const runs: Run[] = [];
    for (let done = 0; done < length; ) {
      const at = addr + done;
      const run = Math.min(length - done, PAGE_SIZE - pageOffset(at));
      runs.push([space === "phys" ? at : this.#spaces[space].extract(at), run]);
      done += run;
    }
    return runs;
  }

  write(runs: readonly Run[], bytes: Uint8Array): void {
    let done = 0;
    for (const [pa, length] of runs.flatMap(([at, len]) => this.runs("phys", at, len))) {
      if (this.mem.write(pa, bytes, done, length) !== Errno.OK) throw new Error(`no RAM at ${pa}`);
      done += length;
    }
  }

  read(runs: readonly Run[]): Uint8Array {
    const bytes = new Uint8Array(runs.reduce((sum, [, length]) => sum + length, 0));
    let done = 0;
    for (const [pa, length] of runs.flatMap(([at, len]) => this.runs("phys", at, len))) {
      if (this.mem.read(pa, bytes, done, length) !== Errno.OK) throw new Error(`no RAM at ${pa}`);
      done += length;
    }
    return bytes;
  }

  checksum(runs: readonly Run[]): number {
    return crc32(this.read(runs));
  }
}
