/** Where things are in the checkout that holds this tool. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const HOUSE = fileURLToPath(new URL("../../..", import.meta.url));
/** Examples import what the manual's own package.json lists. */
export const IMPORTER = join(HOUSE, "docs/manual/package.json");
