/**
 * Where a command writes: text to stdout, progress and complaints to stderr.
 *
 * Data goes out synchronously, so that a slow reader holds the machine up instead of filling
 * memory.
 */
import { writeSync } from "node:fs";
import { encodeName } from "@physio/kern";
import { SingleBar } from "cli-progress";
import pc from "picocolors";

/** The reader of stdout has gone; the command ends quietly. */
export class BrokenPipe extends Error {}

// scratch: only ever waited on, never written
const nap = new Int32Array(new SharedArrayBuffer(4));

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EPIPE") throw new BrokenPipe();
      if (code !== "EAGAIN") throw error;
      Atomics.wait(nap, 0, 0, 1); // a full pipe in non-blocking mode
    }
  }
}

export function printBytes(bytes: Uint8Array): void {
  writeAll(1, bytes);
}

/** Text and a newline; the bytes of file names come out as they are on the disk. */
export function print(text: string): void {
  writeAll(1, encodeName(`${text}\n`));
}

export function complain(text: string): void {
  writeAll(2, encodeName(`${text}\n`));
}

/** A name or message on one line: control characters as `\\n`, `\\t`, `\\x1b`. */
export function printable(text: string): string {
  const escaped = (c: string) =>
    c === "\n" ? "\\n" : c === "\t" ? "\\t" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return Array.from(text, (c) => (c < " " || c === "\x7f" ? escaped(c) : c)).join("");
}

export const colours = pc;

/** A progress bar on a terminal; nothing elsewhere. */
export interface Progress {
  update(done: number, label: string): void;
  stop(): void;
}

const DRAW_EVERY_MS = 40;

export function progressBar(total: number, quiet: boolean, unit = ""): Progress {
  if (quiet || !process.stderr.isTTY) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: `{bar} {value}/{total}${unit} {label}`,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(total, 0, { label: "" });
  let drawn = 0;
  return {
    // The machine runs without giving the event loop a turn, so the bar is drawn here and now.
    update: (done, label) => {
      bar.update(done, { label: printable(label).slice(-40) });
      const now = performance.now();
      if (now - drawn < DRAW_EVERY_MS) return;
      drawn = now;
      bar.render();
    },
    stop: () => bar.stop(),
  };
}
