/**
 * Entry point: replay recorded scenarios.
 *
 *   node --conditions=@physio/source tools/conformance/src/main.ts busdma|genfs|fileops [FILE|DIR]...
 *     [--tolerate-disputed]
 *
 * Without a file: all of conformance/busdma, genfs, fileops. Exit codes: 0 all pass; 1 something failed; 2 the command
 * line, or a file that cannot be read.
 */
import { conformance } from "./command.ts";

process.exitCode = conformance(process.argv.slice(2), console);
