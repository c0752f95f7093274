// The site: manual, API pages, architecture. Built by ../build.mjs, which fills ../content first.
//
// The base is a placeholder that build.mjs turns into a path relative to each page, so that the
// result can lie in any folder of any server. Nothing is loaded from elsewhere.
import { existsSync, readFileSync } from "node:fs";
import { defineConfig } from "vitepress";
import { BASE, manualPages } from "../layout.mjs";

const apiSidebar = new URL("../content/api/typedoc-sidebar.json", import.meta.url);

/** The sidebar of the theme links to `/api/...`, which is where the pages are. */
const api = existsSync(apiSidebar) ? JSON.parse(readFileSync(apiSidebar, "utf8")) : [];

export default defineConfig({
  title: "physio",
  description: "The BSD I/O memory path as TypeScript packages",
  base: BASE,
  srcDir: "content",
  outDir: ".vitepress/dist",
  cacheDir: ".vitepress/cache",
  head: [["link", { rel: "icon", href: "data:," }]],
  cleanUrls: false,
  metaChunk: false,
  vite: { build: { chunkSizeWarningLimit: 4000 }, logLevel: "warn" },
  markdown: { lineNumbers: false },
  themeConfig: {
    search: { provider: "local" },
    nav: [
      { text: "Manual", link: "/manual/" },
      { text: "API", link: "/api/" },
      { text: "Architecture", link: "/architecture" },
    ],
    sidebar: [
      {
        text: "Guide",
        items: [
          { text: "physio", link: "/" },
          { text: "Architecture", link: "/architecture" },
          { text: "Decisions", link: "/decisions/" },
          { text: "Port map", link: "/port-map" },
        ],
      },
      { text: "Manual", items: manualPages().map((p) => ({ text: p.title, link: p.link })) },
      { text: "API", collapsed: true, items: api },
    ],
    outline: [2, 3],
  },
});
