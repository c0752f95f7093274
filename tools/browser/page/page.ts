/**
 * The page: fetch images, verify them on a machine that runs right here, show what came out.
 *
 * The result is JSON in `window.physio` and in #result, whose data-state is then "done" or "error".
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Plan, RunResult, Subject } from "../src/run-one.ts";
import { runPlan } from "../src/run-one.ts";

function newHasher() {
  const hash = sha256.create();
  return {
    update: (bytes: Uint8Array) => void hash.update(bytes),
    digest: () => bytesToHex(hash.digest()),
  };
}

async function get(name: string): Promise<Response> {
  const response = await fetch(`/fixtures/${name}`);
  if (!response.ok) throw new Error(`${name}: the server says ${response.status}`);
  return response;
}

async function loadSubject(name: string): Promise<Subject> {
  const [packed, manifest] = await Promise.all([
    get(`${name}.img.gz`),
    get(`${name}.manifest.json`),
  ]);
  if (packed.body === null) throw new Error(`${name}: nothing came`);
  const unpacked = new Response(packed.body.pipeThrough(new DecompressionStream("gzip")));
  return { image: new Uint8Array(await unpacked.arrayBuffer()), manifest: await manifest.json() };
}

function planOf(parameters: URLSearchParams): Plan {
  const list = (name: string, otherwise: string) =>
    (parameters.get(name) ?? otherwise).split(",").filter((part) => part !== "");
  return {
    images: list("image", "man-2k-rev0"),
    profile: parameters.get("profile") ?? "pc-32bit-dma",
    bouncePages: Number(parameters.get("bounce") ?? 0),
    seeds: list("seeds", "1").map(Number),
  };
}

async function run(): Promise<RunResult[]> {
  const plan = planOf(new URLSearchParams(location.search));
  const subjects = await Promise.all(plan.images.map(loadSubject));
  return runPlan(plan, subjects, newHasher);
}

function show(state: "done" | "error", value: unknown): void {
  Object.assign(window, { physio: value });
  const out = document.querySelector<HTMLElement>("#result");
  if (out === null) throw new Error("the page has no #result");
  out.textContent = JSON.stringify(value, null, 2);
  out.dataset.state = state;
}

try {
  show("done", await run());
} catch (error) {
  show("error", error instanceof Error ? `${error.message}\n${error.stack}` : String(error));
  throw error; // the console should have it too
}
