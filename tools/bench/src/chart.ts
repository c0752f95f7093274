/**
 * Growth curves as SVG: lines over logarithmic axes, readable on a light and on a dark page.
 */

export interface Series {
  readonly name: string;
  /** [x, y], both above 0, x rising. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Chart {
  /** Name of its file, without the extension. */
  readonly name: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
}

const WIDTH = 640;
const HEIGHT = 360;
const LEFT = 64;
const RIGHT = 16;
const TOP = 44;
const BOTTOM = 48;
const COLOURS = ["#3366cc", "#dd5511", "#229955", "#9944aa"];

const escapeText = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function label(x: number, y: number, text: string, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escapeText(text)}</text>`;
}

/** `1`, `10`, `10k`, `10M`. */
function short(n: number): string {
  if (n >= 1e6) return `${n / 1e6}M`;
  return n >= 1e3 ? `${n / 1e3}k` : String(n);
}

/** Powers of ten from at or below `low` to at or above `high`; at least one decade. */
function decades(low: number, high: number): number[] {
  const from = Math.floor(Math.log10(low));
  const to = Math.max(from + 1, Math.ceil(Math.log10(high)));
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
}

/** A logarithmic axis: where a value lies between two ends. */
function axis(values: readonly number[], from: number, to: number) {
  const ticks = decades(Math.min(...values), Math.max(...values));
  const low = Math.log10(ticks[0]);
  const high = Math.log10(ticks[ticks.length - 1]);
  const at = (v: number) => from + ((Math.log10(v) - low) / (high - low)) * (to - from);
  return { ticks, at };
}

export function drawChart(chart: Chart): string {
  const points = chart.series.flatMap((s) => s.points);
  if (points.length === 0 || points.some(([x, y]) => !(x > 0 && y > 0))) {
    throw new Error(`chart ${chart.name}: nothing to draw on logarithmic axes`);
  }
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const xs = axis(
    points.map((p) => p[0]),
    LEFT,
    right,
  );
  const ys = axis(
    points.map((p) => p[1]),
    bottom,
    TOP,
  );
  const vertical = xs.ticks.flatMap((t) => {
    const x = xs.at(t).toFixed(1);
    const line = `<path class="grid" d="M${x} ${TOP}V${bottom}"/>`;
    return [line, label(xs.at(t), bottom + 16, short(t), 'text-anchor="middle"')];
  });
  const horizontal = ys.ticks.flatMap((t) => {
    const y = ys.at(t).toFixed(1);
    const line = `<path class="grid" d="M${LEFT} ${y}H${right}"/>`;
    return [line, label(LEFT - 6, ys.at(t) + 4, short(t), 'text-anchor="end"')];
  });
  const lines = chart.series.flatMap((series, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = series.points.map(([x, y]) => `${xs.at(x).toFixed(1)} ${ys.at(y).toFixed(1)}`);
    const line = `<path d="M${path.join("L")}" fill="none" stroke="${colour}" stroke-width="2"/>`;
    return [line, label(LEFT + 8 + i * 150, TOP - 8, series.name, `fill="${colour}"`)];
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>${escapeText(chart.title)}</title>`,
    "<style>text{font:12px sans-serif;fill:#888}.grid{stroke:#888;stroke-opacity:.25}</style>",
    label(LEFT, 18, chart.title, 'style="font-size:14px"'),
    ...vertical,
    ...horizontal,
    ...lines,
    label((LEFT + right) / 2, HEIGHT - 10, chart.x, 'text-anchor="middle"'),
    label(14, (TOP + bottom) / 2, chart.y, `transform="rotate(-90 14 ${(TOP + bottom) / 2})"`),
    "</svg>",
  ].join("\n")}\n`;
}
