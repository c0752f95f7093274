export type { CaseReport } from "./check-case.ts";
export { checkCase } from "./check-case.ts";
export type { DmaCase } from "./random-case.ts";
export { randomCase } from "./random-case.ts";
export type { KitCase, SuiteOptions } from "./suite.ts";
export { backendSuite } from "./suite.ts";
export type {
  BackendSpec,
  BackendUnderTest,
  DeviceUnderTest,
  MakeBackend,
  RandomSource,
  ZoneCounts,
} from "./under-test.ts";
