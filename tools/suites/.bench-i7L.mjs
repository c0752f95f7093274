import { runCli } from "@physio/cli";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
for (let i=0;i<4;i++){
  fs.rmSync("m.img",{force:true});
  let t=performance.now(); spawnSync("/usr/sbin/mke2fs",["-q","-F","-d","big","m.img","96M"],{stdio:"ignore"}); const m=performance.now()-t;
  const c0=process.cpuUsage();
  await runCli(["mkfs","b.img","--size","96M"]);
  t=performance.now();await runCli(["put","-r","big","b.img:/"]);const p=performance.now()-t;
  const c=process.cpuUsage(c0);
  console.log("mke2fs",m.toFixed(0),"put",p.toFixed(0),"ratio",(m/p).toFixed(3),"cpu",(c.user/1000).toFixed(0),(c.system/1000).toFixed(0));
}
