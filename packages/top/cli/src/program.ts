/**
 * The command line: commands, options, exit codes.
 *
 * Exit codes: 0 all is well; 1 something is wrong with an image, a manifest or a file; 2 the command line
 * itself; 128 and the signal's number: stopped by a signal.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PROFILE_NAMES } from "@physio/machine";
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { ChangeOptions } from "./change-commands.ts";
import { lnCommand, mkdirCommand, mvCommand, rmCommand, syncCommand } from "./change-commands.ts";
import type { Shell } from "./completion.ts";
import { completionScript, SHELLS } from "./completion.ts";
import type { CopyCommand, CopyCommandOptions } from "./copy-commands.ts";
import { copyCommand, UsageError } from "./copy-commands.ts";
import { copyDemo, demoSubjects } from "./demo.ts";
import { dfCommand } from "./df-command.ts";
import type { ReadCommand } from "./file-commands.ts";
import { fileCommand } from "./file-commands.ts";
import type { MkfsOptions } from "./mkfs-command.ts";
import { mkfsCommand } from "./mkfs-command.ts";
import { BrokenPipe, complain, printBytes } from "./output.ts";
import type { CommonOptions } from "./session.ts";
import { describeError } from "./session.ts";
import { Interrupted } from "./signals.ts";
import { verifyAll } from "./verify-command.ts";

type Done = (code: number) => void;

const PROFILE = "pc-32bit-dma";
const here = (path: string): URL => new URL(path, import.meta.url);

function version(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(here("../package.json"), "utf8"));
  return manifest.version;
}

function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (/^\d+$/.test(text) && n >= least && n < 2 ** 31) return n;
    throw new InvalidArgumentError(`it is not a whole number from ${least} on.`);
  };
}

const UNITS: Readonly<Record<string, number>> = Object.freeze({
  "": 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
});

/** Bytes: `65536`, `64K`, `64KiB`, `1.5G`. */
function byteCount(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(?:([KMGT])(?:iB)?)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * UNITS[(unit ?? "").toUpperCase()];
  if (digits !== undefined && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError("it is not a number of bytes (K, M, G, T may follow).");
}

function octalMode(text: string): number {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new InvalidArgumentError("it is not an octal mode.");
}

/** Options that every command with a machine has. */
function withCommon(command: Command): Command {
  return command
    .addOption(
      new Option("--profile <name>", "kind of machine")
        .choices([...PROFILE_NAMES])
        .default(PROFILE),
    )
    .option("--seed <n>", "names one interleaving of threads and completions", wholeNumber(0), 1)
    .option("--bounce-pages <n>", "most bounce pages for each disk", wholeNumber(2))
    .option("--sysctl", "print the hw.busdma tree after the run")
    .option("--trace <file>", "write what happened as Chrome trace JSON, for Perfetto")
    .option("--debug", "print stacks of errors");
}

const JSON_OPTION = ["--json", "print JSON"] as const;

function addVerifying(program: Command, done: Done): void {
  withCommon(program.command("demo"))
    .description(
      "boot a PC, read three disk images through a disk controller that reaches 4 GiB, verify and copy them",
    )
    .option(...JSON_OPTION)
    .addOption(
      new Option("--fixtures <folder>", "where the images are").default(
        fileURLToPath(here("../../../../fixtures/ext2")),
        "fixtures/ext2 of the checkout",
      ),
    )
    .action(async (options: CommonOptions & { fixtures: string }) => {
      const copy = () => copyDemo(options.fixtures, options);
      done(await verifyAll(demoSubjects(options.fixtures), options, copy));
    });

  withCommon(program.command("verify <image>"))
    .description("read a whole image (raw or gzip) and compare it with a manifest")
    .option(...JSON_OPTION)
    .requiredOption("--manifest <file>", "JSON that an independent reader made")
    .action(async (image: string, options: CommonOptions & { manifest: string }) => {
      done(await verifyAll([{ image, manifest: options.manifest }], options));
    });
}

const READERS: readonly (readonly [ReadCommand, string])[] = [
  ["ls", "list directories"],
  ["tree", "show what is below directories"],
  ["stat", "show files' attributes"],
  ["cat", "print files"],
];

function addReading(program: Command, done: Done): void {
  for (const [name, text] of READERS) {
    const command = withCommon(program.command(`${name} <image:/path...>`))
      .description(`${text} of images (raw or gzip)`)
      .action(async (operands: string[], options: CommonOptions) =>
        done(await fileCommand(name, operands, options)),
      );
    if (name !== "cat") command.option(...JSON_OPTION);
  }
  withCommon(program.command("df <image...>"))
    .description("show how much of images is used")
    .option(...JSON_OPTION)
    .action(async (images: string[], options: CommonOptions) => {
      done(await dfCommand(images, options));
    });
}

const COPIERS: readonly (readonly [CopyCommand, string, string, string])[] = [
  ["cp", "<source...>", "<target>", "copy files between images, and between an image and the host"],
  ["put", "<file...>", "<image:/path>", "copy files of the host into an image"],
  ["get", "<image:/path...>", "<file>", "copy files of an image to the host"],
];

/** The last operand of several is another thing than the others, which commander cannot say. */
function several(command: Command, first: string, last: string): Command {
  const argument = new Argument(`<${first.slice(1, -1).replace("...", "")}...>`);
  return command.addArgument(argument).usage(`[options] ${first} ${last}`);
}

/** => at least two operands. @throws {UsageError} */
function checkTwo(operands: readonly string[]): void {
  if (operands.length < 2) throw new UsageError("missing an operand: where it goes");
}

function addCopying(program: Command, done: Done): void {
  for (const [name, first, last, text] of COPIERS) {
    several(withCommon(program.command(name)), first, last)
      .description(text)
      .option("-r, --recursive", "directories with all that is in them")
      .option("-p, --preserve", "keep modes, owners and times")
      .addOption(new Option("--direct", "past the page cache").conflicts("mmap"))
      .addOption(new Option("--mmap", "through mappings").conflicts("direct"))
      .option("--fsync", "each file is on the disk before the next one begins")
      .option("-v, --verbose", "print what was copied")
      .option(...JSON_OPTION)
      .action(async (operands: string[], options: CopyCommandOptions) => {
        checkTwo(operands);
        done(await copyCommand(name, operands, options));
      });
  }
}

function addChanging(program: Command, done: Done): void {
  const changing = (name: string, text: string): Command =>
    withCommon(program.command(name))
      .description(text)
      .option("-v, --verbose", "print what was done")
      .option(...JSON_OPTION);
  changing("mkdir <image:/path...>", "make directories in an image")
    .option("-p, --parents", "those on the way too; one that is there is no error")
    .option("-m, --mode <mode>", "permission bits, octal", octalMode)
    .action(async (operands: string[], options: ChangeOptions) => {
      done(await mkdirCommand(operands, options));
    });
  changing("rm <image:/path...>", "remove files of an image")
    .option("-r, --recursive", "directories with all that is in them")
    .option("-f, --force", "what is not there is no error")
    .action(async (operands: string[], options: ChangeOptions) => {
      done(await rmCommand(operands, options));
    });
  several(changing("mv", "rename files in an image"), "<image:/path...>", "<image:/path>").action(
    async (operands: string[], options: ChangeOptions) => {
      checkTwo(operands);
      done(await mvCommand(operands, options));
    },
  );
  changing("ln <existing> <image:/path>", "give a file of an image one more name")
    .option("-s, --symbolic", "a symlink: <existing> is what it says")
    .option("-f, --force", "in place of what is there")
    .action(async (existing: string, name: string, options: ChangeOptions) => {
      done(await lnCommand([existing, name], options));
    });
  changing("sync <image...>", "mount images for writing, and bring them to a clean end").action(
    async (images: string[], options: ChangeOptions) => {
      done(await syncCommand(images, options));
    },
  );
}

function addOthers(program: Command, done: Done): void {
  program
    .command("mkfs <image>")
    .description("make an ext2 file system; what the image was before is gone")
    .option("--size <bytes>", "size of the image, such as 64M; default: what it has", byteCount)
    .option("--block-size <bytes>", "1024, 2048 or 4096", byteCount)
    .option("--inodes <n>", "inodes at least", wholeNumber(1))
    .option("--inode-size <bytes>", "128 or 256", byteCount)
    .option("--label <text>", "name of the volume, 16 bytes at most")
    .option("--uuid <uuid>", "default: one that the other options name")
    .option(...JSON_OPTION)
    .option("--debug", "print stacks of errors")
    .action((image: string, options: MkfsOptions) => done(mkfsCommand(image, options)));
  program
    .command("completion")
    .addArgument(new Argument("<shell>", "whose").choices([...SHELLS]))
    .description("print a completion script for a shell")
    .action((shell: Shell) => {
      printBytes(Buffer.from(completionScript(program, shell)));
      done(0);
    });
}

/** The commands; each sets the exit code through `done`. */
function build(done: Done): Command {
  const program = new Command("physio")
    .description(
      "The BSD I/O memory path: disk images, read and written through every layer of it.",
    )
    .version(version(), "--version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(text),
      writeErr: (text) => complain(text.trimEnd().replace(/^error: /, "physio: ")),
    });
  addVerifying(program, done);
  addReading(program, done);
  addCopying(program, done);
  addChanging(program, done);
  addOthers(program, done);
  return program;
}

/** What ended a command. @returns the exit code. */
function exitCodeOf(error: unknown, debug: boolean): number {
  if (error instanceof BrokenPipe) return 1;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    complain(`physio: ${error.message}`);
    return 2;
  }
  if (error instanceof Interrupted) {
    complain(`physio: ${error.message}; what was done is on the disk`);
    return error.exitCode;
  }
  complain(describeError(error, debug));
  return 1;
}

/** Run the command line `args`. @returns the exit code. */
export async function runCli(args: readonly string[]): Promise<number> {
  let code = 0;
  try {
    await build((result) => {
      code = result;
    }).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    return exitCodeOf(error, args.includes("--debug"));
  }
}
