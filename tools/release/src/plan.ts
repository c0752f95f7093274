/**
 * What the changesets would publish: each package's new version, and why it gets one.
 *
 * Uses the parts of @changesets/cli and not the command, which wants to compare with a branch: a
 * plan is a matter of the files alone, and works without git.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

export interface Bump {
  readonly name: string;
  readonly type: "major" | "minor" | "patch";
  readonly oldVersion: string;
  readonly newVersion: string;
  /** The changesets that ask for it; none for a package that only follows a dependency. */
  readonly changesets: readonly string[];
  /** The dependencies whose new version its range does not admit. */
  readonly follows: readonly string[];
}

interface Release {
  readonly name: string;
  readonly type: Bump["type"] | "none";
  readonly oldVersion: string;
  readonly newVersion: string;
  readonly changesets: readonly string[];
}

interface Workspace {
  readonly packages: readonly {
    readonly packageJson: {
      readonly name: string;
      readonly dependencies?: Readonly<Record<string, string>>;
    };
  }[];
}

type Satisfies = (version: string, range: string) => boolean;

/** @returns every package that gets a version, sorted by name */
export async function releasePlan(root: string): Promise<Bump[]> {
  const { getPackages } = await part("@manypkg/get-packages");
  const { readConfig } = await part("@changesets/config");
  const { readPreState } = await part("@changesets/pre");
  const { readChangesets } = await part("@changesets/read");
  const { assembleReleasePlan } = await part("@changesets/assemble-release-plan");
  const { default: semver } = await part("semver");

  const workspace = await getPackages(root);
  const { config, errors } = await readConfig(root, workspace);
  if (errors !== undefined) throw new Error(`.changeset/config.json: ${errors.join("; ")}`);
  const changesets = await readChangesets(root);
  const pre = await readPreState(root);
  const { releases } = assembleReleasePlan(changesets, workspace, config, pre);
  return explain(releases, workspace, semver.satisfies);
}

function explain(releases: readonly Release[], workspace: Workspace, fits: Satisfies): Bump[] {
  const byName = new Map(releases.map((r) => [r.name, r]));
  const manifests = new Map(workspace.packages.map((p) => [p.packageJson.name, p.packageJson]));
  const leaves = (dependency: string, range: string) => {
    const moved = byName.get(dependency);
    if (moved === undefined || moved.type === "none") return false;
    return !fits(moved.newVersion, rangeOf(range, moved.oldVersion));
  };
  return releases
    .flatMap(({ type, ...release }) => (type === "none" ? [] : [{ ...release, type }]))
    .map((release) => {
      const table = manifests.get(release.name)?.dependencies ?? {};
      const follows = Object.keys(table).filter((name) => leaves(name, table[name]));
      return { ...release, follows };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What `workspace:^` stands for in a published manifest. */
function rangeOf(range: string, version: string): string {
  const inner = range.replace(/^workspace:/, "");
  if (inner === "*") return version;
  return inner === "^" || inner === "~" ? inner + version : inner;
}

/** A module that @changesets/cli depends on. */
// biome-ignore lint/suspicious/noExplicitAny: modules out of the command's own tree
async function part(name: string): Promise<any> {
  const here = createRequire(import.meta.url);
  const fromCli = createRequire(here.resolve("@changesets/cli/package.json"));
  return import(pathToFileURL(fromCli.resolve(name)).href);
}
