/**
 * Entry point: `node tools/portmap/src/main.ts [--root DIR] [--check | --summary]`. See command.ts.
 */
import { command } from "./command.ts";

process.exitCode = command(process.argv.slice(2), (line) => console.log(line));
