/** Something wrong with a page, and where. */
export interface Finding {
  /** Path of the page from the root of the tree. */
  readonly page: string;
  readonly line: number;
  readonly what: string;
}

export const formatFinding = (f: Finding): string => `${f.page}:${f.line}: ${f.what}`;
