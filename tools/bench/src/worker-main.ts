/**
 * The inside of a worker process.
 *
 * Imports nothing that it need not: what is loaded here is in the memory rows, too.
 */

/** Whether an address of a module is one of built code. */
export const isBuilt = (url: string): boolean => /\/dist\/[^/]+\.js$/.test(url);

/** Those that something is measured of. */
const PACKAGES: readonly string[] = Object.freeze([
  "kern",
  "trace",
  "vmem",
  "sched",
  "physmem",
  "membus",
  "pmap",
  "uvm",
  "busdma",
  "busdma-bounce",
  "carriers",
  "blkio",
  "vfs",
  "genfs",
  "arch-x86",
  "arch-arm64",
  "arch-riscv",
  "dmacheck",
  "machine",
]);

/** @throws when `@physio/*` resolves to anything but built code here. */
function requireDist(): void {
  for (const name of PACKAGES) {
    const url = import.meta.resolve(`@physio/${name}`);
    if (!isBuilt(url)) throw new Error(`@physio/${name} is ${url}: benches measure dist`);
  }
}

/** The body of a worker process. */
export async function workerMain(name: string, input: string): Promise<void> {
  requireDist();
  const work = WORKERS[name];
  if (work === undefined) throw new Error(`no worker "${name}"`);
  console.log(JSON.stringify(await work(JSON.parse(input) as never)));
}

const WORKERS: Readonly<Record<string, (input: never) => Promise<unknown>>> = Object.freeze({
  load: async (input: never) => (await import("./load-worker.ts")).measureLoads(input),
  chains: async () => (await import("./chain-worker.ts")).measureChains(),
  "chain-garbage": async () => (await import("./chain-worker.ts")).measureChainGarbage(),
  maps: async () => (await import("./map-worker.ts")).measureMaps(),
  garbage: async () => (await import("./garbage-worker.ts")).measureGarbage(),
  frames: async () => (await import("./frame-worker.ts")).measureFrames(),
  paths: async () => (await import("./path-worker.ts")).measurePaths(),
  pages: async () => (await import("./page-worker.ts")).measurePages(),
  "core-garbage": async (input: never) =>
    (await import("./core-garbage-worker.ts")).measureCoreGarbage(input),
  files: async () => (await import("./file-worker.ts")).measureFiles(),
  "file-garbage": async () => (await import("./file-worker.ts")).measureFileGarbage(),
  scans: async (input: never) => (await import("./scan-worker.ts")).measureScans(input),
  paging: async () => (await import("./paging-worker.ts")).measurePaging(),
  curves: async () => (await import("./curve-worker.ts")).measureCurves(),
  memory: async (input: never) => (await import("./memory-worker.ts")).measureMemory(input),
  demo: async (input: never) => (await import("./demo-worker.ts")).measureDemo(input),
});
