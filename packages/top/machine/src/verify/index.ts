export type { Hasher, Mismatch } from "./compare.ts";
export type { DataRange, Manifest, ManifestEntry } from "./manifest.ts";
export { parseManifest } from "./manifest.ts";
export type { MappedReport } from "./mapped.ts";
export { verifyMapped } from "./mapped.ts";
export type { Failure, VerifyOptions, VerifyReport } from "./verify.ts";
export { verifyImage } from "./verify.ts";
