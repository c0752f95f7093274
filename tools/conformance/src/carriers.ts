/**
 * The carriers of a scenario, built as a driver or the kernel would have built them.
 */
import type { Memdesc } from "@physio/carriers";
import { Bio, BioFlag, CamFlag, Ccb, Uio, UioRw, Xpt } from "@physio/carriers";
import { Mbuf, MbufFlag } from "@physio/carriers/mbuf";
import { PmapSpace } from "@physio/pmap";
import type { ScenarioMachine } from "./machine.ts";
import type { BioSpec, CcbSpec, MbufSpec, MemSpec, Range, UioSpec } from "./vectors.ts";

const ranges = (list: readonly Range[]) => list.map(([base, length]) => ({ base, length }));

/** A number of `table` by the name of the original without its prefix. */
function named(table: Readonly<Record<string, number>>, prefix: string, name: string): number {
  const value = name.startsWith(prefix) ? table[name.slice(prefix.length)] : undefined;
  if (value === undefined) throw new Error(`nothing is called ${name}`);
  return value;
}

export function bioOf(machine: ScenarioMachine, spec: BioSpec): Bio {
  const bio = new Bio();
  bio.bcount = spec.bcount;
  bio.maOffset = spec.offset ?? 0;
  if (spec.kind === "mapped") bio.data = spec.va!;
  if (spec.kind === "unmapped") {
    bio.flags = BioFlag.UNMAPPED;
    bio.ma = framesOf(machine, spec.pages!);
  }
  if (spec.kind === "vlist") {
    bio.flags = BioFlag.VLIST;
    bio.vlist = ranges(spec.list!);
  }
  return bio;
}

function linkOf(machine: ScenarioMachine, spec: MbufSpec): Mbuf {
  const mbuf = new Mbuf();
  mbuf.len = spec.len;
  if (spec.pages === undefined) {
    mbuf.data = spec.va!;
    return mbuf;
  }
  mbuf.data = spec.offset!;
  mbuf.flags = spec.external === false ? MbufFlag.EXTPG : MbufFlag.EXTPG | MbufFlag.EXT;
  mbuf.pages = {
    memory: machine.mem,
    header: spec.header!,
    frames: framesOf(machine, spec.pages),
    firstOffset: spec.firstOffset!,
    lastLength: spec.lastLength!,
    trailer: spec.trailer!,
  };
  return mbuf;
}

/** A chain; `packetLength` null: without a packet header. */
export function chainOf(
  machine: ScenarioMachine,
  specs: readonly MbufSpec[],
  packetLength: number | null,
): Mbuf {
  const links = specs.map((spec) => linkOf(machine, spec));
  for (let i = 1; i < links.length; i++) links[i - 1].next = links[i];
  const [first] = links;
  if (packetLength !== null) {
    first.flags |= MbufFlag.PKTHDR;
    first.packetLength = packetLength;
  }
  return first;
}

/** Frames by their addresses. */
export const framesOf = (machine: ScenarioMachine, pages: readonly number[]): number[] =>
  pages.map((pa) => machine.mem.frameOf(pa));

export function uioOf(machine: ScenarioMachine, spec: UioSpec): Uio {
  const { kmem, user } = machine;
  const process = spec.process === false ? null : new PmapSpace(user, false, kmem.cpu);
  const space = spec.space === "kernel" ? kmem.space : process;
  const uio = new Uio(UioRw.READ, space, ranges(spec.iov), 0);
  uio.resid = spec.resid;
  return uio;
}

/** A combination of data bits that has no meaning: a list and a bio at once. */
const NO_DATA_KIND = CamFlag.DATA_SG | CamFlag.DATA_BIO;

export function ccbOf(machine: ScenarioMachine, spec: CcbSpec): Ccb {
  const { data } = spec;
  const kind = data.type === "UNDEFINED" ? NO_DATA_KIND : named(CamFlag, "CAM_", data.type);
  const flags = named(CamFlag, "CAM_", spec.direction) | kind;
  const ccb = new Ccb(named(Xpt, "XPT_", spec.function), flags);
  ccb.length = data.len ?? data.transferLength ?? 0;
  ccb.va = data.va ?? 0;
  ccb.pa = data.pa ?? 0;
  ccb.list = ranges(data.list ?? []);
  ccb.listCount = data.listCount ?? 0;
  if (data.bio !== undefined) ccb.bio = bioOf(machine, data.bio);
  return ccb;
}

export function memdescOf(machine: ScenarioMachine, spec: MemSpec): Memdesc {
  switch (spec.type) {
    case "VADDR":
      return { kind: "vaddr", va: spec.va!, length: spec.len! };
    case "PADDR":
      return { kind: "paddr", pa: spec.pa!, length: spec.len! };
    case "VLIST":
      return { kind: "vlist", list: ranges(spec.list!) };
    case "PLIST":
      return { kind: "plist", list: ranges(spec.list!) };
    case "BIO":
      return { kind: "bio", bio: bioOf(machine, spec.bio!) };
    case "UIO":
      return { kind: "uio", uio: uioOf(machine, spec.uio!) };
    case "CCB":
      return { kind: "ccb", ccb: ccbOf(machine, spec.ccb!) };
    case "MBUF": {
      const length = spec.mbufs!.reduce((sum, { len }) => sum + len, 0);
      return { kind: "mbuf", mbuf: chainOf(machine, spec.mbufs!, length) };
    }
    default:
      throw new Error(`no memory of type ${spec.type}`);
  }
}
