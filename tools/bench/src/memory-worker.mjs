// Worker of the T9b rows: boots a machine, touches some of its memory, tells its own size.
//
//   node memory-worker.mjs RAM TOUCHED      RAM 0: no machine at all, for comparison
//
// Plain JavaScript, since the host's type stripping costs memory of its own. The machine comes in
// by a dynamic import: the process that it is compared with must not load it.
const [ram, touched] = process.argv.slice(2).map(Number);
const CHUNK = 1 << 20;
let alive = null;

if (ram > 0) {
  const url = import.meta.resolve("@physio/machine");
  if (!/\/dist\/[^/]+\.js$/.test(url)) throw new Error(`@physio/machine is ${url}, not dist`);
  const { machine, pc } = await import("@physio/machine");
  alive = machine(pc({ ram }));
  const { kmem } = alive;
  if (touched > 0) {
    const va = kmem.alloc(touched);
    const text = new Uint8Array(CHUNK).fill(0x5a);
    for (let at = 0; at < touched; at += CHUNK) kmem.write(va + at, text);
  }
}
console.log(JSON.stringify({ rss: process.memoryUsage().rss, machines: alive === null ? 0 : 1 }));
