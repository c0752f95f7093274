/** ext2 images made by mke2fs in memory, and what e2fsck and debugfs say of images. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const ENV = { PATH, LC_ALL: "C", MKE2FS_CONFIG: "/dev/null" };

/** An image to write to. */
export interface Shape {
  readonly name: string;
  /** Arguments of mke2fs. */
  readonly args: readonly string[];
  readonly kibibytes: number;
}

const USUAL = "none,filetype,sparse_super,dir_index,resize_inode,ext_attr";

export const SHAPES: readonly Shape[] = [
  { name: "1k", args: ["-b", "1024", "-g", "1024", "-N", "256", "-O", USUAL], kibibytes: 4096 },
  { name: "2k", args: ["-b", "2048", "-N", "256", "-O", USUAL], kibibytes: 4096 },
  { name: "4k", args: ["-b", "4096", "-N", "256", "-O", USUAL], kibibytes: 8192 },
  { name: "1k-rev0", args: ["-b", "1024", "-r", "0", "-N", "256"], kibibytes: 4096 },
  {
    name: "1k-plain",
    args: ["-b", "1024", "-O", "none,sparse_super", "-I", "128", "-N", "256"],
    kibibytes: 4096,
  },
  {
    name: "4k-plain",
    args: ["-b", "4096", "-O", "none", "-I", "256", "-N", "256"],
    kibibytes: 8192,
  },
  {
    name: "1k-typed",
    args: ["-b", "1024", "-O", "none,filetype,large_file", "-I", "256", "-N", "512"],
    kibibytes: 16384,
  },
];

function run(tool: string, args: readonly string[]) {
  return spawnSync(tool, args, { env: ENV, maxBuffer: 2 ** 26 });
}

/** A folder for images, which its maker removes. */
export class ImageFolder {
  readonly folder: string;
  readonly #images: Map<string, Uint8Array>;

  constructor() {
    this.folder = fs.mkdtempSync(join(tmpdir(), "physio-e2fsck-"));
    this.#images = new Map();
  }

  remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A new image; the bytes are the caller's. */
  make({ name, args, kibibytes }: Shape): Uint8Array {
    let image = this.#images.get(name);
    if (image === undefined) {
      const path = this.path(`${name}.img`);
      const { status, stderr } = run("mke2fs", [
        "-q",
        "-F",
        "-t",
        "ext2",
        ...args,
        path,
        `${kibibytes}`,
      ]);
      if (status !== 0) throw new Error(`mke2fs ${args.join(" ")}: ${stderr}`);
      image = new Uint8Array(fs.readFileSync(path));
      this.#images.set(name, image);
    }
    return image.slice();
  }

  /** Put an image where the tools can see it. */
  save(image: Uint8Array, name = "check.img"): string {
    fs.writeFileSync(this.path(name), image);
    return this.path(name);
  }

  /** What `e2fsck -fn` objects to; "": nothing. */
  fsck(image: Uint8Array): string {
    const { status, stdout, stderr } = run("e2fsck", ["-fn", this.save(image)]);
    return status === 0 ? "" : `e2fsck: ${status}\n${stdout}${stderr}`;
  }

  /** What an image holds after `e2fsck -fy`. @throws it cannot be repaired. */
  repair(image: Uint8Array): Uint8Array {
    const path = this.save(image);
    const { status, stdout } = run("e2fsck", ["-fy", path]);
    if (status === null || status > 2) throw new Error(`e2fsck -fy: ${status}\n${stdout}`);
    return this.read(path);
  }

  /** Let e2fsck build the indexes of directories. */
  optimize(path: string): void {
    run("e2fsck", ["-fyD", path]);
  }

  read(path: string): Uint8Array {
    return new Uint8Array(fs.readFileSync(path));
  }

  /** What debugfs prints for commands; with `write`, they may change the image. */
  debugfs(path: string, commands: readonly string[], write = false): string {
    const args = [...(write ? ["-w"] : []), "-f", "-", path];
    const { status, stdout, stderr } = spawnSync("debugfs", args, {
      env: ENV,
      input: commands.join("\n"),
      maxBuffer: 2 ** 26,
    });
    if (status !== 0) throw new Error(`debugfs: ${status}: ${stderr}`);
    return stdout.toString("latin1");
  }

  /** The bytes of regular files, as debugfs reads them. */
  dump(image: Uint8Array, paths: readonly string[]): Uint8Array[] {
    const at = this.save(image);
    const out = paths.map((_path, i) => this.path(`dump-${i}`));
    for (const file of out) fs.rmSync(file, { force: true });
    this.debugfs(
      at,
      paths.map((path, i) => `dump ${path} ${out[i]}`),
    );
    return out.map((file) => new Uint8Array(fs.readFileSync(file)));
  }
}
