/**
 * Entry point: `node tools/release/src/main.ts check | sizes | release --dry-run`. See command.ts.
 */
import { command } from "./command.ts";

process.exitCode = await command(process.argv.slice(2), (line) => console.log(line));
