/**
 * What a file system ought to do with names and data: a tree in memory, with the errors of POSIX.
 *
 * Slow and obvious. Paths are absolute, of plain components; symlinks are not followed. Each call returns the
 * name of an errno, or "OK"; only then has anything changed. It knows of no limit of room.
 */

export type ModelType = "regular" | "directory" | "symlink" | "FIFO" | "character special";

export class ModelFile {
  readonly type: ModelType;
  data: Uint8Array;
  readonly target: string;
  readonly names: Map<string, ModelFile>;
  links: number;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  /** The directory above. */
  parent: ModelFile | null;

  constructor(type: ModelType, mode: number, target = "") {
    this.type = type;
    this.data = new Uint8Array(0);
    this.target = target;
    this.names = new Map();
    this.links = type === "directory" ? 2 : 1;
    this.mode = mode;
    this.uid = 0;
    this.gid = 0;
    this.mtime = -1;
    this.parent = null;
  }
}

interface Place {
  readonly dir: ModelFile;
  readonly name: string;
  readonly file: ModelFile | undefined;
}

export class NameModel {
  readonly root: ModelFile;

  constructor() {
    this.root = new ModelFile("directory", 0o755);
  }

  find(path: string): ModelFile | undefined {
    const place = this.#place(path);
    return typeof place === "string" ? undefined : place.file;
  }

  create(path: string, file: ModelFile): string {
    const place = this.#place(path);
    if (typeof place === "string") return place;
    if (place.file !== undefined) return "EEXIST";
    this.#enter(place, file);
    return "OK";
  }

  link(from: string, path: string): string {
    const source = this.#place(from);
    if (typeof source === "string") return source;
    if (source.file === undefined) return "ENOENT";
    const place = this.#place(path);
    if (typeof place === "string") return place;
    if (place.file !== undefined) return "EEXIST";
    if (source.file.type === "directory") return "EPERM";
    place.dir.names.set(place.name, source.file);
    source.file.links++;
    return "OK";
  }

  unlink(path: string): string {
    const place = this.#place(path);
    if (typeof place === "string") return place;
    if (place.file === undefined) return "ENOENT";
    if (place.file.type === "directory") return "EISDIR";
    this.#leave(place);
    return "OK";
  }

  rmdir(path: string): string {
    const place = this.#place(path);
    if (typeof place === "string") return place;
    if (place.file === undefined) return "ENOENT";
    if (place.file.type !== "directory") return "ENOTDIR";
    if (place.file.names.size > 0) return "ENOTEMPTY";
    this.#leave(place);
    return "OK";
  }

  rename(from: string, to: string): string {
    const source = this.#place(from);
    if (typeof source === "string") return source;
    const target = this.#place(to);
    if (typeof target === "string") return target;
    if (source.file === undefined) return "ENOENT";
    const directory = source.file.type === "directory";
    if (directory && this.#isAbove(source.file, target.dir)) return "EINVAL";
    if (source.file === target.file) return "OK";
    if (target.file !== undefined) {
      const over = target.file.type === "directory";
      if (directory && !over) return "ENOTDIR";
      if (!directory && over) return "EISDIR";
      if (over && target.file.names.size > 0) return "ENOTEMPTY";
      this.#leave(target);
    }
    const file = source.file;
    this.#leave(source);
    this.#enter(target, file, 1);
    return "OK";
  }

  write(file: ModelFile, offset: number, bytes: Uint8Array): void {
    const data = new Uint8Array(Math.max(file.data.length, offset + bytes.length));
    data.set(file.data);
    data.set(bytes, offset);
    if (bytes.length > 0) file.data = data;
  }

  truncate(file: ModelFile, size: number): void {
    const data = new Uint8Array(size);
    data.set(file.data.subarray(0, size));
    file.data = data;
  }

  /** All paths of files below the root. */
  paths(dir = this.root, prefix = ""): string[] {
    const all: string[] = [];
    for (const [name, file] of dir.names) {
      all.push(`${prefix}/${name}`);
      if (file.type === "directory") all.push(...this.paths(file, `${prefix}/${name}`));
    }
    return all;
  }

  #place(path: string): Place | string {
    const parts = path.split("/").slice(1);
    const name = parts.pop() ?? "";
    let dir = this.root;
    for (const part of parts) {
      const next = dir.names.get(part);
      if (next === undefined) return "ENOENT";
      if (next.type !== "directory") return "ENOTDIR";
      dir = next;
    }
    return { dir, name, file: dir.names.get(name) };
  }

  #isAbove(file: ModelFile, dir: ModelFile): boolean {
    for (let at: ModelFile | null = dir; at !== null; at = at.parent) if (at === file) return true;
    return false;
  }

  #enter({ dir, name }: Place, file: ModelFile, regained = 0): void {
    dir.names.set(name, file);
    file.links += file.type === "directory" ? 0 : regained;
    if (file.type !== "directory") return;
    file.parent = dir;
    dir.links++;
  }

  #leave({ dir, name, file }: Place): void {
    dir.names.delete(name);
    if (file === undefined) return;
    if (file.type !== "directory") file.links--;
    else dir.links--;
  }
}
