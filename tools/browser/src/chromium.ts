/**
 * Running plans in headless Chromium, in the built page.
 *
 * The page is built anew for each browser, so a build error (an import of Node's, say) is an error
 * of the run. So is anything that the page throws or logs as an error.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { chromium } from "playwright-core";
import type { PreviewServer } from "vite";
import { build, preview } from "vite";
import { HostMissing } from "./command.ts";
import { pageConfig } from "./page-config.ts";
import type { Plan, RunResult } from "./run-one.ts";

const LIMIT_MS = 300_000;

/** The browser's binary. @throws {HostMissing} */
function chromiumPath(): string {
  const path = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (existsSync(path)) return path;
  throw new HostMissing(`no Chromium at ${path}: install it, or name another in CHROMIUM`);
}

function address(base: string, plan: Plan): string {
  const url = new URL(base);
  url.searchParams.set("image", plan.images.join(","));
  url.searchParams.set("profile", plan.profile);
  url.searchParams.set("bounce", String(plan.bouncePages));
  url.searchParams.set("seeds", plan.seeds.join(","));
  return url.href;
}

/** Wait for the first thing that goes wrong in the page. @throws it; never returns. */
function firstError(page: Page): Promise<never> {
  const first = new Promise<never>((_, reject) => {
    const fail = (what: string) => reject(new Error(`the page: ${what}`));
    page.on("pageerror", (error) => fail(error.message));
    page.on("crash", () => fail("it crashed"));
    page.on("console", (message) => {
      if (message.type() === "error") fail(`console: ${message.text()}`);
    });
  });
  first.catch(() => {}); // nobody may be waiting when it comes
  return first;
}

/** Wait for the result that the page shows. */
async function resultOf(page: Page): Promise<RunResult[]> {
  const options = { timeout: LIMIT_MS };
  const shown = await page.waitForSelector('#result:not([data-state="running"])', options);
  const state = await shown.getAttribute("data-state");
  if (state !== "done") throw new Error(`the page: ${await shown.textContent()}`);
  return page.evaluate<RunResult[]>("window.physio");
}

export class PageRunner {
  readonly version: string;
  readonly #browser: Browser;
  readonly #server: PreviewServer;
  readonly #folder: string;

  private constructor(browser: Browser, server: PreviewServer, folder: string) {
    this.version = browser.version();
    this.#browser = browser;
    this.#server = server;
    this.#folder = folder;
  }

  /** Build the page, serve it, start a browser. @throws {HostMissing}; what the build says. */
  static async open(): Promise<PageRunner> {
    const executablePath = chromiumPath();
    const folder = mkdtempSync(join(tmpdir(), "physio-page-"));
    let server: PreviewServer | null = null;
    try {
      const config = pageConfig(folder);
      await build(config);
      server = await preview(config);
      const args = ["--no-sandbox", "--disable-dev-shm-usage"];
      const browser = await chromium.launch({ executablePath, args });
      return new PageRunner(browser, server, folder);
    } catch (error) {
      await server?.close();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Run a plan in one page. @throws when the page reports any error. */
  async run(plan: Plan): Promise<RunResult[]> {
    const page = await this.#browser.newPage();
    try {
      const error = firstError(page);
      const result = page
        .goto(address(this.#server.resolvedUrls?.local[0] ?? "", plan))
        .then(() => resultOf(page));
      return await Promise.race([error, result]);
    } finally {
      await page.close();
    }
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
