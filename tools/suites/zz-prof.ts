import { ImageFolder } from "./src/e2fsck.ts";
import { Ext2Machine } from "./src/ext2-machine.ts";
import { createFile, makeDirectory, unlinkPath, vnRelease } from "@physio/vfs";
const folder = new ImageFolder();
const n = 10000;
if (process.argv[2] === "names") {
  const m = new Ext2Machine(folder.make({ name: "many", args: ["-b", "1024", "-N", "10240"], kibibytes: 16384 })); m.mount();
  const t0 = performance.now(); let t1 = 0;
  m.run((function* () {
      yield* makeDirectory(m.top, "/wide");
      for (let i = 0; i < n; i++) yield* vnRelease(yield* createFile(m.top, `/wide/f${i}`));
      t1 = performance.now();
      for (let i = 0; i < n; i++) yield* unlinkPath(m.top, `/wide/f${(i * 7919) % n}`);
    })());
  const t2 = performance.now();
  console.log(n, "create us", ((t1-t0)*1000/n).toFixed(1), "unlink us", ((t2-t1)*1000/n).toFixed(1));
} else {
  for (let round = 0; round < 2; round++) {
  const m = new Ext2Machine(folder.make({ name: "big", args: ["-b", "4096", "-N", "4096"], kibibytes: 100000 }), { ram: 64 * 2**20 }); m.mount();
  const data = new Uint8Array(32768).fill(3);
  const t0 = performance.now();
  m.run((function* () {
    for (let i = 0; i < 2000; i++) { const vp = yield* createFile(m.top, `/f${i}`); yield* m.writeTo(vp, 0, data); yield* vnRelease(vp); }
  })());
  const t1 = performance.now();
  m.run(m.mounted.mount.sync());
  const t2 = performance.now();
  console.log("copy", (t1-t0).toFixed(0), "sync", (t2-t1).toFixed(0));
  }
}
folder.remove();
