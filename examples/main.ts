/** Entry point: `npm run -s example -- NAME`. See command.ts. */
import { command } from "./command.ts";

process.exitCode = command(process.argv.slice(2), (line) => console.log(line));
