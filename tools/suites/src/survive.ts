/**
 * What a damaged image may do to the machine: be refused or be reported on, and nothing else.
 *
 * Everything is read that can be reached: the verification reads all files, a second walk lists all
 * directories, reads all symlinks and follows them.
 */
import { ErrnoError } from "@physio/kern";
import type { Machine, MachineConfig } from "@physio/machine";
import { listDirectory, MemoryMedia, machine, pc, pc32BitDma, walkTree } from "@physio/machine";
import type { Manifest } from "@physio/machine/verify";
import { parseManifest, verifyImage } from "@physio/machine/verify";
import type { Sleeps } from "@physio/sched";
import type { Mount, Vnode } from "@physio/vfs";
import { namei } from "@physio/vfs";
import type { Limits } from "./examine.ts";
import { newHasher, runBounded } from "./examine.ts";
import type { Mutant } from "./mutate.ts";
import { mutant } from "./mutate.ts";
import { watched } from "./watchdog.ts";

/** Honest images need some thousand steps and a tenth of a second. */
const LIMITS: Limits = Object.freeze({ steps: 1_000_000, milliseconds: 5000 });

export type Outcome = "refused" | "failures" | "agrees";

const CONFIGS: readonly ((seed: number) => MachineConfig)[] = [
  (seed) => pc32BitDma({ seed }),
  (seed) => pc({ seed }),
  (seed) => pc32BitDma({ seed, bouncePages: 8 }),
  () => pc32BitDma({ seed: null, completion: "inline" }),
];

function* follow(root: Vnode, path: string): Sleeps<void> {
  try {
    const vp = yield* namei(root, path);
    vp.mount.vrele(vp);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  }
}

/** Touch what the verification may have left alone. */
function* listEverything(mount: Mount): Sleeps<void> {
  const root = yield* mount.root();
  yield* walkTree(root, {
    *found(path, vp) {
      try {
        vp.ops.getattr(vp);
        if (vp.type === "symlink") yield* vp.ops.readlink(vp);
        if (vp.type === "directory") yield* listDirectory(vp);
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
      }
      if (vp.type === "symlink") yield* follow(root, path);
      mount.vrele(vp);
    },
    broken: () => {},
  });
  mount.vrele(root);
}

function* useUp(m: Machine, bytes: Uint8Array, manifest: Manifest): Sleeps<Outcome> {
  const disk = yield* m.attachDisk("nvme0", new MemoryMedia(bytes));
  const mount = yield* m.mount(disk);
  const report = yield* verifyImage(m, mount, manifest, { newHasher });
  yield* listEverything(mount);
  yield* mount.unmount();
  return report.failures.length > 0 ? "failures" : "agrees";
}

const manifests: Map<string, Manifest> = new Map();

function manifestOf(of: Mutant["of"]): Manifest {
  const known = manifests.get(of.name) ?? parseManifest({ entries: of.entries });
  manifests.set(of.name, known);
  return known;
}

/** Let a machine meet the mutant of that number. @throws everything that is not an errno, with the number. */
export function survive(seed: number): Outcome {
  return watched(seed, () => meet(seed));
}

function meet(seed: number): Outcome {
  const { of, bytes, note } = mutant(seed);
  try {
    const m = machine(CONFIGS[seed % CONFIGS.length](seed));
    let outcome: Outcome = "refused";
    try {
      outcome = runBounded(m, useUp(m, bytes, manifestOf(of)), LIMITS);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
    }
    m.sched.pump();
    m.checkQuiet();
    return outcome;
  } catch (error) {
    throw new Error(`replay: PHYSIO_SEED=${seed} (${note}): ${error}`, { cause: error });
  }
}
