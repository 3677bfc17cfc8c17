// Names of the log's directory and files. Numbers are counted up over all kinds and never used twice.

export type NumberedKind = "segment" | "run" | "image";

export const LOCK_NAME = "LOCK";
export const RESERVE_NAME = "RESERVE";
export const FLUSH_MARK_NAME = "FLUSHED";
export const TEMPORARY_SUFFIX = ".tmp";

/** Where Cairn keeps its log: within etcd's data directory, or where --wal-dir wants the log to be. */
export function logDirectory(dataDirectory: string, walDirectory: string): string {
  return walDirectory === "" ? `${dataDirectory}/member/cairn` : `${walDirectory}/cairn`;
}

export function filePath(directory: string, number: number, kind: NumberedKind): string {
  return `${directory}/${String(number).padStart(10, "0")}.${kind}`;
}

/** Number and kind of a file name of ours, or undefined. */
export function parseName(name: string): { number: number; kind: NumberedKind } | undefined {
  const match = /^(\d{10,})\.(segment|run|image)$/.exec(name);
  return match === null ? undefined : { number: Number(match[1]), kind: match[2] as NumberedKind };
}
