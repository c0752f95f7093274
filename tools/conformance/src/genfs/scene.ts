/**
 * The scene of a scenario: a machine with one disk, one mount and one vnode, and whoever else acts.
 *
 * Made of the packages' own parts under SEED semantics; only what the scenario scripts stands in for
 * something: the device, the file system, the transactions, the supply of pages and of page arrays, and
 * the moments to give way. `perform` runs a body as a thread, with the rules of waiting that
 * conformance/genfs/README.md has.
 */
import { BufCache, IoBufs } from "@physio/blkio";
import { GenfsNode, SEED } from "@physio/genfs";
import type { FileOffset } from "@physio/kern";
import { Errno, KiB, MiB, PAGE_SIZE, Panic, pageOffset, roundPage, truncPage } from "@physio/kern";
import { PhysMem, ROW_MASK } from "@physio/physmem";
import { Kmem, PmapBit } from "@physio/pmap";
import type { Sleeps, Thread } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PageArrays, PageRequest, PagerMap, Pgo, UvmPages } from "@physio/uvm";
import type { VnodeType } from "@physio/vfs";
import { Mount, MountFlag, Syncer, Vnode } from "@physio/vfs";
import { ScenarioDevice } from "./device.ts";
import { Events } from "./events.ts";
import { ScenarioFileSystem, shiftsOf } from "./file-system.ts";
import { Injections } from "./injections.ts";
import { FileMapping, PageSupply, UserMemory } from "./memory.ts";
import { pattern } from "./pattern.ts";
import { ScenarioScheduler } from "./scheduler.ts";
import { ScenarioTransactions } from "./transactions.ts";
import type { FaultSpec, Scenario } from "./vectors.ts";

const RAM = 64 * MiB;
const ROOT_INO = 2;
const INO = 3;

const TYPES: Readonly<Record<Scenario["vnode"]["type"], VnodeType>> = {
  VREG: "regular",
  VDIR: "directory",
  VLNK: "symlink",
  VBLK: "block special",
};

/** A step waits for something that nobody is left to do; `message` is the scheduler's report. */
export class WouldBlock extends Error {}

export class Scene {
  readonly sched: ScenarioScheduler;
  readonly kmem: Kmem;
  readonly pages: UvmPages;
  readonly supply: PageSupply;
  readonly device: ScenarioDevice;
  readonly fileSystem: ScenarioFileSystem;
  readonly vp: Vnode;
  readonly node: GenfsNode;
  readonly mapping: FileMapping;
  readonly user: UserMemory | null;
  readonly events: Events;
  readonly injections: Injections;
  /** How another thread holds the node's lock. */
  #held: string;

  constructor(scenario: Scenario) {
    const mem = new PhysMem({ banks: [{ base: MiB, size: RAM }] });
    const trace = new Trace();
    this.events = new Events();
    this.injections = new Injections();
    this.sched = new ScenarioScheduler(this.events, this.injections);
    this.kmem = new Kmem(mem, { sched: this.sched });
    this.supply = new PageSupply(mem, () => this.pages.resident);
    this.pages = new UvmPages({
      mem,
      pmaps: this.kmem.pmaps,
      sched: this.sched,
      trace,
      semantics: "seed",
      allocFrame: () => this.supply.allocFrame(),
    });
    const { sched, kmem, pages, events, injections } = this;
    const bufs = new IoBufs({ sched, trace, completion: "inline" });
    const unit = 2 ** shiftsOf(scenario).unit;
    this.device = new ScenarioDevice({
      ...{ bufs, kmem, pages, events, injections, unit },
      ...scenario.disk,
    });
    this.fileSystem = new ScenarioFileSystem({
      ...{ scenario, device: this.device, pages, events, injections },
    });
    this.mapping = new FileMapping(kmem);
    this.user = scenario.user === undefined ? null : new UserMemory(kmem, scenario.user);
    this.node = new GenfsNode(sched, this.fileSystem, "getpages lock", SEED);
    this.vp = this.#makeVnode(scenario, this.#mount(scenario, bufs));
    this.sched.duringPreemption = (fault) => void sched.spawn("fault", this.#fault(fault));
    this.#held = "none";
  }

  #mount({ mount: spec }: Scenario, bufs: IoBufs): Mount {
    const { kmem, pages, sched, events, injections, device } = this;
    const trans = new ScenarioTransactions(sched, events, injections);
    trans.resize = (size) => this.resize(size);
    const arrays = new PageArrays();
    const context = {
      bufs,
      cache: new BufCache({ bufs, kmem, limit: 64 * KiB }),
      pages,
      pager: new PagerMap(kmem, sched),
      kmem,
      syncer: new Syncer(),
      pageArrays: {
        take: (count: number, maySleep: boolean) =>
          !maySleep && injections.takeKmemFailure() ? null : arrays.take(count),
        give: (array: Int32Array) => arrays.give(array),
      },
    };
    const refuse = (): never => {
      throw new Error("a scenario has one vnode");
    };
    return new Mount({
      disk: device,
      context,
      fsBshift: spec.fsBshift,
      devBshift: spec.devBshift,
      ops: { fsName: "scenario", rootIno: ROOT_INO, vget: refuse },
      flags:
        (spec.noatime === 0 ? 0 : MountFlag.NOATIME) |
        (spec.nodevmtime === 0 ? 0 : MountFlag.NODEVMTIME),
      trans,
      journal: spec.wapbl === 0 ? null : trans,
    });
  }

  #makeVnode({ vnode: spec }: Scenario, mount: Mount): Vnode {
    const { fileSystem, node, pages } = this;
    const data = { genfs: node };
    const type = TYPES[spec.type];
    const ops = fileSystem.vnodeOps();
    const vp = new Vnode(mount, ops, type, INO, spec.size, pages.newObject(), data);
    mount.enter(vp);
    vp.writeSize = spec.writeSize;
    vp.mapped = spec.mapped !== 0;
    vp.writeMapped = spec.wrmap !== 0;
    vp.dirtyBufs = spec.dirtyBufs;
    if (spec.onWorklist !== 0) mount.context.syncer.add(vp, 0);
    return vp;
  }

  /**
   * Run `body` as a thread until it ends. While it sleeps and nobody else runs, the oldest I/O ends.
   * @returns what it returns. @throws what it throws; {WouldBlock} it can never end.
   */
  perform<T>(body: Sleeps<T>, asDaemon = false): T {
    const { sched, device, pages } = this;
    sched.tests = 0;
    const thread = sched.start(body, "step");
    pages.daemon = asDaemon ? thread : null;
    try {
      for (;;) {
        sched.pump();
        if (sched.advance(thread, 0)) return sched.resultOf(thread);
        if (!device.completeOldest()) this.#reportDeadlock(thread);
      }
    } finally {
      pages.daemon = null;
    }
  }

  /** Nothing is queued and nothing runs: the scheduler says who waits for what. */
  #reportDeadlock(thread: Thread): never {
    try {
      this.sched.advance(thread, 1);
    } catch (report) {
      if (report instanceof Panic) throw new WouldBlock(report.message);
      throw report;
    }
    throw new Error("the scheduler went on where nothing was left to do");
  }

  /** Both sizes become `size`; pages beyond it go. After uvm_vnp_setsize. */
  *resize(size: number): Sleeps<void> {
    const { vp } = this;
    const end = roundPage(size);
    if (vp.writeSize > end) yield* vp.ops.putpages(vp, end, 0, Pgo.FREE | Pgo.SYNCIO);
    vp.size = size;
    vp.writeSize = size;
  }

  /** Another thread lets go of the node's lock, if it holds it, and takes it: "none", "reader" or "writer". */
  hold(mode: string): void {
    if (!["none", "reader", "writer"].includes(mode)) throw new Error(`no lock mode ${mode}`);
    this.#held = "none";
    this.sched.wakeup(this);
    this.sched.pump();
    if (mode === "none") return;
    this.#held = mode;
    this.sched.spawn("holder", this.#holder(mode === "reader" ? RW_READER : RW_WRITER));
    this.sched.pump();
  }

  *#holder(mode: typeof RW_READER | typeof RW_WRITER): Sleeps<void> {
    yield* this.node.lock.enter(mode);
    while (this.#held !== "none") yield this.sched.block(this, "hold");
    this.node.lock.exit();
  }

  /** Another thread's write fault on a resident page. */
  // biome-ignore lint/correctness/useYield: the body of a thread
  *#fault({ off, len, seed }: FaultSpec): Sleeps<void> {
    const request = new PageRequest(1);
    request.offset = off;
    request.count = 1;
    request.write = true;
    request.flags = Pgo.LOCKED;
    if (this.vp.ops.getpagesNow(this.vp, request) !== Errno.OK) return;
    if (len > 0) this.store(off, len, seed);
    const [frame] = request.pages;
    this.mapping.map(off, frame, true);
    this.pages.tagDirty(frame);
    this.pages.activate(frame);
    this.pages.unbusy(frame);
  }

  /** Store the pattern of `seed` over `length` bytes of resident pages, which become modified. */
  store(offset: FileOffset, length: number, seed: number): void {
    const { mem } = this.pages;
    const bytes = pattern(seed, length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const run = Math.min(length - done, PAGE_SIZE - pageOffset(at));
      const frame = this.frameAt(truncPage(at));
      mem.writeFrames(frame, pageOffset(at), bytes, done, run);
      mem.section(frame).pmapBits[frame & ROW_MASK] |= PmapBit.MODIFIED;
      done += run;
    }
  }

  /** The frame of the page at `offset`. */
  frameAt(offset: FileOffset): number {
    const frame = this.vp.object.lookup(offset / PAGE_SIZE);
    if (frame < 0) throw new Error(`the page at ${offset} is not resident`);
    return frame;
  }
}
