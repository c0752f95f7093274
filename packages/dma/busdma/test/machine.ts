/**
 * A machine without bouncing for the tests of the machine-independent layer: a backend that turns
 * addresses into segments as they are and answers whatever the test scripts.
 */

import type { BusDma, DmaContext, DmaMap, DmaSemantics, DmaTag, SegList } from "@physio/busdma";
import { FIXED } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import { addRange, defineBackend } from "@physio/busdma/impl";
import type { Bytes, Errno, Frame } from "@physio/kern";
import { Errno as E, PAGE_SIZE, pageOffset } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { AddressSpace } from "@physio/pmap";
import { Kmem, PmapSpace } from "@physio/pmap";
import { Trace } from "@physio/trace";

export class PlainMachine {
  readonly mem: PhysMem;
  readonly kmem: Kmem;
  readonly context: DmaContext;
  /** What the next loads answer before they look at memory; empty: OK. */
  readonly script: Errno[];
  /** What the backend was asked, in order. */
  readonly calls: string[];
  /** The flags of its loads. */
  readonly flags: BusDma[];
  /** What mapDestroy answers. */
  busy: boolean;

  constructor(semantics: DmaSemantics = FIXED) {
    this.mem = new PhysMem({ banks: [{ base: 0x10_0000, size: 256 * PAGE_SIZE }] });
    this.kmem = new Kmem(this.mem);
    this.script = [];
    this.calls = [];
    this.flags = [];
    this.busy = false;
    this.context = {
      backend: this.#backend(),
      semantics,
      kernelPmap: this.kmem.pmap,
      trace: new Trace(),
    };
  }

  /** An address space with nothing in it. */
  userSpace(): AddressSpace {
    return new PmapSpace(this.kmem.pmaps.create("user"), false, this.kmem.cpu);
  }

  #backend(): DmaBackend {
    const note = (call: string) => {
      this.calls.push(call);
    };
    const phys = (tag: DmaTag, pa: number, len: Bytes, segs: SegList): Errno => {
      const scripted = this.script.shift() ?? E.OK;
      if (scripted !== E.OK) return scripted;
      return addRange(segs, pa, len, tag.maxSegSize, tag.boundary) ? E.OK : E.EFBIG;
    };
    return defineBackend({
      name: "plain",
      tagCreate: () => null,
      tagDestroy: () => note("tagDestroy"),
      mapCreate: () => ({}), // not null: complete, sync and unload are called
      mapDestroy: () => (this.busy ? E.EBUSY : E.OK),
      memAlloc: (tag) => {
        const va = this.kmem.allocContig(tag.maxSize, { high: tag.lowAddr as number });
        if (va < 0) return null;
        const size = tag.maxSize;
        return { va, size, allocator: "contiguous", uncacheable: false, misaligned: false };
      },
      memFree: (_tag, memory) => this.kmem.free(memory.va, memory.size),
      loadBuffer: (tag, _map, pmap, va, len, flags, segs) => {
        this.flags.push(flags);
        for (let done = 0; done < len; ) {
          const run = Math.min(len - done, PAGE_SIZE - pageOffset(va + done));
          const error = phys(tag, pmap.extract(va + done), run, segs);
          if (error !== E.OK) return error;
          done += run;
        }
        return len === 0 ? phys(tag, 0, 0, segs) : E.OK;
      },
      loadPhys: (tag, _map, pa, len, _flags, segs) => phys(tag, pa, len, segs),
      loadPages: (tag, _map, ma: readonly Frame[], offset, len, _flags, segs) =>
        phys(tag, this.mem.addrOf(ma[0]) + offset, len, segs),
      complete: (_tag, _map: DmaMap, segs, error) => note(`complete ${segs.count} ${error}`),
      sync: (_tag, _map, ops) => note(`sync ${ops}`),
      unload: () => note("unload"),
      isIdentity: () => true,
    });
  }
}

/** Keeps what a load callback was told. */
export class Told {
  readonly results: { error: Errno; segs: [number, number][] }[];
  readonly callback: (arg: null, segs: SegList, count: number, error: Errno) => void;

  constructor() {
    this.results = [];
    this.callback = (_arg, segs, count, error) => {
      const list = segs.toArray().map((s): [number, number] => [s.addr, s.len]);
      if (list.length !== count)
        throw new Error(`${count} segments announced, ${list.length} in the list`);
      this.results.push({ error, segs: list });
    };
  }
}
