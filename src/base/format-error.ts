// What a reader of a file format throws when the bytes are not what the format says: where, and why. Callers who know the file's
// name and what the operator can do next (src/etcdfile, src/utl) catch it and say so. Never used for the programmer's own defects.
export class FormatError extends Error {
  override readonly name = "FormatError";
  /** Offset in the file (or in the text) of what is wrong. */
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/** Throws: the bytes at `offset` are not what the format says. */
export function malformed(offset: number, message: string): never {
  throw new FormatError(offset, message);
}
