import { randomCase } from "@physio/busdma/testing";
import { BANKS } from "../../../packages/dma/busdma/src/testing/under-test.ts";
import { BACKENDS, source } from "../src/backends.ts";

for (const name of ["x86", "arm64"])
  for (let r = 0; r < 2; r++) {
    const t = process.cpuUsage();
    for (let i = 0; i < 4000; i++) BACKENDS[name]({ banks: BANKS, bouncePages: 5, seed: i });
    console.log(name, "make", (process.cpuUsage(t).user / 4e6).toFixed(3));
  }
const t = process.cpuUsage();
for (let i = 0; i < 4000; i++) randomCase(source(i));
console.log("draw", (process.cpuUsage(t).user / 4e6).toFixed(3));
