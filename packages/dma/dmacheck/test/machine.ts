/** A machine without bouncing: 2 MiB of RAM, a checked backend that uses all memory in place, a device. */
import type { DmaContext, DmaMap, DmaTag, SegList, TagOptions } from "@physio/busdma";
import { createTag, FIXED } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import { addRange, defineBackend } from "@physio/busdma/impl";
import type { Dmacheck, DmacheckOptions } from "@physio/dmacheck";
import { dmacheck } from "@physio/dmacheck";
import type { Bytes, Errno, VirtAddr } from "@physio/kern";
import { Errno as E, MiB, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { DevicePort } from "@physio/membus";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem } from "@physio/pmap";
import { Trace } from "@physio/trace";

/** [bus address, bytes]. */
export type Run = readonly [number, number];

export class ToyMachine {
  readonly mem: PhysMem;
  readonly bus: Membus;
  readonly kmem: Kmem;
  readonly trace: Trace;
  readonly device: DevicePort;
  readonly check: Dmacheck;
  readonly context: DmaContext;
  /** What the next loads answer; empty: OK. */
  readonly script: Errno[];
  /** Syncs and unloads that reached the inner backend. */
  readonly inner: string[];
  time: number;

  constructor(options: Partial<DmacheckOptions> = {}) {
    this.mem = new PhysMem({ banks: [{ base: 4096 * MiB, size: 2 * MiB }] });
    this.trace = new Trace();
    this.time = 0;
    this.bus = new Membus({ mem: this.mem, trace: this.trace, now: () => this.time });
    this.kmem = new Kmem(this.mem, { cpu: this.bus.cpu });
    this.device = this.bus.devicePort({ name: "toy0" });
    this.script = [];
    this.inner = [];
    this.check = dmacheck(this.#backend(), { membus: this.bus, all: true, ...options });
    this.context = {
      backend: this.check.backend,
      semantics: FIXED,
      kernelPmap: this.kmem.pmap,
      trace: this.trace,
    };
  }

  tag(options: TagOptions = {}, owner = "toy0"): DmaTag {
    const tag = createTag(this.context, null, { segments: 16, ...options });
    this.check.own(tag, owner);
    return tag;
  }

  /** Load, one nanosecond later. @returns the segments. */
  load(map: DmaMap, va: VirtAddr, length: Bytes): Run[] {
    this.time++;
    let runs: Run[] = [];
    map.load(
      va,
      length,
      (_arg, segs) => {
        runs = segs.toArray().map((s): Run => [s.addr, s.len]);
      },
      null,
    );
    return runs;
  }

  deviceWrite(runs: readonly Run[], value = 1): void {
    this.time++;
    for (const [addr, len] of runs) this.device.write(addr, new Uint8Array(len).fill(value));
  }

  deviceRead(runs: readonly Run[]): void {
    this.time++;
    for (const [addr, len] of runs) this.device.read(addr, new Uint8Array(len));
  }

  cpuWrite(va: VirtAddr, length: Bytes): void {
    this.time++;
    this.kmem.write(va, new Uint8Array(length).fill(7));
  }

  cpuRead(va: VirtAddr, length: Bytes): void {
    this.time++;
    this.kmem.read(va, new Uint8Array(length));
  }

  /** Names of the rules of the findings, in order. */
  found(): string[] {
    return this.check.findings.map((finding) => finding.rule.id);
  }

  #backend(): DmaBackend {
    const add = (tag: DmaTag, pa: number, len: Bytes, segs: SegList): Errno => {
      const scripted = this.script.shift() ?? E.OK;
      if (scripted !== E.OK) return scripted;
      return addRange(segs, pa, len, tag.maxSegSize, tag.boundary) ? E.OK : E.EFBIG;
    };
    const virtual = (tag: DmaTag, pmap: Pmap, va: VirtAddr, len: Bytes, segs: SegList): Errno => {
      for (let done = 0; done < len; ) {
        const run = Math.min(len - done, PAGE_SIZE - pageOffset(va + done));
        const error = add(tag, pmap.extract(va + done), run, segs);
        if (error !== E.OK) return error;
        done += run;
      }
      return E.OK;
    };
    return defineBackend({
      name: "plain",
      tagCreate: () => null,
      tagDestroy: () => {},
      mapCreate: (tag) => (tag.alignment > 1 ? { toString: () => "aligned" } : null),
      mapDestroy: () => E.OK,
      memAlloc: (tag) => {
        const va = this.kmem.allocContig(tag.maxSize, {});
        if (va < 0) return null;
        return {
          va,
          size: tag.maxSize,
          allocator: "contiguous",
          uncacheable: false,
          misaligned: false,
        };
      },
      memFree: (_tag, memory) => this.kmem.free(memory.va, memory.size),
      loadBuffer: (tag, _map, pmap, va, len, _flags, segs) => virtual(tag, pmap, va, len, segs),
      loadPhys: (tag, _map, pa, len, _flags, segs) => add(tag, pa, len, segs),
      loadPages: (tag, _map, ma, offset, len, _flags, segs) =>
        add(tag, this.mem.addrOf(ma[0]) + offset, len, segs),
      complete: () => {},
      sync: (_tag, map) => this.inner.push(`sync ${String(map.md)}`),
      unload: (_tag, map) => this.inner.push(`unload ${String(map.md)}`),
      isIdentity: () => true,
    });
  }
}
