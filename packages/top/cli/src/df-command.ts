/**
 * `physio df`: how much of images is used.
 */
import { Errno, ErrnoError } from "@physio/kern";
import type { FsStatistics } from "@physio/vfs";
import { imageOperand } from "./operand.ts";
import { complain, print, printable } from "./output.ts";
import type { CommonOptions } from "./session.ts";
import { describeError, withSession } from "./session.ts";
import { table } from "./table.ts";

interface Usage extends FsStatistics {
  readonly image: string;
  readonly type: string;
}

const KIB = 1024;

/** Shares are rounded up, as df(1) does. */
const percent = (used: number, of: number): string =>
  of === 0 ? "-" : `${Math.ceil((used * 100) / of)}%`;

function row(usage: Usage): string[] {
  const { blockSize, blocks, freeBlocks, availableBlocks, inodes, freeInodes } = usage;
  const kib = (n: number) => String(Math.round((n * blockSize) / KIB));
  const used = blocks - freeBlocks;
  const usedInodes = inodes - freeInodes;
  return [
    printable(usage.image),
    usage.type,
    kib(blocks),
    kib(used),
    kib(availableBlocks),
    percent(used, used + availableBlocks),
    String(usedInodes),
    String(freeInodes),
  ];
}

const HEAD = ["image", "type", "1K-blocks", "used", "available", "capacity", "iused", "ifree"];

/** @returns the exit code. */
export async function dfCommand(texts: readonly string[], options: CommonOptions): Promise<number> {
  return await withSession(options, async (session) => {
    const usages: Usage[] = [];
    let failures = 0;
    for (const { image } of texts.map(imageOperand)) {
      try {
        const mount = await session.mountImage(image);
        const statistics = mount.ops.statistics?.();
        const type = mount.ops.fsName;
        if (statistics === undefined) throw new ErrnoError(Errno.EOPNOTSUPP, `${image}: ${type}`);
        usages.push({ image, type, ...statistics });
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
        complain(describeError(error, options.debug === true));
        failures++;
      }
    }
    session.finish();
    if (options.json === true) print(JSON.stringify(usages, null, 2));
    else if (usages.length > 0) print(table(usages.map(row), HEAD));
    session.printSysctls(options.json === true ? complain : print);
    return failures === 0 ? 0 : 1;
  });
}
