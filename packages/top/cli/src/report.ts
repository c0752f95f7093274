/**
 * The report of a run, as a table or as JSON.
 */
import { MiB } from "@physio/kern";
import type { CopyReport } from "./demo.ts";
import { colours, print } from "./output.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import type { ImageResult, RunResult } from "./verify-command.ts";

/** Failures of one image that are printed in full. */
const SHOWN = 20;

const count = (n: number): string => n.toLocaleString("en");
const mega = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`;

function imageRows(images: readonly ImageResult[]): string[][] {
  return images.map((i) => [
    i.image,
    count(i.files),
    count(i.directories),
    count(i.others),
    count(i.bytes),
    i.failures.length === 0
      ? colours.green("all agree")
      : colours.red(`${count(i.failures.length)} differ`),
  ]);
}

const verdict = (ok: boolean, good: string, bad: string): string =>
  ok ? colours.green(good) : colours.red(bad);

function mappedRows(images: readonly ImageResult[]): string[][] {
  return images.flatMap(({ image, mapped }) => {
    if (mapped === null) return [];
    const { path, bytes, faults, agrees } = mapped;
    const result = verdict(agrees, "agrees", "differs");
    return [[`${image}:${path}`, count(bytes), count(faults), result]];
  });
}

function copyRows({ image, ways }: CopyReport): string[][] {
  return ways.map(({ way, files, directories, others, bytes, failures }) => [
    `${image}, ${way}`,
    count(files),
    count(directories),
    count(others),
    count(bytes),
    verdict(failures.length === 0, "all agree", `${count(failures.length)} differ`),
  ]);
}

/** Three ways into a new image, and what our reader and e2fsck say of it. */
function printCopies(copies: CopyReport): void {
  print("");
  print(table(copyRows(copies), ["copied", "files", "directories", "others", "bytes", "result"]));
  const { e2fsck, ways } = copies;
  const agree = ways.every((way) => way.failures.length === 0);
  print(`our reader  ${verdict(agree, "every copy agrees with the manifest", "copies differ")}`);
  print(
    `e2fsck -fn  ${e2fsck === null ? "not installed" : verdict(e2fsck.clean, "clean", e2fsck.text)}`,
  );
  for (const { way, failures } of ways) {
    for (const f of failures.slice(0, SHOWN)) {
      print(`${colours.red("FAIL")} ${way}:${f.path}: ${f.reason}`);
    }
  }
}

function ioRows(result: RunResult): string[][] {
  const { io } = result;
  const files = result.images.reduce((sum, i) => sum + i.files, 0);
  const bytes = result.images.reduce((sum, i) => sum + i.bytes, 0);
  return [
    ["files verified", count(files)],
    ["bytes verified", count(bytes)],
    ["I/Os", count(io.ios)],
    ["bytes moved by DMA", count(io.ioBytes)],
    ["segments per I/O", io.segmentsPerIo.toFixed(2)],
    ["bounced pages", count(io.bouncedPages)],
    ["bounce pool, high water", `${count(io.bouncePages)} pages, ${count(io.bounceHighWater)}`],
    ["deferrals", count(io.deferrals)],
    ["bus faults", count(io.busFaults)],
    ["device errors", count(io.deviceErrors)],
    ["virtual time", `${(io.virtualTime / 1e6).toFixed(3)} ms`],
    ["host time", `${result.seconds.toFixed(2)} s, ${result.megabytesPerSecond.toFixed(1)} MB/s`],
    ["RAM touched", mega(io.touchedBytes)],
    ["process memory", mega(result.processMemory)],
    ["profile, seed", `${result.profile}, ${result.seed}`],
    ["trace hash", result.traceHash],
  ];
}

function failureLines(image: ImageResult): string[] {
  const lines = image.failures.slice(0, SHOWN).map((f) => {
    const where = f.offset === undefined ? "" : ` (first bad offset ${f.offset})`;
    return `${colours.red("FAIL")} ${image.image}:${f.path}: ${f.reason}${where}`;
  });
  const more = image.failures.length - SHOWN;
  return more > 0 ? [...lines, `… and ${more} more in ${image.image}`] : lines;
}

/** Print what a run found. */
export function printReport(result: RunResult, session: Session): void {
  if (session.options.json === true) {
    const sysctl = Object.fromEntries(session.sysctls().map((entry) => [entry.path, entry.value]));
    print(
      JSON.stringify(session.options.sysctl === true ? { ...result, sysctl } : result, null, 2),
    );
    return;
  }
  print(
    table(imageRows(result.images), ["image", "files", "directories", "others", "bytes", "result"]),
  );
  const unlisted = result.images.reduce((sum, i) => sum + i.unlisted, 0);
  if (unlisted > 0) print(`${count(unlisted)} paths are in an image and not in its manifest`);
  const mapped = mappedRows(result.images);
  if (mapped.length > 0) {
    print("");
    print(table(mapped, ["read through a mapping", "bytes", "faults", "result"]));
  }
  if (result.copies !== undefined) printCopies(result.copies);
  print("");
  print(table(ioRows(result)));
  for (const line of result.images.flatMap(failureLines)) print(line);
  for (const fault of result.faults) print(`${colours.red("FAULT")} ${fault}`);
  if (session.options.sysctl === true) print("");
  session.printSysctls();
}
