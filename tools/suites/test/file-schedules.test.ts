/**
 * Threads that use one file in every way at once, under seeded schedules, against a model of its bytes:
 * see src/file-schedule.ts. `PHYSIO_ALL` runs 200 of them, long/ 10,000, `PHYSIO_SEED=n` the one.
 */
import { expect, test } from "vitest";
import { ByteModel, bytesAt } from "../src/byte-model.ts";
import { runSchedule } from "../src/file-schedule.ts";
import { watched } from "../src/watchdog.ts";

const ONE = process.env.PHYSIO_SEED;
const FIRST = Number(ONE ?? 1);
const COUNT = ONE === undefined ? (process.env.PHYSIO_ALL === undefined ? 16 : 200) : 1;

test(`${COUNT} schedules from seed ${FIRST} on`, { timeout: 120_000 }, () => {
  let operations = 0;
  let switches = 0;
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const report = watched(seed, () => runSchedule(seed));
    operations += report.operations;
    switches += report.switches;
  }
  expect(operations / COUNT).toBeGreaterThan(ONE === undefined ? 20 : 0);
  expect(switches / COUNT).toBeGreaterThan(ONE === undefined ? 60 : 0);
});

test("a seed names one schedule", () => {
  expect(runSchedule(FIRST)).toEqual(runSchedule(FIRST));
});

test("the model allows what some order of the changes gives, and nothing else", () => {
  const model = new ByteModel(100);
  const one = model.beginWrite(0, 10);
  model.finish(one, 10, 10);
  const since = model.now();
  const two = model.beginStore(0, 10); // under way: either
  expect(model.complaint(0, bytesAt(one.id, 0, 10), since)).toBe(null);
  expect(model.complaint(0, bytesAt(two.id, 0, 10), since)).toBe(null);
  model.finishStore(two, true);
  expect(model.complaint(0, bytesAt(one.id, 0, 10), since)).toBe(null); // began before
  expect(model.complaint(0, bytesAt(one.id, 0, 10), model.now())).toMatch(/^byte 0 is/);
  const three = model.beginTruncate(4);
  model.finish(three, Infinity, 4);
  const beyond = model.beginStore(5, 8);
  model.finishStore(beyond, true);
  const four = model.beginTruncate(10);
  model.finish(four, Infinity, 10);
  expect(model.complaint(4, new Uint8Array(6), model.now())).toBe(null);
  expect(model.complaint(5, bytesAt(beyond.id, 5, 3), model.now())).toMatch(/^byte 5 is/);
  const whole = new Uint8Array(10);
  whole.set(bytesAt(two.id, 0, 4));
  expect(model.settle(whole)).toBe(null);
  expect(model.complaint(0, whole, model.now())).toBe(null);
  expect(model.settle(new Uint8Array(9))).toBe("the file has 9 bytes, the model 10");
});
