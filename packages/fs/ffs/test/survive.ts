/**
 * What a damaged image may do to a machine: be refused by an errno, be read with errnos on the way, or be
 * as good as before. Everything that can be reached is read.
 */
import { Errno, ErrnoError, KiB, MiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { expect } from "vitest";
import { Mounted } from "./mounted.ts";
import { mutant } from "./mutate.ts";
import { list, readBytes } from "./reading.ts";

/** Honest images need some thousand. */
const STEPS = 1_000_000;
const MOST = 128 * KiB;

/** Errors that were met. */
type Met = string[];

function* attempt<T>(met: Met, body: Sleeps<T>): Sleeps<T | null> {
  try {
    return yield* body;
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    met.push(error.message);
    return null;
  }
}

/** Read what a vnode has: attributes, target, or the first and last bytes. */
function* look(m: Mounted, vp: Vnode, met: Met): Sleeps<void> {
  const { size } = vp.ops.getattr(vp);
  if (vp.type === "symlink") yield* attempt(met, vp.ops.readlink(vp));
  if (vp.type !== "regular") return;
  const errors: Errno[] = [];
  for (const at of new Set([0, Math.max(0, size - MOST)])) {
    yield* readBytes(m, vp, at, Math.min(size, MOST), errors);
  }
  for (const error of errors) {
    expect([Errno.EIO, Errno.ENOMEM]).toContain(error);
    met.push(`read: ${error}`);
  }
}

/** Walk over all that can be reached from the root. */
function* walk(m: Mounted, met: Met): Sleeps<void> {
  const { mount } = m.ffs;
  const root = yield* attempt(met, mount.root());
  if (root === null) return;
  const seen = new Set([root.ino]);
  const stack = [root];
  for (let dvp = stack.pop(); dvp !== undefined; dvp = stack.pop()) {
    const entries = (yield* attempt(met, list(dvp))) ?? [];
    for (const { name } of entries) {
      const vp = yield* attempt(met, dvp.ops.lookup(dvp, name));
      if (vp === null) continue;
      const isNew = !seen.has(vp.ino);
      seen.add(vp.ino);
      if (isNew) yield* look(m, vp, met);
      if (isNew && vp.type === "directory") stack.push(vp);
      else mount.vrele(vp);
    }
    mount.vrele(dvp);
  }
}

export type Outcome = "refused" | "damaged" | "as good";

/** Read everything of an image; the disk's read number `failing` fails. */
export function meet(bytes: Uint8Array, failing = 0): Outcome {
  const met: Met = [];
  let m: Mounted;
  try {
    m = new Mounted(bytes, 16 * MiB, failing);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    return "refused";
  }
  const thread = m.sched.start(walk(m, met));
  for (let steps = 0; !m.sched.advance(thread, 2000); steps += 2000) {
    if (steps > STEPS) throw new Error(`hangs: after ${steps} steps`);
  }
  m.sched.resultOf(thread);
  m.finish();
  return met.length > 0 ? "damaged" : "as good";
}

/** Let a machine meet the mutant of that number. @throws everything that is not an errno, with the number. */
export function survive(seed: number): Outcome {
  const { bytes, note } = mutant(seed);
  try {
    return meet(bytes);
  } catch (error) {
    throw new Error(`replay: PHYSIO_SEED=${seed} (${note}): ${error}`, { cause: error });
  }
}
