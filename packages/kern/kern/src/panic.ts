/**
 * Broken contracts.
 *
 * A Panic says that the machine's state can no longer be trusted. Only a top loop (the CLI, a test)
 * catches one; everything in between lets it pass. In code that runs often, write
 * `if (!(good)) panic(...)`: a NaN fails it too, and the message is built only on failure.
 *
 * Used by every package.
 */

/** What `panic` throws. Never caught below the top loop. */
export class Panic extends Error {
  override readonly name = "Panic";
}

/** Stop the machine: a contract between parts of the kernel is broken. @bsd #Y panic(9) */
export function panic(message: string): never {
  throw new Panic(message);
}

/**
 * Panic unless `good`.
 * => `message` is a constant: a template here is built on every call. Use `if` and `panic` for one.
 * @bsd #Y KASSERT(9)
 */
export function kassert(good: boolean, message: string): asserts good {
  if (!good) panic(message);
}
