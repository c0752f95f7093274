/**
 * Random sequences of calls on a mounted ext2 and on the model of it, and whether they agree.
 *
 * A seed names the sequence. Files are made, written, cut, linked, renamed and removed, also while they are open; now
 * and then everything is synced, or unmounted and mounted again. Where the file system says that it has no room the model
 * changes as far as the call says that it went.
 */
import { ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import {
  createFile,
  makeDirectory,
  makeLink,
  makeSpecial,
  makeSymlink,
  removeDirectory,
  renamePath,
  setAttributes,
  truncatePath,
  unlinkPath,
  vnFsync,
  vnRelease,
} from "@physio/vfs";
import { Chance } from "./chance.ts";
import type { Ext2Machine } from "./ext2-machine.ts";
import type { ModelType } from "./name-model.ts";
import { ModelFile, NameModel } from "./name-model.ts";
import { compareTree, differenceOf } from "./tree-compare.ts";

export interface SequenceOptions {
  readonly seed: number;
  readonly calls: number;
  /** Bytes that files reach. */
  readonly reach: number;
  /** Errors that may come at any time, and change nothing but what a call says. */
  readonly excused?: readonly string[];
}

interface Open {
  readonly vp: Vnode;
  readonly file: ModelFile;
}

const MODES = [0o644, 0o600, 0o755, 0o4711, 0o1777];

export class NameSequence {
  readonly m: Ext2Machine;
  readonly model: NameModel;
  /** What was done, for a message. */
  readonly log: string[];
  /** Excused errors that calls have told of. */
  excuses: number;
  /** The files that the last sync has brought to the disk, and their data: a new array is another state. */
  synced: ReadonlyMap<string, Uint8Array>;
  readonly #chance: Chance;
  readonly #reach: number;
  readonly #excused: readonly string[];
  #open: Open[];

  /** => mounted, and nothing in it but lost+found. */
  constructor(m: Ext2Machine, options: SequenceOptions) {
    this.m = m;
    this.model = new NameModel();
    this.model.create("/lost+found", new ModelFile("directory", 0o700));
    this.log = [];
    this.excuses = 0;
    this.synced = new Map();
    this.#chance = new Chance(options.seed);
    this.#reach = options.reach;
    this.#excused = options.excused ?? [];
    this.#open = [];
  }

  /** One call. @throws {Error} the file system and the model disagree. */
  step(): void {
    const chance = this.#chance;
    const kind = chance.below(100);
    if (kind < 22) this.#make();
    else if (kind < 34) this.#write();
    else if (kind < 40) this.#truncate();
    else if (kind < 48) this.#link();
    else if (kind < 60) this.#unlink();
    else if (kind < 66) this.#rmdir();
    else if (kind < 80) this.#rename();
    else if (kind < 85) this.#attributes();
    else if (kind < 88) this.#openOne();
    else if (kind < 92) this.#writeOpen();
    else if (kind < 94) this.#closeAll();
    else if (kind < 97) this.#read();
    else if (kind < 99) this.#sync();
    else this.#remount();
  }

  /** Close what is open; => before unmount. */
  end(): void {
    this.#closeAll();
  }

  /** Compare names, attributes and data with the model. */
  *check(): Sleeps<void> {
    yield* compareTree(this.m, this.model);
  }

  #same(what: string, bytes: Uint8Array, file: ModelFile): void {
    const why = differenceOf(bytes, file);
    if (why !== "") throw new Error(`${what}: ${why}\n${this.log.slice(-60).join("\n")}`);
  }

  // ---- what a call is about

  #name(): string {
    const chance = this.#chance;
    const name = `n${chance.below(14)}`;
    return chance.oneIn(6) ? name.padEnd(100 + chance.below(156), "-x") : name;
  }

  /** A directory that is there, mostly. */
  #directory(): string {
    const all = this.model.paths().filter((path) => this.model.find(path)!.type === "directory");
    const deep = all.filter((path) => path !== "/lost+found" && path.length < 800);
    return deep.length === 0 || this.#chance.oneIn(3) ? "" : this.#chance.pick(deep);
  }

  #newPath(): string {
    return `${this.#directory()}/${this.#name()}`;
  }

  #anyPath(): string {
    const all = this.model.paths().filter((path) => path !== "/lost+found");
    if (all.length === 0 || this.#chance.oneIn(8)) return this.#newPath();
    return this.#chance.pick(all);
  }

  #filePath(): string | null {
    const all = this.model.paths().filter((path) => this.model.find(path)!.type === "regular");
    return all.length === 0 ? null : this.#chance.pick(all);
  }

  #bytes(length: number): Uint8Array {
    const seed = this.#chance.below(251);
    return Uint8Array.from({ length }, (_, i) => 1 + ((seed + i * 7 + (i >> 8)) % 255));
  }

  #extent(): { offset: number; length: number } {
    const chance = this.#chance;
    const length = chance.oneIn(3) ? 1 + chance.below(30_000) : 1 + chance.below(2000);
    return { offset: chance.oneIn(4) ? 0 : chance.below(this.#reach), length };
  }

  // ---- calls

  /** Compare two answers. @returns whether the call was excused. */
  #agree(what: string, got: string, expected: () => string): boolean {
    this.log.push(`${what}: ${got}`);
    if (this.#excused.includes(got)) {
      this.excuses++;
      return true;
    }
    const wanted = expected();
    if (got === wanted) return false;
    throw new Error(`${what}: ${got}, expected ${wanted}\n${this.log.slice(-40).join("\n")}`);
  }

  #make(): void {
    const { m, model } = this;
    const chance = this.#chance;
    const path = this.#newPath();
    const type = chance.pick<ModelType>([
      "regular",
      "regular",
      "directory",
      "directory",
      "symlink",
      "FIFO",
      "character special",
    ]);
    const mode = type === "symlink" ? 0o777 : chance.pick(MODES);
    const target =
      type === "symlink" ? "t".repeat(1 + chance.below(chance.oneIn(2) ? 59 : 900)) : "";
    const got = m.outcome(this.#makeReal(path, type, mode, target));
    this.#agree(`make ${type} ${path}`, got, () =>
      model.create(path, new ModelFile(type, mode, target)),
    );
  }

  *#makeReal(path: string, type: ModelType, mode: number, target: string): Sleeps<void> {
    const { top } = this.m;
    if (type === "directory") return yield* makeDirectory(top, path, { mode });
    if (type === "symlink") return yield* makeSymlink(top, path, target);
    if (type !== "regular") {
      const rdev = { major: mode, minor: 300 };
      return yield* makeSpecial(top, path, { type, mode, uid: 0, gid: 0, rdev });
    }
    yield* vnRelease(yield* createFile(top, path, { mode, exclusive: true }));
  }

  #write(): void {
    const path = this.#filePath();
    if (path === null) return;
    const { m } = this;
    const { offset, length } = this.#extent();
    const bytes = this.#bytes(length);
    const done = m.run(m.with(path, (vp) => m.writeTo(vp, offset, bytes)));
    this.#wrote(`write ${path} ${offset}+${length}`, this.model.find(path)!, offset, bytes, done);
  }

  #wrote(
    what: string,
    file: ModelFile,
    offset: number,
    bytes: Uint8Array,
    done: { error: string; length: number },
  ): void {
    this.#agree(`${what} (${done.length})`, done.error, () => "OK");
    this.model.write(file, offset, bytes.subarray(0, done.length));
    file.mtime = -1;
  }

  #truncate(): void {
    const path = this.#filePath();
    if (path === null) return;
    const file = this.model.find(path)!;
    const chance = this.#chance;
    const size = chance.oneIn(4) ? 0 : chance.below(Math.max(this.#reach, 1));
    const got = this.m.outcome(truncatePath(this.m.top, path, size));
    if (this.#agree(`truncate ${path} ${size}`, got, () => "OK")) return;
    this.model.truncate(file, size);
    file.mtime = -1;
  }

  #link(): void {
    const [from, to] = [this.#anyPath(), this.#newPath()];
    const got = this.m.outcome(makeLink(this.m.top, from, to));
    this.#agree(`link ${from} ${to}`, got, () => this.model.link(from, to));
  }

  #unlink(): void {
    const path = this.#anyPath();
    const got = this.m.outcome(unlinkPath(this.m.top, path));
    this.#agree(`unlink ${path}`, got, () => this.model.unlink(path));
  }

  #rmdir(): void {
    const path = this.#anyPath();
    const got = this.m.outcome(removeDirectory(this.m.top, path));
    this.#agree(`rmdir ${path}`, got, () => this.model.rmdir(path));
  }

  #rename(): void {
    const from = this.#anyPath();
    const to = this.#chance.oneIn(2) ? this.#anyPath() : this.#newPath();
    const got = this.m.outcome(renamePath(this.m.top, from, to));
    this.#agree(`rename ${from} ${to}`, got, () => this.#renameModel(from, to, got));
  }

  /** Of a directory that is above the other name there are two answers, both right. */
  #renameModel(from: string, to: string, got: string): string {
    const above = from.startsWith(`${to}/`);
    const answer = this.model.rename(from, to);
    if (above && answer === "EISDIR" && got === "EISDIR") return got;
    return answer;
  }

  #attributes(): void {
    const path = this.#anyPath();
    const file = this.model.find(path);
    if (file === undefined) return;
    const chance = this.#chance;
    const changes = {
      mode: chance.pick(MODES),
      uid: chance.below(100_000),
      gid: chance.below(100_000),
      mtime: 1_000_000_000 + chance.below(1_000_000),
    };
    const got = this.m.outcome(setAttributes(this.m.top, path, changes, { follow: false }));
    if (!this.#agree(`setattr ${path}`, got, () => "OK")) Object.assign(file, changes);
  }

  #openOne(): void {
    const path = this.#filePath();
    if (path === null || this.#open.length >= 5) return;
    const vp = this.m.run(createFile(this.m.top, path));
    this.#open.push({ vp, file: this.model.find(path)! });
    this.log.push(`open ${path}`);
  }

  /** A file that is open is written to and read, whether it has a name or not. */
  #writeOpen(): void {
    if (this.#open.length === 0) return;
    const { vp, file } = this.#chance.pick(this.#open);
    const { offset, length } = this.#extent();
    const bytes = this.#bytes(length);
    const done = this.m.run(this.m.writeTo(vp, offset, bytes));
    this.#wrote(`write open ${vp.ino} ${offset}+${length}`, file, offset, bytes, done);
    this.#same(`open ${vp.ino}`, this.m.run(this.m.readFrom(vp)), file);
  }

  #closeAll(): void {
    if (this.#open.length === 0) return;
    this.log.push("close");
    for (const { vp } of this.#open) this.m.run(vnRelease(vp));
    this.#open = [];
  }

  #read(): void {
    const path = this.#filePath();
    if (path === null) return;
    const { m } = this;
    const bytes = m.run(m.with(path, (vp) => m.readFrom(vp)));
    this.#same(path, bytes, this.model.find(path)!);
  }

  #sync(): void {
    const path = this.#filePath();
    const { m } = this;
    if (path === null || this.#chance.oneIn(2)) {
      const excused = this.#agree("sync", m.outcome(m.mounted.mount.sync()), () => "OK");
      if (!excused) this.#noteSynced();
      return;
    }
    const got = m.outcome(m.with(path, (vp) => vnFsync(vp)));
    this.#agree(`fsync ${path}`, got, () => "OK");
  }

  #remount(): void {
    this.#closeAll();
    this.log.push("remount");
    this.unmount();
    this.mount();
  }

  /** As `unmount`. */
  mount(): void {
    this.#excusing(() => this.m.mount());
  }

  /** An excused error is told once; then it must succeed. => nothing is open. */
  unmount(): void {
    this.#excusing(() => this.m.unmount());
    this.#noteSynced();
  }

  /** Do something that may fail once with an excused error. */
  #excusing(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!(error instanceof ErrnoError) || !this.#excused.includes(error.code)) throw error;
      this.excuses++;
      this.log.push(error.message);
      body();
    }
  }

  #noteSynced(): void {
    const files = this.model.paths().map((path) => [path, this.model.find(path)!] as const);
    const regular = files.filter(([, file]) => file.type === "regular");
    this.synced = new Map(regular.map(([path, file]) => [path, file.data]));
  }
}
