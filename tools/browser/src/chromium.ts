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
import { pageConfig } from "./page-config.ts";
import type { Plan, RunResult } from "./run-one.ts";

const LIMIT_MS = 300_000;

/** There is nothing to run in: not a fault of what is under test. */
export class HostMissing extends Error {}

/** The browser's binary. @throws {HostMissing} */
export function chromiumPath(): string {
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

/** Collect what goes wrong in the page. */
function listen(page: Page): string[] {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("crash", () => errors.push("the page crashed"));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(`console: ${message.text()}`);
  });
  return errors;
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
      const errors = listen(page);
      await page.goto(address(this.#server.resolvedUrls?.local[0] ?? "", plan));
      const ended = page.waitForSelector('#result:not([data-state="running"])', {
        timeout: LIMIT_MS,
      });
      const broken = page.waitForEvent("crash", { timeout: LIMIT_MS }).catch(() => null);
      await Promise.race([ended, broken]);
      if (errors.length > 0) throw new Error(`the page: ${errors.join("; ")}`);
      return await page.evaluate<RunResult[]>("window.physio");
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
