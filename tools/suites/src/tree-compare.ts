/** Whether a mounted tree is what its model says: names, attributes, links and every byte. */
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import type { Ext2Machine } from "./ext2-machine.ts";
import type { ModelFile, NameModel } from "./name-model.ts";

/** What is wrong with the bytes of a file; "": nothing. */
export function differenceOf(got: Uint8Array, { data }: ModelFile): string {
  if (got.length !== data.length) return `${got.length} bytes, not ${data.length}`;
  if (Buffer.compare(got, data) === 0) return "";
  const at = got.findIndex((byte, i) => byte !== data[i]);
  return `byte ${at} is ${got[at]}, not ${data[at]}`;
}

/** @throws {Error} the first difference. */
export function* compareTree(m: Ext2Machine, model: NameModel): Sleeps<void> {
  yield* compare(m, model, "", model.root);
}

function* compare(m: Ext2Machine, model: NameModel, path: string, file: ModelFile): Sleeps<void> {
  const why = yield* m.with(
    path === "" ? "/" : path,
    (vp) => difference(m, model, vp, file),
    false,
  );
  if (why !== "") throw new Error(`${path}: ${why}`);
  for (const [name, below] of file.names) yield* compare(m, model, `${path}/${name}`, below);
}

function* difference(m: Ext2Machine, model: NameModel, vp: Vnode, file: ModelFile): Sleeps<string> {
  const { type, links, mode, uid, gid, mtime } = vp.ops.getattr(vp);
  const got = `${type} ${links} ${mode} ${uid} ${gid}`;
  const wanted = `${file.type} ${file.links} ${file.mode} ${file.uid} ${file.gid}`;
  if (got !== wanted) return `${got}, not ${wanted}`;
  if (file.mtime >= 0 && file.type !== "directory" && mtime !== file.mtime) {
    return `mtime ${mtime}, not ${file.mtime}`;
  }
  if (type === "regular") return differenceOf(yield* m.readFrom(vp), file);
  if (type === "directory") return yield* differenceOfNames(m, vp, file, file.parent ?? model.root);
  if (type !== "symlink") return "";
  const target = yield* vp.ops.readlink(vp);
  return target === file.target ? "" : `target ${target}`;
}

function* differenceOfNames(
  m: Ext2Machine,
  vp: Vnode,
  file: ModelFile,
  parent: ModelFile,
): Sleeps<string> {
  const names: string[] = [];
  for (let cookie = 0; cookie >= 0; ) {
    const batch = yield* vp.ops.readdir(vp, cookie);
    names.push(...batch.entries.map((entry) => entry.name));
    cookie = batch.next;
  }
  const wanted = [".", "..", ...file.names.keys()].sort().join(" ");
  if (names.sort().join(" ") !== wanted) return `${names.join(" ")}, not ${wanted}`;
  const above = yield* vp.ops.lookup(vp, "..");
  const { links } = above.ops.getattr(above);
  m.mounted.mount.vrele(above);
  return links === parent.links ? "" : `".." has ${links} links, not ${parent.links}`;
}
