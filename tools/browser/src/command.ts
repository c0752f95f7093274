/**
 * What both commands do with their arguments and with errors.
 */

/** The command line makes no sense. */
export class UsageError extends Error {}

/** There is nothing to run in: not a fault of what is under test. */
export class HostMissing extends Error {}

/** @throws {UsageError} not a whole number from 1 on. */
export function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`${option}: "${text}" is not a whole number from 1 on`);
}

/** Say what went wrong. @returns the exit code: 2 usage, 3 a host is missing, 1 anything else. */
export function complain(error: unknown): number {
  const failure = error instanceof Error ? error : new Error(String(error));
  const { code } = failure as { code?: string };
  console.error(`browser: ${failure.message}`);
  if (failure instanceof HostMissing) return 3;
  if (failure instanceof UsageError || code?.startsWith("ERR_PARSE_ARGS") === true) return 2;
  console.log("\n0 passed, 1 failed");
  return 1;
}
