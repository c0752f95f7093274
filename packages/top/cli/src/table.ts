/** Tables without lines, for reports. */
import Table from "cli-table3";

/** The first column to the left, the others to the right. => there is a row. */
export function table(rows: readonly (readonly string[])[], head: readonly string[] = []): string {
  const t = new Table({
    head: [...head],
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      right: "",
      "right-mid": "",
      mid: "",
      "mid-mid": "",
      middle: "",
    },
    colAligns: rows[0].map((_, i) => (i === 0 ? "left" : "right")),
  });
  t.push(...rows.map((row) => [...row]));
  return t.toString().replace(/[ \t]+$/gm, "");
}
