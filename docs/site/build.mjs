// Builds the site: `node docs/site/build.mjs` (Node 24; the workspace is installed).
//
//   entries/            one module a door of a package, for typedoc
//   content/            what vitepress reads: the documents of the repository and the API pages
//   .vitepress/dist/    the site; its links are relative, it asks no other host for anything
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, posix, relative, sep } from "node:path";
import { BASE, content, dist, doors, filesBelow, packageFolders, root, site } from "./layout.mjs";

const slashed = (path) => path.split(sep).join("/");

function run(name, ...args) {
  const begin = performance.now();
  const done = spawnSync(process.execPath, [binary(name), ...args], {
    cwd: site,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", DO_NOT_TRACK: "1" },
  });
  if (done.status !== 0) {
    process.stderr.write(done.stdout + done.stderr);
    console.error(`docs: ${name} failed`);
    process.exit(1);
  }
  const warnings = (done.stdout + done.stderr).split("\n").filter((l) => /\bwarn/i.test(l));
  for (const line of warnings) console.error(`docs: ${name}: ${line}`);
  console.log(`docs: ${name} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}

function binary(name) {
  const folder = join(site, "node_modules", name);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, typeof bin === "string" ? bin : bin[name]);
}

// ---- entries

function writeEntries() {
  const folder = join(site, "entries");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, source] of packageFolders().flatMap(doors)) {
    writeFileSync(join(folder, `${name}.ts`), `export * from "../../../${slashed(source)}";\n`);
  }
}

// ---- content

/** Where a document of the repository lies in the site. */
const DOCUMENTS = [
  ["README.md", "index.md"],
  ["docs/architecture.md", "architecture.md"],
  ["docs/port-map.md", "port-map.md"],
  ...["decisions", "manual"].flatMap((folder) =>
    readdirSync(join(root, "docs", folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => [`docs/${folder}/${name}`, `${folder}/${name}`]),
  ),
];

/** Links between documents are kept, those to other files of the repository become their text. */
function relink(text, from, to, places) {
  const link = (whole, label, target) => {
    if (/^(https?:|mailto:|#)/.test(target)) return whole;
    const [path, anchor] = target.split("#");
    const wanted = posix.normalize(posix.join(posix.dirname(from), path)).replace(/\/$/, "");
    const place = places.get(wanted);
    if (place === undefined) return label;
    const relativePath = posix.relative(posix.dirname(to), place);
    return `[${label}](./${relativePath}${anchor === undefined ? "" : `#${anchor}`})`;
  };
  return text.replace(/\[([^\]]*)\]\(([^)\s]+)\)/g, link);
}

/** A page of the manual leads to the API pages of its package. */
function withApi(text, to) {
  const page = /^manual\/([\w-]+)\.md$/.exec(to)?.[1];
  const folder = packageFolders().find((f) => (page === "physio" ? "cli" : page) === basename(f));
  if (folder === undefined) return text;
  const names = doors(folder).map(([name]) => name);
  const built = names.filter((name) => existsSync(join(content, "api", `${name}.md`)));
  const links = built.map((name) => `[${name}](../api/${name}.md)`);
  return links.length === 0 ? text : `${text.trimEnd()}\n\nAPI: ${links.join(", ")}\n`;
}

function decisionIndex() {
  const folder = join(root, "docs/decisions");
  const rows = readdirSync(folder).map((name) => {
    const title = readFileSync(join(folder, name), "utf8").split("\n", 1)[0].replace(/^#\s*/, "");
    return `- [${title}](./${name})`;
  });
  return `# Decisions\n\n${rows.join("\n")}\n`;
}

function writeContent() {
  const keep = join(content, "api");
  for (const name of existsSync(content) ? readdirSync(content) : []) {
    if (join(content, name) !== keep) rmSync(join(content, name), { recursive: true });
  }
  const places = new Map(DOCUMENTS);
  places.set("docs/decisions", "decisions/index.md");
  places.set("docs/manual", "manual/index.md");
  for (const [from, to] of DOCUMENTS) {
    const text = readFileSync(join(root, from), "utf8");
    mkdirSync(dirname(join(content, to)), { recursive: true });
    writeFileSync(join(content, to), withApi(relink(text, from, to, places), to));
  }
  writeFileSync(join(content, "decisions/index.md"), decisionIndex());
}

// ---- relative links

/** Turn the placeholder into the way from each file to the folder of the site. */
function makeRelative() {
  for (const file of filesBelow(dist)) {
    const up = slashed(relative(dirname(file), dist));
    const way = up === "" ? "./" : `${up}/`;
    if (file.endsWith(".html")) rewrite(file, (text) => relativeHtml(text, way));
    else if (file.endsWith(".css")) rewrite(file, (text) => text.replaceAll(BASE, way));
    else if (file.endsWith(".js")) rewrite(file, relativeScript);
  }
}

function rewrite(file, change) {
  const text = readFileSync(file, "utf8");
  const changed = change(text);
  if (changed !== text) writeFileSync(file, changed);
}

/**
 * Scripts learn where the site is from the page: a literal that begins with the placeholder becomes
 * a sum. The search index is one string with many of them.
 */
function relativeScript(text) {
  const index = /^(const \w+=)((['"`])[\s\S]*\3)(;export\{\w+ as default\};?\s*)$/.exec(text);
  if (index !== null) {
    return `${index[1]}${index[2]}.replaceAll(${JSON.stringify(BASE)},window.__siteBase__)${index[4]}`;
  }
  const literal = new RegExp(`(["'\`])${BASE}([^"'\`]*)\\1`, "g");
  return text.replace(literal, " (window.__siteBase__+$1$2$1)");
}

function relativeHtml(text, way) {
  const here = `<script>window.__siteBase__=new URL(${JSON.stringify(way)},location.href).pathname</script>`;
  return text
    .replace("<head>", `<head>${here}`)
    .replace(/<script>[\s\S]*?<\/script>/g, (script) =>
      script.replace(/JSON\.parse\(("(?:[^"\\]|\\.)*")\)/g, (whole, literal) =>
        literal.includes(BASE)
          ? `JSON.parse(${literal}.replaceAll(${JSON.stringify(BASE)},window.__siteBase__))`
          : whole,
      ),
    )
    .replaceAll(`"${BASE}"`, (whole, at, all) => (inScript(all, at) ? whole : `"${way}"`))
    .replaceAll(new RegExp(`(href|src)="${BASE}`, "g"), `$1="${way}`);
}

const inScript = (text, at) => text.lastIndexOf("<script>", at) > text.lastIndexOf("</script>", at);

// ---- what must hold of the result

/** Tags that make a browser fetch something. */
const FETCH = /<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="([^"]*)"/g;
const LINK = /<a\b[^>]*?\bhref="([^"]*)"/g;

/** Every link and resource of every page is a file of the site; nothing comes from elsewhere. */
function checkSite() {
  const wrong = [];
  const pages = filesBelow(dist).filter((file) => file.endsWith(".html"));
  for (const file of pages) {
    const text = readFileSync(file, "utf8");
    const at = (target) => `${relative(dist, file)}: ${target}`;
    for (const [, target] of text.matchAll(FETCH)) {
      if (!target.startsWith("data:") && !isInside(file, target)) wrong.push(at(target));
    }
    for (const [, target] of text.matchAll(LINK)) {
      if (!/^(https?:|mailto:|#)/.test(target) && !isInside(file, target)) wrong.push(at(target));
    }
  }
  for (const file of filesBelow(dist).filter((f) => f.endsWith(".css"))) {
    const text = readFileSync(file, "utf8");
    for (const [, target] of text.matchAll(/url\(["']?([^"')]+)/g)) {
      if (!target.startsWith("data:") && !isInside(file, target)) {
        wrong.push(`${relative(dist, file)}: ${target}`);
      }
    }
  }
  if (wrong.length === 0) return pages.length;
  for (const line of wrong.slice(0, 40)) console.error(`docs: leads nowhere: ${line}`);
  console.error(`docs: ${wrong.length} bad links`);
  process.exit(1);
}

function isInside(file, target) {
  if (/^([a-z]+:|\/)/.test(target)) return false;
  const path = join(
    dirname(file),
    decodeURI(target.replace(/[?#].*$/, "").replaceAll("&amp;", "&")),
  );
  return path.startsWith(dist) && existsSync(path);
}

const begin = performance.now();
writeEntries();
rmSync(join(content, "api"), { recursive: true, force: true });
run("typedoc");
writeContent();
rmSync(dist, { recursive: true, force: true });
run("vitepress", "build");
makeRelative();
copyFileSync(join(root, "LICENSE"), join(dist, "LICENSE"));
const pages = checkSite();
console.log(
  `docs: ${pages} pages in docs/site/.vitepress/dist, ${((performance.now() - begin) / 1000).toFixed(1)} s`,
);
