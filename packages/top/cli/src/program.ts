/**
 * The command line: commands, options, exit codes.
 *
 * Exit codes: 0 all is well; 1 something is wrong with the image, the manifest or the file; 2 the
 * command line itself.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PROFILE_NAMES } from "@physio/machine";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { fileCommand } from "./file-commands.ts";
import { BrokenPipe, complain } from "./output.ts";
import type { CommonOptions } from "./session.ts";
import { describeError } from "./session.ts";
import { demoSubjects, verifyAll } from "./verify-command.ts";

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

/** Options that every command has. */
function withCommon(command: Command, defaultProfile: string): Command {
  return command
    .addOption(
      new Option("--profile <name>", "kind of machine")
        .choices([...PROFILE_NAMES])
        .default(defaultProfile),
    )
    .option("--seed <n>", "names one interleaving of threads and completions", wholeNumber(0), 1)
    .option("--bounce-pages <n>", "most bounce pages for each disk", wholeNumber(2))
    .option("--sysctl", "print the hw.busdma tree after the run")
    .option("--trace <file>", "write what happened as Chrome trace JSON, for Perfetto")
    .option("--debug", "print stacks of errors");
}

/** The commands; each sets the exit code through `done`. */
function build(done: (code: number) => void): Command {
  const program = new Command("physio")
    .description("The BSD I/O memory path: read disk images through every layer of it.")
    .version(version(), "--version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(text),
      writeErr: (text) => complain(text.trimEnd().replace(/^error: /, "physio: ")),
    });

  withCommon(program.command("demo"), "pc-32bit-dma")
    .description(
      "boot a PC, read three disk images through a disk controller that reaches 4 GiB, verify them",
    )
    .option("--json", "print JSON")
    .addOption(
      new Option("--fixtures <folder>", "where the images are").default(
        fileURLToPath(here("../../../../fixtures/ext2")),
        "fixtures/ext2 of the checkout",
      ),
    )
    .action(async (options: CommonOptions & { fixtures: string }) => {
      done(await verifyAll(demoSubjects(options.fixtures), options));
    });

  withCommon(program.command("verify <image>"), "pc-32bit-dma")
    .description("read a whole image (raw or gzip) and compare it with a manifest")
    .option("--json", "print JSON")
    .requiredOption("--manifest <file>", "JSON that an independent reader made")
    .action(async (image: string, options: CommonOptions & { manifest: string }) => {
      done(await verifyAll([{ image, manifest: options.manifest }], options));
    });

  for (const [name, text] of [
    ["ls", "list a directory"],
    ["stat", "show a file's attributes"],
    ["cat", "print a file"],
  ] as const) {
    const command = withCommon(program.command(`${name} <image:/path>`), "pc-32bit-dma")
      .description(`${text} of an image (raw or gzip)`)
      .action(async (operand: string, options: CommonOptions) =>
        done(await fileCommand(name, operand, options)),
      );
    if (name !== "cat") command.option("--json", "print JSON");
  }
  return program;
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
    if (error instanceof BrokenPipe) return 1;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    complain(describeError(error, args.includes("--debug")));
    return 1;
  }
}
