/**
 * Reads and requests that find their pages resident, and the same of other packages' files.
 *
 * Ours have a uio that they use again, as a program's descriptor has, and copy into the host's memory
 * ("out", as the peers do) or into simulated kernel memory ("in").
 */

import { UioRw } from "@physio/carriers";
import { genfsReadNow, genfsWriteNow, getpagesNow } from "@physio/genfs";
import type { Bytes, VirtAddr } from "@physio/kern";
import { Errno, KiB, MiB, PAGE_SIZE } from "@physio/kern";
import type { AddressSpace } from "@physio/pmap";
import { HostSpace } from "@physio/pmap";
import { PageRequest, Pg } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { configureSingleSync, InMemory, fs as zenfs } from "@zenfs/core";
import { memfs } from "memfs";
import type { Case } from "./cases.ts";
import { makeCase, sink } from "./cases.ts";
import type { FileScene } from "./file-scene.ts";
import { makeUio, reuse } from "./file-scene.ts";
import { Random } from "./random.ts";

const FILE = MiB;
const LARGE = 64 * KiB;
const HITS = 4000;
const READS = 400;
const ORDER = 4096;

/** Page numbers below `pages`, in random order, `ORDER` of them. */
function pageOrder(pages: number): Int32Array {
  const random = new Random(7);
  return Int32Array.from({ length: ORDER }, () => random.below(pages));
}

/** Reads by `read(offset, length)`: pages here and there, and 64 KiB straight on. */
function reads(name: string, read: (offset: number, length: Bytes) => number): Case[] {
  const order = pageOrder(FILE / PAGE_SIZE);
  let next = 0;
  let at = 0;
  return [
    makeCase(`hit ${name}`, HITS, (n) => {
      for (let i = 0; i < n; i++) {
        sink.total += read(order[next] * PAGE_SIZE, PAGE_SIZE);
        next = (next + 1) % ORDER;
      }
    }),
    makeCase(`read ${name}`, READS, (n) => {
      for (let i = 0; i < n; i++) {
        sink.total += read(at, LARGE);
        at = (at + LARGE) % FILE;
      }
    }),
  ];
}

function ownReads(name: string, vp: Vnode, space: AddressSpace, base: VirtAddr): Case[] {
  const uio = makeUio(UioRw.READ, space, base, LARGE);
  return reads(name, (offset, length) => {
    reuse(uio, base, length, offset);
    if (genfsReadNow(vp, uio, 0) !== Errno.OK) throw new Error(`the page at ${offset} is no hit`);
    return length - uio.resid;
  });
}

/** Bytes as a file of the peers has them. */
const content = (): Uint8Array => Uint8Array.from({ length: FILE }, (_, i) => i % 251);

function memfsReads(into: Uint8Array): Case[] {
  const { fs } = memfs({});
  fs.writeFileSync("/file", content());
  const fd = fs.openSync("/file", "r");
  return reads("memfs", (offset, length) => fs.readSync(fd, into, 0, length, offset));
}

function zenfsReads(into: Uint8Array): Case[] {
  configureSingleSync({ backend: InMemory });
  zenfs.writeFileSync("/file", content());
  const fd = zenfs.openSync("/file", "r");
  return reads("zenfs", (offset, length) => zenfs.readSync(fd, into, 0, length, offset));
}

/** The host's own copy of a page, the floor of all of them. */
function copyCase(into: Uint8Array): Case {
  const bytes = content();
  const order = pageOrder(FILE / PAGE_SIZE);
  return makeCase("copy", HITS, (n) => {
    for (let i = 0; i < n; i++) {
      const at = order[i % ORDER] * PAGE_SIZE;
      into.set(bytes.subarray(at, at + PAGE_SIZE));
    }
  });
}

/** A file of a MiB, written as a program does. */
function residentFile(scene: FileScene): Vnode {
  const vp = scene.file(FILE);
  scene.fill(vp);
  const uio = makeUio(UioRw.WRITE, new HostSpace(scene.kmem.pmaps, content()), 0, FILE);
  if (scene.run(vp.ops.write(vp, uio, 0)) !== Errno.OK) throw new Error("the file is not written");
  if (scene.run(vp.ops.fsync(vp)) !== Errno.OK) throw new Error("the file is not synced");
  return vp;
}

export function readCases(scene: FileScene): Case[] {
  const vp = residentFile(scene);
  // All copy to the same bytes: where a buffer lies in its page makes 15 ns of a hit.
  const into = Buffer.alloc(LARGE);
  const host = new HostSpace(scene.kmem.pmaps, into);
  return [
    ...ownReads("out", vp, host, 0),
    ...ownReads("in", vp, scene.kmem.space, scene.kmem.alloc(LARGE)),
    ...memfsReads(into),
    ...zenfsReads(into),
    copyCase(into),
  ];
}

/** Pages of a file written to, out of the host's memory and out of simulated memory. Those that fill a window are not: their write-back sleeps. */
export function writeCases(scene: FileScene): Case[] {
  const vp = residentFile(scene);
  const order = pageOrder(FILE / PAGE_SIZE).map((page) => page - (page % 16 === 15 ? 1 : 0));
  const host = new HostSpace(scene.kmem.pmaps, new Uint8Array(LARGE));
  const write = (name: string, space: AddressSpace, base: VirtAddr) => {
    const uio = makeUio(UioRw.WRITE, space, base, PAGE_SIZE);
    return makeCase(`write ${name}`, HITS, (n) => {
      for (let i = 0; i < n; i++) {
        reuse(uio, base, PAGE_SIZE, order[i % ORDER] * PAGE_SIZE);
        if (genfsWriteNow(vp, uio, 0) !== Errno.OK) throw new Error("a write is no hit");
      }
    });
  };
  return [write("out", host, 0), write("in", scene.kmem.space, scene.kmem.alloc(LARGE))];
}

/** One page of a file of 16 MiB, made busy and given back: by a request, and by hand. */
export function lockedCases(scene: FileScene): Case[] {
  const { pages } = scene;
  const vp = scene.file(16 * MiB);
  scene.fill(vp);
  const order = pageOrder(vp.size / PAGE_SIZE);
  const request = new PageRequest(1);
  request.count = 1;
  let next = 0;
  const locked = makeCase("locked", HITS, (n) => {
    for (let i = 0; i < n; i++) {
      request.offset = order[next] * PAGE_SIZE;
      if (getpagesNow(vp, request) !== Errno.OK) throw new Error(`no page at ${request.offset}`);
      pages.unbusy(request.pages[0]);
      next = (next + 1) % ORDER;
    }
  });
  const bare = makeCase("bare", HITS, (n) => {
    for (let i = 0; i < n; i++) {
      const frame = vp.object.lookup(order[next]);
      pages.setFlags(frame, Pg.BUSY);
      pages.unbusy(frame);
      next = (next + 1) % ORDER;
    }
  });
  return [locked, bare];
}
