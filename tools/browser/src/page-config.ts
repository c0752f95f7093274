/**
 * How vite builds and serves the page: from the sources, with the fixtures beside it, and never
 * with a module of Node.
 */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, relative } from "node:path";
import type { InlineConfig, Plugin, PreviewServer, ViteDevServer } from "vite";
import { defaultClientConditions } from "vite";
import { FIXTURES, ROOT } from "./in-node.ts";

/**
 * An import of one of Node's modules is an error. By itself vite would put an empty module in its
 * place, and the page would fail later or, where nothing is called, not at all.
 */
function noNodeImports(): Plugin {
  return {
    name: "physio:no-node-imports",
    enforce: "pre",
    resolveId(source, importer) {
      if (!source.startsWith("node:") && !isBuiltin(source)) return null;
      const where = importer === undefined ? "the page" : relative(ROOT, importer);
      return this.error(`${where} imports ${source}, which no browser has`);
    },
  };
}

/** Serve `fixtures/ext2/*` as they are: a .gz stays packed, the page unpacks it. */
function serveFixtures(server: ViteDevServer | PreviewServer): void {
  server.middlewares.use("/fixtures", (request, response) => {
    const name = /^\/([\w-]+\.(?:img\.gz|manifest\.json))$/.exec(request.url ?? "")?.[1];
    try {
      if (name === undefined) throw new Error("no such fixture");
      const bytes = readFileSync(join(FIXTURES, name));
      response.writeHead(200, { "Content-Type": "application/octet-stream" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
}

const fixtures: Plugin = {
  name: "physio:fixtures",
  configureServer: serveFixtures,
  configurePreviewServer: serveFixtures,
};

/** The page's configuration. @param outDir where the built page goes. */
export function pageConfig(outDir: string, ...more: readonly Plugin[]): InlineConfig {
  return {
    configFile: false,
    root: join(ROOT, "tools/browser/page"),
    logLevel: "error",
    resolve: { conditions: ["@physio/source", ...defaultClientConditions] },
    plugins: [noNodeImports(), fixtures, ...more],
    build: { outDir, emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 2000 },
    preview: { host: "127.0.0.1", port: 0, open: false },
  };
}
