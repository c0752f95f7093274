#!/usr/bin/env node
/** Entry of the `physio` command. */
import { runCli } from "./program.ts";

// Nobody sees the stacks of expected errors, and taking them costs a tenth of a copy of small files.
if (!process.argv.includes("--debug")) Error.stackTraceLimit = 0;
process.exitCode = await runCli(process.argv.slice(2));
