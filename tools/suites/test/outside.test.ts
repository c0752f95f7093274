/** Promises of the host at the edge of a machine: whatever their timing, the run inside is the same. */
import { machine, pc } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import { Ktr } from "@physio/trace";
import { expect, test } from "vitest";

const later = <T>(value: T, ms: number): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), ms));

/** Three threads ask the host, whose answers take `delays` ms of real time. */
async function run(delays: readonly number[]) {
  const m = machine(pc({ seed: 7 }));
  m.ktr.mask = Ktr.ALL;
  const seen: string[] = [];
  function* asker(n: number): Sleeps<void> {
    yield* m.sched.pause("before", 10 * n + 1);
    const answer = yield* m.ask(`call ${n}`, 500 - 100 * n, later(n * n, delays[n]));
    seen.push(`${n}: ${answer} at ${m.sched.now}`);
  }
  const threads = [0, 1, 2].map((n) => m.sched.start(asker(n), `asker${n}`));
  await m.run(
    (function* (): Sleeps<void> {
      yield* m.sched.pause("all", 10_000);
    })(),
  );
  for (const thread of threads) m.sched.resultOf(thread);
  return { seen, hash: m.ktr.hash(), time: m.sched.now };
}

test("answers take effect in virtual time, in any order and at any moment of the host's", async () => {
  const expected = await run([0, 0, 0]);
  expect(expected.seen).toEqual(["2: 4 at 321", "1: 1 at 411", "0: 0 at 501"]);
  expect(await run([30, 1, 15])).toEqual(expected);
  expect(await run([1, 20, 40])).toEqual(expected);
});

test("a promise that is rejected is thrown where it is waited for", async () => {
  const m = machine(pc({}));
  const wait = m.ask("no answer", 5, Promise.reject(new Error("the host says no")));
  await expect(m.run(wait)).rejects.toThrow("the host says no");
  expect(m.sched.now).toBe(5);
});

test("runSync cannot wait for the host, and says for what", () => {
  const m = machine(pc({}));
  const never = m.ask("fetch", 5, new Promise<never>(() => {}));
  expect(() => m.runSync(never)).toThrow(/outside call "fetch".*due at 5 ns, not answered yet/);
});
