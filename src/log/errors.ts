// What the log throws when a file is not what it must be. Callers: the opening member (prints it and exits) and every reader of a
// value (stops the member). Each error names file, offset, cause and the next step; none of them is ever swallowed.

export type LogOpenKind =
  | "locked"
  | "unreadable"
  | "corrupt"
  | "other-cluster"
  | "newer-version"
  | "no-space"
  | "failed";

/** Why a data directory was not opened. Nothing on disk has been changed when it is thrown. */
export class LogOpenError extends Error {
  override readonly name = "LogOpenError";
  readonly kind: LogOpenKind;
  readonly path: string;
  constructor(kind: LogOpenKind, path: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.path = path;
  }
}

/** A byte that is not the one that was written. `step` tells the operator what to do. */
export class CorruptionError extends Error {
  override readonly name = "CorruptionError";
  readonly path: string;
  readonly offset: number;
  readonly reason: string;
  readonly step: string;
  constructor(path: string, offset: number, reason: string, step: string = RESTORE_STEP) {
    super(`${path} is corrupt at offset ${offset}: ${reason}. ${step}`);
    this.path = path;
    this.offset = offset;
    this.reason = reason;
    this.step = step;
  }
}

export const RESTORE_STEP =
  "Keep the directory as it is for inspection; in a cluster `cairn heal` gives this member the others' data (cairn heal --help), " +
  "alone restore the newest snapshot";

export function isDiskErrorCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
