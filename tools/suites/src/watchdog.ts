/**
 * Ends a process that loops without ever coming back, which no step limit and no timer of the
 * looping thread can do: a thread of its own looks at a heartbeat.
 */
import { Worker } from "node:worker_threads";

const PATIENCE_S = 30;

const LOOK = `
const { workerData: beats } = require("node:worker_threads");
let last = -1, waited = 0;
for (;;) {
  Atomics.wait(beats, 2, 0, 1000);
  waited = beats[0] === last ? waited + 1 : 0;
  last = beats[0];
  if (beats[0] % 2 === 0 || waited < ${PATIENCE_S}) continue;
  require("node:fs").writeSync(2, "\\nhangs: replay with PHYSIO_SEED=" + beats[1] + "\\n");
  process.kill(process.pid, "SIGKILL");
}
`;

/** [beat: odd while something runs, its seed, never written] */
const beats = new Int32Array(new SharedArrayBuffer(12));
let worker: Worker | null = null;

/** Run `body`, which is named by `seed`. A body that runs for too long takes the process with it. */
export function watched<T>(seed: number, body: () => T): T {
  worker ??= new Worker(LOOK, { eval: true, workerData: beats });
  worker.unref();
  beats[1] = seed;
  beats[0]++;
  try {
    return body();
  } finally {
    beats[0]++;
  }
}
