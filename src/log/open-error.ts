// Why a directory could not be opened, in words an operator can act on. openLog is the only caller.
import { errorText } from "../base/error-text.ts";
import type { Disk } from "../ports/disk.ts";
import { isDiskErrorCode, LogOpenError } from "./errors.ts";
import { LOCK_NAME } from "./paths.ts";

export async function lockDirectory(disk: Disk, directory: string): Promise<{ unlock(): Promise<void> }> {
  try {
    await disk.makeDirectory(directory);
    return await disk.lock(`${directory}/${LOCK_NAME}`);
  } catch (error) {
    if (!isDiskErrorCode(error, "EAGAIN")) throw asOpenError(error, directory);
    throw new LogOpenError(
      "locked",
      directory,
      `${directory} is in use by another process; stop that one, or give this member a directory of its own`,
      error,
    );
  }
}

/** What is thrown while a directory is opened, as the LogOpenError that the member shows. */
export function asOpenError(error: unknown, directory: string): unknown {
  if (error instanceof LogOpenError) return error;
  if (error instanceof Error && error.name === "CorruptionError") {
    return new LogOpenError("corrupt", directory, error.message, error);
  }
  if (isDiskErrorCode(error, "EACCES") || isDiskErrorCode(error, "EPERM")) {
    const text = `${directory} cannot be read: ${errorText(error)}; check owner and mode (files 0600, directories 0700)`;
    return new LogOpenError("unreadable", directory, text, error);
  }
  if (isDiskErrorCode(error, "ENOSPC")) {
    return new LogOpenError(
      "no-space",
      directory,
      `no space left for ${directory}; free some and start again`,
      error,
    );
  }
  return error instanceof Error && error.name === "DiskError"
    ? new LogOpenError("failed", directory, `${directory} cannot be opened: ${errorText(error)}`, error)
    : error;
}
