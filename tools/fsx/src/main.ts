/**
 * Entry point: random operations on a file, compared with an array.
 *
 *   node --conditions=@physio/source tools/fsx/src/main.ts --seed S --ops N …
 */
import { fsx } from "./command.ts";

process.exitCode = fsx(process.argv.slice(2), console);
