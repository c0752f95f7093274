/**
 * The inside of a worker process.
 *
 * Imports nothing that it need not: what is loaded here is in the memory rows, too.
 */

/** Whether an address of a module is one of built code. */
export const isBuilt = (url: string): boolean => /\/dist\/[^/]+\.js$/.test(url);

/** @throws when `@physio/*` resolves to anything but built code here. */
function requireDist(): void {
  for (const name of ["kern", "pmap", "busdma", "arch-x86", "machine"]) {
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
  garbage: async () => (await import("./garbage-worker.ts")).measureGarbage(),
  curves: async () => (await import("./curve-worker.ts")).measureCurves(),
  memory: async (input: never) => (await import("./memory-worker.ts")).measureMemory(input),
  demo: async (input: never) => (await import("./demo-worker.ts")).measureDemo(input),
});
