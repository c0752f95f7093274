/**
 * The grammar of `@bsd` tags, and what a tag belongs to.
 */
import { expect, test } from "vitest";
import { Source } from "../src/source.ts";
import { tagsIn } from "../src/tag.ts";

const cases = [
  { name: "one name is ported", text: "@bsd biodone", tag: "ported |  |  | biodone" },
  { name: "#Y", text: "* Does it. @bsd #Y biodone ", tag: "ported |  |  | biodone" },
  {
    name: "#P has a reason",
    text: "@bsd #P[no NUMA, no [x] f",
    tag: "partly | no NUMA, no [x |  | f",
  },
  { name: "#P over two lines", text: "@bsd #P[no\n * uio] f", tag: "partly | no uio |  | f" },
  { name: "#P without a reason", text: "@bsd #P f", tag: "partly |  |  | f" },
  { name: "#N", text: "@bsd #N f", tag: "no |  |  | f" },
  { name: "several names", text: "@bsd #Y a, b,c", tag: "ported |  |  | a, b, c" },
  { name: "names go on after a comma", text: "@bsd #Y a,\n * b\n * c", tag: "ported |  |  | a, b" },
  { name: "a path", text: "@bsd #Y sys/kern/x.c a, b", tag: "ported |  | sys/kern/x.c | a, b" },
  {
    name: "a path alone",
    text: "@bsd #Y sys/sys/x.h",
    tag: "ported |  | sys/sys/x.h | sys/sys/x.h",
  },
  {
    name: "a system and a path",
    text: "@bsd NetBSD sys/buf.h B_*",
    tag: "ported |  | sys/buf.h | B_*",
  },
  {
    name: "a page and a name",
    text: "@bsd bus_dma(9) lockfunc",
    tag: "ported |  | bus_dma(9) | lockfunc",
  },
  { name: "a page alone is a name", text: "@bsd #Y panic(9)", tag: "ported |  |  | panic(9)" },
  {
    name: "a page and a word that is none",
    text: "@bsd printf(9) %b",
    tag: "ported |  |  | printf(9)/%b",
  },
  { name: "a struct", text: "@bsd struct buf, f", tag: "ported |  |  | struct buf, f" },
  {
    name: "a part",
    text: "@bsd #Y getpages PGO_LOCKED",
    tag: "ported |  |  | getpages/PGO_LOCKED",
  },
  { name: "a promise", text: "@bsd man:load:EFBIG", tag: "ported |  |  | man:load:EFBIG" },
  { name: "another tag ends it", text: "@bsd #Y f @returns 0", tag: "ported |  |  | f" },
  { name: "no name", text: "@bsd #Y", tag: "ported |  |  | " },
];

for (const c of cases) {
  test(`tag: ${c.name}`, () => {
    const [{ status, why, file, terms }, ...more] = tagsIn(c.text);
    const names = terms.map(({ name, part }) => (part === "" ? name : `${name}/${part}`));
    expect(`${status} | ${why} | ${file} | ${names.join(", ")}`).toBe(c.tag);
    expect(more).toEqual([]);
  });
}

test("tag: a comment may have several, or none", () => {
  expect(tagsIn("@bsd #Y a\n * @bsd #N b").map((t) => t.status)).toEqual(["ported", "no"]);
  expect(tagsIn("about @bsdtags and bsd")).toEqual([]);
});

const TEXT = `/** Header. @bsd header */
import { x } from "./x.ts";

/** @bsd table */
export const Table = bitset<"T">()({
  A: 1, // @bsd inside
  /** @bsd entry */
  B: 2,
});
/** @bsd class */
// and a line between
export class Thing {
  /** @bsd field */
  readonly field: number;
  /** @bsd hidden */
  *#hidden(): void {
    // @bsd body
  }
}
/** @bsd slot */
export interface Slots {
  /** @bsd slot2 */
  readonly size: number;
}
/** @bsd alias */
type Alias = { readonly a: number };
/** @bsd plain */
function plain(): void {}
x(plain);
/** @bsd end */
`;

test("a tag belongs to the declaration that follows, else to the one round it", () => {
  const source = new Source("a.ts", TEXT);
  const found = source.comments.flatMap((comment) =>
    tagsIn(comment.value).map((t) => [t.terms[0].name, source.subjectOf(comment)?.symbol ?? null]),
  );
  expect(Object.fromEntries(found)).toEqual({
    header: "module",
    table: "Table",
    inside: "Table.B",
    entry: "Table.B",
    class: "Thing",
    field: "Thing.field",
    hidden: "Thing.#hidden",
    body: "Thing.#hidden",
    slot: "Slots",
    slot2: "Slots.size",
    alias: "Alias",
    plain: "plain",
    end: null,
  });
  expect(source.find("Alias.a")?.line).toBe(
    TEXT.split("\n").findIndex((l) => l.startsWith("type ")) + 1,
  );
});

test("titles are those of tests and the names in their tables", () => {
  const text = [
    'const cases = [{ name: "in a table" }];',
    'describe("a group", () => { test("one", f); test.each(cases)("each $name", f); });',
    `for (const c of cases) it(\`holes: \${c.name} stay\`, f);`,
    'expect("not a title").toBe(1);',
  ].join("\n");
  const titles = new Source("a.test.ts", text).titles().map((t) => t.symbol);
  expect(titles.sort()).toEqual([
    "a group",
    "each $name",
    `holes: \${c.name} stay`,
    "in a table",
    "one",
  ]);
});
