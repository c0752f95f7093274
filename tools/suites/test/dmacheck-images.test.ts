/** dmacheck has nothing to say of the NVMe driver while whole images are read. */
import type { Dmacheck } from "@physio/dmacheck";
import { dmacheck } from "@physio/dmacheck";
import type { MachineConfig } from "@physio/machine";
import { MemoryMedia, pc, pc32BitDma } from "@physio/machine";
import { parseManifest } from "@physio/machine/verify";
import { expect, test } from "vitest";
import { examine } from "../src/examine.ts";
import { FIXTURE_NAMES, fixture } from "../src/fixtures.ts";

const PROFILES: [string, MachineConfig][] = [
  ["all memory reached", pc()],
  ["half of it bounced", pc32BitDma()],
  ["bounced through 8 pages", pc32BitDma({ bouncePages: 8 })],
];

test.each(PROFILES)("%s", (_name, config) => {
  for (const name of FIXTURE_NAMES) {
    let check: Dmacheck | null = null;
    const checked: MachineConfig = {
      ...config,
      dmaBackend: (pool, kmem, membus) => {
        check = dmacheck(config.dmaBackend(pool, kmem, membus), { membus, all: true });
        return check.backend;
      },
    };
    const of = fixture(name);
    const manifest = parseManifest({ entries: of.entries });
    const { report } = examine(new MemoryMedia(of.bytes.slice()), manifest, checked);
    expect(report.failures).toEqual([]);
    expect(check!.report()).toMatch(/^dmacheck: no findings\n/);
  }
});
