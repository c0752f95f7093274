/**
 * A driver in the names and the argument order of bus_dma(9), as a C driver is ported line by line.
 *
 * Teaches: `@physio/busdma/bsd`. What C returns through a pointer is a `box()`, NULL is null, and the
 * functions that return int return an errno number. attach, start, intr and detach are those of a
 * small FreeBSD driver: a parent tag, one tag of DMA memory for command blocks with a load callback
 * that stores its bus address, one tag of data with busdma_lock_mutex, and a map for each command.
 */
import type { Device, HardwareSlot } from "@physio/bus";
import * as bsd from "@physio/busdma/bsd";
import type { Errno, VirtAddr } from "@physio/kern";
import { errnoName, GiB, hex, KiB, MAXADDR_32BIT } from "@physio/kern";
import type { Machine } from "@physio/machine";
import { machine, pc32BitDma } from "@physio/machine";
import { DISK, DiskHardware } from "./hw/disk.ts";
import type { Boot, Print } from "./support.ts";
import { pattern, same } from "./support.ts";

const TOE_MAXIO = 16 * KiB;

/** struct toe_softc */
class Softc {
  parent_tag = bsd.box<bsd.bus_dma_tag_t>();
  cmd_tag = bsd.box<bsd.bus_dma_tag_t>();
  cmd_map = bsd.box<bsd.bus_dmamap_t>();
  cmd = bsd.box<VirtAddr>();
  cmd_paddr = 0;
  data_tag = bsd.box<bsd.bus_dma_tag_t>();
  data_map = bsd.box<bsd.bus_dmamap_t>();
  op = 0;
  error: Errno = 0;
  done = 0;
  readonly m: Machine;
  readonly dev: Device;

  constructor(m: Machine, dev: Device) {
    this.m = m;
    this.dev = dev;
  }
}

const toe_cmd_cb: bsd.bus_dmamap_callback_t<Softc> = (sc, segs, _nseg, error) => {
  sc.error = error;
  if (error === 0) sc.cmd_paddr = segs.addr[0];
};

function toe_attach(sc: Softc): Errno {
  const none = bsd.BUS_SPACE_MAXADDR;
  const [low, many] = [bsd.BUS_SPACE_MAXADDR_32BIT, bsd.BUS_SPACE_UNRESTRICTED];
  // biome-ignore format: as C lays it out
  let error = bsd.bus_dma_tag_create(
    sc.dev.dmaTag, /* alignment */ 1, /* boundary */ 0, low, none, /* filter */ null, null,
    /* maxsize */ none, /* nsegments */ many, /* maxsegsz */ none, 0, null, null, sc.parent_tag,
  );
  if (error !== 0) return error;
  // biome-ignore format: as C lays it out
  error = bsd.bus_dma_tag_create(
    sc.parent_tag.value!, 4, 0, none, none, null, null,
    DISK.BLOCK, 1, DISK.BLOCK, 0, null, null, sc.cmd_tag,
  );
  if (error !== 0) return error;
  const flags = bsd.BUS_DMA_NOWAIT | bsd.BUS_DMA_ZERO | bsd.BUS_DMA_COHERENT;
  error = bsd.bus_dmamem_alloc(sc.cmd_tag.value!, sc.cmd, flags, sc.cmd_map);
  if (error !== 0) return error;
  const [tag, map, nowait] = [sc.cmd_tag.value!, sc.cmd_map.value!, bsd.BUS_DMA_NOWAIT];
  error = bsd.bus_dmamap_load(tag, map, sc.cmd.value!, DISK.BLOCK, toe_cmd_cb, sc, nowait);
  if (error !== 0) return error;
  if (sc.error !== 0) return sc.error;
  // biome-ignore format: as C lays it out
  error = bsd.bus_dma_tag_create(
    sc.parent_tag.value!, 1, 0, none, none, null, null,
    TOE_MAXIO, DISK.MAX_SEGMENTS, TOE_MAXIO, bsd.BUS_DMA_ALLOCNOW,
    bsd.busdma_lock_mutex, sc.dev.lock, sc.data_tag,
  );
  if (error !== 0) return error;
  error = bsd.bus_dmamap_create(sc.data_tag.value!, 0, sc.data_map);
  if (error === 0) sc.dev.intr.setup(() => toe_intr(sc));
  return error;
}

const toe_start_cb: bsd.bus_dmamap_callback_t<Softc> = (sc, segs, nseg, error) => {
  sc.error = error;
  if (error !== 0) return;
  const sync = sc.op === DISK.WRITE ? bsd.BUS_DMASYNC_PREWRITE : bsd.BUS_DMASYNC_PREREAD;
  bsd.bus_dmamap_sync(sc.data_tag.value!, sc.data_map.value!, sync);
  const words = [sc.op, /* first byte */ 0, nseg, /* status */ 0];
  for (let i = 0; i < nseg; i++) words.push(segs.addr[i], segs.len[i]);
  sc.m.kmem.write(sc.cmd.value!, new Uint8Array(Uint32Array.from(words).buffer));
  const both = bsd.BUS_DMASYNC_PREREAD | bsd.BUS_DMASYNC_PREWRITE;
  bsd.bus_dmamap_sync(sc.cmd_tag.value!, sc.cmd_map.value!, both);
  sc.dev.regs.write4(DISK.DOORBELL, sc.cmd_paddr);
};

/** Transfer `len` bytes at the start of the medium. => nothing is under way. */
function toe_start(sc: Softc, op: number, buf: VirtAddr, len: number): Errno {
  sc.dev.lock.enter();
  sc.op = op;
  const [tag, map] = [sc.data_tag.value!, sc.data_map.value!];
  const error = bsd.bus_dmamap_load(tag, map, buf, len, toe_start_cb, sc, bsd.BUS_DMA_WAITOK);
  if (error === 0 && sc.error !== 0) bsd.bus_dmamap_unload(tag, map);
  sc.dev.lock.exit();
  return error === 0 ? sc.error : error;
}

function toe_intr(sc: Softc): void {
  sc.dev.lock.enter();
  const both = bsd.BUS_DMASYNC_POSTREAD | bsd.BUS_DMASYNC_POSTWRITE;
  bsd.bus_dmamap_sync(sc.cmd_tag.value!, sc.cmd_map.value!, both);
  const post = sc.op === DISK.WRITE ? bsd.BUS_DMASYNC_POSTWRITE : bsd.BUS_DMASYNC_POSTREAD;
  bsd.bus_dmamap_sync(sc.data_tag.value!, sc.data_map.value!, post);
  bsd.bus_dmamap_unload(sc.data_tag.value!, sc.data_map.value!);
  sc.done++;
  sc.dev.lock.exit();
}

function toe_detach(sc: Softc): Errno {
  let error = bsd.bus_dmamap_destroy(sc.data_tag.value!, sc.data_map.value!);
  error ||= bsd.bus_dma_tag_destroy(sc.data_tag.value!);
  bsd.bus_dmamap_unload(sc.cmd_tag.value!, sc.cmd_map.value!);
  bsd.bus_dmamem_free(sc.cmd_tag.value!, sc.cmd.value!, sc.cmd_map.value!);
  error ||= bsd.bus_dma_tag_destroy(sc.cmd_tag.value!);
  return error || bsd.bus_dma_tag_destroy(sc.parent_tag.value!);
}

export function run(print: Print, boot: Boot = machine) {
  const m = boot(pc32BitDma({ ram: 8 * GiB, verify: true }));
  const hardware = (slot: HardwareSlot) => new DiskHardware(slot, TOE_MAXIO);
  const options = { name: "toe0", windowSize: DISK.WINDOW, reach: MAXADDR_32BIT, hardware };
  const sc = new Softc(m, m.bus.attach(options));
  print(`toe_attach: ${errnoName(toe_attach(sc))}, command block at bus ${hex(sc.cmd_paddr)}`);
  const [out, back] = [m.kmem.alloc(TOE_MAXIO), m.kmem.alloc(TOE_MAXIO)];
  m.kmem.write(out, pattern(TOE_MAXIO, 1));
  print(`toe_start, write: ${errnoName(toe_start(sc, DISK.WRITE, out, TOE_MAXIO))}`);
  m.sched.pump();
  print(`toe_start, read: ${errnoName(toe_start(sc, DISK.READ, back, TOE_MAXIO))}`);
  m.sched.pump();
  const got = new Uint8Array(TOE_MAXIO);
  m.kmem.read(back, got);
  const arrived = same(got, pattern(TOE_MAXIO, 1));
  print(`toe_intr: ${sc.done} times, the same bytes came back: ${arrived}`);
  const detached = toe_detach(sc);
  print(`toe_detach: ${errnoName(detached)}`);
  m.checkQuiet();
  return { arrived, done: sc.done, detached, faults: m.membus.faultCount };
}
