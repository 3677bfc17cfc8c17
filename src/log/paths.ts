// Names of the log's files below <data-dir>/member/cairn. Numbers are counted up over all kinds and never used twice.

export type NumberedKind = "segment" | "run" | "image";

export const LOCK_NAME = "LOCK";
export const RESERVE_NAME = "RESERVE";
export const FLUSH_MARK_NAME = "FLUSHED";
export const TEMPORARY_SUFFIX = ".tmp";

export function filePath(directory: string, number: number, kind: NumberedKind): string {
  return `${directory}/${String(number).padStart(10, "0")}.${kind}`;
}

/** Number and kind of a file name of ours, or undefined. */
export function parseName(name: string): { number: number; kind: NumberedKind } | undefined {
  const match = /^(\d{10,})\.(segment|run|image)$/.exec(name);
  return match === null ? undefined : { number: Number(match[1]), kind: match[2] as NumberedKind };
}
