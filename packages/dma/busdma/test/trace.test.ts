/** Every call of bus_dma records an event of KTR_BUSDMA, named after FreeBSD's function. */
import type { DmaTag } from "@physio/busdma";
import { createTag, Sync } from "@physio/busdma";
import { Bio, CamFlag, Ccb, Uio, UioRw } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { Errno, PAGE_SIZE } from "@physio/kern";
import { Ktr } from "@physio/trace";
import { expect, test } from "vitest";
import { PlainMachine } from "./machine.ts";

const nothing = () => {};

/** A machine, and what its trace recorded since the last look. */
function traced() {
  const machine = new PlainMachine();
  const { trace } = machine.context;
  trace.mask = Ktr.BUSDMA;
  let seen = 0;
  const since = (): string[] => {
    const news = trace.entries().slice(seen);
    seen += news.length;
    return news.map(({ event, args }) => `${event.name} ${args.join(" ")}`);
  };
  return { machine, since };
}

test("tags, maps and memory", () => {
  const { machine, since } = traced();
  const tag: DmaTag = createTag(machine.context, null, { maxSize: PAGE_SIZE, segments: 2 });
  expect(since()).toEqual([`dma_tag_create 1 ${tag.lowAddr} ${PAGE_SIZE} 2`]);
  const map = tag.createMap();
  expect(since()).toEqual(["dmamap_create 0 0"]);
  expect([tag.destroy(), map.destroy()]).toEqual([Errno.EBUSY, Errno.OK]);
  expect(since()).toEqual([`dma_tag_destroy ${Errno.EBUSY}`, "dmamap_destroy 0"]);
  const mem = tag.allocMem(0)!;
  mem.free();
  const { va } = mem.memory;
  expect(since()).toEqual([`dmamem_alloc 0 ${PAGE_SIZE} ${va}`, `dmamem_free ${PAGE_SIZE} ${va}`]);
  tag.destroy();
  expect(since()).toEqual(["dma_tag_destroy 0"]);
});

test("each load with its flags, length, errno and segments; sync and unload", () => {
  const { machine, since } = traced();
  const tag = createTag(machine.context, null, { maxSize: PAGE_SIZE, segments: 2 });
  const map = tag.createMap();
  const va = machine.kmem.allocContig(PAGE_SIZE, {});
  const ma = [machine.kmem.pmap.frameAt(va)];
  since();
  const header = { data: va, len: 8, flags: MbufFlag.PKTHDR, packetLength: 8 };
  const packet = Object.assign(new Mbuf(), header);
  map.load(va, 8, nothing, null, 1);
  map.loadMbuf(packet, nothing, null);
  map.loadMbufSg(packet, tag.segList());
  const iov = [{ base: va, length: 8 }];
  map.loadUio(new Uio(UioRw.READ, machine.kmem.space, iov, 0), nothing, null);
  map.loadBio(Object.assign(new Bio(), { data: va, bcount: 8 }), nothing, null);
  map.loadCcb(Object.assign(new Ccb(), { flags: CamFlag.DIR_NONE }), nothing, null);
  map.loadMem({ kind: "vaddr", va, length: 8 }, nothing, null);
  map.loadPages(ma, 0, 8, nothing, null);
  map.loadPagesSg(ma, 0, 8, tag.segList());
  map.load(va, 2 * PAGE_SIZE, nothing, null);
  map.sync(Sync.PREREAD);
  map.unload();
  const events = since();
  expect(events.map((event) => event.split(" ")[0])).toEqual([
    "dmamap_load",
    "dmamap_load_mbuf",
    "dmamap_load_mbuf_sg",
    "dmamap_load_uio",
    "dmamap_load_bio",
    "dmamap_load_ccb",
    "dmamap_load_mem",
    "dmamap_load_pages",
    "dmamap_load_pages",
    "dmamap_load",
    "dmamap_sync",
    "dmamap_unload",
  ]);
  expect(events[0]).toBe("dmamap_load 1 8 0 1");
  expect(events[9]).toBe(`dmamap_load 0 ${2 * PAGE_SIZE} ${Errno.EINVAL} 0`);
  expect(events[10]).toBe("dmamap_sync 1");
});
