import { runCli } from "@physio/cli";

for (let i=0;i<7;i++){
  await runCli(["mkfs","b.img","--size","96M"]);
  const c0=process.cpuUsage();
  await runCli(["put","-r","big","b.img:/"]);
  const c=process.cpuUsage(c0);
  console.log("cpu",(c.user/1000).toFixed(0),(c.system/1000).toFixed(0));
}
