/**
 * One run of memory, mappings and time alone: threads that share a machine whose caches do not snoop.
 *
 * The threads allocate kernel memory, store through a cache with random evictions, let a device
 * write and read the same bytes, wait for callouts, tasks, each other and the host. With the
 * maintenance that the cache needs every byte must be right; without it some must be stale, or the
 * model models nothing. Like run-one.ts this file runs unchanged everywhere.
 */
import { GiB, MAXADDR, MiB, PAGE_SIZE } from "@physio/kern";
import { seededRandom } from "@physio/machine";
import type { DevicePort } from "@physio/membus";
import { Membus } from "@physio/membus";
import type { GrowableMemory } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { RandomSource, Sleeps } from "@physio/sched";
import {
  Callout,
  CondVar,
  Mutex,
  RW_READER,
  RW_WRITER,
  RwLock,
  Scheduler,
  Softclock,
  Task,
  TaskQueue,
} from "@physio/sched";
import { Ktr, Trace, traceEvent } from "@physio/trace";

const THREADS = 6;
const ROUNDS = 40;
const LINE = 64;
const WASM_PAGES = 64;
const STEP = traceEvent(Ktr.VM, "memory step", "thread", "size", "sum");
const END = traceEvent(Ktr.VM, "memory end", "sum", "stale");

/** What a run found. */
export interface MemoryResult {
  readonly ok: boolean;
  readonly steps: number;
  /** Bytes that were wrong although all maintenance was done: none. */
  readonly wrong: number;
  /** Bytes that were wrong because it was left out: some. */
  readonly stale: number;
  readonly traceHash: string;
  readonly virtualTime: number;
}

interface WasmMemory extends GrowableMemory {
  grow(pages: number): number;
}

/** What Node and browsers have, and no library of the language declares. */
const host = globalThis as unknown as {
  WebAssembly: { Memory: new (limits: { initial: number; maximum: number }) => WasmMemory };
};

/** RAM low, adopted above 4 GiB, and at the end of all addresses; a cache that forgets at random. */
class Bench {
  readonly random: RandomSource;
  readonly trace: Trace;
  readonly sched: Scheduler;
  readonly guest: WasmMemory;
  readonly mem: PhysMem;
  readonly membus: Membus;
  readonly kmem: Kmem;
  readonly port: DevicePort;
  steps: number;
  wrong: number;
  stale: number;
  sum: number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.trace = new Trace(256);
    this.trace.mask = Ktr.ALL;
    this.sched = new Scheduler({ trace: this.trace, random: this.random });
    this.guest = new host.WebAssembly.Memory({ initial: WASM_PAGES, maximum: 2 * WASM_PAGES });
    const banks = [
      { base: MiB, size: MiB },
      { base: 4 * GiB, adopt: this.guest, domain: 1 },
      { base: MAXADDR + 1 - MiB, size: MiB },
    ];
    this.mem = new PhysMem({ banks, verify: true });
    const { mem, trace, sched, random } = this;
    const cache = { line: LINE, sets: 16, ways: 2, random, evictOneIn: 40, prefetchOneIn: 20 };
    this.membus = new Membus({ mem, trace, sched, now: () => sched.now, cache } as const);
    this.kmem = new Kmem(mem, { cpu: this.membus.cpu, sched });
    const posted = { depth: 4, latency: 300 };
    this.port = this.membus.devicePort({ name: "toy0", highest: MAXADDR, posted });
    this.steps = 0;
    this.wrong = 0;
    this.stale = 0;
    this.sum = 0;
  }

  draw(below: number): number {
    return this.random.next() % below;
  }

  count(differing: number, maintained: boolean): void {
    if (maintained) this.wrong += differing;
    else this.stale += differing;
  }
}

function pattern(size: number, first: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (first + i * 7) % 256);
}

function differing(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((count, byte, i) => count + (byte === b[i] ? 0 : 1), 0);
}

/** CPU to device and back through one page of kernel memory, with or without maintenance. */
function* transfer(b: Bench, lock: RwLock, maintained: boolean): Sleeps<number> {
  const size = LINE * (1 + b.draw(PAGE_SIZE / LINE));
  const va = yield* b.kmem.allocWait(size);
  const pa = b.kmem.pmap.extract(va) as number; // the bus has the same addresses
  const { cpu } = b.membus;
  yield* lock.enter(b.draw(4) === 0 ? RW_WRITER : RW_READER);
  const sent = pattern(size, b.draw(256));
  b.kmem.write(va, sent);
  if (maintained) cpu.writeBack(pa, size);
  const seen = new Uint8Array(size);
  b.port.read(pa, seen);
  b.count(differing(seen, sent), maintained);
  if (maintained) cpu.invalidate(pa, size);
  const answer = pattern(size, b.draw(256));
  b.port.write(pa, answer);
  yield* b.sched.pause("device", 1 + b.draw(1000));
  b.port.flush();
  if (maintained) cpu.invalidate(pa, size);
  b.kmem.read(va, seen);
  b.count(differing(seen, answer), maintained);
  lock.exit();
  b.kmem.free(va, size);
  return seen[size - 1];
}

/** A thread: transfers, a turn that is handed round, tasks, and now and then the host. */
function* worker(b: Bench, n: number, shared: Shared): Sleeps<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const last = yield* transfer(b, shared.lock, round % 5 !== 0);
    b.sum = (b.sum * 31 + last) % 1_000_003;
    b.steps++;
    b.trace.record(STEP, n, round, b.sum);
    shared.mutex.enter();
    if (round % 8 === n) yield* shared.turn.timedWait(shared.mutex, 1 + b.draw(5000));
    shared.turn.signal();
    shared.mutex.exit();
    if (round === 20) b.sum += yield* shared.ask(b.draw(10_000));
    shared.queue.enqueue(shared.task);
  }
}

interface Shared {
  readonly lock: RwLock;
  readonly mutex: Mutex;
  readonly turn: CondVar;
  readonly queue: TaskQueue;
  readonly task: Task;
  /** Ask the host for a number, which takes its time. */
  readonly ask: (latency: number) => Sleeps<number>;
}

function share(b: Bench, pending: (() => void)[]): Shared {
  const { sched } = b;
  const clock = new Softclock(sched);
  let ticks = 0;
  const tick: Callout = new Callout(clock, "tick", () => {
    if (++ticks < 50) tick.reset(1 + b.draw(2000));
  });
  tick.reset(1);
  const task = new Task(1, (count) => {
    b.sum += count;
  });
  return {
    lock: new RwLock(sched, "lock"),
    mutex: new Mutex(sched, "mutex"),
    turn: new CondVar(sched, "turn"),
    queue: new TaskQueue(sched, "tasks", { threads: 2 }),
    task,
    *ask(latency) {
      const call = sched.outside<number>("host", latency);
      pending.push(() => call.complete(latency % 97));
      return yield* call.wait();
    },
  };
}

/** The run of one seed. */
export function memoryRun(seed: number): MemoryResult {
  const b = new Bench(seed);
  const pending: (() => void)[] = [];
  const shared = share(b, pending);
  for (let n = 0; n < THREADS; n++) b.sched.spawn(`worker${n}`, worker(b, n, shared));
  let grown = 0;
  for (b.sched.pump(); pending.length > 0; b.sched.pump()) {
    // The host answers in an order of its own; the memory that the guest lends grows meanwhile.
    pending.splice(pending.length - 1, 1)[0]();
    if (grown++ < 4) b.guest.grow(1);
  }
  b.mem.check();
  b.kmem.check();
  b.sched.check();
  b.trace.record(END, b.sum, b.stale);
  const { steps, wrong, stale, trace, sched } = b;
  const ok = steps === THREADS * ROUNDS && wrong === 0 && stale > 0;
  return { ok, steps, wrong, stale, traceHash: trace.hash(), virtualTime: sched.now };
}
