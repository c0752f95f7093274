import { checkCase, randomCase } from "@physio/busdma/testing";
import { BACKENDS, source } from "../src/backends.ts";

const name = process.argv[2];
const n = Number(process.argv[3]);
let bad = 0;
const report = new Map();
const t = process.cpuUsage();
for (let s = 1; s <= n; s++) {
  try {
    checkCase(BACKENDS[name], randomCase(source(s)), report);
  } catch (e) {
    if (bad++ < 5)
      console.log(
        s,
        e.message.slice(0, 300),
        e.cause?.constructor?.name === "Panic" ? "" : e.stack,
      );
  }
}
console.log(name, "bad", bad, (process.cpuUsage(t).user / 1000 / n).toFixed(3), "ms/case");
console.log(Object.fromEntries(report));
