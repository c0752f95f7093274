/** What is known of a directory that is changed: its names, and where there is room. */
export class NameIndex {
  /** Where the inode of each name stands: the block of the directory and the offset in it. */
  readonly places: Map<string, number>;

  constructor() {
    this.places = new Map();
  }
}
