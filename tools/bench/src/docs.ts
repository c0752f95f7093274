/**
 * docs/bench.md: the figures of one run, with the machine that gave them.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, release, type as systemType, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { drawChart } from "./chart.ts";
import { compilerVersion } from "./native.ts";
import type { Report } from "./suite.ts";
import { cells, HEAD } from "./table.ts";

const DOCS = fileURLToPath(new URL("../../../docs/", import.meta.url));

/** What the figures were measured on, a line each. */
export function describeMachine(): string[] {
  const all = cpus();
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `${all.length} × ${all[0]?.model.trim() ?? "unknown processor"}, ${gib} GiB`,
    `${systemType()} ${release()}, ${arch()}`,
    `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    compilerVersion() ?? "no gcc: no native peer",
  ];
}

const INTRODUCTION = `# Benchmarks

Written by \`npm run bench -- --write-docs\`; do not edit.

Absolute times are this machine's on that day. What counts are the ratios and the counts: a row
passes when it is at or below its gate, and a row whose tool is missing is not counted as passed.

How: plain Node on the built packages, one process that holds several machines and runs all cases before
any is measured; five rounds, each ours and then the peer's; a round is the best of eight short slices on
both sides; the ratio is the median of the rounds' own ratios. The peer of T1 is this project's own C,
\`tools/bench/native/busdma.c\`, with gcc -O2; that of an M row is named in its title: the same thing on
another machine, or the least that the host needs for it. That of T8 is the package \`bl\` with buffers of
\`Buffer.alloc\`, which the host's manual recommends and which zeroes them; with \`allocUnsafe\`, which gives
whatever was in that memory as an mbuf does, it is T8u. T8c copies into an array that is there on both
sides, and has no gate: most of it is the host's own copying. The peers of T5 and T6 are \`memfs\` and
\`@zenfs/core\`, whose \`readSync\` copies to the same bytes as ours; T5c shows how much of a hit is the copy. The
peer of T7 is \`tools/bench/native/scan.c\`. P3 and P4 are over the disk's own copies of the same bytes. T8s is against \`slice\`, which makes one. Garbage is the growth of the heap over thousands
of operations with no collection in between; what generators leave behind by themselves is taken off.
`;

function tableOf({ results }: Report): string {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(HEAD), line(HEAD.map(() => "---")), ...results.map((r) => line(cells(r)))].join(
    "\n",
  );
}

export function page(report: Report, machine: readonly string[]): string {
  const curves = report.charts.map(({ title, name }) => `![${title}](bench/${name}.svg)`);
  return [
    INTRODUCTION,
    "## The machine\n",
    ...machine.map((line) => `- ${line}`),
    "\n## Figures\n",
    tableOf(report),
    "\n## Growth\n",
    `${curves.join("\n\n")}\n`,
  ].join("\n");
}

export function writeDocs(report: Report, folder: string = DOCS): void {
  mkdirSync(join(folder, "bench"), { recursive: true });
  for (const chart of report.charts) {
    writeFileSync(join(folder, "bench", `${chart.name}.svg`), drawChart(chart));
  }
  writeFileSync(join(folder, "bench.md"), page(report, describeMachine()));
}
