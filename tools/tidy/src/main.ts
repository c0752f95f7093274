/**
 * Entry point: `node tools/tidy/src/main.ts [--root DIR] [--fix]`. See command.ts.
 */
import { command } from "./command.ts";

process.exitCode = command(process.argv.slice(2), (line) => console.log(line));
