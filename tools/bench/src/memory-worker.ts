/**
 * Worker of the T9b rows: boots a machine, touches some of its memory, tells its own size.
 *
 * The machine comes in by a dynamic import: the process that this one is compared with must not
 * load it.
 */

export interface MemoryInput {
  /** Bytes; 0: no machine at all, for comparison. */
  readonly ram: number;
  readonly touched: number;
}

export interface MemoryOutput {
  /** Resident bytes of the process. */
  readonly rss: number;
}

const CHUNK = 2 ** 20;

/** What was booted, alive until the process has been measured. */
const alive: unknown[] = [];

async function boot({ ram, touched }: MemoryInput): Promise<void> {
  const { machine, pc } = await import("@physio/machine");
  const m = machine(pc({ ram }));
  alive.push(m);
  if (touched === 0) return;
  const va = m.kmem.alloc(touched);
  const text = new Uint8Array(CHUNK).fill(0x5a);
  for (let at = 0; at < touched; at += CHUNK) m.kmem.write(va + at, text);
}

export async function measureMemory(input: MemoryInput): Promise<MemoryOutput> {
  if (input.ram > 0) await boot(input);
  return { rss: process.memoryUsage().rss };
}
