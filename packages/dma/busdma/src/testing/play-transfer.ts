/** The transfers of a random case: what a driver does between load and unload, with the bytes known at every point. */
import { PAGE_SIZE, pageOffset } from "@physio/kern";
import { BusDma, Sync } from "../flags.ts";
import type { DmaTag } from "../tag.ts";
import type { Bed } from "./bed.ts";
import { must, mustEqual, pattern } from "./bed.ts";
import type { Client } from "./carriers.ts";
import type { Player } from "./check-case.ts";
import type { TransferAct } from "./random-case.ts";
import type { Piece } from "./segments.ts";
import { mostSegments, wrongSegments } from "./segments.ts";

const { PREREAD, PREWRITE, POSTREAD, POSTWRITE } = Sync;

/** The bytes of the client's ranges, in order. */
function gather({ ranges, length }: Client, bytes: Uint8Array): Uint8Array {
  const stream = new Uint8Array(length);
  let at = 0;
  for (const [offset, n] of ranges) {
    stream.set(bytes.subarray(offset, offset + n), at);
    at += n;
  }
  return stream;
}

/** The other way. */
function scatter({ ranges }: Client, stream: Uint8Array, bytes: Uint8Array): void {
  let at = 0;
  for (const [offset, n] of ranges) {
    bytes.set(stream.subarray(at, at + n), offset);
    at += n;
  }
}

/** A stretch of the pages, some of it beside the ranges: not where a transfer is under way. */
function store(bed: Bed, client: Client, bytes: Uint8Array, noise: number): void {
  const at = (noise * 97) % bytes.length;
  const stretch = pattern(noise, Math.min(bytes.length - at, 700));
  bytes.set(stretch, at);
  bed.unit.kmem.write(client.va + at, stretch);
  const [offset, n] = client.ranges[noise % client.ranges.length];
  const data = pattern(noise + 1, Math.min(n, 500));
  bytes.set(data, offset);
  bed.unit.kmem.write(client.va + offset, data);
}

/** One transfer of a loaded map. */
export function transfer(bed: Bed, player: Player, act: TransferAct, noise: number): void {
  const { map, party, answer } = player;
  if (party === null || answer === null) return;
  const { client, bytes } = party;
  const { segs } = answer;
  const clientHas = () =>
    mustEqual(bed.cpuRead(client.va, bytes.length), bytes, `${act}: what the client has`);
  const deviceSees = () =>
    mustEqual(
      bed.deviceRead(map.tag, segs),
      gather(client, bytes),
      `${act}: what the device reads`,
    );
  const deviceWrites = (seed: number) => {
    const stream = pattern(seed, client.length);
    bed.deviceWrite(map.tag, segs, stream);
    scatter(client, stream, bytes);
  };
  store(bed, client, bytes, noise);
  switch (act) {
    case "write":
      map.sync(PREWRITE);
      deviceSees();
      map.sync(POSTWRITE);
      break;
    case "read":
      map.sync(PREREAD);
      if (noise % 2 === 0) bed.cpuRead(client.va, bytes.length);
      deviceWrites(noise + 2);
      map.sync(POSTREAD);
      break;
    case "ring":
      map.sync(PREREAD | PREWRITE);
      deviceSees();
      deviceWrites(noise + 3);
      map.sync(POSTREAD | PREWRITE);
      clientHas();
      deviceSees();
      map.sync(POSTWRITE);
      break;
    case "both": {
      map.sync(PREREAD | PREWRITE);
      deviceSees();
      // The device writes the first of its bytes only: the rest comes back as it was.
      const { addr, len } = segs[0];
      const part = pattern(noise + 4, Math.min(len, 1 + (noise % 64)));
      bed.deviceWrite(map.tag, [{ addr, len: part.length }], part);
      const stream = gather(client, bytes);
      stream.set(part);
      scatter(client, stream, bytes);
      map.sync(POSTREAD | POSTWRITE);
    }
  }
  clientHas();
  player.view = gather(client, bytes);
}

const KINDS = [0, BusDma.COHERENT, BusDma.NOCACHE, BusDma.ZERO];

/** Allocate, load, move bytes both ways and free. @returns false: there was no memory. */
export function useMemory(bed: Bed, tag: DmaTag, noise: number): boolean {
  const memory = tag.allocMem(BusDma.NOWAIT | KINDS[noise % KINDS.length]);
  if (memory === null) return false;
  const { kmem } = bed.unit;
  const { va } = memory.memory;
  const { maxSize } = tag;
  const pieces: Piece[] = [];
  for (let done = 0; done < maxSize; ) {
    const length = Math.min(maxSize - done, PAGE_SIZE - pageOffset(va + done));
    pieces.push({ pa: kmem.pmap.extract(va + done), length });
    done += length;
  }
  const answers = bed.answers.length;
  bed.load(memory.map, va, maxSize, "memory");
  const { error, segs } = bed.last();
  bed.answers.length = answers;
  if (error === 0) {
    const wrong = wrongSegments(bed, tag, pieces, segs, false);
    must(wrong === null, `DMA memory: ${wrong}`);
    must(!memory.memory.misaligned, "DMA memory is misaligned");
    const bytes = pattern(noise, maxSize);
    kmem.write(va, bytes);
    memory.map.sync(PREREAD | PREWRITE);
    mustEqual(bed.deviceRead(tag, segs), bytes, "DMA memory: what the device reads");
    bytes.set(pattern(noise + 5, maxSize));
    bed.deviceWrite(tag, segs, bytes);
    memory.map.sync(POSTREAD | POSTWRITE);
    mustEqual(bed.cpuRead(va, maxSize), bytes, "DMA memory: what the CPU reads");
  } else {
    const most = mostSegments(tag, pieces);
    must(most > tag.segments, `DMA memory: load ends in ${error}, ${most} segments at most`);
  }
  memory.map.unload();
  memory.free();
  return true;
}
